package kernel

// halfStrip is a call of the functions below.
type halfStrip struct {
	a           *BFloat16
	b           *BFloat16
	c           *float32
	lda, ldc    int // in bytes
	steps, rows int
	// add is not 0 where C is added to.
	add int
	// apart is the distance in bytes between panels that are multiplied together.
	apart int
	// first and second are the lanes of the two halves of a row of C that are written.
	first, second int
}

// roundAVX512 writes n elements of x, n not 0, rounded, and zeros up to a multiple of 32 elements.
//
//go:noescape
func roundAVX512(to *BFloat16, x *float32, n int)

// halfAVX512 is a product of so many rows with a panel, with the bits of plainHalf.
//
//go:noescape
func halfAVX512(s *halfStrip)

// halfRowAVX512 is a product of a row with halfStreams whole panels, with the bits of plainHalf.
//
//go:noescape
func halfRowAVX512(s *halfStrip)

// wideHalves are in AVX-512.
func wideHalves() halves {
	h := halves{
		name:  NameAVX512,
		round: func(to []BFloat16, x []float32) { roundAVX512(&to[0], &x[0], len(x)) },
		product: func(h half) {
			lanes := 1<<h.columns - 1
			s := halfStrip{
				a: &h.a[0], b: &h.b[0], c: &h.c[0], lda: 2 * h.lda, ldc: 4 * h.ldc, steps: h.steps, rows: h.rows,
				first: lanes & 0xFFFF, second: lanes >> 16,
			}
			if h.add {
				s.add = 1
			}
			halfAVX512(&s)
		},
		row: func(h half) {
			s := halfStrip{a: &h.a[0], b: &h.b[0], c: &h.c[0], steps: h.steps, apart: 2 * h.lda * halfColumns}
			if h.add {
				s.add = 1
			}
			halfRowAVX512(&s)
		},
	}
	h.scores, h.mix = cacheBy(h.product)
	return h
}

// vectorHalves are those without tiles that the processor has, the fastest first.
func vectorHalves() []halves {
	var found []halves
	if hasWide() {
		found = append(found, wideHalves())
	}
	if hasSIMD() {
		found = append(found, narrowHalves())
	}
	return append(found, plainHalves())
}

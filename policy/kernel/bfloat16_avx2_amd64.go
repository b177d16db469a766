package kernel

// roundAVX2 writes n elements of x, n a multiple of 16, rounded.
//
//go:noescape
func roundAVX2(to *BFloat16, x *float32, n int)

// halfAVX2 adds a product of so many rows with a whole panel to C, with the bits of plainHalf.
//
//go:noescape
func halfAVX2(s *halfStrip)

// narrowHalves are in AVX2.
func narrowHalves() halves {
	h := halves{name: NameAVX2, round: roundNarrow, product: narrowHalf}
	h.scores, h.mix = cacheBy(h.product)
	return h
}

func roundNarrow(to []BFloat16, x []float32) {
	whole := len(x) &^ 15
	if whole > 0 {
		roundAVX2(&to[0], &x[0], whole)
	}
	roundRow(to[whole:], x[whole:])
}

func narrowHalf(h half) {
	if h.columns < halfColumns {
		besideHalf(h)
		return
	}
	if !h.add {
		for i := range h.rows {
			clear(h.c[i*h.ldc : i*h.ldc+halfColumns])
		}
	}
	halfAVX2(&halfStrip{a: &h.a[0], b: &h.b[0], c: &h.c[0], lda: 2 * h.lda, ldc: 4 * h.ldc, steps: h.steps, rows: h.rows})
}

// besideHalf goes by way of memory of its own, so that nothing is written beside the panel's columns.
func besideHalf(h half) {
	for i := range h.rows {
		var sums [halfColumns]float32
		to := h.c[i*h.ldc : i*h.ldc+h.columns]
		if h.add {
			copy(sums[:], to)
		}
		halfAVX2(&halfStrip{a: &h.a[i*h.lda], b: &h.b[0], c: &sums[0], steps: h.steps, rows: 1})
		copy(to, sums[:])
	}
}

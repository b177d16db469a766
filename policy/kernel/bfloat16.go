package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// BFloat16 is the upper half of a float32: its sign, its exponent and 8 bits of precision.
type BFloat16 uint16

// NewBFloat16 is the nearest bfloat16, of two equally near ones the even one. What is below the smallest normal number, 2^-126, becomes
// zero with its sign, as in the processor's instructions; a NaN stays one.
func NewBFloat16(x float32) BFloat16 {
	bits := math.Float32bits(x)
	switch exponent := bits & exponentBits; {
	case exponent == 0:
		bits &= signBit
	case exponent == exponentBits && bits&^(signBit|exponentBits) != 0:
		bits |= 1 << 22
	default:
		bits += 0x7FFF + bits>>16&1
	}
	return BFloat16(bits >> 16)
}

// Float32 is the same number.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

const signBit, exponentBits = 1 << 31, 0xFF << 23

const (
	// halfStep is the number of elements along K that sums of bfloat16 are taken over at a time, halfColumns the width of a panel.
	halfStep, halfColumns = 32, 32
	// halfFloats is the number of elements of a panel in one step.
	halfFloats = halfStep * halfColumns
	// halfDepth is the most steps along K that many rows are multiplied with before the next: the panel's part stays in the first cache.
	halfDepth = 16
)

// BFloat16Row is the length of a row of n numbers in bfloat16: whole steps, the rest zeros.
func BFloat16Row(n int) int { return roundUp(n, halfStep) }

// halves are how bfloat16 is rounded and multiplied. All give the same bits.
type halves struct {
	name string
	// round writes a row, of whole steps.
	round func(to []BFloat16, x []float32)
	// product is C = A*B, or that added to C, of rows of A with a panel of B, so many steps of each; see [Set.LinearBFloat16].
	product func(h half)
	// row, where there is one, is that of a single row with halfStreams whole panels, one after the other.
	row func(h half)
	// scores and mix are sums over a cache, see [Set.CacheScores] and [Set.CacheMix].
	scores, mix func(h halfCache)
}

// half is a part of a product: rows of A, lda elements apart, with the first columns, at most halfColumns, of a panel.
type half struct {
	steps, rows, columns int
	a                    []BFloat16
	lda                  int
	b                    []BFloat16
	c                    []float32
	ldc                  int
	add                  bool
	next                 ahead16
}

// BFloat16Kernels names what products of bfloat16 are computed with: "amx", "avx512", "avx2" or, far slower, "go". They give the same bits.
func (s *Set) BFloat16Kernels() string { return s.halves.name }

// RoundBFloat16 writes rows of in numbers, rounded as by [NewBFloat16], to rows of BFloat16Row(in). It panics where to is too short.
func (s *Set) RoundBFloat16(to []BFloat16, x []float32, in int) {
	width := BFloat16Row(in)
	for i := range len(x) / in {
		s.halves.round(to[i*width:(i+1)*width], x[i*in:(i+1)*in])
	}
}

// NewBFloat16Weight rounds rows, [out, in], and keeps half the memory of [Set.NewWeight].
func (s *Set) NewBFloat16Weight(rows []float32, in int) *Weight {
	w := &Weight{In: in, Out: len(rows) / in}
	width := BFloat16Row(in)
	w.half = BFloat16s(HugePages(roundUp(w.Out, halfColumns) * width / 2))
	row := make([]BFloat16, width)
	for i := range w.Out {
		s.halves.round(row, rows[i*in:(i+1)*in])
		panel := w.half[i/halfColumns*halfColumns*width+2*(i%halfColumns):]
		for k := 0; k < width; k += 2 {
			copy(panel[k*halfColumns:], row[k:k+2])
		}
	}
	return w
}

// LinearBFloat16 is [Set.Linear] with a weight of bfloat16 and rows that RoundBFloat16 wrote. Products of two bfloat16 are exact in float32
// and summed in it: over each 32 elements the even ones and the odd ones by themselves, k ascending, then both together to C. So do the
// processor's tiles (TDPBF16PS); sums below 2^-126 count as zero. A row's bits depend neither on the other rows, nor on the columns that
// are asked for, nor on the set.
func (s *Set) LinearBFloat16(w *Weight, first, last int, y []float32, ldy int, x []BFloat16, m int, add bool) {
	if m == 0 || first == last {
		return
	}
	w.checkColumns(first, last)
	check("y", y, m, w.Out, ldy)
	lda := BFloat16Row(w.In)
	if len(x) < m*lda || !w.BFloat16() {
		panic(fmt.Sprintf("kernel: %d rows of %d bfloat16 in a slice of %d, with a weight of bfloat16: %v", m, lda, len(x), w.BFloat16()))
	}
	steps, depth := lda/halfStep, halfDepth
	if m <= halfColumns {
		depth = steps
	}
	const wide = halfStreams * halfColumns
	for ; m == 1 && s.halves.row != nil && first+wide <= last; first += wide {
		s.halves.row(half{steps: steps, a: x, lda: lda, b: w.half[first*lda:], c: y[first:], add: add})
	}
	for group := first; group < last; group += wide {
		next := ahead16{b: w.half, apart: lda * halfColumns, at: min(group+wide, last) * lda}
		next.wanted = group+wide < last
		for column := group; column < min(group+wide, last); column += halfColumns {
			panel := w.half[column*lda:][:lda*halfColumns]
			for k := 0; k < steps; k += depth {
				n := min(depth, steps-k)
				s.halves.product(half{
					steps: n, rows: m, columns: min(halfColumns, w.Out-column),
					a: x[k*halfStep:], lda: lda, b: panel[k*halfFloats:], c: y[column:], ldc: ldy, add: add || k > 0, next: next,
				})
				next.at += n * halfFloats / halfStreams
			}
		}
	}
}

// halfStreams is the number of panels that are asked for together, a line of each in turn: memory that is read in several places at a time
// comes half as fast again.
const halfStreams = WeightStreams

// ahead16 is what is to be asked for during a product: of halfStreams panels of a weight, apart elements apart, what lies at at.
type ahead16 struct {
	b         []BFloat16
	at, apart int
	wanted    bool
}

// plainHalves are in Go alone.
func plainHalves() halves {
	h := halves{name: "go", round: roundRow, product: plainHalf}
	h.scores, h.mix = cacheBy(h.product)
	return h
}

func roundRow(to []BFloat16, x []float32) {
	for i, v := range x {
		to[i] = NewBFloat16(v)
	}
	clear(to[len(x):])
}

func plainHalf(h half) {
	for i := range h.rows {
		a := h.a[i*h.lda:]
		for j := range h.columns {
			sum := float32(0)
			if h.add {
				sum = flush(h.c[i*h.ldc+j])
			}
			for k := 0; k < h.steps*halfStep; k += halfStep {
				even, odd := float32(0), float32(0)
				for p := k; p < k+halfStep; p += 2 {
					b := h.b[p*halfColumns+2*j:]
					even = flush(float32(float64(even) + float64(a[p].Float32())*float64(b[0].Float32())))
					odd = flush(float32(float64(odd) + float64(a[p+1].Float32())*float64(b[1].Float32())))
				}
				sum = flush(sum + flush(even+odd))
			}
			h.c[i*h.ldc+j] = sum
		}
	}
}

// flush is x, or zero with its sign if x is below the smallest normal number.
func flush(x float32) float32 {
	if bits := math.Float32bits(x); bits&exponentBits == 0 {
		return math.Float32frombits(bits & signBit)
	}
	return x
}

// BFloat16s is the memory of x, for twice as many numbers.
func BFloat16s(x []float32) []BFloat16 {
	return unsafe.Slice((*BFloat16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

package kernel

// libraryProducts are products whose rows are given to a library piece by piece.
type libraryProducts struct {
	// gemm computes a product whose slices have been checked and are not empty.
	gemm func(p Product, a, b, c []float32)
}

func (l libraryProducts) multiply(s *Set, p Product, a, b, c []float32, parallel bool) {
	if !parallel {
		l.gemm(p, a, b, c)
		return
	}
	s.Parallel(p.M, rowTile(p.M), func(lo, hi int) {
		q := p
		q.M = hi - lo
		start := lo * p.LDA
		if p.TransA {
			start = lo
		}
		l.gemm(q, a[start:], b, c[lo*p.LDC:])
	})
}

// rowTile is the number of rows of a product that one goroutine takes at a time: an even number of about equal tiles, of 256
// rows at most. Larger tiles would pack the other operand less often, smaller ones would balance better.
func rowTile(m int) int {
	const most, step = 256, 16
	if m < 3*step {
		return m
	}
	tiles := 2 * ((m + 2*most - 1) / (2 * most))
	tile := (m + tiles - 1) / tiles
	return roundUp(tile, step)
}

const (
	// smallRows and largeRows are the row counts that products with a Weight are made with.
	smallRows, largeRows = 16, 48
	// smallProduct is the number of multiplications up to which OpenBLAS works on the operands where they lie, on processors
	// with AVX-512, and is fast with few rows.
	smallProduct = 1_000_000
	// weightStep is what the width of a packed weight is a multiple of: results of products of other widths depend on their row
	// counts on some processors.
	weightStep = 16
)

// blockWidth is the width of the block of a packed weight that begins at column first: WeightGrain, but for the last.
func blockWidth(w *Weight, first int) int { return roundUp(min(WeightGrain, w.Out-first), weightStep) }

// packWeight makes blocks of columns, [in, width] each, the last one's width rounded up with zeros: products with few rows are up to
// three times as fast on them.
func (l libraryProducts) packWeight(w *Weight, rows []float32) {
	w.data = make([]float32, w.In*roundUp(w.Out, weightStep))
	for i := range w.Out {
		first := i / WeightGrain * WeightGrain
		block, width := w.data[first*w.In:], blockWidth(w, first)
		for j := range w.In {
			block[j*width+i-first] = rows[i*w.In+j]
		}
	}
}

func (l libraryProducts) packGrain(int) int { return 1 }

func (l libraryProducts) packedLen(m, in int) int { return m * in }

// packRowsOf leaves rows as they are.
func (l libraryProducts) packRowsOf(to, x []float32, _, in, first, last int) {
	copy(to[first*in:], x[first*in:last*in])
}

func (l libraryProducts) linear(s *Set, w *Weight, first, last int, y []float32, ldy int, x []float32, m int, add bool) {
	for ; first < last; first += WeightGrain {
		l.linearBlock(s, w, first, y, ldy, x, m, add)
	}
}

// linearBlock multiplies a fixed number of rows at a time; the last ones are padded. A library picks other code, with other rounding, for
// other row counts; with one count a row's bits don't depend on how many rows there are, as long as the library treats all rows
// of a product alike. OpenBLAS 0.3.21 does on its SkylakeX, Cooperlake and Sandybridge cores; on Haswell and Zen the last bit can depend
// on a row's place.
func (l libraryProducts) linearBlock(s *Set, w *Weight, first int, y []float32, ldy int, x []float32, m int, add bool) {
	width := blockWidth(w, first)
	columns := min(width, w.Out-first)
	rows := smallRows
	if smallRows*width*w.In > smallProduct {
		rows = largeRows
	}
	buffer := s.Borrow(rows * (w.In + width))
	defer s.Release(buffer)
	in, out := (*buffer)[:rows*w.In], (*buffer)[rows*w.In:]
	p := Product{M: rows, N: width, K: w.In, Alpha: 1, LDA: w.In, LDB: width, LDC: width}
	for lo := 0; lo < m; lo += rows {
		n := min(rows, m-lo)
		clear(in[copy(in, x[lo*w.In:(lo+n)*w.In]):])
		l.gemm(p, in, w.data[first*w.In:], out)
		for i := range n {
			from, to := out[i*width:i*width+columns], y[(lo+i)*ldy+first:(lo+i)*ldy+first+columns]
			if add {
				s.Add(from, to)
			} else {
				copy(to, from)
			}
		}
	}
}

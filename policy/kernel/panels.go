package kernel

// The sets of our own multiply by panels. B, [K, N], is packed into panels of a few columns, [K, columns] each, so that the inner loop
// reads it in order; a kernel in assembly multiplies some rows of A with one panel and holds their part of C in registers. Goto
// and van de Geijn 2008, doi:10.1145/1356052.1356053.
//
// An element of C is the same chain of fused multiply-adds, k ascending, in runs of depth, whatever the rest of the product
// is: its bits depend neither on the other rows and columns nor on how the work is split, nor on the instruction set.

const (
	// depth is the length of a run along K: one panel's part of it, 32 kB at most, stays in the first cache.
	depth = 256
	// panelRows is the most rows of C that are multiplied with one panel after the other: their part of A stays in the second cache.
	panelRows = 120
	// packedBytes bounds the memory of packed panels in a product, if a few panels fit into it.
	packedBytes = 8 << 20
	// transposedPieces is how many pieces a product with a transposed A is cut into at least, if it has the panels.
	transposedPieces = 4
	cacheLine        = 64
	// nearRow is the longest row of a transposed A whose columns are read where they are.
	nearRow = 384
)

// productFunc multiplies rows of A, a number of its own, with a panel: C = alpha*A*B + beta*C, or without the last part where add
// is 0. Element (i, k) of A is at a + i*row + k*col; row, col and ldc are in bytes. Only the first columns of C are written. For each
// k, a line of memory that will be wanted is asked for: next, next + step and so on.
type productFunc func(k int, a *float32, row, col int, b, c *float32, ldc int, alpha, beta float32, add, columns int,
	next *float32, step int)

// panels is what an instruction set brings to a product.
type panels struct {
	name string
	// columns is the width of a panel, product[r] the kernel for r rows.
	columns int
	product []productFunc
	// packRows copies k rows of columns elements of src, stride elements apart, to rows of a panel, the rest of which becomes 0.
	packRows func(dst, src []float32, stride, k, columns int)
	// packColumns does the same with src stored the other way: column j is k elements from src[j*stride] on.
	packColumns func(dst, src []float32, stride, k, columns int)
	// packStrip copies the first rows elements of k rows of src, stride elements apart, one after the other.
	packStrip func(dst, src []float32, stride, k, rows int)
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// strip is the number of rows of C that one call of a kernel can do.
func (t *panels) strip() int { return len(t.product) - 1 }

// count is the number of panels of n columns.
func (t *panels) count(n int) int { return (n + t.columns - 1) / t.columns }

// tile is the number of rows of m that are done together.
func (t *panels) tile(m int) int {
	tiles := (m + panelRows - 1) / panelRows
	return roundUp((m+tiles-1)/tiles, t.strip())
}

// multiply computes a product that isn't empty, on one goroutine or on all.
func (t *panels) multiply(s *Set, p Product, a, b, c []float32, parallel bool) {
	if p.TransA {
		t.multiplyTransposed(s, p, a, b, c, parallel)
		return
	}
	block := max(packedBytes/4/p.K/t.columns, 4) * t.columns
	buffer := s.borrow(p.K * roundUp(min(block, p.N), t.columns))
	defer s.release(buffer)
	packed, tile := *buffer, t.tile(p.M)
	for first := 0; first < p.N; first += block {
		columns := min(block, p.N-first)
		count := t.count(columns)
		pieces := (p.M + tile - 1) / tile * count
		pack := func(lo, hi int) {
			for i := lo; i < hi; i++ {
				t.pack(packed[i*p.K*t.columns:], p, b, first+i*t.columns, 0, p.K)
			}
		}
		work := func(lo, hi int) {
			for piece := lo; piece < hi; piece++ {
				row, panel := piece/count*tile, piece%count
				t.piece(p, a, packed[panel*p.K*t.columns:], c, row, min(row+tile, p.M), first+panel*t.columns)
			}
		}
		if parallel {
			s.Parallel(count, 1, pack)
			s.Parallel(pieces, max(1, pieces/64), work)
		} else {
			pack(0, count)
			work(0, pieces)
		}
	}
}

// pack fills a panel with n rows of op(B) from row k on, and columns from first on; what is beyond B is 0.
func (t *panels) pack(panel []float32, p Product, b []float32, first, k, n int) {
	columns := min(t.columns, p.N-first)
	if p.TransB {
		t.packColumns(panel, b[first*p.LDB+k:], p.LDB, n, columns)
	} else {
		t.packRows(panel, b[k*p.LDB+first:], p.LDB, n, columns)
	}
}

// piece multiplies rows lo to hi-1 of A, which isn't transposed, with the panel for columns from first on.
func (t *panels) piece(p Product, a, panel, c []float32, lo, hi, first int) {
	columns := min(t.columns, p.N-first)
	step := cacheLine
	if p.LDA > depth {
		step = 0 // rows are longer than a run
	}
	for k := 0; k < p.K; k += depth {
		add, beta := p.onto(k)
		for i := lo; i < hi; i += t.strip() {
			next := &a[min(i+t.strip(), hi-1)*p.LDA+k]
			t.product[min(t.strip(), hi-i)](min(depth, p.K-k), &a[i*p.LDA+k], 4*p.LDA, 4, &panel[k*t.columns],
				&c[i*p.LDC+first], 4*p.LDC, p.Alpha, beta, add, columns, next, step)
		}
	}
}

// onto says what becomes of C as it is, when the run from k on is added.
func (p Product) onto(k int) (add int, beta float32) {
	switch {
	case k > 0:
		return 1, 1
	case p.Beta == 0:
		return 0, 0
	default:
		return 1, p.Beta
	}
}

// multiplyTransposed is multiply for a transposed A, as in the gradient of a weight, which is a long sum over tokens. Each piece
// packs what it reads for itself, a run at a time.
func (t *panels) multiplyTransposed(s *Set, p Product, a, b, c []float32, parallel bool) {
	tile, count := t.tile(p.M), t.count(p.N)
	tiles := (p.M + tile - 1) / tile
	groups := min((transposedPieces+tiles-1)/tiles, count)
	work := func(lo, hi int) {
		buffer := s.borrow(depth * (tile + t.columns))
		defer s.release(buffer)
		for piece := lo; piece < hi; piece++ {
			row, group := piece/groups*tile, piece%groups
			t.pieceTransposed(p, a, b, c, *buffer, row, min(row+tile, p.M), group*count/groups, (group+1)*count/groups)
		}
	}
	if parallel {
		s.Parallel(tiles*groups, 1, work)
	} else {
		work(0, tiles*groups)
	}
}

// pieceTransposed multiplies rows lo to hi-1 of A', which is transposed, with panels from first to last-1.
func (t *panels) pieceTransposed(p Product, a, b, c, buffer []float32, lo, hi, first, last int) {
	panel, packed := buffer[:depth*t.columns], buffer[depth*t.columns:]
	near := p.LDA <= nearRow
	for k := 0; k < p.K; k += depth {
		n := min(depth, p.K-k)
		for i := lo; i < hi && !near; i += t.strip() {
			t.packStrip(packed[(i-lo)*depth:], a[k*p.LDA+i:], p.LDA, n, min(t.strip(), hi-i))
		}
		add, beta := p.onto(k)
		ahead := p.ahead(a, b, k, lo, hi, first*t.columns, last*t.columns)
		for j := first; j < last; j++ {
			at := j * t.columns
			t.pack(panel, p, b, at, k, n)
			for i := lo; i < hi; i += t.strip() {
				rows := min(t.strip(), hi-i)
				next, step := ahead()
				from, col := &packed[(i-lo)*depth], 4*rows
				if near {
					from, col = &a[k*p.LDA+i], 4*p.LDA
				}
				t.product[rows](n, from, 4, col, &panel[0],
					&c[i*p.LDC+at], 4*p.LDC, p.Alpha, beta, add, min(t.columns, p.N-at), next, step)
			}
		}
	}
}

// ahead gives, call by call, the columns of cache lines that the next run reads.
func (p Product) ahead(a, b []float32, k, lo, hi, first, last int) func() (next *float32, step int) {
	const line = cacheLine / 4
	k += depth
	i, j := lo, first
	return func() (*float32, int) {
		switch {
		case k >= p.K || p.TransB || p.LDA > nearRow:
			return &a[0], 0
		case i < hi:
			next := &a[k*p.LDA+i]
			i += line
			return next, 4 * p.LDA
		case j < min(last, p.N):
			next := &b[k*p.LDB+j]
			j += line
			return next, 4 * p.LDB
		default:
			return &a[0], 0
		}
	}
}

func (t *panels) packWeight(w *Weight, rows []float32) {
	w.data = make([]float32, w.In*roundUp(w.Out, t.columns))
	for i := range t.count(w.Out) {
		t.pack(w.data[i*w.In*t.columns:], Product{TransB: true, K: w.In, N: w.Out, LDB: w.In}, rows, i*t.columns, 0, w.In)
	}
}

func (t *panels) linear(_ *Set, w *Weight, y []float32, ldy int, x []float32, m int, add bool) {
	p := Product{M: m, N: w.Out, K: w.In, Alpha: 1, LDA: w.In, LDC: ldy}
	if add {
		p.Beta = 1
	}
	tile := t.tile(m)
	for row := 0; row < m; row += tile {
		for i := range t.count(w.Out) {
			t.piece(p, x, w.data[i*w.In*t.columns:], y, row, min(row+tile, m), i*t.columns)
		}
	}
}

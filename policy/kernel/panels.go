package kernel

import (
	"sort"
	"sync"
)

// The sets of our own multiply by panels. B, [K, N], is packed into panels of a few columns, [K, columns] each, so that the inner loop
// reads it in order; a kernel in assembly multiplies some rows of A with one panel and holds their part of C in registers. Goto
// and van de Geijn 2008, doi:10.1145/1356052.1356053.
//
// An element of C is the same chain of fused multiply-adds, k ascending, in runs of depth, whatever the rest of the product
// is: its bits depend neither on the other rows and columns nor on how the work is split, nor on the instruction set.

const (
	// depth is the length of a run along K: one panel's part of it, 32 kB at most, stays in the first cache.
	depth = Run
	// panelRows is the most rows of C that are multiplied with one panel after the other: their part of A stays in the second cache.
	panelRows = 120
	// packedBytes bounds the memory of packed panels in a product, if a few panels fit into it.
	packedBytes = 8 << 20
	// fewestPieces is how many pieces a product with a transposed A is cut into at least, if it has the panels.
	fewestPieces = 4
	cacheLine    = 64
	// setStride is a distance, in float32, at whose multiples lines of memory share two sets of the first cache, or one: not even the
	// rows of one strip of A would stay there.
	setStride = 512
	// farPanels is the most panels that are multiplied with the same rows of A where these are copied first.
	farPanels = 8
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
	// jobs are idle states of products.
	jobs sync.Pool
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
	j := t.job(s, p, a, b, c)
	if p.TransA {
		j.cut = t.cutTransposed(p)
		j.do(parallel, j.cut.pieces(), 1, j.transposed)
	} else {
		block := t.block(p)
		buffer := s.Borrow(p.K * roundUp(min(block, p.N), t.columns))
		j.packed = *buffer
		for j.first = 0; j.first < p.N; j.first += block {
			j.cut = t.cut(p, min(block, p.N-j.first))
			j.do(parallel, j.cut.across, 1, j.packs)
			if p.K > depth && p.LDA%setStride == 0 {
				j.groups = (j.cut.across + farPanels - 1) / farPanels
				j.do(parallel, j.cut.down*j.groups, 1, j.copied)
				continue
			}
			j.do(parallel, j.cut.pieces(), max(1, j.cut.pieces()/64), j.pieces)
		}
		s.Release(buffer)
	}
	t.done(j)
}

// productJob is one product at work. It is used again, with the functions that goroutines are given, so that a product allocates nothing.
type productJob struct {
	t               *panels
	s               *Set
	p               Product
	a, b, c, packed []float32
	cut             cut
	first           int // the first column of the panels that are packed
	groups          int // of panels, where rows of A are copied

	packs, pieces, copied, transposed func(lo, hi int)
}

func (t *panels) job(s *Set, p Product, a, b, c []float32) *productJob {
	j, ok := t.jobs.Get().(*productJob)
	if !ok {
		j = &productJob{t: t}
		j.packs, j.pieces, j.copied, j.transposed = j.doPacks, j.doPieces, j.doCopied, j.doTransposed
	}
	j.s, j.p, j.a, j.b, j.c = s, p, a, b, c
	return j
}

// done takes a job back, without the memory of its product.
func (t *panels) done(j *productJob) {
	j.p, j.a, j.b, j.c, j.packed = Product{}, nil, nil, nil, nil
	t.jobs.Put(j)
}

// do calls f for n pieces, on one goroutine or on all.
func (j *productJob) do(parallel bool, n, grain int, f func(lo, hi int)) {
	if parallel {
		j.s.Parallel(n, grain, f)
	} else {
		f(0, n)
	}
}

// block is the number of columns that are packed at a time.
func (t *panels) block(p Product) int { return max(packedBytes/4/p.K/t.columns, 4) * t.columns }

// cut is how a product is cut into pieces: tiles of rows down, panels or groups of panels across.
type cut struct{ tile, down, across int }

func (c cut) pieces() int { return c.down * c.across }

func (t *panels) cut(p Product, columns int) cut {
	tile := t.tile(p.M)
	return cut{tile: tile, down: (p.M + tile - 1) / tile, across: t.count(columns)}
}

// doPacks fills panels lo to hi-1.
func (j *productJob) doPacks(lo, hi int) {
	for i := lo; i < hi; i++ {
		j.t.pack(j.packed[i*j.p.K*j.t.columns:], j.p, j.b, j.first+i*j.t.columns, 0, j.p.K)
	}
}

// doPieces does pieces lo to hi-1.
func (j *productJob) doPieces(lo, hi int) {
	for i := lo; i < hi; i++ {
		row, panel := i/j.cut.across*j.cut.tile, i%j.cut.across
		from := j.packed[panel*j.p.K*j.t.columns:]
		j.t.piece(j.p, j.a, from, j.c, row, min(row+j.cut.tile, j.p.M), j.first+panel*j.t.columns)
	}
}

// doCopied does groups lo to hi-1 of pieces, with rows of A copied to where they don't share their places in the cache.
func (j *productJob) doCopied(lo, hi int) {
	const stride = depth + cacheLine/4
	t, p := j.t, j.p
	buffer := j.s.Borrow(j.cut.tile * stride)
	defer j.s.Release(buffer)
	q := p
	q.LDA = stride
	for group := lo; group < hi; group++ {
		row, panel := group/j.groups*j.cut.tile, group%j.groups*farPanels
		last, end := min(row+j.cut.tile, p.M), min(panel+farPanels, j.cut.across)
		for k := 0; k < p.K; k += depth {
			n := min(depth, p.K-k)
			for i := row; i < last; i++ {
				copy((*buffer)[(i-row)*stride:], j.a[i*p.LDA+k:i*p.LDA+k+n])
			}
			q.K = n
			if k > 0 {
				q.Beta = 1
			}
			for at := panel; at < end; at++ {
				t.piece(q, *buffer, j.packed[at*p.K*t.columns+k*t.columns:], j.c[row*p.LDC:], 0, last-row, j.first+at*t.columns)
			}
		}
		q.Beta = p.Beta
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

// A product with a transposed A, as in the gradient of a weight, is a long sum over tokens. Each of its pieces packs what it reads for
// itself, a run at a time.

func (t *panels) cutTransposed(p Product) cut {
	c := t.cut(p, p.N)
	c.across = min((fewestPieces+c.down-1)/c.down, c.across)
	return c
}

// doTransposed does pieces lo to hi-1 of a product with a transposed A.
func (j *productJob) doTransposed(lo, hi int) {
	buffer := j.s.Borrow(depth * (j.cut.tile + j.t.columns))
	count, across := j.t.count(j.p.N), j.cut.across
	for i := lo; i < hi; i++ {
		row, group := i/across*j.cut.tile, i%across
		j.t.pieceTransposed(j.p, j.a, j.b, j.c, *buffer, row, min(row+j.cut.tile, j.p.M), group*count/across, (group+1)*count/across)
	}
	j.s.Release(buffer)
}

// pieceTransposed multiplies rows lo to hi-1 of A', which is transposed, with panels from first to last-1.
func (t *panels) pieceTransposed(p Product, a, b, c, buffer []float32, lo, hi, first, last int) {
	panel, packed := buffer[:depth*t.columns], buffer[depth*t.columns:]
	near := p.LDA <= nearRow
	for k, to := p.run(0); k < p.K; k, to = p.run(to) {
		n := to - k
		for i := lo; i < hi && !near; i += t.strip() {
			t.packStrip(packed[(i-lo)*depth:], a[k*p.LDA+i:], p.LDA, n, min(t.strip(), hi-i))
		}
		add, beta := p.onto(k)
		next := lines{row: lo, rows: hi, column: first * t.columns, columns: min(last*t.columns, p.N)}
		for j := first; j < last; j++ {
			at := j * t.columns
			t.pack(panel, p, b, at, k, n)
			for i := lo; i < hi; i += t.strip() {
				rows := min(t.strip(), hi-i)
				from, col := &packed[(i-lo)*depth], 4*rows
				if near {
					from, col = &a[k*p.LDA+i], 4*p.LDA
				}
				line, step := next.take(p, a, b, to)
				t.product[rows](n, from, 4, col, &panel[0],
					&c[i*p.LDC+at], 4*p.LDC, p.Alpha, beta, add, min(t.columns, p.N-at), line, step)
			}
		}
	}
}

// run is the run that begins at k: at most depth long, and within one sequence.
func (p Product) run(k int) (from, to int) {
	to = min(k+depth, p.K)
	if p.Starts != nil && k < p.K {
		b := sort.Search(len(p.Starts), func(b int) bool { return int(p.Starts[b]) > k })
		to = min(to, int(p.Starts[b]))
	}
	return k, to
}

// lines are the columns of cache lines that a run reads of A from row on and of B from column on.
type lines struct{ row, rows, column, columns int }

// take gives the next column of lines of the run from k on, with the distance of its lines.
func (l *lines) take(p Product, a, b []float32, k int) (next *float32, step int) {
	const line = cacheLine / 4
	switch {
	case k >= p.K || p.TransB || p.LDA > nearRow:
		return &a[0], 0
	case l.row < l.rows:
		l.row += line
		return &a[k*p.LDA+l.row-line], 4 * p.LDA
	case l.column < l.columns:
		l.column += line
		return &b[k*p.LDB+l.column-line], 4 * p.LDB
	default:
		return &a[0], 0
	}
}

func (t *panels) packWeight(w *Weight, rows []float32) {
	w.data = HugePages(w.In * roundUp(w.Out, t.columns))
	for i := range t.count(w.Out) {
		t.pack(w.data[i*w.In*t.columns:], Product{TransB: true, K: w.In, N: w.Out, LDB: w.In}, rows, i*t.columns, 0, w.In)
	}
}

func (t *panels) linear(_ *Set, w *Weight, first, last int, y []float32, ldy int, x []float32, m int, add bool) {
	p := Product{M: m, N: w.Out, K: w.In, Alpha: 1, LDA: w.In, LDC: ldy}
	if add {
		p.Beta = 1
	}
	tile := t.tile(m)
	for row := 0; row < m; row += tile {
		for column := first; column < last; column += t.columns {
			t.weighted(p, w, x, y, row, min(row+tile, m), column)
		}
	}
}

// weighted multiplies rows lo to hi-1 of A with the panel of a weight for columns from first on. Weights come from far: while the first
// rows are multiplied with one half of a run, the other is asked for, and while the next two are, what follows the run.
func (t *panels) weighted(p Product, w *Weight, a, c []float32, lo, hi, first int) {
	columns := min(t.columns, p.N-first)
	for k := 0; k < p.K; k += depth {
		add, beta := p.onto(k)
		n := min(depth, p.K-k)
		run := w.data[first*p.K+k*t.columns:]
		ahead := n * t.columns / 2
		for i := lo; i < hi; i += t.strip() {
			next, step := &a[min(i+t.strip(), hi-1)*p.LDA+k], cacheLine
			if ahead < len(run) && ahead < 2*n*t.columns {
				next = &run[ahead]
			}
			ahead += n * t.columns / 2
			t.product[min(t.strip(), hi-i)](n, &a[i*p.LDA+k], 4*p.LDA, 4, &run[0],
				&c[i*p.LDC+first], 4*p.LDC, p.Alpha, beta, add, columns, next, step)
		}
	}
}

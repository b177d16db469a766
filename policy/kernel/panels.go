package kernel

import "sync"

// The sets of our own multiply by panels and strips. B, [K, N], is packed into panels of a few columns, [K, columns] each, and A, [M, K],
// into strips of a few rows, [K, rows] each, so that the inner loop reads both in order; a kernel in assembly multiplies a strip with
// a panel and holds their part of C in registers. Goto and van de Geijn 2008, doi:10.1145/1356052.1356053.
//
// An element of C is the same chain of fused multiply-adds, k ascending, in runs of depth, whatever the rest of the product
// is: its bits depend neither on the other rows and columns nor on how the work is split, nor on the instruction set.

const (
	// depth is the length of a run along K: a strip's part of it, 16 kB at most, stays in the first cache.
	depth = Run
	// mostRuns is how many runs, of depth together, are multiplied before the next panel is: C stays in the first cache for them.
	mostRuns = 32
	// tileStrips is the most strips, groupPanels the most panels that make a piece: a run of the panels, 32 kB each at most, stays
	// in the second cache, and so do their part of C and packed strips.
	tileStrips, groupPanels = 8, 16
	// packedBytes bounds the memory of packed panels in a product, and longRuns their length, in runs.
	packedBytes, longRuns = 8 << 20, 12
	// fewestPieces is how many pieces a product is cut into at least, if it has the strips or the panels, and fewestTransposed one with a
	// transposed A.
	fewestPieces, fewestTransposed = 16, 4
	// nearRow is the longest row of a transposed A whose columns are read where they are.
	nearRow   = 256
	cacheLine = 64
)

// productFunc multiplies a strip, of a number of rows of its own, with panels: C = alpha*A*B + beta*C, or without the last part where
// add is 0. The strip's elements for one k are neighbours, those for the next are pitch bytes further; panels are apart bytes apart. C has
// so many columns, and ldc is in bytes. Memory that will be wanted is asked for: at next and second bytes further, then step bytes
// further after each two k, and with each panel jump bytes further than with the one before.
type productFunc func(k int, a *float32, pitch int, b *float32, apart int, c *float32, ldc int, alpha, beta float32, add, columns int,
	next *float32, second, step, jump int)

// panels is what an instruction set brings to a product.
type panels struct {
	name string
	// columns is the width of a panel, side that of a strip in memory: at least the rows that it has. product[r] is the kernel for r.
	columns, side int
	product       []productFunc
	// row multiplies a single row, [k], with count whole panels, two or rowStreams, that are apart bytes apart: y = x*B, or that added to y
	// unless add is 0.
	row func(k, count int, x, panels *float32, apart int, y *float32, add int)
	// packRows copies the first columns elements of k rows of src, stride bytes apart, to rows of a panel, the rest of which becomes 0.
	packRows func(dst, src *float32, stride, k, columns int)
	// copyStrips copies side elements from each of count places of src, step bytes apart, to places of dst that are apart bytes
	// apart, and so for k rows of src, stride bytes apart, and of dst, side elements. copyPanels does the same with columns.
	copyStrips, copyPanels func(dst, src *float32, stride, k, step, count, apart int)
	// transpose writes element j of side rows of src, stride bytes apart, to side elements from j*pitch bytes of dst on. k, the number
	// of elements, is a multiple of 4 and not 0.
	transpose func(dst, src *float32, stride, k, pitch int)
	// jobs are idle states of products.
	jobs sync.Pool
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// count is the number of panels of n columns.
func (t *panels) count(n int) int { return (n + t.columns - 1) / t.columns }

// height is the number of rows of the strips of m rows, so that these are as few as can be, and about equal.
func (t *panels) height(m int) int {
	most := len(t.product) - 1
	n := (m + most - 1) / most
	return (m + n - 1) / n
}

// strips is the number of strips of m rows.
func (t *panels) strips(m int) int { return (m + t.height(m) - 1) / t.height(m) }

// multiply computes a product that isn't empty, on one goroutine or on all.
func (t *panels) multiply(s *Set, p Product, a, b, c []float32, parallel bool) {
	j := t.job(s, p, a, b, c)
	if p.TransA {
		j.cut = t.cutTransposed(p)
		j.do(parallel, j.cut.down*j.cut.across, j.pieces)
	} else {
		t.multiplyPacked(j, parallel)
	}
	t.done(j)
}

// multiplyPacked packs a block of B at a time, of both its dimensions if K is long, and multiplies with it.
func (t *panels) multiplyPacked(j *productJob, parallel bool) {
	p := &j.p
	long := min(p.K, longRuns*depth)
	block := min(max(packedBytes/4/long/t.columns, groupPanels), t.count(p.N)) * t.columns
	long = (p.K + (p.K+long-1)/long - 1) / ((p.K + long - 1) / long)
	if long < p.K {
		long = roundUp(long, depth)
	}
	buffer := j.s.Borrow(long*block + cacheLine/4)
	j.packed = aligned(*buffer)
	for j.first = 0; j.first < p.N; j.first += block {
		j.cut = t.cut(p.M, min(block, p.N-j.first))
		for j.part = (run{0, min(long, p.K)}); j.part.from < p.K; j.part = (run{j.part.to, min(j.part.to+long, p.K)}) {
			j.do(parallel, (j.cut.panels+packPanels-1)/packPanels, j.packs)
			j.do(parallel, j.cut.down*j.cut.across, j.pieces)
		}
	}
	j.s.Release(buffer)
}

// productJob is one product at work. It is used again, with the functions that goroutines are given, so that a product allocates nothing.
type productJob struct {
	t               *panels
	s               *Set
	p               Product
	a, b, c, packed []float32
	cut             cut
	first           int // the first column of the panels that are packed
	part            run // the part of K that is packed, all of it where A is transposed

	packs, pieces func(lo, hi int)
}

func (t *panels) job(s *Set, p Product, a, b, c []float32) *productJob {
	j, ok := t.jobs.Get().(*productJob)
	if !ok {
		j = &productJob{t: t}
		j.packs, j.pieces = j.doPacks, j.doPieces
	}
	j.s, j.p, j.a, j.b, j.c, j.first, j.part = s, p, a, b, c, 0, run{0, p.K}
	return j
}

// done takes a job back, without the memory of its product.
func (t *panels) done(j *productJob) {
	j.p, j.a, j.b, j.c, j.packed = Product{}, nil, nil, nil, nil
	t.jobs.Put(j)
}

// do calls f for n pieces, on one goroutine or on all.
func (j *productJob) do(parallel bool, n int, f func(lo, hi int)) {
	if parallel {
		j.s.Parallel(n, 1, f)
	} else {
		f(0, n)
	}
}

// cut is how a product is cut into pieces: tiles of strips down, groups of panels across.
type cut struct{ strips, panels, down, across int }

func (t *panels) cut(rows, columns int) cut {
	c := cut{strips: t.strips(rows), panels: t.count(columns)}
	c.across = (c.panels + groupPanels - 1) / groupPanels
	c.down = min(c.strips, max((c.strips+tileStrips-1)/tileStrips, (fewestPieces+c.across-1)/c.across))
	return c
}

// cutTransposed cuts a product whose pieces pack for themselves: into fewer of them, and where strips needn't be packed, by panels.
func (t *panels) cutTransposed(p Product) cut {
	c := cut{strips: t.strips(p.M), panels: t.count(p.N)}
	c.across = (c.panels + groupPanels - 1) / groupPanels
	c.down = (c.strips + 2*tileStrips - 1) / (2 * tileStrips)
	for c.down*c.across < fewestTransposed && (c.down < c.strips || c.across < c.panels) {
		if wide := p.LDA <= nearRow || c.panels*t.columns/c.across >= p.M/c.down; c.across < c.panels && (wide || c.down == c.strips) {
			c.across++
		} else {
			c.down++
		}
	}
	return c
}

// packPanels is the number of panels that are packed by one goroutine together.
const packPanels = 4

// doPacks fills the panels of groups lo to hi-1.
func (j *productJob) doPacks(lo, hi int) {
	first, last := lo*packPanels, min(hi*packPanels, j.cut.panels)
	j.t.pack(j.packed[first*j.part.length()*j.t.columns:], &j.p, j.b, j.part, j.first+first*j.t.columns, last-first)
}

// doPieces does pieces lo to hi-1.
func (j *productJob) doPieces(lo, hi int) {
	t, n := j.t, j.cut
	strip, panels := depth*t.side, 0
	if j.p.TransA {
		strip, panels = strip*(n.strips+n.down-1)/n.down, depth*t.columns*((n.panels+n.across-1)/n.across)
	}
	buffer := j.s.Borrow(strip + panels + cacheLine/4)
	memory := aligned(*buffer)
	for i := lo; i < hi; i++ {
		down, across := i/n.across, i%n.across
		j.piece(&piece{
			strips: strips{down * n.strips / n.down, (down + 1) * n.strips / n.down, j.t.height(j.p.M), j.p.M},
			first:  across * n.panels / n.across, last: (across + 1) * n.panels / n.across,
			memory: memory[:strip], panels: memory[strip:],
		})
	}
	j.s.Release(buffer)
}

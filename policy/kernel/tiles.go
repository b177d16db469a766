//go:build amd64 && linux

package kernel

import "sync"

// tiles multiplies in the processor's tiles (Intel AMX), 16 by 16 sums at a time. They take bfloat16, 8 bits of precision, and sum in
// float32, so each number is split into the nearest bfloat16 and the rest, rounded likewise, and a product is three:
//
//	(h + l) * (h' + l') ~ h*h' + h*l' + l*h'
//
// The error is at most 2^-16 of a product, where float32 has 2^-24; sums of them are in float32. Henry et al. 2019,
// arXiv:1904.06376, sec. 2.
//
// An element of C is one chain of sums, k ascending, in steps of 32 within each sequence: its bits depend neither on the other rows and
// columns, nor on how the work is split, nor on where K is cut if C is added to.
type tiles struct {
	// jobs are idle states of products.
	jobs sync.Pool
}

const (
	// tileStep is the number of elements along K that one instruction takes, tileSide the rows and columns of the blocks of C that are
	// worked on, four tiles each.
	tileStep, tileSide = 32, 32
	// tileFloats is the memory, in float32, of tileSide rows or columns by tileStep elements, high and low parts.
	tileFloats = tileSide * tileStep
	// tileDepth is the number of steps along K after which the next block of rows is begun: a column of them stays in the first cache.
	tileDepth = 8
	// tileRows is the most rows of C that are worked on together: their part of A stays in the second cache.
	tileRows = 128
	// tilePieces is how many pieces a product is cut into at least, if it has the rows.
	tilePieces = 8
)

// steps is the number of steps along K.
func (p Product) steps() int {
	n := 0
	for k := 0; k < p.K; n++ {
		k = p.step(k)
	}
	return n
}

// step is the end of the step that begins at k: at most tileStep further, and within one sequence.
func (p Product) step(k int) int {
	to := p.run(k)
	return min(to, k+tileStep)
}

func (t *tiles) multiply(s *Set, p Product, a, b, c []float32, parallel bool) {
	j := t.job(s, p, a, b, c)
	rows := min(tileRows, max(tileSide, roundUp((p.M+tilePieces-1)/tilePieces, tileSide)))
	j.rows, j.pieces = rows, (p.M+rows-1)/rows
	block := max(packedBytes/4/tileFloats/j.steps, 1) // panels
	if p.TransA {
		block = max(packedBytes/4/tileFloats/tileDepth, 1)
	}
	panels := (p.N + tileSide - 1) / tileSide
	depth := j.steps
	if p.TransA {
		depth = min(longRun, j.steps)
	}
	block = min(block, panels)
	buffer := s.Borrow(block * depth * tileFloats)
	j.packed = *buffer
	for k := 0; k < p.K; k = j.to {
		j.from, j.to, j.depth = k, k, 0
		for ; j.to < p.K && j.depth < depth; j.depth++ {
			j.to = p.step(j.to)
		}
		for first := 0; first < panels; first += block {
			j.first, j.panels = first, min(block, panels-first)
			j.do(parallel, j.panels, j.packs)
			j.do(parallel, j.pieces, j.works)
		}
	}
	s.Release(buffer)
	t.done(j)
}

// longRun is the number of steps of a product with a transposed A, a sum over tokens, that are packed at a time.
const longRun = 32

// tileJob is one product at work. It is used again, with the functions that goroutines are given, so that a product allocates nothing.
type tileJob struct {
	s               *Set
	p               Product
	a, b, c, packed []float32
	// steps along K; rows of a piece, and the number of pieces.
	steps, rows, pieces int
	// from, to and depth are the part of K that is packed, and its steps; first and panels are the panels of columns.
	from, to, depth, first, panels int

	packs, works func(lo, hi int)
}

func (t *tiles) job(s *Set, p Product, a, b, c []float32) *tileJob {
	j, ok := t.jobs.Get().(*tileJob)
	if !ok {
		j = new(tileJob)
		j.packs, j.works = j.doPacks, j.doPieces
	}
	j.s, j.p, j.a, j.b, j.c, j.steps = s, p, a, b, c, p.steps()
	return j
}

// done takes a job back, without the memory of its product.
func (t *tiles) done(j *tileJob) {
	j.p, j.a, j.b, j.c, j.packed = Product{}, nil, nil, nil, nil
	t.jobs.Put(j)
}

// do calls f for n pieces, on one goroutine or on all.
func (j *tileJob) do(parallel bool, n int, f func(lo, hi int)) {
	if parallel {
		j.s.Parallel(n, 1, f)
	} else {
		f(0, n)
	}
}

// doPacks fills panels lo to hi-1.
func (j *tileJob) doPacks(lo, hi int) {
	for i := lo; i < hi; i++ {
		column := (j.first + i) * tileSide
		packTileColumn(j.packed[i*j.depth*tileFloats:], j.p, j.b, j.from, j.to, column, min(tileSide, j.p.N-column))
	}
}

// doPieces does pieces lo to hi-1.
func (j *tileJob) doPieces(lo, hi int) {
	buffer := j.s.Borrow(j.rows*j.depth*tileStep + tileFloats)
	defer j.s.Release(buffer)
	packed, sums := (*buffer)[tileFloats:], (*buffer)[:tileFloats]
	beta := j.p.Beta
	if j.from > 0 {
		beta = 1
	}
	for piece := lo; piece < hi; piece++ {
		row, last := piece*j.rows, min((piece+1)*j.rows, j.p.M)
		for i := row; i < last; i += tileSide {
			packTileRow(packed[(i-row)*j.depth*tileStep:], j.p, j.a, j.from, j.to, i, min(tileSide, last-i))
		}
		for panel := range j.panels {
			b := j.packed[panel*j.depth*tileFloats:][:j.depth*tileFloats]
			tileBlocks(sums, packed, b, j.c[j.at(row, panel):], j.p.LDC, last-row,
				min(tileSide, j.p.N-(j.first+panel)*tileSide), j.p.Alpha, beta)
		}
	}
}

// at is the place of a block in C.
func (j *tileJob) at(row, panel int) int { return row*j.p.LDC + (j.first+panel)*tileSide }

// tileBlocks multiplies so many rows with one panel of so many columns: C = alpha*A*B + beta*C. sums is scratch.
func tileBlocks(sums, a, b, c []float32, ldc, rows, columns int, alpha, beta float32) {
	depth := len(b) / tileFloats
	for k := 0; k < depth; k += tileDepth {
		steps, i := min(tileDepth, depth-k), 0
		if whole := rows &^ (tileSide - 1); whole > 0 && columns == tileSide && alpha == 1 && (beta == 0 || beta == 1) {
			tiles32(steps, &a[k*tileFloats], &b[k*tileFloats], &c[0], 4*ldc, int(beta), whole/tileSide, 4*depth*tileFloats)
			i = whole
		}
		for ; i < rows; i += tileSide {
			tileBlock(sums, steps, &a[(i*depth/tileSide+k)*tileFloats], &b[k*tileFloats],
				c[i*ldc:], ldc, min(tileSide, rows-i), columns, alpha, beta)
		}
		beta = 1
	}
}

// tileBlock multiplies at most tileSide rows and columns. The sums begin with C itself where that is what they are added to.
func tileBlock(sums []float32, steps int, a, b *float32, c []float32, ldc, rows, columns int, alpha, beta float32) {
	product := func(c *float32, ldc, add int) {
		if rows <= tileSide/2 {
			tiles16(steps, a, b, c, ldc, add)
		} else {
			tiles32(steps, a, b, c, ldc, add, 1, 0)
		}
	}
	whole := rows == tileSide/2 && columns == tileSide
	add, after := 0, 0
	switch {
	case alpha == 1 && beta == 1:
		add = 1
	case beta != 0:
		after = 1
	}
	if whole && alpha == 1 && after == 0 {
		product(&c[0], 4*ldc, add)
		return
	}
	if add == 1 {
		for i := range rows {
			copy(sums[i*tileSide:], c[i*ldc:i*ldc+columns])
		}
	}
	product(&sums[0], 4*tileSide, add)
	mergeTiles(&c[0], 4*ldc, &sums[0], rows, columns, alpha, beta, after)
}

// packTileRow packs so many rows of op(A) from row i on, elements from to to-1: for each step two tiles of 16 rows, [16, 32] dwords each,
// high parts beside low parts.
func packTileRow(packed []float32, p Product, a []float32, from, to, i, rows int) {
	const half = tileSide / 2
	var turned [2 * half * half]float32
	for k := from; k < to; {
		end := p.step(k)
		for r := 0; r < rows; r += half {
			tile, n := packed[r*tileStep:], min(half, rows-r)
			if p.TransA {
				splitPairs(&turned[0], &turned[half*half], 4*half, &a[k*p.LDA+i+r], 4*p.LDA, end-k, n)
				turn(tile, turned[:])
				turn(tile[half:], turned[half*half:])
			} else {
				splitRows(&tile[0], &tile[half], 4*tileStep, &a[(i+r)*p.LDA+k], 4*p.LDA, n, end-k)
			}
		}
		packed = packed[tileFloats:]
		k = end
	}
}

// packTileColumn packs so many columns of op(B) from column j on, elements from to to-1: for each step the high parts of pairs of elements,
// [16, 32] dwords, and then the low parts.
func packTileColumn(packed []float32, p Product, b []float32, from, to, j, columns int) {
	const half = tileSide / 2
	var turned [2 * half * half]float32
	for k := from; k < to; {
		end := p.step(k)
		for r := 0; r < columns; r += half {
			high, low, n := packed[r:], packed[tileFloats/2+r:], min(half, columns-r)
			if p.TransB {
				splitRows(&turned[0], &turned[half*half], 4*half, &b[(j+r)*p.LDB+k], 4*p.LDB, n, end-k)
				turn(high, turned[:])
				turn(low, turned[half*half:])
			} else {
				splitPairs(&high[0], &low[0], 4*tileSide, &b[k*p.LDB+j+r], 4*p.LDB, end-k, n)
			}
		}
		packed = packed[min(tileFloats, len(packed)):]
		k = end
	}
}

func (t *tiles) packWeight(w *Weight, rows []float32) {
	p := Product{TransB: true, K: w.In, N: w.Out, LDB: w.In}
	steps := p.steps()
	w.data = HugePages(roundUp(w.Out, tileSide) * steps * tileStep)
	for j := 0; j < w.Out; j += tileSide {
		packTileColumn(w.data[j*steps*tileStep:], p, rows, 0, w.In, j, min(tileSide, w.Out-j))
	}
}

func (t *tiles) packGrain(int) int { return tileSide }

func (t *tiles) packedLen(m, in int) int {
	return roundUp(m, tileSide) * Product{K: in}.steps() * tileStep
}

func (t *tiles) packRowsOf(to, x []float32, m, in, first, last int) {
	p := Product{M: m, K: in, LDA: in}
	steps := p.steps()
	for i := first; i < last; i += tileSide {
		packTileRow(to[i*steps*tileStep:], p, x, 0, in, i, min(tileSide, m-i))
	}
}

func (t *tiles) linear(s *Set, w *Weight, first, last int, y []float32, ldy int, packed []float32, m int, add bool) {
	steps := Product{K: w.In}.steps()
	sums := s.Borrow(tileFloats)
	defer s.Release(sums)
	beta := float32(0)
	if add {
		beta = 1
	}
	for j := first; j < last; j += tileSide {
		b := w.data[j*steps*tileStep:][:steps*tileFloats]
		tileBlocks(*sums, packed, b, y[j:], ldy, m, min(tileSide, w.Out-j), 1, beta)
	}
}

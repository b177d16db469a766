package kernel

func (t *panels) packWeight(w *Weight, rows []float32) {
	w.data = HugePages(w.In * roundUp(w.Out, t.columns))
	p := &Product{TransB: true, K: w.In, N: w.Out, LDB: w.In}
	t.pack(w.data, p, rows, run{0, w.In}, 0, t.count(w.Out))
}

func (t *panels) packGrain(m int) int { return t.height(m) }

func (t *panels) packedLen(m, in int) int { return t.strips(m) * t.side * in }

// packRowsOf turns whole strips. A single row stays as it is.
func (t *panels) packRowsOf(to, x []float32, m, in, first, last int) {
	if m == 1 {
		copy(to, x[:in])
		return
	}
	r := strips{height: t.height(m), rows: m}
	for ; first < last; first += r.height {
		at := first / r.height
		_, rows := r.row(at)
		t.turn(to[at*t.side*in:], x[first*in:], in, in, rows, t.side)
	}
}

func (t *panels) linear(_ *Set, w *Weight, first, last int, y []float32, ldy int, packed []float32, m int, add bool) {
	pitch := t.side
	if m == 1 {
		first, pitch = t.rowTimes(w, first, last, y, packed, add), 1
	}
	p := &Product{M: m, N: w.Out, K: w.In, Alpha: 1, LDA: w.In, LDC: ldy}
	if add {
		p.Beta = 1
	}
	r, n := strips{height: t.height(m), rows: m}, t.strips(m)
	tiles := (n + tileStrips - 1) / tileStrips
	for i := range tiles {
		r.lo, r.hi = i*n/tiles, (i+1)*n/tiles
		for column := first; column < last; column += stripStreams * t.columns {
			t.weighted(p, w, packed, y, pitch, r, column, last)
		}
	}
}

// stripStreams is the number of panels that strips are multiplied with in turn, while as many are asked for.
const stripStreams = 2

// weighted multiplies packed strips with stripStreams panels of a weight, those for columns from column on, but for last and what follows,
// a run at a time. Weights come from far, so what comes after is asked for meanwhile.
func (t *panels) weighted(p *Product, w *Weight, packed, y []float32, pitch int, r strips, column, last int) {
	end := min(column+stripStreams*t.columns, last)
	for k := 0; k < p.K; k += depth {
		add, beta := p.onto(k)
		n := min(depth, p.K-k)
		next := t.following(p, column, k, last)
		for c := column; c < end; c += t.columns {
			for i := r.lo; i < r.hi; i++ {
				row, rows := r.row(i)
				t.product[rows](n, &packed[(i*p.K+k)*pitch], 4*pitch, &w.data[c*p.K+k*t.columns], 0, &y[row*p.LDC+c], 4*p.LDC, p.Alpha,
					beta, add, min(t.columns, p.N-c), &w.data[next.at], next.second, next.step, 0)
				next.advance(n / 2 * cacheLine / 4)
			}
		}
	}
}

// asked is memory to ask for: size elements from at on, and as many second bytes further, step bytes at a time. Where there is none, step
// is 0.
type asked struct{ at, size, second, step int }

// following is the run after that at k, of the same panels or of those after them. There may be none.
func (t *panels) following(p *Product, column, k, last int) asked {
	k += depth
	if k >= p.K {
		column, k = column+stripStreams*t.columns, 0
	}
	if column >= last {
		return asked{}
	}
	a := asked{at: column*p.K + k*t.columns, size: min(depth, p.K-k) * t.columns, second: 4 * p.K * t.columns, step: cacheLine}
	if column+t.columns >= last { // a single panel, from both ends of its halves
		a.size /= 2
		a.second = 4 * a.size
	}
	return a
}

// advance is called when so many elements of each place have been asked for.
func (a *asked) advance(n int) {
	a.at, a.size = a.at+n, a.size-n
	if a.size <= 0 {
		*a = asked{}
	}
}

// rowStreams is the most panels that a single row is multiplied with together. It reads each weight once, and memory that is read in
// several places at a time comes half as fast again.
const rowStreams = 4

// rowTimes does as many columns as fill an even number of panels and gives the first of the rest.
func (t *panels) rowTimes(w *Weight, first, last int, y, x []float32, add bool) (next int) {
	onto := 0
	if add {
		onto = 1
	}
	for count := rowStreams; count > 1; count /= 2 {
		for wide := count * t.columns; first+wide <= last; first += wide {
			t.row(w.In, count, &x[0], &w.data[first*w.In], 4*w.In*t.columns, &y[first], onto)
		}
	}
	return first
}

package kernel

func (t *panels) packWeight(w *Weight, rows []float32) {
	w.data = HugePages(w.In * roundUp(w.Out, t.columns))
	p := &Product{TransB: true, K: w.In, N: w.Out, LDB: w.In}
	t.pack(w.data, p, rows, run{0, w.In}, 0, t.count(w.Out))
}

func (t *panels) linear(s *Set, w *Weight, first, last int, y []float32, ldy int, x []float32, m int, add bool) {
	if m == 1 {
		first = t.rowTimes(w, first, last, y, x, add)
	}
	p := &Product{M: m, N: w.Out, K: w.In, Alpha: 1, LDA: w.In, LDC: ldy}
	if add {
		p.Beta = 1
	}
	r, n := strips{height: t.height(m), rows: m}, t.strips(m)
	tiles := (n + tileStrips - 1) / tileStrips
	buffer := s.Borrow((n+tiles-1)/tiles*t.side*w.In + cacheLine/4)
	packed, pitch := aligned(*buffer), t.side
	if m == 1 {
		packed, pitch = x, 1
	}
	for i := range tiles {
		r.lo, r.hi = i*n/tiles, (i+1)*n/tiles
		for at := r.lo; at < r.hi && m > 1; at++ {
			row, rows := r.row(at)
			t.turn(packed[(at-r.lo)*pitch*w.In:], x[row*w.In:], w.In, w.In, rows, pitch)
		}
		for column := first; column < last; column += t.columns {
			t.weighted(p, w, packed, y, pitch, r, column)
		}
	}
	s.Release(buffer)
}

// weighted multiplies packed strips with the panel of a weight for columns from column on. Weights come from far: while the first strip
// is multiplied with one half of a run, the other is asked for, and while the next two are, what follows the run.
func (t *panels) weighted(p *Product, w *Weight, packed, y []float32, pitch int, r strips, column int) {
	for k := 0; k < p.K; k += depth {
		add, beta := p.onto(k)
		n := min(depth, p.K-k)
		run := w.data[column*p.K+k*t.columns:]
		ahead := n * t.columns / 2
		for i := r.lo; i < r.hi; i++ {
			row, rows := r.row(i)
			next, step := &run[0], 0
			if ahead < len(run) && ahead < 2*n*t.columns {
				next, step = &run[ahead], 2*cacheLine
			}
			ahead += n * t.columns / 2
			t.product[rows](n, &packed[((i-r.lo)*p.K+k)*pitch], 4*pitch, &run[0], 0, &y[row*p.LDC+column], 4*p.LDC, p.Alpha, beta,
				add, min(t.columns, p.N-column), next, step/2, step, 0)
		}
	}
}

// rowStreams is the most panels that a single row is multiplied with together. It reads each weight once, and memory that is read in
// several places at a time comes half as fast again.
const rowStreams = 4

// rowPanels is a row times count whole panels, two or rowStreams, that are apart bytes apart: y = x*B, or that added to y. x is [k].
type rowPanels struct {
	k, count  int
	x, panels *float32
	apart     int
	y         *float32
	add       int
}

// rowTimes does as many columns as fill an even number of panels and gives the first of the rest.
func (t *panels) rowTimes(w *Weight, first, last int, y, x []float32, add bool) (next int) {
	r := rowPanels{k: w.In, x: &x[0], apart: 4 * w.In * t.columns}
	if add {
		r.add = 1
	}
	for r.count = rowStreams; r.count > 1; r.count /= 2 {
		for wide := r.count * t.columns; first+wide <= last; first += wide {
			r.panels, r.y = &w.data[first*w.In], &y[first]
			t.row(&r)
		}
	}
	return first
}

package kernel

import "sort"

// piece is some strips of A and some panels of B. There is memory for one of those; of a product with a transposed A, for a run of all of
// them and of the panels.
type piece struct {
	strips
	first, last    int
	memory, panels []float32
}

// strips are strips lo to hi-1 of those of height rows that so many rows are cut into; the last is what is left.
type strips struct{ lo, hi, height, rows int }

// row is the first row of strip i, with the number of its rows.
func (s strips) row(i int) (first, rows int) {
	return i * s.height, min(s.height, s.rows-i*s.height)
}

// piece multiplies, a few runs at a time.
func (j *productJob) piece(w *piece) {
	t, p := j.t, &j.p
	var ends [mostRuns]int32
	for k := j.part.from; k < j.part.to; {
		runs := p.runs(ends[:], k)
		o := operands{run: run{k, int(runs[len(runs)-1])}}
		n := o.length()
		if p.TransA { // a long sum over tokens, as in the gradient of a weight
			o.panels, o.apart = w.panels, n
			t.pack(o.panels, p, j.b, o.run, w.first*t.columns, w.last-w.first)
			var packed []float32
			var between int
			packed, o.pitch, between = t.packStrips(w.memory, p, j.a, w.strips, o.run)
			for i := w.lo; i < w.hi; i++ {
				o.strip = packed[(i-w.lo)*between:]
				j.strip(w, &o, runs, i, ahead{x: j.a})
			}
		} else {
			o.apart = j.part.length()
			o.panels = j.packed[(w.first*o.apart+k-j.part.from)*t.columns:]
			for i := w.lo; i < w.hi; i++ {
				row, rows := w.row(i)
				o.strip, o.pitch = t.turnStrip(w.memory, p, j.a, row, rows, o.run)
				j.strip(w, &o, runs, i, p.ahead(j.a, row+rows, rows, o.run, w.last-w.first))
			}
		}
		k = o.to
	}
}

// operands are what is packed of both for some runs.
type operands struct {
	run

	// A strip's elements for one k are pitch further than those for the one before.
	strip []float32
	pitch int
	// panels are apart elements along k apart.
	panels []float32
	apart  int
}

// strip multiplies strip i with the panels of a piece. runs are the ends of those that the operands are of.
func (j *productJob) strip(w *piece, o *operands, runs []int32, i int, next ahead) {
	t, p := j.t, &j.p
	row, rows := w.row(i)
	column, begin := j.first+w.first*t.columns, 0
	for _, end := range runs {
		length := int(end) - o.from - begin
		add, beta := p.onto(o.from + begin)
		t.product[rows](length, &o.strip[begin*o.pitch], 4*o.pitch, &o.panels[begin*t.columns], 4*o.apart*t.columns,
			&j.c[row*p.LDC+column], 4*p.LDC, p.Alpha, beta, add, min((w.last-w.first)*t.columns, p.N-column),
			&next.x[next.at], next.second, next.step, next.jump)
		begin += length
	}
}

// onto says what becomes of C as it is, when the run from k on is added.
func (p *Product) onto(k int) (add int, beta float32) {
	switch {
	case k > 0:
		return 1, 1
	case p.Beta == 0:
		return 0, 0
	default:
		return 1, p.Beta
	}
}

// run is a part of K.
type run struct{ from, to int }

func (r run) length() int { return r.to - r.from }

// run is the end of the run that begins at k: it is at most depth long, and within one sequence.
func (p *Product) run(k int) (to int) {
	to = min(k+depth, p.K)
	if p.Starts != nil && k < p.K {
		b := sort.Search(len(p.Starts), func(b int) bool { return int(p.Starts[b]) > k })
		to = min(to, int(p.Starts[b]))
	}
	return to
}

// runs fills ends with the ends of runs from k on, of depth together at most, and at least one.
func (p *Product) runs(ends []int32, k int) []int32 {
	n := 0
	for at := k; at < p.K && n < len(ends); n++ {
		to := p.run(at)
		if n > 0 && to > k+depth {
			break
		}
		ends[n], at = int32(to), to
	}
	return ends[:n]
}

package kernel

import "unsafe"

// aligned is x from the first whole line of memory on.
func aligned(x []float32) []float32 {
	return x[-(uintptr(unsafe.Pointer(&x[0]))/4)%(cacheLine/4):]
}

// pack fills count panels, one after the other, with rows of op(B), and the columns from first on; what is beyond B is 0.
func (t *panels) pack(to []float32, p *Product, b []float32, r run, first, count int) {
	n := r.length()
	whole := min(count, (p.N-first)/t.columns)
	if !p.TransB {
		if whole > 0 {
			t.copyPanels(&to[0], &b[r.from*p.LDB+first], 4*p.LDB, n, 4*t.columns, whole, 4*n*t.columns)
		}
		if whole < count {
			last := first + whole*t.columns
			t.packRows(&to[whole*n*t.columns], &b[r.from*p.LDB+last], 4*p.LDB, n, p.N-last)
		}
		return
	}
	for i := range count {
		for from := 0; from < t.columns; from += t.side {
			panel, column := to[i*n*t.columns+from:], first+i*t.columns+from
			if column < p.N {
				t.turn(panel, b[column*p.LDB+r.from:], p.LDB, n, min(t.side, p.N-column), t.columns)
				continue
			}
			for k := range n {
				clear(panel[k*t.columns:][:t.side])
			}
		}
	}
}

// turn writes element j of so many rows of src, side at most, to places from dst[j*pitch] on. What it writes for rows that are missing
// is of no use.
func (t *panels) turn(dst, src []float32, stride, n, rows, pitch int) {
	fast := n &^ 3
	if (t.side-1)*stride+fast > len(src) {
		fast = 0 // it would read rows that there are not
	}
	if fast > 0 {
		t.transpose(&dst[0], &src[0], 4*stride, fast, 4*pitch)
	}
	for i := fast; i < n; i++ {
		to := dst[i*pitch:][:t.side]
		for j := range rows {
			to[j] = src[j*stride+i]
		}
		clear(to[rows:])
	}
}

// turnStrip packs a strip of A, which isn't transposed, unless it is a single row. Elements for one k are pitch further than those for the
// one before.
func (t *panels) turnStrip(memory []float32, p *Product, a []float32, row, rows int, r run) (strip []float32, pitch int) {
	if rows == 1 {
		return a[row*p.LDA+r.from:], 1
	}
	t.turn(memory, a[row*p.LDA+r.from:], p.LDA, r.length(), rows, t.side)
	return memory, t.side
}

// packStrips packs strips of a transposed A, one after the other, unless they are near enough. Elements for one k are pitch further than
// those for the one before, strips are between apart.
func (t *panels) packStrips(memory []float32, p *Product, a []float32, s strips, r run) (packed []float32, pitch, between int) {
	first, _ := s.row(s.lo)
	src, n, count := a[r.from*p.LDA+first:], r.length(), s.hi-s.lo
	if p.LDA <= nearRow {
		return src, p.LDA, s.height
	}
	whole := n
	if (n-1)*p.LDA+(count-1)*s.height+t.side > len(src) {
		whole-- // it would read beyond the last row
	}
	if whole > 0 {
		t.copyStrips(&memory[0], &src[0], 4*p.LDA, whole, 4*s.height, count, 4*n*t.side)
	}
	for i := s.lo; i < s.hi && whole < n; i++ {
		row, rows := s.row(i)
		copy(memory[((i-s.lo)*n+whole)*t.side:], src[whole*p.LDA+row-first:][:rows])
	}
	return memory, t.side, n * t.side
}

// ahead is memory that will be wanted, see productFunc.
type ahead struct {
	x                      []float32
	at, second, step, jump int
}

// ahead is a strip of so many rows from the given one on, while the one before it is multiplied with so many panels. Rows that lie one
// after the other are asked for whole, with the first run; of others the run's part, two with each panel.
func (p *Product) ahead(a []float32, row, rows int, r run, panels int) ahead {
	pairs := r.length() / 2
	switch size := 4 * p.LDA * rows; {
	case row >= p.M || pairs == 0 || p.LDA <= mostAhead && r.from > 0:
		return ahead{x: a}
	case p.LDA <= mostAhead:
		each := size / panels
		return ahead{a, row * p.LDA, each / 2, each/2/pairs + 1, each}
	default:
		return ahead{a, row*p.LDA + r.from, 4 * p.LDA, 8, 8 * p.LDA}
	}
}

// mostAhead is the longest row that is asked for whole.
const mostAhead = 512

package kernel

// swigluGrain is the number of rows in one piece of work.
const swigluGrain = 64

// SwiGLU writes silu(gate) * up for each row, silu(x) = x / (1 + e^-x). gateUp is [N, 2*hidden], a row being gate then up;
// y is [N, hidden]. Shazeer 2020, arXiv:2002.05202, eq. 5.
func (s *Set) SwiGLU(y, gateUp []float32, hidden int) {
	rows := len(y) / hidden
	if rows <= swigluGrain { // without the closure, nothing is allocated
		s.swigluRows(y, gateUp, hidden, 0, rows)
		return
	}
	s.Parallel(rows, swigluGrain, func(lo, hi int) { s.swigluRows(y, gateUp, hidden, lo, hi) })
}

// swigluRows does the rows from lo to hi-1.
func (s *Set) swigluRows(y, gateUp []float32, hidden, lo, hi int) {
	for i := lo; i < hi; i++ {
		from, mid, to := 2*i*hidden, (2*i+1)*hidden, (2*i+2)*hidden
		s.vectors.swiglu(y[i*hidden:(i+1)*hidden], gateUp[from:mid], gateUp[mid:to])
	}
}

// SwiGLUGrad writes the gradient for gateUp, [N, 2*hidden], from that for y, dy [N, hidden]. With g the gate, u the other half and
// p = sigmoid(g): dg = dy*u*p*(1 + g*(1-p)) and du = dy*g*p.
func (s *Set) SwiGLUGrad(dgateUp, gateUp, dy []float32, hidden int) {
	s.Parallel(len(dy)/hidden, swigluGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			from, mid, to := 2*i*hidden, (2*i+1)*hidden, (2*i+2)*hidden
			s.vectors.swigluGrad(dgateUp[from:mid], dgateUp[mid:to], gateUp[from:mid], gateUp[mid:to], dy[i*hidden:(i+1)*hidden])
		}
	})
}

package kernel

// swigluGrain is the number of rows in one piece of work.
const swigluGrain = 64

// SwiGLU writes silu(gate) * up for each row, silu(x) = x / (1 + e^-x). gateUp is [N, 2*hidden], a row being gate then up;
// y is [N, hidden]. Shazeer 2020, arXiv:2002.05202, eq. 5.
func (s *Set) SwiGLU(y, gateUp []float32, hidden int) {
	s.gates.parallel(s, len(y)/hidden, swigluGrain, gateWork{y, gateUp, nil, hidden}, func(s *Set, w *gateWork, lo, hi int) {
		s.swigluRows(w.y, w.gateUp, w.hidden, lo, hi)
	})
}

// gateWork are the arguments of SwiGLU and of its gradient.
type gateWork struct {
	y, gateUp, dgateUp []float32
	hidden             int
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
	s.gates.parallel(s, len(dy)/hidden, swigluGrain, gateWork{dy, gateUp, dgateUp, hidden}, func(s *Set, w *gateWork, lo, hi int) {
		hidden, x, dx := w.hidden, w.gateUp, w.dgateUp
		for i := lo; i < hi; i++ {
			from, mid, to := 2*i*hidden, (2*i+1)*hidden, (2*i+2)*hidden
			s.vectors.swigluGrad(dx[from:mid], dx[mid:to], x[from:mid], x[mid:to], w.y[i*hidden:(i+1)*hidden])
		}
	})
}

package kernel

// swigluGrain is the number of rows in one piece of work.
const swigluGrain = 64

// SwiGLU writes silu(gate) * up for each row, silu(x) = x / (1 + e^-x). gateUp is [N, 2*hidden], a row being gate then up;
// y is [N, hidden]. Shazeer 2020, arXiv:2002.05202, eq. 5.
func (s *Set) SwiGLU(y, gateUp []float32, hidden int) {
	s.Parallel(len(y)/hidden, swigluGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out := y[i*hidden : (i+1)*hidden]
			gate, up := gateUp[2*i*hidden:(2*i+1)*hidden], gateUp[(2*i+1)*hidden:(2*i+2)*hidden]
			s.sigmoid(out, gate)
			s.vectors.mul(out, gate)
			s.vectors.mul(out, up)
		}
	})
}

// SwiGLUGrad writes the gradient for gateUp, [N, 2*hidden], from that for y, dy [N, hidden]. With g the gate, u the other half and
// p = sigmoid(g): dg = dy*u*p*(1 + g*(1-p)) and du = dy*g*p.
func (s *Set) SwiGLUGrad(dgateUp, gateUp, dy []float32, hidden int) {
	s.Parallel(len(dy)/hidden, swigluGrain, func(lo, hi int) {
		buffer := s.borrow(hidden)
		defer s.release(buffer)
		for i := lo; i < hi; i++ {
			from, mid, to := 2*i*hidden, (2*i+1)*hidden, (2*i+2)*hidden
			p := *buffer
			s.sigmoid(p, gateUp[from:mid])
			gate, up, d := gateUp[from:mid][:len(p)], gateUp[mid:to][:len(p)], dy[i*hidden : (i+1)*hidden][:len(p)]
			dgate, dup := dgateUp[from:mid][:len(p)], dgateUp[mid:to][:len(p)]
			for j, q := range p {
				g := gate[j]
				e := d[j] * q
				dup[j] = e * g
				dgate[j] = e * up[j] * (1 + g*(1-q))
			}
		}
	})
}

// sigmoid writes 1/(1+e^-x) to y.
func (s *Set) sigmoid(y, x []float32) {
	copy(y, x)
	s.vectors.scale(-1, y)
	s.vectors.exp(y)
	s.vectors.shift(1, y)
	s.vectors.inv(y)
}

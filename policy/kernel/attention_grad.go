package kernel

// AttentionGrad is what the backward pass of Attend reads and writes.
type AttentionGrad struct {
	// DPacked is [N, Width], written for the rows of the sequences.
	DPacked []float32
	// DOut and Out are [N, Heads*HeadDim], LSE is [N, Heads], Packed is [N, Width].
	DOut, Out, LSE, Packed []float32
}

// AttendGrad fills g.DPacked. The probabilities P are computed again from the scores and LSE, so memory stays linear in the
// length: dV = P'dO, dS = P*(dO V' - rowsum(dO*O)), dQ = scale*dS K, dK = scale*dS'Q. Dao et al. 2022, arXiv:2205.14135, alg. 4.
func (s *Set) AttendGrad(a Attention, g AttentionGrad) {
	s.attendGrads.parallel(s, (len(a.Starts)-1)*a.KVHeads, 1, attendGradWork{a, g}, func(s *Set, w *attendGradWork, lo, hi int) {
		for unit := lo; unit < hi; unit++ {
			s.attendGroupGrad(w.attention, w.attention.span(unit), w.grad)
		}
	})
}

// attendGradWork are the arguments of AttendGrad.
type attendGradWork struct {
	attention Attention
	grad      AttentionGrad
}

func (s *Set) attendGroupGrad(a Attention, u span, g AttentionGrad) {
	d := a.HeadDim
	for i := u.first; i < u.first+u.length; i++ {
		row := g.DPacked[i*u.width : (i+1)*u.width]
		clear(row[u.key : u.key+d])
		clear(row[u.value : u.value+d])
	}
	buffer := s.Borrow(2 * queryBlock * u.stride)
	defer s.Release(buffer)
	for head := u.firstHead; head < u.lastHead; head++ {
		for q0 := 0; q0 < u.length; q0 += queryBlock {
			s.attendBlockGrad(a, u, g, *buffer, head, q0)
		}
	}
}

// attendBlockGrad writes the query gradients of one block of one head and adds its part to those of the keys and values.
func (s *Set) attendBlockGrad(a Attention, u span, g AttentionGrad, buffer []float32, head, q0 int) {
	d := a.HeadDim
	m := min(queryBlock, u.length-q0)
	k0 := u.firstKey(q0)
	n := q0 + m - k0
	p, ds := buffer[:queryBlock*u.stride], buffer[queryBlock*u.stride:]
	query := (u.first+q0)*u.width + head*d
	key, value := (u.first+k0)*u.width+u.key, (u.first+k0)*u.width+u.value
	result := (u.first+q0)*u.columns + head*d

	s.scores(p, g.Packed, u, head*d, q0, m)
	s.Gemm(false, true, m, n, d, 1, g.DOut[result:], u.columns, g.Packed[value:], u.width, 0, ds, u.stride)
	for i := range m {
		at := result + i*u.columns
		delta := s.vectors.dot(g.DOut[at:at+d], g.Out[at:at+d])
		row := p[i*u.stride : i*u.stride+(n+7)&^7]
		hide(row[:u.firstKey(q0+i)-k0])
		s.expPrefix(row, q0+i+1-k0, -g.LSE[(u.first+q0+i)*a.Heads+head])
		grad := ds[i*u.stride : i*u.stride+n]
		s.vectors.shift(-delta, grad)
		s.vectors.mul(grad, row[:n])
	}
	s.Gemm(true, false, n, d, m, 1, p, u.stride, g.DOut[result:], u.columns, 1, g.DPacked[value:], u.width)
	s.Gemm(true, false, n, d, m, u.scale, ds, u.stride, g.Packed[query:], u.width, 1, g.DPacked[key:], u.width)
	s.Gemm(false, false, m, d, n, u.scale, ds, u.stride, g.Packed[key:], u.width, 0, g.DPacked[query:], u.width)
}

package kernel

import "math"

// queryBlock is the number of query rows scored at once: larger blocks waste more of the causal triangle, smaller ones more calls.
const queryBlock = 64

// Attention is the shape of causal grouped-query attention over packed sequences. A packed row holds the query heads, then the key heads,
// then the value heads; query heads that share a key head are neighbours. Ainslie et al. 2023, arXiv:2305.13245.
type Attention struct {
	// Heads is a multiple of KVHeads.
	Heads, KVHeads, HeadDim int
	// Window is the number of tokens that each one sees, itself included; 0 means all of its sequence. Jiang et al. 2023,
	// arXiv:2310.06825, sec. 2.
	Window int
	// Starts is [B+1]: sequence b is rows Starts[b] to Starts[b+1]-1, and each of its tokens sees itself and those before it
	// that Window allows.
	Starts []int32
}

// Width is the length of a packed row: (Heads + 2*KVHeads) * HeadDim.
func (a Attention) Width() int { return (a.Heads + 2*a.KVHeads) * a.HeadDim }

// Attend writes softmax(q*k/sqrt(headDim))*v for every token and head: out is [N, Heads*HeadDim], packed is [N, Width]. lse, [N, Heads],
// receives the logarithm of each softmax's denominator, which AttendGrad needs.
func (s *Set) Attend(a Attention, out, lse, packed []float32) {
	s.attends.parallel(s, (len(a.Starts)-1)*a.KVHeads, 1, attendWork{a, out, lse, packed}, func(s *Set, w *attendWork, lo, hi int) {
		for unit := lo; unit < hi; unit++ {
			s.attendGroup(w.attention, unit, w.out, w.lse, w.packed)
		}
	})
}

// attendWork are the arguments of Attend.
type attendWork struct {
	attention        Attention
	out, lse, packed []float32
}

// span is one sequence and one group of heads: the rows from first on, length of them, and where in a row things stand.
type span struct {
	first, length int
	// firstHead and lastHead are the query heads of the group; key and value are columns of a packed row.
	firstHead, lastHead, key, value int
	// width, columns: row strides of packed and of out. stride: row stride of the scores, rounded up to whole registers.
	width, columns, stride int
	// dim is the length of a head's vector, scale 1/sqrt(dim). window is as in Attention, and at most length.
	dim, window int
	scale       float32
}

// firstKey is the first of the keys that the query in row q of the sequence sees.
func (u span) firstKey(q int) int { return max(0, q+1-u.window) }

func (a Attention) span(unit int) span {
	b, group := unit/a.KVHeads, unit%a.KVHeads
	shared := a.Heads / a.KVHeads
	n := int(a.Starts[b+1] - a.Starts[b])
	window := n
	if a.Window > 0 {
		window = min(n, a.Window)
	}
	return span{
		first: int(a.Starts[b]), length: n,
		firstHead: group * shared, lastHead: (group + 1) * shared,
		key: (a.Heads + group) * a.HeadDim, value: (a.Heads + a.KVHeads + group) * a.HeadDim,
		width: a.Width(), columns: a.Heads * a.HeadDim, stride: (min(n, window+queryBlock-1) + 7) &^ 7,
		dim: a.HeadDim, window: window, scale: float32(1 / math.Sqrt(float64(a.HeadDim))),
	}
}

// scores fills p, [m, u.stride], with scale * q*k for the m query rows from row q0 of the sequence on, over the keys from the first
// that one of them sees up to the last of them. query is the column of the head.
func (s *Set) scores(p, packed []float32, u span, query, q0, m int) {
	k0 := u.firstKey(q0)
	s.Gemm(false, true, m, q0+m-k0, u.dim, u.scale,
		packed[(u.first+q0)*u.width+query:], u.width, packed[(u.first+k0)*u.width+u.key:], u.width, 0, p, u.stride)
}

func (s *Set) attendGroup(a Attention, unit int, out, lse, packed []float32) {
	u := a.span(unit)
	buffer := s.Borrow(queryBlock * u.stride)
	defer s.Release(buffer)
	p := *buffer
	for head := u.firstHead; head < u.lastHead; head++ {
		for q0 := 0; q0 < u.length; q0 += queryBlock {
			m := min(queryBlock, u.length-q0)
			k0 := u.firstKey(q0)
			n := q0 + m - k0
			s.scores(p, packed, u, head*a.HeadDim, q0, m)
			for i := range m {
				row := p[i*u.stride : i*u.stride+u.stride]
				hide(row[:u.firstKey(q0+i)-k0])
				lse[(u.first+q0+i)*a.Heads+head] = s.softmaxPrefix(row[:(n+7)&^7], q0+i+1-k0)
			}
			s.Gemm(false, false, m, a.HeadDim, n, 1, p, u.stride, packed[(u.first+k0)*u.width+u.value:], u.width,
				0, out[(u.first+q0)*u.columns+head*a.HeadDim:], u.columns)
		}
	}
}

// hide gives scores of keys that are not seen no weight.
func hide(scores []float32) {
	for j := range scores {
		scores[j] = float32(math.Inf(-1))
	}
}

// softmaxPrefix makes row[:n] a softmax and the rest 0, and returns the logarithm of its denominator.
func (s *Set) softmaxPrefix(row []float32, n int) float32 {
	top := s.vectors.max(row[:n])
	live, total := s.expPrefix(row, n, -top)
	s.vectors.scale(1/total, live)
	return top + float32(math.Log(float64(total)))
}

// expPrefix replaces row[:n] by exp(row + shift) and the rest by 0. It returns row[:n] rounded up to whole registers, which the row is of,
// and its sum.
func (s *Set) expPrefix(row []float32, n int, shift float32) (live []float32, total float32) {
	live = row[:(n+7)&^7]
	total = s.vectors.expPrefix(live, n, shift)
	clear(row[len(live):])
	return live, total
}

package kernel

import "slices"

// routeGrain is the number of tokens in one piece of work.
const routeGrain = 128

// Router chooses a few experts for each token. Shazeer et al. 2017, arXiv:1701.06538, sec. 2.1; as in Jiang et al. 2024,
// arXiv:2401.04088, sec. 2.1, the weights are a softmax over the chosen experts' logits.
type Router struct {
	// Experts is E, TopK is K, at most E.
	Experts, TopK int
	// Gate is [E, D]: an expert's logit is its row times the token's.
	Gate []float32
	// Bias is [E], added to the probabilities of a softmax over all experts where they are chosen from, and nowhere else; nil if
	// there is none. Wang et al. 2024, arXiv:2408.15664, sec. 2. Differs: there the scores are sigmoids.
	Bias []float32
}

// Routes is where the tokens of a batch go. Rows of experts' matrices are sorted by expert, then by token.
type Routes struct {
	// Experts is [N, K]: the experts of each token, best first; of equals the one of the lowest index.
	Experts []int32
	// Weights is [N, K]: a token's sum to 1.
	Weights []float32
	// Places is [N, K]: the row that a token has among those of its expert.
	Places []int32
	// Offsets is [E+1]: expert e has rows Offsets[e] to Offsets[e+1]-1.
	Offsets []int32
	// Probs is [N, E], the softmax over all experts, and Entropy [N] that of it, in nats.
	Probs, Entropy []float32
}

// NewRoutes has room for n tokens.
func NewRoutes(n, experts, topK int) *Routes {
	return &Routes{
		Experts: make([]int32, n*topK), Weights: make([]float32, n*topK), Places: make([]int32, n*topK),
		Offsets: make([]int32, experts+1), Probs: make([]float32, n*experts), Entropy: make([]float32, n),
	}
}

// Route fills to for the n tokens of x, [n, D]. Each token's route depends on nothing but its row.
func (s *Set) Route(r Router, to *Routes, x []float32, n int) {
	s.Parallel(n, routeGrain, func(lo, hi int) {
		buffer := s.Borrow(r.Experts)
		defer s.Release(buffer)
		for i := lo; i < hi; i++ {
			s.routeToken(r, to, x, i, *buffer)
		}
	})
	to.sort(n, r.TopK)
}

// routeToken fills what is token i's alone; logits is scratch, [E].
func (s *Set) routeToken(r Router, to *Routes, x []float32, i int, logits []float32) {
	width := len(r.Gate) / r.Experts
	row := x[i*width : (i+1)*width]
	for e := range logits {
		logits[e] = s.Dot(row, r.Gate[e*width:(e+1)*width])
	}
	probs := to.Probs[i*r.Experts : (i+1)*r.Experts]
	d := s.Distribute(logits, probs)
	to.Entropy[i] = d.Entropy()
	s.Scale(1/s.Sum(probs), probs)
	experts, weights := to.Experts[i*r.TopK:(i+1)*r.TopK], to.Weights[i*r.TopK:(i+1)*r.TopK]
	for j := range experts {
		experts[j] = r.best(experts[:j], logits, probs)
		weights[j] = logits[experts[j]]
	}
	s.Softmax(weights)
	// Adds 0, unless a logit is not finite: that must be seen even where its expert is not chosen.
	weights[0] += d.LogSum - d.LogSum
}

// best is the expert of the highest score that isn't taken.
func (r Router) best(taken []int32, logits, probs []float32) int32 {
	best, top := int32(-1), float32(0)
	for e := range int32(r.Experts) {
		score := logits[e]
		if r.Bias != nil {
			score = probs[e] + r.Bias[e]
		}
		if (best < 0 || score > top) && !slices.Contains(taken, e) {
			best, top = e, score
		}
	}
	return best
}

// sort fills Places and Offsets by counting.
func (r *Routes) sort(n, topK int) {
	clear(r.Offsets)
	for _, e := range r.Experts[:n*topK] {
		r.Offsets[e+1]++
	}
	for e := 1; e < len(r.Offsets); e++ {
		r.Offsets[e] += r.Offsets[e-1]
	}
	// Each offset runs through its expert's rows and ends where the next expert's begin: then all are moved back by one.
	for a, e := range r.Experts[:n*topK] {
		r.Places[a] = r.Offsets[e]
		r.Offsets[e]++
	}
	copy(r.Offsets[1:], r.Offsets)
	r.Offsets[0] = 0
}

// Dispatch copies each token's row of x, [n, width], to its experts' rows of y, [n*K, width].
func (s *Set) Dispatch(r *Routes, y, x []float32, n, width int) {
	k := len(r.Experts) / len(r.Entropy)
	s.Parallel(n, routeGrain, func(lo, hi int) {
		for a := lo * k; a < hi*k; a++ {
			copy(y[int(r.Places[a])*width:][:width], x[a/k*width:][:width])
		}
	})
}

// Collect adds the rows of y, [n*K, width], that the experts have for each token to its row of x, [n, width]: each times its weight, or as
// it is where weights is nil.
func (s *Set) Collect(r *Routes, x, y, weights []float32, n, width int) {
	k := len(r.Experts) / len(r.Entropy)
	s.Parallel(n, routeGrain, func(lo, hi int) {
		for a := lo * k; a < hi*k; a++ {
			to, from := x[a/k*width:][:width], y[int(r.Places[a])*width:][:width]
			if weights == nil {
				s.Add(from, to)
			} else {
				s.Axpy(weights[a], from, to)
			}
		}
	})
}

// CollectGrad writes the gradients of Collect with weights, given dx, [n, width]: dy is [n*K, width], dweights [n, K].
func (s *Set) CollectGrad(r *Routes, dy, dweights, dx, y []float32, n, width int) {
	k := len(r.Experts) / len(r.Entropy)
	s.Parallel(n, routeGrain, func(lo, hi int) {
		for a := lo * k; a < hi*k; a++ {
			d, row := dx[a/k*width:][:width], int(r.Places[a])*width
			dweights[a] = s.Dot(d, y[row:row+width])
			copy(dy[row:row+width], d)
			s.Scale(r.Weights[a], dy[row:row+width])
		}
	})
}

// RouteGrad writes the gradient for the logits, dlogits [n, E], given that for the weights, dweights [n, K], and that for the
// probabilities, which is dprobs, [E], for every token.
func (s *Set) RouteGrad(r *Routes, dlogits, dweights, dprobs []float32, n int) {
	experts, k := len(dprobs), len(r.Experts)/len(r.Entropy)
	s.Parallel(n, routeGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dz, p := dlogits[i*experts:(i+1)*experts], r.Probs[i*experts:(i+1)*experts]
			mean := s.Dot(p, dprobs)
			for e := range dz {
				dz[e] = p[e] * (dprobs[e] - mean)
			}
			w, dw := r.Weights[i*k:(i+1)*k], dweights[i*k:(i+1)*k]
			mean = s.Dot(w, dw)
			for j, e := range r.Experts[i*k : (i+1)*k] {
				dz[e] += w[j] * (dw[j] - mean)
			}
		}
	})
}

// Grouped is the shape of products in which each expert has rows and a matrix of its own: expert e's rows are Offsets[e] to
// Offsets[e+1]-1, and its matrix is the e-th [Out, In] of the weights.
type Grouped struct {
	In, Out int
	Offsets []int32
}

// each calls f for every expert with its first row, its number of rows and where its weights begin.
func (g Grouped) each(f func(first, rows, weights int)) {
	for e := range len(g.Offsets) - 1 {
		f(int(g.Offsets[e]), int(g.Offsets[e+1]-g.Offsets[e]), e*g.In*g.Out)
	}
}

// GroupedProduct is y = x times the expert's weights transposed: x is [rows, In], y [rows, Out].
func (s *Set) GroupedProduct(g Grouped, y, x, weights []float32) {
	g.each(func(first, rows, at int) {
		s.MatMul(Product{TransB: true, M: rows, N: g.Out, K: g.In, Alpha: 1, LDA: g.In, LDB: g.In, LDC: g.Out},
			x[first*g.In:], weights[at:], y[first*g.Out:])
	})
}

// GroupedInputGrad is dx = dy times the expert's weights.
func (s *Set) GroupedInputGrad(g Grouped, dx, dy, weights []float32) {
	g.each(func(first, rows, at int) {
		s.MatMul(Product{M: rows, N: g.In, K: g.Out, Alpha: 1, LDA: g.Out, LDB: g.In, LDC: g.In},
			dy[first*g.Out:], weights[at:], dx[first*g.In:])
	})
}

// AddGroupedWeightGrad is dweights += dy' x over the expert's rows.
func (s *Set) AddGroupedWeightGrad(g Grouped, dweights, dy, x []float32) {
	g.each(func(first, rows, at int) {
		s.MatMul(Product{TransA: true, M: g.Out, N: g.In, K: rows, Alpha: 1, Beta: 1, LDA: g.Out, LDB: g.In, LDC: g.In},
			dy[first*g.Out:], x[first*g.In:], dweights[at:])
	})
}

package op

import (
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Mixture is the shape of a feed-forward of experts.
type Mixture struct {
	// Experts is E; TopK is K, the number of them that each token goes through.
	Experts, TopK int
	// Bias is [E], as in kernel.Router, read at each run; nil if there is none.
	Bias []float32
	// Balance is the coefficient of the load-balance loss, >= 0.
	Balance float32
}

// Routing is a mixture of experts for the rows h. The router runs first, then Dispatch sorts the rows by expert, Linear multiplies each
// by its expert's matrix, and Combine sums what the experts made of a token. All gradients for h meet in the router's:
//
//	h ─► route ─► weights ─────────────────────────────────► combine ─► y
//	h ──────────► dispatch ─► linear ─► swiglu ─► linear ──► combine
//	h ──────────► shared ─► swiglu ─► residual's sum ──────► combine
type Routing struct {
	p       *Pack
	mixture Mixture
	routes  *kernel.Routes
	width   int
	// h is [N, D], weights [N, K].
	h, weights *gorgonia.Node
	// dweights, dispatched and shared are the gradients for the weights, and for h by the experts and by the shared expert (nil without
	// one), known once those have been differentiated.
	dweights, dispatched, shared *gorgonia.Node
}

// Route adds the router: h is [N, D], gate [E, D].
func Route(p *Pack, h, gate *gorgonia.Node, m Mixture) (*Routing, error) {
	width := gate.Shape()[1]
	if err := expect("route", "gate", gate, m.Experts, width); err != nil {
		return nil, err
	}
	if err := expect("route", "x", h, p.capacity, width); err != nil {
		return nil, err
	}
	r := &Routing{p: p, mixture: m, width: width, h: h, routes: kernel.NewRoutes(p.capacity, m.Experts, m.TopK)}
	p.size += p.capacity*(3*m.TopK+m.Experts+1) + m.Experts + 1
	var err error
	r.weights, err = p.add(&operator{
		name: "route", out: tensor.Shape{p.capacity, m.TopK}, backing: r.routes.Weights,
		run: func(_ []float32, in [][]float32) {
			p.set.Route(kernel.Router{Experts: m.Experts, TopK: m.TopK, Gate: in[1], Bias: m.Bias}, r.routes, in[0], p.rows())
		},
		diff: r.routeGrad,
	}, h, gate)
	return r, err
}

// Dispatch is the rows of h sorted by expert, [N*K, D].
func (r *Routing) Dispatch() (*gorgonia.Node, error) {
	p := r.p
	return p.add(&operator{
		name: "dispatch", out: tensor.Shape{p.capacity * r.mixture.TopK, r.width}, fixed: 1,
		run: func(out []float32, in [][]float32) { p.set.Dispatch(r.routes, out, in[0], p.rows(), r.width) },
		// The weights stand for all that the routes depend on. Their own gradient is Combine's.
		diff: func(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			r.dispatched = grad
			return gorgonia.Nodes{nil, r.dweights}, nil
		},
	}, r.h, r.weights)
}

// Linear is each row of x, [N*K, in], times its expert's matrix transposed: weight is [E*out, in], the result [N*K, out].
func (r *Routing) Linear(x, weight *gorgonia.Node) (*gorgonia.Node, error) {
	p, m := r.p, r.mixture
	rows, in := weight.Shape()[0], weight.Shape()[1]
	if rows%m.Experts != 0 {
		return nil, fmt.Errorf("operator experts: %d rows of weights for %d experts: %w", rows, m.Experts, hone.ErrInvalid)
	}
	if err := expect("experts", "x", x, p.capacity*m.TopK, in); err != nil {
		return nil, err
	}
	shape := kernel.Grouped{In: in, Out: rows / m.Experts, Offsets: r.routes.Offsets}
	return p.add(&operator{
		name: "experts", out: tensor.Shape{p.capacity * m.TopK, shape.Out},
		run: func(out []float32, in [][]float32) { p.set.GroupedProduct(shape, out, in[0], in[1]) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dx, err := p.add(&operator{
				name: "experts.grad.x", out: in[0].Shape(),
				run: func(out []float32, in [][]float32) { p.set.GroupedInputGrad(shape, out, in[1], in[0]) },
			}, in[1], grad)
			if err != nil {
				return nil, err
			}
			dw, err := p.add(&operator{
				name: "experts.grad.weight", out: in[1].Shape(), adds: true,
				run: func(out []float32, in [][]float32) { p.set.AddGroupedWeightGrad(shape, out, in[1], in[0]) },
			}, in[0], grad)
			return gorgonia.Nodes{dx, dw}, err
		},
	}, x, weight)
}

// Shared is Linear(h, weight) for experts that every token goes through.
func (r *Routing) Shared(weight *gorgonia.Node) (*gorgonia.Node, error) {
	if err := expect("shared experts", "x", r.h, r.p.capacity, weight.Shape()[1]); err != nil {
		return nil, err
	}
	l := linear{r.p, weight.Shape()[0], weight.Shape()[1], 1}
	return r.p.add(&operator{
		// The weights are an input so that the router is differentiated after this.
		name: "shared", out: tensor.Shape{r.p.capacity, l.out}, fixed: 2,
		run: func(out []float32, in [][]float32) { l.forward(out, in[0], in[2]) },
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			ds, err := l.gradients(in[0], in[2], grad)
			if err != nil {
				return nil, err
			}
			r.shared = ds[0]
			return gorgonia.Nodes{nil, nil, ds[1]}, nil
		},
	}, r.h, r.weights, weight)
}

// Combine ends the sublayer of a residual: its rows plus, for each token, the sum of its experts' rows of y, [N*K, D], times the
// router's weights. sum, if not nil, is the residual with the shared experts' part already added.
func (r *Routing) Combine(around *Residual, sum, y *gorgonia.Node) (*gorgonia.Node, error) {
	p := r.p
	if err := expect("combine", "rows of experts", y, p.capacity*r.mixture.TopK, r.width); err != nil {
		return nil, err
	}
	base, fixed := sum, 1
	if sum == nil {
		base, fixed = around.x, 2
	}
	return p.add(&operator{
		name: "combine", out: base.Shape(), fixed: fixed,
		run: func(out []float32, in [][]float32) {
			used := p.rows() * r.width
			copy(out[:used], in[1])
			p.set.Collect(r.routes, out, in[2], in[0], p.rows(), r.width)
		},
		diff: func(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			around.grad = grad
			dy, err := r.combineGrad(in[2], grad)
			return gorgonia.Nodes{nil, grad, dy}, err
		},
	}, r.weights, base, y)
}

// combineGrad computes both gradients in the operator for the experts' rows; that for the weights hands on what it has left.
func (r *Routing) combineGrad(y, grad *gorgonia.Node) (dy *gorgonia.Node, err error) {
	p, k := r.p, r.mixture.TopK
	dweights := p.memory(p.capacity * k)
	dy, err = p.add(&operator{
		name: "combine.grad.rows", out: y.Shape(),
		run: func(out []float32, in [][]float32) {
			p.set.CollectGrad(r.routes, out, dweights, in[1], in[0], p.rows(), r.width)
		},
	}, y, grad)
	if err != nil {
		return nil, err
	}
	r.dweights, err = p.add(&operator{
		name: "combine.grad.weights", out: tensor.Shape{p.capacity, k}, backing: dweights, run: func([]float32, [][]float32) {},
	}, dy)
	return dy, err
}

// routeGrad is the gradient through the logits, and everything else that comes back to h. The choice of experts has no gradient.
func (r *Routing) routeGrad(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	p, experts := r.p, r.mixture.Experts
	dprobs := make([]float32, experts)
	dlogits, err := p.add(&operator{
		name: "route.grad.logits", out: tensor.Shape{p.capacity, experts},
		run: func(out []float32, in [][]float32) {
			r.balanceGrad(dprobs)
			p.set.RouteGrad(r.routes, out, in[0], dprobs, p.rows())
		},
	}, grad)
	if err != nil {
		return nil, err
	}
	inputs := gorgonia.Nodes{in[1], dlogits, r.dispatched}
	if r.shared != nil {
		inputs = append(inputs, r.shared)
	}
	l := linear{p, experts, r.width, 1}
	dx, err := p.add(&operator{
		name: "route.grad.x", out: in[0].Shape(),
		run: func(out []float32, in [][]float32) {
			l.backward(out, in[1], in[0])
			p.set.Collect(r.routes, out, in[2], nil, p.rows(), r.width)
			if len(in) > 3 {
				used := p.rows() * r.width
				p.set.Add(in[3][:used], out[:used])
			}
		},
	}, inputs...)
	if err != nil {
		return nil, err
	}
	dgate, err := l.weightGrad(in[0], in[1], dlogits)
	return gorgonia.Nodes{dx, dgate}, err
}

// balanceGrad is the gradient of the load-balance loss for the probabilities of every token, see [Use.Balance].
func (r *Routing) balanceGrad(dprobs []float32) {
	n := float64(r.p.rows())
	scale := float64(r.mixture.Balance) * float64(r.p.seq.Share) * float64(len(dprobs)) / n
	for e := range dprobs {
		load := float64(r.routes.Offsets[e+1] - r.routes.Offsets[e])
		dprobs[e] = float32(scale * load / (n * float64(r.mixture.TopK)))
	}
}

// Use is what a router did with the tokens of a run.
type Use struct {
	// Loads is [E], the number of tokens that went through each expert.
	Loads []int
	// Entropy is the sum over tokens of the entropies of the probabilities, in nats.
	Entropy float64
	// Balance is the load-balance loss without its coefficient, E * sum over experts of f*P: f is the expert's share of all choices and P
	// the mean of its probability. It is 1 where all have equal shares, and at most E. Fedus et al. 2021, arXiv:2101.03961, eq. 4 to 6.
	// Differs: with K choices a token, f is divided by K.
	Balance float64
}

// Use is what the router did in the last run.
func (r *Routing) Use() Use {
	n, experts := r.p.rows(), r.mixture.Experts
	u := Use{Loads: make([]int, experts)}
	probs := make([]float64, experts)
	for i := range n {
		u.Entropy += float64(r.routes.Entropy[i])
		for e, p := range r.routes.Probs[i*experts : (i+1)*experts] {
			probs[e] += float64(p)
		}
	}
	for e := range u.Loads {
		u.Loads[e] = int(r.routes.Offsets[e+1] - r.routes.Offsets[e])
		u.Balance += float64(experts) * float64(u.Loads[e]) / float64(n*r.mixture.TopK) * probs[e] / float64(n)
	}
	return u
}

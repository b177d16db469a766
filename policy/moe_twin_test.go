package policy_test

import (
	"fmt"
	"math"
	"sort"

	"github.com/hone-rl/hone/policy"
)

// twinRoutes is what the twin remembers of the routers.
type twinRoutes struct {
	// held are the experts chosen for a layer's token when it was first seen. They stay, since a choice has no slope.
	held map[string][]int
	// probs and loads are [layers][E], sums over the tokens of the batch; entropy is the sum over layers too.
	probs, loads [][]float64
	entropy      float64
	tokens       int
}

// begin starts a batch.
func (r *twinRoutes) begin(c policy.Config, tokens int) {
	r.probs, r.loads, r.entropy, r.tokens = nil, nil, 0, tokens
	for range c.Layers {
		r.probs, r.loads = append(r.probs, make([]float64, c.MoE.Experts)), append(r.loads, make([]float64, c.MoE.Experts))
	}
}

// balance is the sum over layers of E * sum(f*P).
func (r *twinRoutes) balance(choices int) float64 {
	sum := 0.0
	for l, probs := range r.probs {
		for e, p := range probs {
			sum += float64(len(probs)) * r.loads[l][e] / float64(r.tokens*choices) * p / float64(r.tokens)
		}
	}
	return sum
}

// mixture is the feed-forward of experts for one token's normalised row; token names it.
func (t twin) mixture(layer int, token string, h []float64) []float64 {
	m := t.config.MoE
	name := func(part string) string { return fmt.Sprintf("model.layers.%d.block_sparse_moe.%s", layer, part) }
	probs, total := t.times(name("gate.weight"), h), 0.0
	for e, z := range probs {
		probs[e] = math.Exp(z)
		total += probs[e]
	}
	for e := range probs {
		probs[e] /= total
		t.routes.probs[layer][e] += probs[e]
		t.routes.entropy -= probs[e] * math.Log(probs[e])
	}
	key := fmt.Sprint(layer, " ", token)
	chosen, ok := t.routes.held[key]
	if !ok {
		for e := range probs {
			chosen = append(chosen, e)
		}
		bias := t.weights[name("gate.e_score_correction_bias")]
		score := func(e int) float64 {
			if bias == nil {
				return probs[e]
			}
			return probs[e] + bias[e]
		}
		sort.SliceStable(chosen, func(i, j int) bool { return score(chosen[i]) > score(chosen[j]) })
		chosen = chosen[:m.Choices()]
		t.routes.held[key] = chosen
	}
	total = 0
	for _, e := range chosen {
		total += probs[e]
		t.routes.loads[layer][e]++
	}
	y := make([]float64, len(h))
	for _, e := range chosen {
		expert := func(part string) string { return name(fmt.Sprintf("experts.%d.%s.weight", e, part)) }
		for i, v := range t.swiglu(h, expert("w1"), expert("w3"), expert("w2")) {
			y[i] += probs[e] / total * v
		}
	}
	if m.Shared > 0 {
		shared := func(part string) string { return name("shared_experts." + part + ".weight") }
		add(y, t.swiglu(h, shared("gate_proj"), shared("up_proj"), shared("down_proj")))
	}
	return y
}

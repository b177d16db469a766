package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/op"
)

// MoE shapes a feed-forward in which a router sends each token to a few of many experts, and sums what they make of it by the
// softmax of their logits: Jiang et al. 2024, arXiv:2401.04088, sec. 2.1. No token is dropped. The zero value is one dense
// feed-forward.
type MoE struct {
	// Experts is E, 0 or at least 2.
	Experts int `json:"experts" yaml:"experts"`
	// TopK is the number of experts of each token, 2 to Experts; 0 means 2.
	TopK int `json:"top_k" yaml:"top_k"`
	// Shared is the number of experts that every token goes through besides, >= 0. Dai et al. 2024, arXiv:2401.06066, sec. 3.2.
	Shared int `json:"shared" yaml:"shared"`
	// BalanceCoef is the coefficient of the load-balance loss of each layer, >= 0; 0.01 in Fedus et al. 2021, arXiv:2101.03961, sec. 2.2.
	BalanceCoef float32 `json:"balance_coef" yaml:"balance_coef"`
	// BiasRate is how far each expert's bias moves after a step against its load, >= 0; 0 has no biases. 0.001 in Wang et al. 2024,
	// arXiv:2408.15664, sec. 4.1.
	BiasRate float32 `json:"bias_rate" yaml:"bias_rate"`
}

// defaultTopK is Mixtral's, of 8 experts.
const defaultTopK = 2

// Choices is K, the number of experts of each token.
func (m MoE) Choices() int {
	if m.TopK == 0 {
		return defaultTopK
	}
	return m.TopK
}

// validate joins all faults; hidden is the width inside of an expert.
func (m MoE) validate(hidden int) error {
	if m == (MoE{}) {
		return nil
	}
	var faults []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("policy config: moe: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	rate := func(v float32) bool { return v >= 0 && !math.IsInf(float64(v), 0) }
	want(m.Experts >= 2 && m.Experts <= maxExperts, "experts", m.Experts,
		fmt.Sprintf("2 to %d, or all of moe 0 for a dense feed-forward", maxExperts))
	// The weight of a single expert would always be 1 and teach the router nothing.
	want(m.Choices() >= 2 && m.Choices() <= m.Experts, "top_k", m.TopK,
		fmt.Sprintf("2 to the %d experts, or 0 for %d", m.Experts, defaultTopK))
	want(m.Shared >= 0 && m.Shared <= maxExperts && m.Shared*hidden <= maxDimension, "shared", m.Shared,
		fmt.Sprintf("0 to %d and of a width of at most %d together", maxExperts, maxDimension))
	want(rate(m.BalanceCoef), "balance_coef", m.BalanceCoef, "at least 0")
	want(rate(m.BiasRate), "bias_rate", m.BiasRate, "at least 0")
	return errors.Join(faults...)
}

// maxExperts is far beyond what is published, and keeps what a broken file can ask for small.
const maxExperts = 4096

// gateBias is the name of a layer's biases, as in DeepSeek-V3's checkpoints.
func gateBias(layer int) string {
	return fmt.Sprintf("model.layers.%d.block_sparse_moe.gate.e_score_correction_bias", layer)
}

func expertName(layer, expert int, part string) string {
	return layerName(layer, fmt.Sprintf("block_sparse_moe.experts.%d.%s", expert, part))
}

// slots are the tensors of a layer's mixture, named as in Mixtral's checkpoints. The gates (w1) and the others (w3) of all experts
// are neighbours, so that the graph reads them as one matrix, and so are the last ones (w2).
func (m MoE) slots(layer int, c Config) []slot {
	slots := []slot{{layerName(layer, "block_sparse_moe.gate"), []int{m.Experts, c.Width}}}
	if m.BiasRate > 0 {
		slots = append(slots, slot{gateBias(layer), []int{m.Experts}})
	}
	for e := range m.Experts {
		slots = append(slots,
			slot{expertName(layer, e, "w1"), []int{c.Hidden, c.Width}},
			slot{expertName(layer, e, "w3"), []int{c.Hidden, c.Width}})
	}
	for e := range m.Experts {
		slots = append(slots, slot{expertName(layer, e, "w2"), []int{c.Width, c.Hidden}})
	}
	if m.Shared > 0 {
		hidden := m.Shared * c.Hidden
		slots = append(slots,
			slot{layerName(layer, "block_sparse_moe.shared_experts.gate_proj"), []int{hidden, c.Width}},
			slot{layerName(layer, "block_sparse_moe.shared_experts.up_proj"), []int{hidden, c.Width}},
			slot{layerName(layer, "block_sparse_moe.shared_experts.down_proj"), []int{c.Width, hidden}})
	}
	return slots
}

// Usage is what the routers of all layers did with the tokens of one or more batches. The zero value is of none, and all that a dense
// policy has.
type Usage struct {
	// Tokens is the number of tokens, each counted once whatever the layers.
	Tokens int
	// Loads is [layers][E], the number of tokens that went through each expert.
	Loads [][]int

	choices          int
	entropy, balance float64
}

// add takes in what the routers did in one run of n tokens.
func (u *Usage) add(n, choices int, routings []*op.Routing) {
	one := Usage{Tokens: n, choices: choices}
	for _, r := range routings {
		use := r.Use()
		one.Loads = append(one.Loads, use.Loads)
		one.entropy += use.Entropy
		one.balance += float64(n) * use.Balance
	}
	u.Merge(one)
}

// Merge adds what other saw, with the same shape.
func (u *Usage) Merge(other Usage) {
	if len(other.Loads) == 0 {
		return
	}
	for len(u.Loads) < len(other.Loads) {
		u.Loads = append(u.Loads, make([]int, len(other.Loads[0])))
	}
	for l, loads := range other.Loads {
		for e, n := range loads {
			u.Loads[l][e] += n
		}
	}
	u.Tokens, u.choices = u.Tokens+other.Tokens, other.choices
	u.entropy, u.balance = u.entropy+other.entropy, u.balance+other.balance
}

// Entropy is the mean of the routers' entropies over tokens and layers, in nats, in [0, ln E].
func (u Usage) Entropy() float64 { return u.mean(u.entropy) }

// Balance is the load-balance loss without its coefficient, see op.Use, as the mean over layers and, by their tokens, batches.
func (u Usage) Balance() float64 { return u.mean(u.balance) }

func (u Usage) mean(sum float64) float64 {
	if u.Tokens == 0 {
		return 0
	}
	return sum / float64(u.Tokens*len(u.Loads))
}

// Shares is [E]: the part of the tokens that went through each expert, as the mean over layers. They add up to K.
func (u Usage) Shares() []float64 {
	if u.Tokens == 0 {
		return nil
	}
	shares := make([]float64, len(u.Loads[0]))
	for _, loads := range u.Loads {
		for e, n := range loads {
			shares[e] += float64(n) / float64(u.Tokens*len(u.Loads))
		}
	}
	return shares
}

// MaxLoad is the largest load of an expert over the mean load, over all layers: 1 where all have the same, at most E/K.
func (u Usage) MaxLoad() float64 {
	if u.Tokens == 0 {
		return 0
	}
	most := 0
	for _, loads := range u.Loads {
		for _, n := range loads {
			most = max(most, n)
		}
	}
	return float64(most*len(u.Loads[0])) / float64(u.Tokens*u.choices)
}

// Metrics are the numbers of doc/metrics.md by name; none where nothing was routed.
func (u Usage) Metrics() map[string]float64 {
	if u.Tokens == 0 {
		return nil
	}
	m := map[string]float64{"router_entropy": u.Entropy(), "router_balance": u.Balance(), "expert_load_max": u.MaxLoad()}
	for e, share := range u.Shares() {
		m["expert_share_"+strconv.Itoa(e)] = share
	}
	return m
}

// moveBiases moves the bias of each expert that had more than the mean load down by the rate, and of each that had less up: Wang
// et al. 2024, arXiv:2408.15664, alg. 1.
func (p *Params) moveBiases(u Usage) {
	m := p.config.MoE
	if m.BiasRate == 0 {
		return
	}
	for l, loads := range u.Loads {
		total := 0
		for _, n := range loads {
			total += n
		}
		bias := p.Tensor(gateBias(l))
		for e, n := range loads {
			switch {
			case n*len(loads) > total:
				bias[e] -= m.BiasRate
			case n*len(loads) < total:
				bias[e] += m.BiasRate
			}
		}
	}
}

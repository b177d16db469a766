package decode_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
)

// The training graph and the cache give the same log-probabilities and values, at the sampling temperature.
func TestGenerateAgreesWithTrainer(t *testing.T) {
	t.Parallel()
	window := small()
	window.Window = 37
	experts, shared := small(), small()
	experts.MoE = policy.MoE{Experts: 8}
	shared.MoE = policy.MoE{Experts: 5, TopK: 3, Shared: 2, BiasRate: 0.1}
	for name, c := range map[string]struct {
		set    *kernel.Set
		config policy.Config
	}{
		"best":     {bestSet(t), small()},
		"portable": {kernel.Portable(), small()},
		"window":   {bestSet(t), window},
		"experts":  {bestSet(t), experts},
		"shared":   {bestSet(t), shared},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, params := c.set, randomParams(t, c.config)
			reqs := mixedRequests(t, 40)
			for i := range reqs {
				reqs[i].Sampling.Temperature = 0.8
			}
			results, err := newEngine(t, params, set, decode.Options{}).Generate(t.Context(), reqs)
			require.NoError(t, err)
			trainer, err := policy.NewTrainer(params, set, policy.TrainerOptions{Temperature: 0.8})
			require.NoError(t, err)

			var batch policy.Batch
			for i, r := range results {
				batch.Append(append(append([]hone.TokenID(nil), reqs[i].Prompt...), r.Tokens...), len(reqs[i].Prompt))
			}
			scores, err := trainer.Evaluate(t.Context(), batch)
			require.NoError(t, err)
			for i, r := range results {
				state := int(batch.Starts[i]) + len(reqs[i].Prompt) - 1
				for at := range r.Tokens {
					requireNear(t, float64(scores.Logp[state+at]), r.Logp[at], tolerance, "logp", i, at)
					requireNear(t, float64(scores.Value[state+at]), r.Values[at], tolerance, "value", i, at)
				}
			}
		})
	}
}

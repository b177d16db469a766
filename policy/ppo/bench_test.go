package ppo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
)

// BenchmarkUpdate is one epoch of 256 trajectories of 11 + 60 tokens in 4 minibatches on the policy of a million parameters, with
// a reference, on the best kernels of the machine. tokens/s counts prompts too.
func BenchmarkUpdate(b *testing.B) {
	set, err := kernel.Open()
	require.NoError(b, err)
	shape := policy.DefaultConfig()
	params, err := policy.Init(shape, 1)
	require.NoError(b, err)
	reference, err := policy.NewTrainer(params.Clone(), set, policy.TrainerOptions{})
	require.NoError(b, err)
	learner, err := NewLearner(params, set, DefaultConfig(), 1)
	require.NoError(b, err)
	c := DefaultConfig()
	c.Epochs, c.TargetKL = 1, 0
	optimizer, err := policy.NewAdamW(params, c.AdamW())
	require.NoError(b, err)

	const trajectories, length = 256, 60
	in := UpdateInput{Config: c, Optimizer: optimizer, Reference: reference, Beta: c.KLCoef, LearningRate: 1e-6}
	rng := hone.Rand(2)
	for i := range trajectories {
		s := scored(i, length, 0, 1)
		s.Trajectory.Prompt = make([]hone.TokenID, 11)
		for k := range s.Trajectory.Tokens {
			s.Trajectory.Tokens[k] = hone.TokenID(rng.IntN(shape.Vocab))
			s.Trajectory.Logp[k] = -5.7
		}
		in.Trajectories = append(in.Trajectories, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := learner.Update(b.Context(), in)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*trajectories*(11+length))/b.Elapsed().Seconds(), "tokens/s")
}

package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/sft"
	"github.com/hone-rl/hone/storage"
)

// pupil is a small policy with the updater of its job's algorithm, and no database.
func pupil(t *testing.T, edit func(*Job)) (*session, *policy.Params, updater) {
	t.Helper()
	job := DefaultJob()
	job.Game24.Wide = 0
	job.Policy.Width, job.Policy.Layers, job.Policy.Hidden, job.Policy.Context = 32, 1, 64, 160
	job.Rollout.Group = 4
	edit(&job)
	require.NoError(t, job.Validate())
	s, err := newSession(Deps{Kernels: kernel.Portable()}, "run", job)
	require.NoError(t, err)
	params, err := policy.Init(s.shape, 1)
	require.NoError(t, err)
	u, err := s.algorithm.open(t.Context(), s, params)
	require.NoError(t, err)
	return s, params, u
}

// teach is one update of the pupil, with moments that start at zero.
func teach(t *testing.T, s *session, params *policy.Params, u updater, scored []hone.Scored) learned {
	t.Helper()
	optimiser, err := policy.NewAdamW(params, s.algorithm.adamW())
	require.NoError(t, err)
	out, err := u.update(t.Context(), lesson{scored: scored, optimiser: optimiser, beta: 0.25}, new(pulse))
	require.NoError(t, err)
	require.Equal(t, 0.25, out.beta, "a coefficient that the algorithm has no use for is handed on")
	return out
}

// sampled are completions of a problem in one slot, the right ones marked.
func sampled(t *testing.T, s *session, slot int, texts []string, right []bool) []hone.Scored {
	t.Helper()
	problem := s.train[slot]
	prompt, err := s.token.Encode(problem.Prompt)
	require.NoError(t, err)
	var out []hone.Scored
	for i, text := range texts {
		tokens, err := s.token.Encode(text)
		require.NoError(t, err)
		one := hone.Scored{
			Trajectory: hone.Trajectory{
				ID: hone.TrajectoryID{Run: "run", Sample: slot*s.job.Rollout.Group + i}, Problem: problem, Source: hone.SourceSample,
				Prompt: prompt, Tokens: append(tokens, s.token.EOS()), Finish: hone.FinishStop,
			},
			Breakdown: hone.Breakdown{Outcome: hone.OutcomeWrong},
		}
		if right[i] {
			one.Breakdown.Outcome = hone.OutcomeRight
		}
		out = append(out, one)
	}
	return out
}

// logp is how likely the policy finds a completion.
func logp(t *testing.T, params *policy.Params, one hone.Scored) float64 {
	t.Helper()
	trainer, err := policy.NewTrainer(params, kernel.Portable(), policy.TrainerOptions{})
	require.NoError(t, err)
	var batch policy.Batch
	batch.Append(append(append([]hone.TokenID{}, one.Trajectory.Prompt...), one.Trajectory.Tokens...), len(one.Trajectory.Prompt))
	scores, err := trainer.Evaluate(t.Context(), batch)
	require.NoError(t, err)
	sum := 0.0
	for _, v := range scores.Logp {
		sum += float64(v)
	}
	return sum
}

func TestRejectionSamplingImitatesRightAnswersAlone(t *testing.T) {
	t.Parallel()
	s, params, u := pupil(t, func(j *Job) {
		j.Algorithm, j.Rejection.Keep, j.Rejection.SFT.LearningRate = AlgorithmRejection, 1, 0.01
	})
	texts := []string{"1 + 2 = 3 (left: 3)\n", "2 + 2 = 4 (left: 4)\n", "3 + 2 = 5 (left: 5)\n", "2 + 2 = 4 (left: 4)\n"}
	solved := sampled(t, s, 0, texts, []bool{false, true, false, true})
	missed := sampled(t, s, 1, texts, []bool{false, false, false, false})
	before := logp(t, params, solved[1])
	out := teach(t, s, params, u, append(solved, missed...))
	require.Greater(t, logp(t, params, solved[1]), before+1)
	require.Equal(t, 1.0, out.metrics["imitated"], "of two alike one is kept")
	require.Equal(t, float64(len(solved[1].Trajectory.Tokens)), out.metrics["imitation_tokens"])
	require.Equal(t, 2.0, out.metrics["steps"], "one an epoch")
	require.Positive(t, out.metrics["grad_norm"])

	state, reason := out.end(solved)
	require.Equal(t, storage.PromptTrained, state)
	require.Empty(t, reason)
	state, reason = out.end(missed)
	require.Equal(t, storage.PromptDropped, state)
	require.Equal(t, "none of 4 trajectories is right", reason)
	state, reason = out.end(solved[3:])
	require.Equal(t, storage.PromptDropped, state)
	require.Contains(t, reason, "1 trajectories are right")
}

func TestNothingRightIsNoStep(t *testing.T) {
	t.Parallel()
	s, params, u := pupil(t, func(j *Job) { j.Algorithm = AlgorithmRejection })
	digest := params.Digest()
	out := teach(t, s, params, u, sampled(t, s, 0, []string{"1 + 2 = 3 (left: 3)\n"}, []bool{false}))
	require.Equal(t, digest, params.Digest())
	require.Zero(t, out.metrics["steps"])
	require.Zero(t, out.metrics["imitated"])
}

func TestSupervisedUpdateGoesOnWhereTheStartLeftOff(t *testing.T) {
	t.Parallel()
	s, params, u := pupil(t, func(j *Job) { j.Algorithm, j.Supervised.Traces, j.Start.Traces = AlgorithmSupervised, 3, 5 })
	all, err := s.demonstrations(t.Context(), 0, 8, new(pulse))
	require.NoError(t, err)
	first, err := s.demonstrations(t.Context(), 5, 3, new(pulse))
	require.NoError(t, err)
	require.Equal(t, all[5:], first, "a trace depends on its number alone")

	scored := sampled(t, s, 0, []string{"1 + 2 = 3 (left: 3)\n"}, []bool{true})
	out := teach(t, s, params, u, scored)
	require.Equal(t, 3.0, out.metrics["imitated"])
	tokens := 0
	for _, e := range first {
		tokens += len(e.Completion)
	}
	require.Equal(t, float64(tokens), out.metrics["imitation_tokens"])
	state, reason := out.end(scored)
	require.Equal(t, storage.PromptDropped, state)
	require.Contains(t, reason, "supervised")

	// The same steps by hand.
	again, err := policy.Init(s.shape, 1)
	require.NoError(t, err)
	learner, err := sft.NewLearner(again, kernel.Portable(), s.job.Supervised.SFT)
	require.NoError(t, err)
	optimiser, err := policy.NewAdamW(again, s.job.Supervised.SFT.AdamW())
	require.NoError(t, err)
	_, err = learner.Update(t.Context(), sft.UpdateInput{
		Config: s.job.Supervised.SFT, Optimizer: optimiser, Examples: first, Seed: hone.Seed(s.job.Seed, "update", 0),
		LearningRate: s.job.Supervised.SFT.Schedule(s.job.Cycles).At(0),
	})
	require.NoError(t, err)
	require.Equal(t, again.Digest(), params.Digest())
}

func TestAlgorithmsAreChosenByNameAndValidated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*Job)
		says string
	}{
		"unknown":              {func(j *Job) { j.Algorithm = "luck" }, `algorithm "luck": want one of`},
		"rejection of noise":   {func(j *Job) { j.Algorithm, j.Reward.Noise = AlgorithmRejection, true }, "reward.noise is set"},
		"nothing kept":         {func(j *Job) { j.Algorithm, j.Rejection.Keep = AlgorithmRejection, 0 }, "rejection: keep 0, window 1"},
		"no traces":            {func(j *Job) { j.Algorithm, j.Supervised.Traces = AlgorithmSupervised, 0 }, "supervised: traces 0"},
		"a bad learning rate":  {func(j *Job) { j.Algorithm, j.Supervised.SFT.LearningRate = AlgorithmSupervised, -1 }, "learning_rate is -1"},
		"ppo without a name":   {func(j *Job) { j.Algorithm, j.PPO.Gamma = "", 2 }, "gamma is 2, must be in [0, 1]"},
		"what is not used may": {func(j *Job) { j.Algorithm, j.PPO.Gamma = AlgorithmRejection, 2 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := DefaultJob()
			c.edit(&job)
			err := job.Validate()
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, c.says)
		})
	}
}

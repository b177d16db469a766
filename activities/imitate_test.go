package activities

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/sft"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
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
	s, err := newSession(t.Context(), Deps{Kernels: kernel.Portable()}, "run", job)
	require.NoError(t, err)
	params, err := policy.Init(s.shape, 1)
	require.NoError(t, err)
	u, err := s.algorithm.open(t.Context(), s, params)
	require.NoError(t, err)
	return s, params, u
}

// mustAdamW is the algorithm's optimiser with moments that start at zero.
func mustAdamW(t *testing.T, s *session, params *policy.Params) *policy.AdamW {
	t.Helper()
	optimiser, err := policy.NewAdamW(params, s.algorithm.adamW())
	require.NoError(t, err)
	return optimiser
}

// teach is one update of the pupil, with moments that start at zero.
func teach(t *testing.T, s *session, params *policy.Params, u updater, scored []hone.Scored) learned {
	t.Helper()
	out, err := u.update(t.Context(), lesson{scored: scored, optimiser: mustAdamW(t, s, params), before: state{Beta: 0.25}}, new(pulse))
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

func TestFaultsOfWrongAnswersAreForbidden(t *testing.T) {
	t.Parallel()
	s, params, u := pupil(t, func(j *Job) {
		j.Algorithm, j.Rejection.SFT.ConstraintCoef, j.Rejection.SFT.LearningRate = AlgorithmRejection, 1, 0.01
	})
	scored := sampled(t, s, 0, []string{"2 + 2 = 4 (left: 4)\n", "2 + 2 = 5 (left: 5)\n"}, []bool{true, false})
	for i := range scored {
		scored[i].Trajectory.Steps = []hone.Step{{To: len(scored[i].Trajectory.Tokens)}}
		scored[i].Breakdown.Steps = 1
	}
	scored[1].Breakdown.Layers = []hone.LayerScore{{Weight: 1, Terms: []hone.Term{{Score: -1, Reason: "2 + 2 is 4, not 5"}}}}
	before := logp(t, params, scored[0])
	out := teach(t, s, params, u, scored)
	require.Equal(t, 1.0, out.metrics["imitated"])
	require.Equal(t, 1.0, out.metrics["forbidden"])
	require.Contains(t, out.metrics, "constraint_loss")
	require.Greater(t, logp(t, params, scored[0]), before)
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

func TestDemonstrationsFitTheContext(t *testing.T) {
	t.Parallel()
	searches := func(context int) func(*Job) {
		return func(j *Job) {
			j.Algorithm, j.Start.Solve, j.Start.Walk, j.Start.Search = AlgorithmSupervised, 0, 0, 1
			j.Game24.Traces.MaxRetries, j.Policy.Context, j.Rollout.MaxTokens = 24, context, 16
		}
	}
	length := func(e sft.Example) int { return len(e.Prompt) + len(e.Completion) }
	wide, _, _ := pupil(t, searches(2048))
	all, err := wide.demonstrations(t.Context(), 0, 40, new(pulse))
	require.NoError(t, err)
	narrow, params, u := pupil(t, searches(160))
	fit, err := narrow.demonstrations(t.Context(), 0, 40, new(pulse))
	require.NoError(t, err)
	again := 0
	for i := range all {
		require.LessOrEqual(t, length(fit[i]), 160)
		if length(all[i]) <= 160 {
			require.Equal(t, all[i], fit[i], "what fits is as it was")
		} else {
			again++
		}
	}
	require.Positive(t, again)
	require.Less(t, again, len(all))
	teach(t, narrow, params, u, sampled(t, narrow, 0, []string{"1 + 2 = 3 (left: 3)\n"}, []bool{true}))

	tight, _, _ := pupil(t, searches(48))
	_, err = tight.demonstrations(t.Context(), 0, 1, new(pulse))
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "demonstration 0: 64 in a row are longer than policy.context 48")
}

func TestAlgorithmsAreChosenByNameAndValidated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*Job)
		says string
	}{
		"unknown":                 {func(j *Job) { j.Algorithm = "luck" }, `algorithm "luck": want one of`},
		"rejection of noise":      {func(j *Job) { j.Algorithm, j.Reward.Noise = AlgorithmRejection, true }, "reward.noise is set"},
		"nothing kept":            {func(j *Job) { j.Algorithm, j.Rejection.Keep = AlgorithmRejection, 0 }, "rejection: keep 0, window 1"},
		"no traces":               {func(j *Job) { j.Algorithm, j.Supervised.Traces = AlgorithmSupervised, 0 }, "supervised: traces 0"},
		"a bad learning rate":     {func(j *Job) { j.Algorithm, j.Supervised.SFT.LearningRate = AlgorithmSupervised, -1 }, "learning_rate is -1"},
		"ppo without a name":      {func(j *Job) { j.Algorithm, j.PPO.Gamma = "", 2 }, "gamma is 2, must be in [0, 1]"},
		"a constraint on traces":  {func(j *Job) { j.Start.SFT.ConstraintCoef = 1 }, "start: sft.constraint_coef is 1: demonstrations forbid"},
		"a constraint on further": {func(j *Job) { j.Algorithm, j.Supervised.SFT.ConstraintCoef = AlgorithmSupervised, 1 }, "forbid nothing"},
		"nothing to compare": {
			func(j *Job) { j.Algorithm, j.Searched, j.DPO.PerProblem = AlgorithmDPO, 0, 0 }, "dpo: per_problem is 0 and searched is 0",
		},
		"preferences of one":   {func(j *Job) { j.Algorithm, j.Rollout.Group = AlgorithmDPO, 1 }, "rollout: group 1, want at least 2"},
		"preferences of noise": {func(j *Job) { j.Algorithm, j.Reward.Noise = AlgorithmDPO, true }, "reward.noise is set"},
		"steps never visited":  {func(j *Job) { j.Algorithm, j.DPO.Steps.Visits = AlgorithmDPO, 0 }, "visits 0"},
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

func TestPreferencesOfSamplesAreLearned(t *testing.T) {
	t.Parallel()
	job := func(j *Job) { j.Algorithm, j.DPO.Loss.LearningRate, j.DPO.Loss.Epochs = AlgorithmRejection, 0.01, 4 }
	s, params, _ := pupil(t, job)
	s.algorithm = preference{s.job}
	learner, err := dpo.NewLearner(params, kernel.Portable(), s.job.DPO.Loss, 1)
	require.NoError(t, err)
	reference, err := policy.NewTrainer(params.Clone(), kernel.Portable(), policy.TrainerOptions{})
	require.NoError(t, err)
	u := &preferenceUpdater{session: s, learner: learner, reference: reference}

	texts := []string{"1 + 2 = 3 (left: 3)\n", "2 + 2 = 4 (left: 4)\n", "3 + 2 = 5 (left: 5)\n"}
	told := sampled(t, s, 0, texts, []bool{false, true, false})
	same := sampled(t, s, 1, texts, []bool{true, true, true})
	right, wrong := logp(t, params, told[1]), logp(t, params, told[0])
	out := teach(t, s, params, u, append(told, same...))
	require.Greater(t, logp(t, params, told[1])-logp(t, params, told[0]), right-wrong+1)
	require.Equal(t, 2.0, out.metrics["dpo_pairs"])
	require.Equal(t, 2.0, out.metrics["dpo_pairs_samples"])
	require.Zero(t, out.metrics["dpo_pairs_steps"])
	require.Equal(t, 4.0, out.metrics["steps"])
	require.Equal(t, 1.0, out.metrics["dpo_accuracy"])
	state, _ := out.end(told)
	require.Equal(t, storage.PromptTrained, state)
	state, reason := out.end(same)
	require.Equal(t, storage.PromptDropped, state)
	require.Contains(t, reason, "no pair of a right and a wrong answer")

	digest := params.Digest()
	out = teach(t, s, params, u, same)
	require.Zero(t, out.metrics["steps"])
	require.Equal(t, digest, params.Digest())
}

// Trees come back from storage as they were grown, and their steps are learned beside the samples.
func TestPreferencesOfStoredTreesAreLearned(t *testing.T) {
	t.Parallel()
	s, params, _ := pupil(t, func(j *Job) { j.Algorithm = AlgorithmRejection })
	s.job.Algorithm, s.job.DPO.PerProblem, s.job.DPO.Loss.LearningRate = AlgorithmDPO, 0, 0.01
	s.algorithm = preference{s.job}
	s.deps.Store = storagetest.Open(t)
	config, err := json.Marshal(s.job)
	require.NoError(t, err)
	run, err := s.deps.Store.CreateRun(t.Context(), storage.NewRun{Name: "trees", Config: config})
	require.NoError(t, err)
	s.run = run.ID
	s.deps.Blobs, err = blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	optimiser, err := policy.NewAdamW(params, s.algorithm.adamW())
	require.NoError(t, err)
	version, err := s.store(t.Context(), params, optimiser, state{})
	require.NoError(t, err)
	fence, err := s.deps.Store.AcquireLease(t.Context(), s.run, s.holder(), leaseTime)
	require.NoError(t, err)
	require.NoError(t, s.deps.Store.PublishFirst(t.Context(), s.run, fence, storage.First{Version: version}))
	found := sampled(t, s, 0, []string{"1 + 2 = 3 (left: 3)\n"}, []bool{true})
	line := &found[0].Trajectory
	line.ID.Run, line.Source = run.ID, hone.SourceSearch
	line.Logp, line.Values = make([]float32, len(line.Tokens)), make([]float32, len(line.Tokens))
	line.Steps = []hone.Step{{Text: "1 + 2 = 3 (left: 3)", To: len(line.Tokens)}}
	require.NoError(t, s.deps.Store.StartIteration(t.Context(), storage.Iteration{Run: run.ID, Prompts: 1}))
	require.NoError(t, s.deps.Store.SaveShard(t.Context(), storage.Shard{
		Key: storage.ShardKey{Run: run.ID}, Trajectories: []hone.Trajectory{*line}, Trees: []storage.Tree{{Nodes: []storage.Node{
			{Parent: -1, Visits: 9},
			{Node: 1, Depth: 1, Visits: 5, Q: 1, Action: "1 + 2 = 3 (left: 3)"},
			{Node: 2, Depth: 1, Visits: 3, Action: "1 + 2 = 4 (left: 4)"},
		}}},
	}))

	u, err := s.algorithm.open(t.Context(), s, params)
	require.NoError(t, err)
	before := logp(t, params, found[0])
	out := teach(t, s, params, u, found)
	require.Equal(t, 1.0, out.metrics["dpo_pairs_steps"])
	require.Zero(t, out.metrics["dpo_pairs_samples"])
	require.Greater(t, logp(t, params, found[0]), before)
	ended, _ := out.end(found)
	require.Equal(t, storage.PromptTrained, ended)
}

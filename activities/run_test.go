package activities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/expression"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/hone-rl/hone/task/game24"
)

// tiny is a run of a few seconds that learns nothing much and passes through everything.
func tiny() activities.Job {
	job := activities.DefaultJob()
	job.Game24.Wide, job.Game24.WideFour, job.Game24.WideThree = 50, 13, 24
	job.Policy.Width, job.Policy.Layers, job.Policy.Hidden, job.Policy.Context = 32, 1, 64, 160
	job.Start.Traces, job.Start.SFT.Epochs, job.Start.SFT.BatchTokens = 40, 1, 512
	job.Cycles, job.Prompts, job.Searched = 2, 4, 2
	job.Rollout.Group, job.Rollout.MaxTokens, job.Rollout.Search.Tree.Simulations, job.Rollout.Search.Candidates = 2, 24, 3, 2
	job.PPO.Epochs, job.PPO.Minibatches = 1, 2
	return job
}

// world is the activities of one process over a database and a blob store that outlive it.
type world struct {
	*testing.T
	store *storage.Store
	blobs blob.Store
	set   *kernel.Set
	// behind is by how many versions the policy that samples is behind.
	behind int
}

// behaviour is the version that samples a cycle.
func (w *world) behaviour(iteration int) int { return max(0, iteration-w.behind) }

func setup(t *testing.T) *world {
	t.Helper()
	blobs, err := blob.OpenDir(t.TempDir())
	require.NoError(t, err)
	return &world{T: t, store: storagetest.Open(t), blobs: blobs, set: kernel.Portable()}
}

// process is a new process: it remembers nothing.
func (w *world) process() *activities.Activities {
	return activities.New(activities.Deps{Store: w.store, Blobs: w.blobs, Kernels: w.set, Commit: "test"})
}

func (w *world) prepare(a *activities.Activities, name string, job activities.Job) activities.PrepareOutput {
	w.Helper()
	config, err := json.Marshal(job)
	require.NoError(w, err)
	out, err := a.Prepare(w.Context(), activities.PrepareInput{Name: name, Config: config})
	require.NoError(w, err)
	return out
}

// cycle runs one cycle in shards parts, each activity times times, by the process that next gives.
func (w *world) cycle(run hone.RunID, iteration, shards, times int, next func() *activities.Activities) activities.UpdateOutput {
	w.Helper()
	w.scored(run, iteration, shards, times, next)
	return w.update(run, iteration, times, next)
}

// scored samples and scores a cycle.
func (w *world) scored(run hone.RunID, iteration, shards, times int, next func() *activities.Activities) {
	w.Helper()
	rounds := []activities.Round{{}}
	for r := 0; r < len(rounds); r++ {
		w.sample(run, iteration, shards, times, rounds[r], next)
		// Those before are scored again: a new execution of the workflow begins with the first.
		for s := max(0, r-times+1); s <= r; s++ {
			score, err := next().Score(w.Context(), activities.ScoreInput{
				Run: run, Iteration: iteration, Behaviour: w.behaviour(iteration), Round: rounds[s],
			})
			require.NoError(w, err)
			sum := 0.0
			for _, layer := range score.Layers {
				sum += layer.Mean
			}
			require.InDelta(w, score.Reward, sum, 1e-9, "the reward is the sum of its layers")
			switch {
			case s < r:
				require.Equal(w, rounds[s+1], score.Next, "what was stored later decides nothing")
			case score.Next != (activities.Round{}):
				rounds = append(rounds, score.Next)
			}
		}
	}
}

// update trains on a cycle.
func (w *world) update(run hone.RunID, iteration, times int, next func() *activities.Activities) activities.UpdateOutput {
	w.Helper()
	var update activities.UpdateOutput
	for attempt := range times {
		out, err := next().Update(w.Context(), activities.UpdateInput{Run: run, Iteration: iteration, Behaviour: w.behaviour(iteration)})
		require.NoError(w, err)
		out.Seconds = 0
		if attempt == 0 {
			update = out
		}
		require.Equal(w, update, out, "a repeated update is what was published")
	}
	return update
}

// sample runs one round of a cycle in shards parts.
func (w *world) sample(run hone.RunID, iteration, shards, times int, round activities.Round, next func() *activities.Activities) {
	w.Helper()
	for shard := range shards {
		in := activities.RolloutShardInput{
			Run: run, Iteration: iteration, Shard: shard, Shards: shards, Behaviour: w.behaviour(iteration), Round: round,
		}
		var first activities.RolloutShardOutput
		for attempt := range times {
			out, err := next().RolloutShard(w.Context(), in)
			require.NoError(w, err)
			require.Equal(w, out.Trajectories, out.Stopped+out.Cut+out.Failed)
			out.Seconds = 0
			if attempt == 0 {
				first = out
			}
			require.Equal(w, first, out, "a repeated shard is what is stored")
		}
	}
}

func TestRunIsTheSameHoweverItIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []activities.Algorithm{
		"", activities.AlgorithmRejection, activities.AlgorithmDPO, activities.AlgorithmSupervised,
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			job := tiny()
			job.Algorithm = algorithm
			job.Supervised.Traces, job.Rejection.Window = 10, 2
			testInterruptions(t, job)
		})
	}
}

// What is steered from update to update, and what changes by cycle, goes on after an interruption as it would have.
func TestRunOfSchedulesAndControllersIsTheSame(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Cycles = 3
	job.Temperature = policy.Curve{Shape: policy.ShapeLinear, To: 0.8}
	job.PPO.Loss, job.PPO.Aggregation, job.PPO.Advantage = ppo.LossGSPO, ppo.AggregateSequenceMean, advantage.GRPO
	job.PPO.EntropyCoef, job.PPO.EntropyTarget, job.PPO.EntropyStep, job.PPO.CriticWarmup = 0.01, 2, 0.005, 1
	job.PPO.Importance.Truncate, job.PPO.Shaping.OverlongBuffer, job.PPO.Shaping.OverlongPenalty = 2, 8, 0.5
	job.PPO.Schedules.ClipHigh = policy.Curve{Shape: policy.ShapeCosine, To: 0.2}
	testInterruptions(t, job)
}

// A policy in bfloat16 samples, and the one that learns weighs for it: ratios are against what the latter says.
func TestRunThatSamplesInBFloat16IsTheSame(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Rollout.Precision, job.PPO.Importance.Truncate = decode.BF16, 2
	w, run := testInterruptions(t, job)
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	for iteration := range job.Cycles {
		m := metrics[iteration]
		require.Less(t, m["ratio_first_max_dev"], 1e-3)
		require.Positive(t, m["mismatch_k3"])
		require.Less(t, m["mismatch_k3"], 1e-3)
		require.InDelta(t, 1, m["importance_mean"], 0.05)
		stored, err := w.store.LoadIteration(t.Context(), run, iteration)
		require.NoError(t, err)
		for _, one := range stored {
			require.Equal(t, w.set.Fingerprint()+" sampler=bf16", one.Fingerprint)
		}
	}
}

// Searched lines are trained on by what their trees say of their steps, which come back from storage as they were.
func TestRunOfTreeAdvantagesIsTheSame(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Searched, job.Rollout.Search.Tree.Simulations, job.Rollout.Search.Candidates = 3, 8, 4
	job.Rollout.Search.ValueMin = -1 // no line is right, and what tells steps apart is what the value head has learned of the penalties
	job.PPO.Advantage, job.PPO.KLPenalty = advantage.Tree, ppo.KLInLossK2
	w, run := testInterruptions(t, job)
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	for iteration := range job.Cycles {
		m := metrics[iteration]
		require.InDelta(t, job.Searched, m["sampled"], 0, "lines alone, by the policy gradient")
		require.Zero(t, m["imitated"])
		require.Less(t, m["ratio_first_max_dev"], 1e-3, "the lines' log-probabilities are the policy's")
		targets, err := w.store.LoadTargets(t.Context(), run, iteration)
		require.NoError(t, err)
		require.Len(t, targets, job.Searched)
		counts, err := w.store.PromptCounts(t.Context(), run, iteration)
		require.NoError(t, err)
		require.Equal(t, map[storage.PromptState]int{storage.PromptTrained: job.Searched, storage.PromptDropped: job.Prompts}, counts)
	}
	require.Less(t, metrics[1]["advantage_min"], metrics[1]["advantage_max"])
}

// At the end of its warm-up the value head goes over what all cycles of it sampled, and knows more of what follows than without.
func TestCriticIsPretrainedOnStoredTrajectories(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Cycles, job.PPO.CriticWarmup, job.PPO.KLCoef = 3, 2, 0
	job.PPO.LearningRate = 0.01
	explained := make(map[int]float64)
	lengths := make(map[int]float64)
	for _, passes := range []int{0, 20} {
		job.PPO.CriticPretrain = passes
		w, run := testInterruptions(t, job)
		metrics, err := w.store.Metrics(t.Context(), run)
		require.NoError(t, err)
		for iteration := range job.Cycles {
			want := 0.0
			if passes > 0 && iteration == 1 {
				want = float64(2 * job.Prompts * job.Rollout.Group)
			}
			require.InDelta(t, want, metrics[iteration]["critic_pretrain_trajectories"], 0)
		}
		explained[passes], lengths[passes] = metrics[2]["explained_variance"], metrics[2]["length_mean"]
		if passes > 0 {
			require.InDelta(t, float64(passes*job.PPO.Minibatches), metrics[1]["critic_pretrain_steps"], 0)
		}
	}
	require.InDelta(t, lengths[0], lengths[20], 0, "the policy is the same, so it sampled the same")
	require.Greater(t, explained[20], explained[0])
}

// Prompts that make up for groups of which nothing is learned are the same ones however the run is interrupted, each ends in one state,
// and the next cycle goes on with the problems after them.
func TestToppedUpRunIsTheSame(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Rollout.TopUp, job.PPO.GroupSpread = 3, 0.5
	// All answers of so small a policy are wrong; a part of them is given credit.
	job.Reward.Layers = []stack.LayerConfig{
		{Layer: "correctness", Weight: 1},
		{
			Layer: "expression", Weight: 0.6, Clip: &reward.Bounds{Low: 0, High: 1},
			Expression: &expression.Config{Formula: "characters % 5 == 0 ? 1 : 0"},
		},
	}
	w, run := testInterruptions(t, job)
	metrics, err := w.store.Metrics(t.Context(), run)
	require.NoError(t, err)
	dealt, rounds := 0, 0
	for iteration := range job.Cycles {
		m := metrics[iteration]
		require.InDelta(t, m["prompts_drawn"], m["groups_kept"]+m["groups_uniform_right"]+m["groups_uniform_wrong"]+
			m["groups_uniform_mixed"]+m["groups_unjudged"], 0)
		require.Greater(t, m["prompts_drawn"], float64(job.Prompts), "there was something to make up for")
		require.Positive(t, m["groups_kept"])
		require.LessOrEqual(t, m["groups_kept"], float64(job.Prompts))
		require.True(t, m["groups_kept"] == float64(job.Prompts) || m["prompts_drawn"] == 3*float64(job.Prompts), "%v", m)
		counts, err := w.store.PromptCounts(t.Context(), run, iteration)
		require.NoError(t, err)
		require.InDelta(t, m["groups_kept"], float64(counts[storage.PromptTrained]), 0, "no search found an answer")
		dealt += int(m["prompts_drawn"])
		for name := range m {
			if strings.HasPrefix(name, "seconds_score_round_") {
				rounds++
			}
		}
	}
	require.Greater(t, rounds, job.Cycles, "some cycle had more than one further round")
	head, err := w.store.Version(t.Context(), run, job.Cycles)
	require.NoError(t, err)
	require.Contains(t, string(head.State), fmt.Sprintf(`"prompts":%d`, dealt))

	a := w.process()
	_, err = a.RolloutShard(t.Context(), activities.RolloutShardInput{
		Run: run, Shards: 1, Round: activities.Round{Number: 1, From: 2, To: 9},
	})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "round 1 of slots [2, 9): want one from 1 of slots in [6, 14)")
}

// A guard finds its reason in what is stored, so a second call finds the same.
func TestGuardStopsARunThatCollapses(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.PPO.Guard.EntropyFloor, job.PPO.Guard.LengthMax = 100, 1000
	w := setup(t)
	run := w.prepare(w.process(), "guarded", job).Run
	_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	require.Contains(t, w.cycle(run, 0, 1, 2, w.process).Alarm, "is below guard.entropy_floor 100")
	require.Empty(t, w.cycle(run, 1, 1, 1, w.process).Alarm, "it was told to go on")
}

// testInterruptions returns the run that was not interrupted.
func testInterruptions(t *testing.T, job activities.Job) (*world, hone.RunID) {
	t.Helper()
	w := setup(t)

	calm := w.process()
	straight := w.prepare(calm, "straight", job)
	require.Equal(t, -1, straight.Version)
	_, err := calm.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: straight.Run})
	require.NoError(t, err)
	var manifests []string
	for i := range job.Cycles {
		manifests = append(manifests, w.cycle(straight.Run, i, 1, 1, func() *activities.Activities { return calm }).Manifest)
	}

	// Every activity twice, each by a process that knows nothing, and in three shards instead of one.
	broken := w.prepare(w.process(), "broken", job)
	for range 2 {
		start, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: broken.Run})
		require.NoError(t, err)
		require.Equal(t, job.Start.Traces, start.Examples)
	}
	for i := range job.Cycles {
		require.Equal(t, manifests[i], w.cycle(broken.Run, i, 3, 2, w.process).Manifest, "version %d", i+1)
	}
	require.Equal(t, job.Cycles, w.prepare(w.process(), "broken", job).Version, "a second start goes on at the head")

	metrics, err := w.store.Metrics(t.Context(), straight.Run)
	require.NoError(t, err)
	again, err := w.store.Metrics(t.Context(), broken.Run)
	require.NoError(t, err)
	require.Equal(t, timeless(metrics), timeless(again))
	for iteration := range job.Cycles {
		prompts := job.Prompts
		if job.Rollout.TopUp > 1 {
			prompts = int(metrics[iteration]["prompts_drawn"])
		}
		counts, err := w.store.PromptCounts(t.Context(), broken.Run, iteration)
		require.NoError(t, err)
		total := 0
		for _, n := range counts {
			total += n
		}
		require.Equal(t, prompts+job.Searched, total, "every prompt ends in one state")
		stored, err := w.store.LoadIteration(t.Context(), broken.Run, iteration)
		require.NoError(t, err)
		require.Len(t, stored, prompts*job.Rollout.Group+job.Searched)
	}
	return w, straight.Run
}

// A mixture of experts with a window goes through a run as any policy does, and its routers' numbers are stored.
func TestRunOfAMixtureOfExperts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	job.Policy.Window, job.Policy.MoE = 32, policy.MoE{Experts: 4, BalanceCoef: 0.01, BiasRate: 0.001}
	a := w.process()
	run := w.prepare(a, "experts", job).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	w.cycle(run, 0, 1, 1, func() *activities.Activities { return a })
	for iteration, prefix := range map[int]string{-1: "sft_", 0: ""} {
		metrics, err := w.store.IterationMetrics(t.Context(), run, iteration)
		require.NoError(t, err)
		shares := 0.0
		for e := range 4 {
			shares += metrics[fmt.Sprintf("%sexpert_share_%d", prefix, e)]
		}
		require.InDelta(t, 2, shares, 1e-9)
		require.Positive(t, metrics[prefix+"router_entropy"])
		require.GreaterOrEqual(t, metrics[prefix+"expert_load_max"], 1.0)
	}
	metrics, err := w.store.IterationMetrics(t.Context(), run, 0)
	require.NoError(t, err)
	require.Less(t, metrics["ratio_first_max_dev"], 1e-3, "sampler and trainer route alike")

	job.Policy.MoE.TopK = 9
	config, err := json.Marshal(job)
	require.NoError(t, err)
	_, err = a.Prepare(t.Context(), activities.PrepareInput{Name: "bad", Config: config})
	require.ErrorContains(t, err, "policy config: moe: top_k is 9, must be 2 to the 4 experts")
}

// timeless are the metrics that are functions of the job.
func timeless(metrics map[int]map[string]float64) map[int]map[string]float64 {
	for _, row := range metrics {
		for name := range row {
			if strings.HasPrefix(name, "seconds_") {
				delete(row, name)
			}
		}
	}
	return metrics
}

func TestEvaluationIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	run := w.prepare(a, "measured", tiny()).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	for _, mode := range activities.Modes() {
		in := activities.EvaluateInput{Run: run, Split: hone.SplitHeldOut, Mode: mode, Limit: 3}
		first, err := a.Evaluate(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, 3, first.Problems)
		require.Equal(t, 3, first.Outcomes.Right+first.Outcomes.Wrong)
		again, err := w.process().Evaluate(t.Context(), in)
		require.NoError(t, err)
		first.Seconds, again.Seconds = 0, 0
		require.Equal(t, first, again)
	}
	model, err := a.Model(t.Context(), run, -1, "")
	require.NoError(t, err)
	require.Zero(t, model.Version)
}

func TestNothingThatIsEvaluatedIsTrainedOn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	job := tiny()
	run := w.prepare(a, "apart", job).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	w.cycle(run, 0, 1, 1, func() *activities.Activities { return a })

	puzzles, err := game24.New(job.Game24)
	require.NoError(t, err)
	held, err := puzzles.Problems(hone.SplitHeldOut)
	require.NoError(t, err)
	kept := make(map[string]bool)
	for _, p := range held {
		kept[p.Key] = true
	}
	stored, err := w.store.LoadIteration(t.Context(), run, 0)
	require.NoError(t, err)
	for _, trajectory := range stored {
		require.False(t, kept[trajectory.Problem.Key], "%s is kept for evaluation", trajectory.Problem.Key)
	}
}

func TestWhatCanNotSucceedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	job := tiny()
	w.prepare(a, "taken", job)
	other := job
	other.PPO.Gamma = 0.9
	badRun := hone.RunID("00000000-0000-0000-0000-000000000000")
	raw := func(job activities.Job) json.RawMessage {
		config, err := json.Marshal(job)
		require.NoError(t, err)
		return config
	}
	invalid := job
	invalid.Prompts, invalid.Task = 0, "chess"
	cases := map[string]struct {
		call func(ctx context.Context) error
		kind string
		says []string
	}{
		"other settings under the same name": {func(ctx context.Context) error {
			_, err := a.Prepare(ctx, activities.PrepareInput{Name: "taken", Config: raw(other)})
			return err
		}, activities.ErrorInvalid, []string{"taken", "gamma", "0.9"}},
		"unknown setting": {func(ctx context.Context) error {
			_, err := a.Prepare(ctx, activities.PrepareInput{Name: "odd", Config: json.RawMessage(`{"sead": 1}`)})
			return err
		}, activities.ErrorInvalid, []string{"sead"}},
		"every fault at once": {func(ctx context.Context) error {
			_, err := a.Prepare(ctx, activities.PrepareInput{Name: "odd", Config: raw(invalid)})
			return err
		}, activities.ErrorInvalid, []string{"prompts 0", `task "chess"`}},
		"no such run": {func(ctx context.Context) error {
			_, err := a.Update(ctx, activities.UpdateInput{Run: badRun})
			return err
		}, activities.ErrorNotFound, []string{string(badRun)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.call(t.Context())
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.True(t, app.NonRetryable())
			require.Equal(t, c.kind, app.Type())
			for _, want := range c.says {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestDamagedCheckpointStopsTheRun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.prepare(w.process(), "damaged", tiny()).Run
	_, err := w.process().SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	version, err := w.store.Version(t.Context(), run, 0)
	require.NoError(t, err)
	require.NoError(t, w.blobs.Delete(t.Context(), version.Weights))
	_, err = w.process().RolloutShard(t.Context(), activities.RolloutShardInput{Run: run, Shards: 1})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.ErrorNotFound, app.Type())
	require.ErrorContains(t, err, string(version.Weights))
}

func TestActivitiesBeatWhileTheyWork(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	run := w.prepare(a, "beating", tiny()).Run
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	var beats []activities.Heartbeat
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var beat activities.Heartbeat
		require.NoError(t, details.Get(&beat))
		beats = append(beats, beat)
	})
	_, err := env.ExecuteActivity(a.SupervisedStart, activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	require.NotEmpty(t, beats)
	require.NotEmpty(t, beats[0].Phase)
}

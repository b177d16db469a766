package activities_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// change makes one setting another, asked for under a name.
func (w *world) change(run hone.RunID, request, key, value string) activities.Changed {
	w.Helper()
	out, err := w.process().Change(w.Context(), activities.ChangeInput{
		Run: run, Request: request, Set: []activities.Setting{{Key: key, Value: json.RawMessage(value)}},
	})
	require.NoError(w, err)
	require.Len(w, out.Changes, 1)
	return out.Changes[0]
}

// started is a run with its supervised start.
func (w *world) started(name string, job activities.Job) hone.RunID {
	w.Helper()
	run := w.prepare(w.process(), name, job).Run
	_, err := w.process().SupervisedStart(w.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(w, err)
	return run
}

// A setting that changes holds from the cycle that it was recorded for, in every process, and in no cycle before.
func TestChangedSettingsHoldFromTheirCycleHoweverTheRunIsInterrupted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	job.PPO.KLTarget = 0
	plain, calm, broken := w.started("plain", job), w.started("calm", job), w.started("broken", job)
	one := w.process() // remembers the run from cycle to cycle
	var manifests []string
	for i := range 3 {
		w.cycle(plain, i, 1, 1, w.process)
		if i > 0 {
			change := w.change(calm, string(rune('a'+i)), "ppo.kl_coef", []string{"", "0.5", "0.25"}[i])
			require.Equal(t, i, change.Iteration)
		}
		manifests = append(manifests, w.cycle(calm, i, 1, 1, func() *activities.Activities { return one }).Manifest)
	}
	for i := range 3 {
		if i > 0 {
			w.change(broken, string(rune('a'+i)), "ppo.kl_coef", []string{"", "0.5", "0.25"}[i])
		}
		update := w.cycle(broken, i, 3, 2, w.process)
		require.Equal(t, manifests[i], update.Manifest)
		require.InDelta(t, []float64{0.01, 0.5, 0.25}[i], update.KLCoefficient, 0, "the coefficient begins anew")
	}
	for version := 1; version <= 3; version++ {
		a, err := w.store.Version(t.Context(), plain, version)
		require.NoError(t, err)
		b, err := w.store.Version(t.Context(), calm, version)
		require.NoError(t, err)
		require.Equal(t, version == 1, a.Manifest() == b.Manifest(), "version %d", version)
	}
	now, changes, err := activities.NewInspector(w.process()).Settings(t.Context(), calm, -1)
	require.NoError(t, err)
	require.InDelta(t, 0.25, now.PPO.KLCoef, 0)
	require.Len(t, changes, 2)
	require.JSONEq(t, "0.01", string(changes[0].Old))
	require.JSONEq(t, "0.5", string(changes[1].Old))
}

// Sampling reads its settings by the cycle too, and what it sampled is generated again under them.
func TestChangedTemperatureIsSampledWithAndRegenerated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.started("hot", tiny())
	w.cycle(run, 0, 1, 1, w.process)
	w.change(run, "a", "rollout.sampling.temperature", "0.3")
	w.cycle(run, 1, 2, 2, w.process)
	for iteration := range 2 {
		again, err := activities.NewInspector(w.process()).Regenerate(t.Context(), run, iteration)
		require.NoError(t, err)
		require.Equal(t, again.Stored, again.Again, "cycle %d", iteration)
	}
}

func TestChangesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.started("steady", tiny())
	for name, x := range map[string]struct{ key, value, says string }{
		"what deals the problems":      {"prompts", "8", "prompts can't change within a run; a fork of the run may have another"},
		"what shapes the policy":       {"policy.width", "64", "policy.width can't change within a run"},
		"no setting":                   {"ppo.learning_rat", "1", "ppo.learning_rat can't change"},
		"no setting below a group":     {"ppo.guard.luck", "1", `unknown field "luck"`},
		"a group":                      {"ppo.guard.", "1", "ppo.guard. can't change"},
		"a value of another kind":      {"ppo.epochs", `"many"`, "epochs"},
		"a value out of range":         {"ppo.clip_low", "2", "ppo: clip_low is 2, must be in (0, 1]"},
		"a value that it has":          {"ppo.kl_coef", "0.01", "ppo.kl_coef is 0.01 already"},
		"a value that another forbids": {"ppo.entropy_target", "1", "entropy_step"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.process().Change(t.Context(), activities.ChangeInput{
				Run: run, Request: name, Set: []activities.Setting{{Key: x.key, Value: json.RawMessage(x.value)}},
			})
			require.ErrorIs(t, err, hone.ErrInvalid)
			require.ErrorContains(t, err, x.says)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		_, err := w.process().Change(t.Context(), activities.ChangeInput{Run: run, Request: "none"})
		require.ErrorContains(t, err, "no setting is given")
	})
}

func TestEveryChangeableSettingIsOneOfTheJob(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.started("complete", tiny())
	for _, key := range activities.Changeable() {
		_, err := w.process().Change(t.Context(), activities.ChangeInput{
			Run: run, Request: key, Set: []activities.Setting{{Key: key + "no_such_field", Value: json.RawMessage(`1`)}},
		})
		require.ErrorIs(t, err, hone.ErrInvalid)
		_, err = w.process().Change(t.Context(), activities.ChangeInput{
			Run: run, Request: key, Set: []activities.Setting{{Key: key, Value: json.RawMessage(`{"no_such_field": 1}`)}},
		})
		require.ErrorIs(t, err, hone.ErrInvalid)
		if key[len(key)-1] != '.' {
			require.ErrorContains(t, err, "cannot unmarshal object", "%s is a setting, and none that has settings below it", key)
		}
	}
}

// A fork of which nothing is changed goes on as its parent does, also where a cycle reads what was sampled before the fork.
func TestForksEndInTheBytesOfTheirParent(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []activities.Algorithm{activities.AlgorithmPPO, activities.AlgorithmRejection} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			job := tiny()
			job.Cycles, job.Algorithm, job.Rejection.Window = 4, algorithm, 3
			job.PPO.CriticWarmup, job.PPO.CriticPretrain = 3, 1
			parent := w.started("parent", job)
			var manifests []string
			for i := range job.Cycles {
				manifests = append(manifests, w.cycle(parent, i, 1, 1, w.process).Manifest)
			}
			fork, err := w.process().Fork(t.Context(), activities.ForkInput{Parent: parent, Version: 2, Name: "fork"})
			require.NoError(t, err)
			require.Equal(t, 2, fork.Version)
			require.Equal(t, 2, w.prepare(w.process(), "fork", job).Version, "it is a run like any other")
			for i := 2; i < job.Cycles; i++ {
				require.Equal(t, manifests[i], w.cycle(fork.Run, i, 2, 2, w.process).Manifest, "version %d", i+1)
			}
		})
	}
}

func TestForksUnderAnotherConfiguration(t *testing.T) {
	t.Parallel()
	w := setup(t)
	job := tiny()
	parent := w.started("parent", job)
	first := w.cycle(parent, 0, 1, 1, w.process)
	w.change(parent, "a", "ppo.kl_coef", "0.5")
	fork := func(name string, restart bool, edit func(*activities.Job)) (activities.ForkOutput, error) {
		other := job
		edit(&other)
		config, err := json.Marshal(other)
		require.NoError(t, err)
		return w.process().Fork(t.Context(), activities.ForkInput{Parent: parent, Version: 1, Name: name, Config: config, Restart: restart})
	}
	out, err := fork("hot", false, func(j *activities.Job) { j.Seed, j.PPO.KLCoef = 2, 0.75 })
	require.NoError(t, err)
	head, err := w.store.Head(t.Context(), out.Run)
	require.NoError(t, err)
	require.Contains(t, string(head.State), `"beta":0.75`)
	w.cycle(out.Run, 1, 1, 1, w.process)

	out, err = fork("anew", true, func(*activities.Job) {})
	require.NoError(t, err)
	require.Zero(t, out.Version)
	anew, err := w.store.Head(t.Context(), out.Run)
	require.NoError(t, err)
	old, err := w.store.Version(t.Context(), parent, 1)
	require.NoError(t, err)
	require.Equal(t, string(old.Manifest()), first.Manifest)
	require.Equal(t, old.Weights, anew.Weights)
	require.JSONEq(t, `{"beta":0.01,"prompts":0}`, string(anew.State))
	w.cycle(out.Run, 0, 1, 1, w.process)

	_, err = fork("wide", false, func(j *activities.Job) { j.Policy.Hidden *= 2 })
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "the weights of version 1 are of")
	_, err = fork("hot", false, func(j *activities.Job) { j.Seed = 3 })
	require.ErrorContains(t, err, "run hot exists with other settings")

	inherited, err := w.process().Fork(t.Context(), activities.ForkInput{Parent: parent, Version: 1, Name: "inherited"})
	require.NoError(t, err)
	now, _, err := activities.NewInspector(w.process()).Settings(t.Context(), inherited.Run, -1)
	require.NoError(t, err)
	require.InDelta(t, 0.5, now.PPO.KLCoef, 0, "what holds in the parent's next cycle")
}

// A run that went back goes on from the older version, the same way in every process, and samples anew.
func TestARunGoesBackAndOn(t *testing.T) {
	t.Parallel()
	job := tiny()
	job.Cycles, job.Algorithm, job.Rejection.Window = 5, activities.AlgorithmRejection, 4
	var last []string
	for _, times := range []int{1, 2} {
		w := setup(t)
		run := w.started("back", job)
		for i := range 2 {
			w.cycle(run, i, 1, times, w.process)
		}
		w.sample(run, 2, 1, 1, activities.Round{}, w.process) // and never scored
		for range times {
			out, err := w.process().RollBack(t.Context(), activities.RollBackInput{Run: run, From: 2, To: 1})
			require.NoError(t, err)
			require.Equal(t, 3, out.Version)
			older, err := w.store.Version(t.Context(), run, 1)
			require.NoError(t, err)
			require.Equal(t, string(older.Manifest()), out.Manifest)
		}
		again := w.cycle(run, 3, times, times, w.process)
		old, err := w.store.LoadIteration(t.Context(), run, 1)
		require.NoError(t, err)
		fresh, err := w.store.LoadIteration(t.Context(), run, 3)
		require.NoError(t, err)
		require.Equal(t, old[0].Problem, fresh[0].Problem, "the data cursor went back too")
		require.NotEqual(t, old[0].Seed, fresh[0].Seed)
		last = append(last, again.Manifest)
	}
	require.Equal(t, last[0], last[1])
}

// A guard compares with the cycle that was learned from last: in one that the run went back in, nothing is known.
func TestGuardPassesOverCyclesThatTheRunWentBackIn(t *testing.T) {
	t.Parallel()
	w, job := setup(t), tiny()
	job.Cycles = 3
	entropies := func(name string) (alarm string, before, after float64) {
		run := w.started(name, job)
		require.Empty(t, w.cycle(run, 0, 1, 1, w.process).Alarm)
		_, err := w.process().RollBack(t.Context(), activities.RollBackInput{Run: run, From: 1, To: 0})
		require.NoError(t, err)
		w.change(run, "cold", "rollout.sampling.temperature", "0.2")
		alarm = w.cycle(run, 2, 1, 1, w.process).Alarm
		metrics, err := w.store.Metrics(t.Context(), run)
		require.NoError(t, err)
		return alarm, metrics[0]["entropy"], metrics[2]["entropy"]
	}
	alarm, before, after := entropies("unguarded")
	require.Empty(t, alarm)
	require.Less(t, after, before)
	job.PPO.Guard.EntropyFloor = (before + after) / 2
	alarm, _, _ = entropies("guarded")
	require.Contains(t, alarm, "is below guard.entropy_floor")
}

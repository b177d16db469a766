package activities_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
)

// drawers are stages in memory, which take so many more things and then no more.
type drawers struct {
	kept map[string][]byte
	left int
}

var errFull = errors.New("no room")

func (d *drawers) Load(name string) ([]byte, error) {
	content, ok := d.kept[name]
	if !ok {
		return nil, fmt.Errorf("stage %s: %w", name, hone.ErrNotFound)
	}
	return content, nil
}

func (d *drawers) Save(name string, content []byte) error {
	if d.left--; d.left < 0 {
		return errFull
	}
	d.kept[name] = content
	return nil
}

func tinyValues() activities.ValueConfig {
	c := activities.DefaultValueConfig()
	c.Problems, c.HeldOut, c.Samples, c.Budget = 5, 3, 2, 60
	c.Train.Epochs, c.Train.BatchTokens = 1, 256
	return c
}

func TestAValueModelIsMadeOfTrainingProblemsAndTheSameHoweverOftenItIsCutShort(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	run := w.prepare(a, "valued", tiny()).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	in := activities.ValueInput{Run: run, Config: tinyValues(), Stages: &drawers{kept: map[string][]byte{}, left: 99}}
	phases := map[string]bool{}
	in.Progress = func(phase, _ string) rollout.ProgressFunc {
		return func(done, total int) { phases[fmt.Sprint(phase, " ", done == total)] = true }
	}
	want, err := activities.NewInspector(a).TrainValue(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, want, 2)
	require.NotEqual(t, want[0].Model, want[1].Model)
	for _, r := range want {
		require.Positive(t, r.Generated)
		require.Positive(t, r.Stats.Steps)
		require.NotNil(t, r.Stats.After)
		require.Positive(t, r.Stats.After.Count)
	}
	require.Contains(t, phases, "learn values true")
	require.Contains(t, phases, "round 1, study held-out problems true")

	// Cut short at every stage that is kept, by a process that remembers nothing.
	d := &drawers{kept: map[string][]byte{}}
	in.Stages, in.Progress = d, nil
	for attempt := 0; ; attempt++ {
		require.Less(t, attempt, 20)
		d.left = 1
		got, err := activities.NewInspector(w.process()).TrainValue(t.Context(), in)
		if err == nil {
			require.Equal(t, want, got)
			break
		}
		require.ErrorIs(t, err, errFull)
	}
	require.Len(t, d.kept, 6, "each round's study of either kind, and what came of it")

	other := tinyValues()
	other.Seed = 2
	in.Config, in.Stages = other, &drawers{kept: map[string][]byte{}, left: 99}
	got, err := activities.NewInspector(a).TrainValue(t.Context(), in)
	require.NoError(t, err)
	require.NotEqual(t, want[1].Model, got[1].Model)

	// Problems are answered by the model.
	for _, split := range []hone.Split{hone.SplitHeldOut, hone.SplitTrain} {
		in := activities.EvaluateInput{Run: run, Split: split, Limit: 4}
		in.Mode = activities.Mode("puct+value=" + string(want[1].Model) + "@60")
		out, err := a.Evaluate(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, 4, out.Problems)
		require.LessOrEqual(t, out.Tokens, 60.0)
	}
	ask := activities.EvaluateInput{Run: run, Split: hone.SplitHeldOut, Limit: 4}
	head, err := activities.NewInspector(a).Forecasts(t.Context(), ask, "", nil)
	require.NoError(t, err)
	model, err := activities.NewInspector(a).Forecasts(t.Context(), ask, want[1].Model, nil)
	require.NoError(t, err)
	require.Equal(t, head.Trajectories, model.Trajectories)
	require.NotEqual(t, head.After, model.After, "another one is asked")
}

func TestAStudyIsOfTrainingProblemsAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.process()
	job := tiny()
	run := w.prepare(a, "studied", job).Run
	_, err := a.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	model, err := a.Model(t.Context(), run, 0, "")
	require.NoError(t, err)
	train, err := model.Task.Problems(hone.SplitTrain)
	require.NoError(t, err)
	prompts := map[string]bool{}
	for _, p := range train {
		prompts[p.Prompt] = true
	}
	all := activities.Study{Run: run, Samples: 1, Budget: 20}
	for k := range train {
		all.Problems = append(all.Problems, k)
	}
	inspect := activities.NewInspector(a)
	all.Problems = all.Problems[:60]
	got, err := inspect.Study(t.Context(), all, nil)
	require.NoError(t, err)
	require.Len(t, got, 60)
	for _, one := range got {
		for _, e := range one.Examples {
			prompt, _, _ := strings.Cut(token.Arithmetic().Decode(e.Tokens), "\n")
			require.True(t, prompts[prompt+"\n"], "%q is of a training problem", prompt)
		}
	}
	for _, at := range []int{-1, len(train)} {
		all.Problems = []int{at}
		_, err = inspect.Study(t.Context(), all, nil)
		require.ErrorIs(t, err, hone.ErrInvalid)
	}
	all.Problems, all.Model = []int{0}, blob.Digest(someModel)
	_, err = inspect.Study(t.Context(), all, nil)
	require.ErrorIs(t, err, hone.ErrNotFound)

	c := tinyValues()
	c.Problems = len(train)
	_, err = inspect.TrainValue(t.Context(), activities.ValueInput{Run: run, Config: c, Stages: &drawers{}})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, fmt.Sprintf("the run has %d training problems", len(train)))
	_, err = inspect.TrainValue(t.Context(), activities.ValueInput{Run: run, Stages: &drawers{}})
	for _, want := range []string{"rounds is 0", "problems is 0", "held_out is 0", "samples is 0", "budget is 0", "epochs is 0"} {
		require.ErrorContains(t, err, want)
	}
}

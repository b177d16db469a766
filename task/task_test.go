package task_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
)

func TestDigestTellsSetsApart(t *testing.T) {
	t.Parallel()
	a, b := hone.Problem{Task: "t", Key: "1"}, hone.Problem{Task: "t", Key: "2"}
	require.Len(t, task.Digest(nil), 64)
	seen := make(map[string]bool)
	for _, set := range [][]hone.Problem{nil, {a}, {b}, {a, b}, {b, a}, {a, a}, {{Task: "u", Key: "1"}}, {{Task: "t", Key: "12"}}} {
		require.False(t, seen[task.Digest(set)], "%v", set)
		seen[task.Digest(set)] = true
		require.Equal(t, task.Digest(set), task.Digest(set))
	}
	a.Prompt = "another"
	require.True(t, seen[task.Digest([]hone.Problem{a})], "identity is task and key")
}

func TestStepIsGoodWhenAllHolds(t *testing.T) {
	t.Parallel()
	require.True(t, task.StepCheck{Parsed: true, True: true, Legal: true}.Good())
	for _, c := range []task.StepCheck{{True: true, Legal: true}, {Parsed: true, Legal: true}, {Parsed: true, True: true}} {
		require.False(t, c.Good())
	}
}

func TestTracesReportEveryFault(t *testing.T) {
	t.Parallel()
	require.NoError(t, task.DefaultTraces().Validate())
	err := task.Traces{ProbFraction: math.NaN(), ProbNegative: 1.5, MaxResult: -1, MaxRetries: 65}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{"prob_fraction NaN", "prob_negative 1.5", "max_result -1", "max_retries 65"} {
		require.ErrorContains(t, err, want)
	}
	traces := task.DefaultTraces()
	traces.ProbFraction, traces.ProbNegative = 0.6, 0.6
	require.ErrorContains(t, traces.Validate(), "must sum to at most 1")
}

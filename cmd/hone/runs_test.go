package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
)

// What is shown of a run that went back is of the policy that it has, and not of the one that it gave up.
func TestSummaryIsOfThePolicyThatARunHas(t *testing.T) {
	t.Parallel()
	greedy := func(version int, tokens int64) storage.Evaluation {
		return storage.Evaluation{
			EvaluationKey: storage.EvaluationKey{Version: version, Split: hone.SplitHeldOut, Mode: string(activities.ModeGreedy)},
			Problems:      4, Tokens: tokens,
		}
	}
	evaluations := []storage.Evaluation{greedy(0, 10), greedy(1, 11), greedy(2, 12)}
	at := func(version, content int) runSummary {
		return summarise(storage.Progress{
			Version: version, Content: content, Iteration: content - 1, Metrics: map[string]float64{"reward": float64(content)},
		}, evaluations)
	}
	trained := at(2, 2)
	require.Nil(t, trained.WentBackTo)
	require.Equal(t, 2, trained.Last.Number)
	require.Equal(t, 2, trained.HeldOut.Version)
	back := at(3, 1)
	require.Equal(t, 1, *back.WentBackTo)
	require.Equal(t, 1, back.Last.Number)
	require.InDelta(t, 1, back.Last.Reward, 0)
	require.Equal(t, 1, back.HeldOut.Version, "version 2 was given up")
	toTheStart := at(4, 0)
	require.Nil(t, toTheStart.Last)
	require.Equal(t, 0, toTheStart.HeldOut.Version)
}

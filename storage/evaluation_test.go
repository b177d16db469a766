package storage_test

import (
	"testing"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/storagetest"
	"github.com/stretchr/testify/require"
)

func TestEvaluationIsStoredOnceWithItsAnswers(t *testing.T) {
	t.Parallel()
	s := storagetest.Open(t)
	run, _ := createRun(t, s)
	key := storage.EvaluationKey{Run: run, Version: 0, Split: hone.SplitHeldOut, Mode: "greedy", Limit: 50}
	answers := []storage.Answer{
		{Problem: hone.Problem{Task: "game24", Key: "4 5 6 10"}, Outcome: hone.OutcomeRight, Tokens: 30, Completion: "Answer: …"},
		{Problem: hone.Problem{Task: "game24", Key: "1 1 1 1"}, Outcome: hone.OutcomeWrong, Reason: "4, not 24", Tokens: 10},
		{Problem: hone.Problem{Task: "game24", Key: "1 1 1 8"}, Outcome: hone.OutcomeWrong, Reason: "11, not 24", Tokens: 10},
	}
	_, err := s.Evaluation(t.Context(), key)
	require.ErrorIs(t, err, hone.ErrNotFound)
	_, err = s.Answers(t.Context(), key)
	require.ErrorIs(t, err, hone.ErrNotFound)
	for range 2 {
		require.NoError(t, s.SaveEvaluation(t.Context(), key, answers))
	}
	require.ErrorIs(t, s.SaveEvaluation(t.Context(), key, answers[:2]), hone.ErrConflict)
	search := key
	search.Mode, search.Limit = "search", 0
	require.NoError(t, s.SaveEvaluation(t.Context(), search, nil))

	all, err := s.Evaluations(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, all, 2)
	got, err := s.Evaluation(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, all[0], got)
	require.Equal(t, map[hone.Outcome]int{hone.OutcomeRight: 1, hone.OutcomeWrong: 2}, got.Outcomes)
	require.Equal(t, 3, got.Problems)
	require.EqualValues(t, 50, got.Tokens)
	require.InDelta(t, 1.0/3, got.Accuracy(), 1e-15)
	require.Zero(t, all[1].Accuracy())
	stored, err := s.Answers(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, answers, stored)

	key.Version = 3
	require.ErrorIs(t, s.SaveEvaluation(t.Context(), key, answers), hone.ErrNotFound, "no such version")
	key.Version, answers[0].Completion = 0, "\x00"
	require.ErrorIs(t, s.SaveEvaluation(t.Context(), key, answers), hone.ErrInvalid)
}

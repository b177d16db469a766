package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

func TestAPlanThatMeasuresTestPuzzlesWantsTheirList(t *testing.T) {
	t.Parallel()
	r, err := trainFlags{preset: "game24-short"}.request()
	require.NoError(t, err)
	without := &training{config: r.fresh}
	require.ErrorIs(t, without.measurable(), hone.ErrInvalid)
	require.ErrorContains(t, without.measurable(), "--yao")
	with := &training{config: r.fresh, keep: [][]int{{4, 5, 6, 10}}}
	require.NoError(t, with.measurable())

	r, err = trainFlags{preset: "demo"}.request()
	require.NoError(t, err)
	require.NoError(t, (&training{config: r.fresh}).measurable(), "the demo measures none")
}

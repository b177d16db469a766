package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/calibration"
)

func TestReliabilityIsShown(t *testing.T) {
	t.Parallel()
	found := activities.Forecasts{Problems: 1, Trajectories: 2, After: [][]calibration.Forecast{
		{{Prob: 0.55, True: true}, {Prob: 0.55}}, {{Prob: 1, True: true}},
	}}
	c, err := newCalibrated(found)
	require.NoError(t, err)
	c.Run, c.Version, c.Split = "demo", 3, hone.SplitHeldOut
	var b strings.Builder
	c.write(&b)
	text := b.String()
	require.Contains(t, text, "demo, version 3: value head on 1 heldout problems, 2 samples")
	// (0.45^2 + 0.55^2) / 2 = 0.2525 at the beginning, and with the sure one (0.505 + 0) / 3 = 0.168 in all.
	require.Regexp(t, `0 steps +2 +0\.550 +0\.500 +0\.253 +0\.250 +-0\.010 +0\.050\n`, text)
	require.Regexp(t, `1 steps +1 +1\.000 +1\.000 +0\.000 +0\.000 +0\.000 +0\.000\n`, text)
	require.Regexp(t, `all +3 +0\.700 +0\.667 +0\.168 +0\.222 +0\.243 +0\.033\n`, text)
	require.Contains(t, text, "0.5-0.6         2   0.550   0.500  "+strings.Repeat("█", 20)+"··|"+strings.Repeat("·", 18)+"\n")
	require.Contains(t, text, "0.9-1.0         1   1.000   1.000  "+strings.Repeat("█", 40)+"|\n")
	require.Contains(t, text, "0.0-0.1         0       -       -  ")
	_, err = newCalibrated(activities.Forecasts{})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

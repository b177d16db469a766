package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// aModel is the digest of nothing that is stored.
var aModel = strings.Repeat("0f", 32)

func TestValueFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"rounds is 0":                        {"value", "train", "--rounds", "0"},
		"held_out is -1":                     {"value", "train", "--held-out", "-1"},
		"learning_rate is 0":                 {"value", "train", "--learning-rate", "0"},
		"--version -2":                       {"value", "train", "--version", "-2"},
		"without --search":                   {"eval", "--value", aModel},
		"--search and no --budget":           {"eval", "--search", "search", "--value", aModel},
		"want the digest that hone value tr": {"eval", "--search", "puct", "--budget", "9", "--value", "newest"},
	} {
		c := callHere(t, args...)
		require.Equal(t, 1, c.code, want)
		require.Contains(t, c.err, want)
	}
}

func TestAModelOfValuesIsNamedInModesAndShortInTables(t *testing.T) {
	t.Parallel()
	f := spendFlags{search: "gumbel", budget: 368, value: "blob:" + aModel}
	require.NoError(t, f.check())
	how, err := f.mode()
	require.NoError(t, err)
	require.Equal(t, activities.Mode("gumbel+value="+aModel+"@368"), how.Mode())
	said := measureName(activities.Evaluation{Split: hone.SplitHeldOut, Problems: 5, Mode: how.Mode()})
	require.Equal(t, "5 held-out puzzles, gumbel+value=0f0f0f0f0f0f@368", said)
}

func TestStagesAreKeptWhole(t *testing.T) {
	t.Parallel()
	v := valueStages(t.TempDir() + "/a/folder")
	_, err := v.Load("round-0")
	require.ErrorIs(t, err, hone.ErrNotFound)
	require.NoError(t, v.Save("round-0", []byte("one")))
	require.NoError(t, v.Save("round-0", []byte("two")))
	content, err := v.Load("round-0")
	require.NoError(t, err)
	require.Equal(t, "two", string(content))
}

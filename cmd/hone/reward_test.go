package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// preferences likes differences better than sums.
func preferences(n int) string {
	rng := hone.Rand(5)
	var b strings.Builder
	for range n {
		prompt := fmt.Sprintf("%d %d 5 6\\n", 1+rng.IntN(12), 1+rng.IntN(12))
		a, c := rng.IntN(50), rng.IntN(50)
		fmt.Fprintf(&b, `{"prompt":"%s","chosen":"%d - %d","rejected":"%d + %d","by":"somebody"}`+"\n", prompt, a, c, a, c)
	}
	return b.String()
}

// TestARewardModelIsTrainedAndAsked trains on a file of pairs and scores completions with what came of it.
func TestARewardModelIsTrainedAndAsked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pairs, model, stack := filepath.Join(dir, "pairs.jsonl"), filepath.Join(dir, "rm.safetensors"), filepath.Join(dir, "stack.yaml")
	require.NoError(t, os.WriteFile(pairs, []byte(preferences(160)), 0o600))
	c := callHere(t, "--json", "reward", "train", "--pairs", pairs, "--out", model, "--epochs", "1", "--held-out", "0.2", "--batch-pairs", "8")
	require.Zero(t, c.code, c.err)
	var m trainedModel
	require.NoError(t, json.Unmarshal([]byte(c.out), &m))
	require.Equal(t, 160, m.Stats.Pairs+m.Stats.HeldOut.Pairs)
	require.Greater(t, m.Stats.HeldOut.Pairs, 10)
	require.Greater(t, m.Stats.HeldOut.Accuracy, 0.9)

	require.NoError(t, os.WriteFile(stack, fmt.Appendf(nil, `
layers:
  - {layer: correctness, weight: 1}
  - {layer: preference, weight: 0.1, preference: {model: %s, digest: %s}}
`, m.Model, m.Digest), 0o600))
	text := `{"problem":"4 5 6 10","completion":"10 - 4"}
{"problem":"4 5 6 10","completion":"10 + 4"}
{"problem":"4 5 6 10","completion":"\u0001"}
`
	lines, c := scoreLines(t, text, "--task", "game24", "--reward", stack)
	require.Zero(t, c.code, c.err)
	reward := func(i int) (r float64) {
		require.NoError(t, json.Unmarshal(lines[i]["reward"], &r))
		return r
	}
	require.Greater(t, reward(0), reward(1))
	require.Zero(t, reward(2))
	require.Contains(t, string(lines[0]["breakdown"]), "model "+m.Digest[:12])
	again, _ := scoreLines(t, text, "--task", "game24", "--reward", stack)
	require.Equal(t, lines, again)

	wrong := strings.Repeat("0", 64)
	require.NoError(t, os.WriteFile(stack, fmt.Appendf(nil,
		"layers:\n  - {layer: preference, weight: 1, preference: {model: %s, digest: %q}}\n", m.Model, wrong), 0o600))
	_, c = scoreLines(t, text, "--task", "game24", "--reward", stack)
	require.Equal(t, 1, c.code)
	require.Contains(t, c.err, "has the digest "+m.Digest)
}

// TestInterval holds Wilson's interval against values worked by hand: of 10 of 10 the lower end is n / (n + z^2).
func TestInterval(t *testing.T) {
	t.Parallel()
	low, high := interval(1, 10)
	require.InDelta(t, 0.7224672, low, 1e-6)
	require.InDelta(t, 1, high, 1e-12)
	low, high = interval(0.5, 100)
	require.InDelta(t, 0.4038315, low, 1e-6)
	require.InDelta(t, 0.5961685, high, 1e-6)
}

func TestRewardTrainRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pairs := filepath.Join(dir, "pairs.jsonl")
	require.NoError(t, os.WriteFile(pairs, []byte("\n"+`{"prompt":"1 2\n","chosen":"1","rejected":"\u00e9"}`+"\n"), 0o600))
	for want, args := range map[string][]string{
		"--out: want a file":               {"--pairs", pairs},
		"want --pairs FILE or --run RUN":   {"--out", "x"},
		"--store: want --run":              {"--store", "--pairs", pairs},
		"no-such-dir: no such file or dir": {"--out", "no-such-dir/x", "--pairs", pairs},
		"line 2: rejected":                 {"--out", "x", "--pairs", pairs},
		"epochs is 0":                      {"--out", "x", "--pairs", pairs, "--epochs", "0"},
		"--held-out 1":                     {"--out", "x", "--pairs", pairs, "--held-out", "1"},
		`policy preset "7b"`:               {"--out", "x", "--pairs", pairs, "--preset", "7b"},
		"no-such-file: no such file or di": {"--out", "x", "--pairs", "no-such-file"},
	} {
		c := callHere(t, append([]string{"reward", "train"}, args...)...)
		require.Equal(t, 1, c.code, want)
		require.Contains(t, c.err, want)
	}
	require.NoFileExists(t, "x")
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/rewardtest"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/task/game24"
)

// scoreLines writes the text to a file, scores it and returns the lines out.
func scoreLines(t *testing.T, text string, args ...string) (lines []map[string]json.RawMessage, c called) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "samples.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	c = callHere(t, append([]string{"score", path}, args...)...)
	for line := range strings.Lines(c.out) {
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		lines = append(lines, fields)
	}
	return lines, c
}

func TestScoreGivesTheBreakdownOfTraining(t *testing.T) {
	t.Parallel()
	tk, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	rewards, err := stack.New(stack.DefaultConfig(), tk)
	require.NoError(t, err)
	p, err := tk.Problem("4 5 6 10")
	require.NoError(t, err)
	var text strings.Builder
	var want []hone.Breakdown
	for _, completion := range []string{
		"10 - 4 = 7 (left: 5 6 7)\n10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n",
		"Answer: 4 + 5 + 6 + 10 = 25\n", "", "hm",
	} {
		traj := rewardtest.Trajectory(tk, p, completion)
		var tokens []int
		for _, s := range traj.Steps {
			tokens = append(tokens, s.To-s.From)
		}
		line, err := json.Marshal(map[string]any{
			"problem": "10 6 5 4", "completion": completion, "step_tokens": tokens, "id": 1e3, "extra": []int{1},
		})
		require.NoError(t, err)
		text.Write(append(line, '\n'))
		b, err := rewards.Score(t.Context(), p, traj)
		require.NoError(t, err)
		want = append(want, b)
	}
	lines, c := scoreLines(t, text.String(), "--task", "game24")
	require.Zero(t, c.code, c.err)
	require.Len(t, lines, len(want))
	for i, line := range lines {
		wanted, err := json.Marshal(want[i])
		require.NoError(t, err)
		require.JSONEq(t, string(wanted), string(line["breakdown"]))
		require.NotContains(t, string(line["breakdown"]), "null", "a layer that says nothing has no terms")
		require.JSONEq(t, `"`+string(want[i].Outcome)+`"`, string(line["outcome"]))
		require.Equal(t, "1000", string(line["id"]))
		require.JSONEq(t, "[1]", string(line["extra"]))
	}
}

func TestScoreReportsBadLinesAndGoesOn(t *testing.T) {
	t.Parallel()
	lines, c := scoreLines(t, `{"problem":"How many?","reference":72,"completion":"48+24 = 72\n#### 72","k":1}
not json
{"problem":"How many?","completion":"#### 72"}

[1]
{"problem":"How many?","reference":"many","completion":"#### 72","k":2}
{"problem":7,"reference":"1","completion":"#### 72"}
{"problem":"How many?","reference":"72","completion":"#### 72","step_tokens":[1,2,3]}
{"problem":"How many?","reference":"72","completion":"#### 71"}`, "--task", "gsm8k")
	require.Equal(t, exitError, c.code)
	require.Contains(t, c.err, "7 of 9 lines could not be scored, the first is line 2")
	require.Len(t, lines, 9)
	for i, want := range []string{
		"", "want a JSON object", `field \"reference\" is missing`, "want a JSON object", "want a JSON object", "want a number",
		`field \"problem\" is 7`, `\"step_tokens\" has 3 numbers`, "",
	} {
		if want == "" {
			require.NotContains(t, lines[i], "error")
			require.Contains(t, lines[i], "outcome")
			continue
		}
		require.Contains(t, string(lines[i]["error"]), want, i)
		require.Equal(t, string(rune('1'+i)), string(lines[i]["line"]))
	}
	require.JSONEq(t, `"right"`, string(lines[0]["outcome"]))
	require.JSONEq(t, `"wrong"`, string(lines[8]["outcome"]))
	require.Equal(t, "2", string(lines[5]["k"]), "a bad line keeps its fields")
}

func TestScoreReadsAStack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stack.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`layers:
  - layer: correctness
    weight: 1
  - layer: expression
    name: short
    weight: 0.5
    when: right
    clip: {low: 0, high: 1}
    expression:
      formula: 2 - steps
`), 0o600))
	lines, c := scoreLines(t, `{"problem":"Which?","reference":"B","completion":"#### B"}`, "--task", "choice", "--reward", path)
	require.Zero(t, c.code, c.err)
	require.Equal(t, "1.5", string(lines[0]["reward"]))

	require.NoError(t, os.WriteFile(path, []byte("layers:\n  - layer: correctness\n    wieght: 1\n"), 0o600))
	_, c = scoreLines(t, "{}", "--task", "choice", "--reward", path)
	require.Equal(t, exitError, c.code)
	require.Contains(t, c.err, "stack.yaml:3:5: layers[0].wieght: unknown field; want one of layer, name, weight")
	_, c = scoreLines(t, "{}", "--task", "chess")
	require.Contains(t, c.err, `task "chess": want one of choice, countdown, game24`)
}

func TestScoreNormalisesOverTheSamplesOfAProblem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stack.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`wrong_may_win: true
layers:
  - {layer: correctness, weight: 2, normalise: group}
`), 0o600))
	lines, c := scoreLines(t, `{"problem":"Which?","reference":"B","completion":"#### B"}
{"problem":"Who?","reference":"B","completion":"#### B"}
{"problem":"Which?","reference":"B","completion":"#### C"}`, "--task", "choice", "--reward", path)
	require.Zero(t, c.code, c.err)
	require.Equal(t, "2.82842712474619", string(lines[0]["reward"])[:16]) // 2 over the deviation of 1 and 0, which is the root of 1/2
	require.Equal(t, "2", string(lines[1]["reward"]))
	require.Equal(t, "0", string(lines[2]["reward"]))
}

// TestScoreRunsPrograms scores programs in a shell, since every system has one, and what they took as measured elsewhere.
func TestScoreRunsPrograms(t *testing.T) {
	t.Parallel()
	rewards := filepath.Join(t.TempDir(), "stack.yaml")
	require.NoError(t, os.WriteFile(rewards, []byte(`
layers:
  - layer: codetest
    weight: 1
    codetest: {file: program, command: [sh, program], wall_seconds: 20, cpu_seconds: 2}
  - {layer: resources, weight: 0.1, resources: {wall_seconds: 100, memory_mib: 0, span: 1}}
`), 0o600))
	lines, c := scoreLines(t, `{"problem":"Add.","tests":[{"stdin":"1 2","stdout":"3"}],"completion":"`+
		"```\\nread a b; echo $((a + b))\\n```"+`"}
{"problem":"Add.","tests":[{"stdin":"1 2","stdout":"3"}],"completion":"`+"```\\necho 4\\n```"+`","wall_seconds":1}
{"problem":"Add.","tests":[{"stdin":"1 2"}],"completion":""}
{"problem":"Add.","tests":[{"stdout":"3"}],"completion":"","memory_bytes":-1}
{"problem":"Add.","completion":""}
`, "--task", "program", "--reward", rewards)
	if strings.Contains(c.out, "unavailable") {
		t.Skip("no sandbox is to be had here: ", c.out)
	}
	require.Equal(t, 1, c.code)
	require.Len(t, lines, 5)
	require.JSONEq(t, `"right"`, string(lines[0]["outcome"]))
	require.Contains(t, string(lines[0]["breakdown"]), " s, 100 are allowed")
	require.JSONEq(t, `"wrong"`, string(lines[1]["outcome"]))
	require.Contains(t, string(lines[1]["breakdown"]), "passes 0 of 1 tests; test 1 prints")
	require.Contains(t, string(lines[2]["error"]), "test 1: want either stdout or assert")
	require.Contains(t, string(lines[3]["error"]), "memory_bytes")
	require.Contains(t, string(lines[4]["error"]), "reference")
}

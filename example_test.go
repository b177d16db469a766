package hone_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/task/game24"
)

// Example is the README's: a false step, a way out of it, and what each is worth.
func Example() {
	puzzles, err := game24.New(game24.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	rewards, err := stack.New(stack.DefaultConfig(), puzzles)
	if err != nil {
		fmt.Println(err)
		return
	}
	problem, err := puzzles.Problem("4 5 6 10")
	if err != nil {
		fmt.Println(err)
		return
	}
	reasoning := hone.Trajectory{Problem: problem, Text: `10 - 4 = 7 (left: 5 6 7)
10 - 4 = 6 (left: 5 6 6)
5 * 6 = 30 (left: 6 30)
30 - 6 = 24 (left: 24)
Answer: (5 * (10 - 4)) - 6 = 24
`}
	for i, text := range puzzles.Steps(reasoning.Text) { // a policy samples many tokens a step; here each counts as one
		reasoning.Steps = append(reasoning.Steps, hone.Step{Text: text, From: i, To: i + 1})
	}
	breakdown, err := rewards.Score(context.Background(), problem, reasoning)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, layer := range breakdown.Layers {
		fmt.Printf("%s %+.4f\n", layer.Layer, layer.Total())
		for _, term := range layer.Terms {
			if term.Score != 0 {
				fmt.Printf("  step %d: %s\n", term.Step, term.Reason)
			}
		}
	}
	fmt.Printf("%s, total %.4f\n", breakdown.Outcome, breakdown.Total())
	// Output:
	// correctness +1.0000
	//   step 4: (5 * (10 - 4)) - 6 is 24 and uses numbers of 4 5 6 10, each exactly once
	// step -0.0250
	//   step 0: 10 - 4 is 6, not 7
	// efficiency -0.0016
	//   step 0: not a good step
	// right, total 0.9734
}

// TestTheREADMEShowsTheExample keeps the two from drifting apart, but for the handling of errors, which the README leaves out.
func TestTheREADMEShowsTheExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(source), "func Example() {\n")
	require.True(t, found)
	code, output, found := strings.Cut(body, "\t// Output:\n")
	require.True(t, found)
	output, _, found = strings.Cut(output, "}\n")
	require.True(t, found)
	code = strings.ReplaceAll(code, "\tif err != nil {\n\t\tfmt.Println(err)\n\t\treturn\n\t}\n", "")
	var plain strings.Builder
	for line := range strings.Lines(code) {
		plain.WriteString(strings.TrimPrefix(line, "\t"))
	}
	shown := strings.Contains(string(readme), "```go\n"+plain.String()+"```\n")
	require.True(t, shown, "README.md lacks the code:\n%s", &plain)
	var printed strings.Builder
	for line := range strings.Lines(output) {
		printed.WriteString(strings.TrimPrefix(line, "\t// "))
	}
	shown = strings.Contains(string(readme), "```\n"+printed.String()+"```\n")
	require.True(t, shown, "README.md lacks the output:\n%s", &printed)
}

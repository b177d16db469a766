package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/rollout"
)

// An answer without a line used to be shown without a word on the budget that it had run into.
func TestSolveSaysWhatBecameOfTheBudget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given solved
		want  string
	}{
		"spent on an answer": {
			solved{Budget: 200, Text: "Answer: 1 = 1\n", Work: rollout.Work{Generated: 120}}, "puct: 120 of 200 tokens were generated\n",
		},
		"too little for a step": {
			solved{Budget: 1, Work: rollout.Work{Generated: 1}},
			"puct: 1 of 1 tokens were generated, which was not enough for a step: give --budget more\n",
		},
		"without a budget": {solved{Work: rollout.Work{Generated: 120}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c.given.Mode = rollout.ModePUCT
			(&app{stdout: &out}).writeSolved(c.given)
			if c.want == "" {
				require.NotContains(t, out.String(), "tokens")
				return
			}
			require.Contains(t, out.String(), c.want)
		})
	}
}

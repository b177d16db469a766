package integer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/integer"
)

func TestExpressions(t *testing.T) {
	t.Parallel()
	tk := integer.New()
	p, err := tk.Problem("12*(3 + 4)")
	require.NoError(t, err)
	require.Equal(t, "What is 12 * (3 + 4)?\n", p.Prompt)
	again, err := tk.Problem(p.Key)
	require.NoError(t, err)
	require.Equal(t, p, again)
	require.Equal(t, hone.OutcomeRight, tk.Verify(p, "3 + 4 = 7\n12 * 7 = 84\n#### 84").Outcome)
	require.Equal(t, hone.OutcomeWrong, tk.Verify(p, "#### 40").Outcome)
	for i, c := range tk.Check(p, "3 + 4 = 7\n12 * 7 = 84\n#### 84") {
		require.True(t, c.Good(), "step %d: %s", i, c.Reason)
	}
	third, err := tk.Problem("1 / 3")
	require.NoError(t, err)
	require.Equal(t, hone.OutcomeRight, tk.Verify(third, "The answer is 2/6.").Outcome)
	require.Equal(t, hone.OutcomeWrong, tk.Verify(third, "The answer is 0.33.").Outcome)
	for _, key := range []string{"", "1 / 0", "2 ** 3", "x", "72\nWhat is x?"} {
		_, err := tk.Problem(key)
		require.ErrorIs(t, err, hone.ErrInvalid, key)
	}
}

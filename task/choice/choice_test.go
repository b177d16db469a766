package choice_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/choice"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	tk := choice.New()
	for _, c := range []struct {
		name, reference, completion string
		want                        hone.Outcome
	}{
		{"letter", "B", "#### B", hone.OutcomeRight},
		{"bracketed", "(b)", "The answer is (B).", hone.OutcomeRight},
		{"lower case", "B", "Answer: b", hone.OutcomeRight},
		{"with its text", "B", "The answer is B) Paris", hone.OutcomeRight},
		{"text with an article", "B", "The answer is B: such as A dog", hone.OutcomeRight},
		{"box", "C", `\boxed{C}`, hone.OutcomeRight},
		{"box with text", "C", `\boxed{\text{(C)}}`, hone.OutcomeRight},
		{"A first", "A", "The answer is A because it is.", hone.OutcomeRight},
		{"other", "B", "#### C", hone.OutcomeWrong},
		{"two", "B", "#### B or C", hone.OutcomeWrong},
		{"all", "B", "The answer is A, B, C, D", hone.OutcomeWrong},
		{"the first in the task's form", "B", "#### C\n#### B", hone.OutcomeWrong},
		{"no letter", "B", "The answer is Paris.", hone.OutcomeUnparsable},
		{"letter beyond", "B", "#### Z", hone.OutcomeUnparsable},
		{"none", "B", "I think B.", hone.OutcomeUnparsable},
		{"letter of another script", "B", "#### В", hone.OutcomeUnparsable}, // Cyrillic
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := tk.Pose("Which?", c.reference)
			require.NoError(t, err)
			v := tk.Verify(p, c.completion)
			require.Equal(t, c.want, v.Outcome, v.Reason)
		})
	}
	_, err := tk.Pose("Which?", "AB")
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func FuzzVerify(f *testing.F) {
	f.Add("B", "#### (B)")
	f.Add("(c)", "\\boxed{A")
	tk := choice.New()
	f.Fuzz(func(t *testing.T, reference, completion string) {
		p, err := tk.Pose("Which?", reference)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			return
		}
		require.Contains(t, []hone.Outcome{hone.OutcomeRight, hone.OutcomeWrong, hone.OutcomeUnparsable}, tk.Verify(p, completion).Outcome)
		require.Len(t, tk.Check(p, completion), len(tk.Steps(completion)))
	})
}

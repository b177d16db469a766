package rollout

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/task/game24"
)

func TestStepsOfCompletionsMapToTheirTokens(t *testing.T) {
	t.Parallel()
	vocabulary := token.Arithmetic()
	cases := map[string]struct {
		text string
		eos  bool
		want []hone.Step
	}{
		"nothing":                   {},
		"only the end":              {eos: true, want: []hone.Step{{Text: "", From: 0, To: 1}}},
		"one line":                  {text: "1 + 2 = 3\n", want: []hone.Step{{Text: "1 + 2 = 3", From: 0, To: 6}}},
		"the end joins the line":    {text: "1 + 2 = 3\n", eos: true, want: []hone.Step{{Text: "1 + 2 = 3", From: 0, To: 7}}},
		"a last line without end":   {text: "1\n2", want: []hone.Step{{Text: "1", From: 0, To: 2}, {Text: "2", From: 2, To: 3}}},
		"the end joins an open one": {text: "1\n2", eos: true, want: []hone.Step{{Text: "1", From: 0, To: 2}, {Text: "2", From: 2, To: 4}}},
		"empty lines": {text: "\n\n", eos: true, want: []hone.Step{
			{Text: "", From: 0, To: 1}, {Text: "", From: 1, To: 3},
		}},
	}
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens, err := vocabulary.Encode(c.text)
			require.NoError(t, err)
			if c.eos {
				tokens = append(tokens, vocabulary.EOS())
			}
			got, err := mapSteps(game.Steps(c.text), vocabulary, tokens)
			require.NoError(t, err)
			require.Equal(t, append([]hone.Step{}, c.want...), got)
		})
	}
	_, err = mapSteps([]string{"something else"}, vocabulary, []hone.TokenID{1})
	require.ErrorIs(t, err, hone.ErrInvalid)
}

// letters has one piece for each id of a list, so that pieces may hold line ends anywhere; it can't encode.
type letters struct {
	token.Tokenizer
	pieces []string
}

func (l letters) Piece(id hone.TokenID) string { return l.pieces[id] }

func (l letters) Decode(ids []hone.TokenID) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(l.pieces[id])
	}
	return b.String()
}

func TestStepsCoverTheTokensWithoutGaps(t *testing.T) {
	t.Parallel()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	vocabulary := token.Arithmetic()
	odd := letters{pieces: []string{"", "a", "\n", "b\n", "\nc", "d\ne", "\n\n"}}
	rapid.Check(t, func(rt *rapid.T) {
		var tokenizer token.Tokenizer = vocabulary
		size := vocabulary.Vocab()
		if rapid.Bool().Draw(rt, "odd") {
			tokenizer, size = odd, len(odd.pieces)
		}
		id := rapid.Map(rapid.IntRange(0, size-1), func(i int) hone.TokenID { return hone.TokenID(i) })
		tokens := rapid.SliceOfN(id, 0, 40).Draw(rt, "tokens")
		text := tokenizer.Decode(tokens)
		texts := game.Steps(text)
		steps, err := mapSteps(texts, tokenizer, tokens)
		require.NoError(rt, err)
		at := 0
		for i, s := range steps {
			require.Equal(rt, at, s.From)
			require.GreaterOrEqual(rt, s.To, s.From)
			at = s.To
			if len(texts) > 0 {
				require.Equal(rt, texts[i], s.Text)
			}
			if tokenizer == token.Tokenizer(vocabulary) {
				require.Equal(rt, s.Text, strings.TrimSuffix(vocabulary.Decode(tokens[s.From:s.To]), "\n"))
			}
		}
		require.Equal(rt, len(tokens), at)
		require.Len(rt, steps, max(len(texts), min(len(tokens), 1)))
	})
}

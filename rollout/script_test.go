package rollout_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task/game24"
)

// script is a policy written out by hand: what may follow each text, prompt included, and what each text is worth. It ends the
// sequence where nothing is written.
type script struct {
	tokenizer token.Tokenizer
	next      map[string][]move
	values    map[string]float32
	// context is the most tokens of a sequence, prompt included; 0 is no limit.
	context int
	// calls holds the number of requests of each call of Generate.
	calls []int
	// written counts the tokens of all calls.
	written int
}

// move is one step with its probability; the first of a text is its likeliest.
type move struct {
	step string
	prob float64
}

func (s *script) Generate(ctx context.Context, requests []decode.Request) ([]decode.Result, error) {
	s.calls = append(s.calls, len(requests))
	out := make([]decode.Result, len(requests))
	for i, r := range requests {
		out[i] = s.write(r)
		s.written += len(out[i].Tokens)
	}
	return out, ctx.Err()
}

// write continues a text token by token; it may begin within a step. Where several of the steps that may follow go on alike, the token
// has the probabilities of all of them.
func (s *script) write(r decode.Request) decode.Result {
	text, rng := s.tokenizer.Decode(r.Prompt), hone.Rand(r.Seed)
	out := decode.Result{Finish: hone.FinishLength}
	room := r.MaxTokens
	if s.context > 0 {
		room = min(room, s.context-len(r.Prompt))
	}
	for len(out.Tokens) < room {
		all := s.tokens(text)
		drawn, u := all[0], rng.Float64()
		if r.Sampling.Temperature > 0 && r.Sampling.TopK != 1 {
			for _, drawn = range all {
				if u -= math.Exp(float64(drawn.Logp)); u < 0 {
					break
				}
			}
		}
		if r.Alternatives > 0 {
			all = slices.DeleteFunc(slices.Clone(all), func(a decode.Alternative) bool { return a == drawn })
			out.Alternatives = append(out.Alternatives, all[:min(len(all), r.Alternatives)])
		}
		out.Tokens = append(out.Tokens, drawn.Token)
		out.Logp = append(out.Logp, drawn.Logp)
		out.Values = append(out.Values, s.values[text])
		if drawn.Token == s.tokenizer.EOS() {
			out.Finish = hone.FinishStop
			return out
		}
		text += s.tokenizer.Piece(drawn.Token)
		if len(r.Stop) > 0 && strings.HasSuffix(text, r.Stop[0]) {
			out.Stopped = true
			break
		}
	}
	out.Bootstrap = s.values[text]
	return out
}

// tokens are those that may follow a text, with their log-probabilities, the likeliest first.
func (s *script) tokens(text string) []decode.Alternative {
	begun := text[strings.LastIndex(text, "\n")+1:]
	moves := s.next[strings.TrimSuffix(text, begun)]
	if len(moves) == 0 && begun == "" {
		return []decode.Alternative{{Token: s.tokenizer.EOS()}}
	}
	var out []decode.Alternative
	var probs []float64
	total := 0.0
	for _, m := range moves {
		rest, ok := strings.CutPrefix(m.step, begun)
		if !ok {
			continue
		}
		ids, err := s.tokenizer.Encode(rest)
		if err != nil {
			panic(err)
		}
		total += m.prob
		at := slices.IndexFunc(out, func(a decode.Alternative) bool { return a.Token == ids[0] })
		if at < 0 {
			at = len(out)
			out, probs = append(out, decode.Alternative{Token: ids[0]}), append(probs, 0)
		}
		probs[at] += m.prob
	}
	for i, p := range probs {
		out[i].Logp = float32(math.Log(p / total))
	}
	slices.SortStableFunc(out, func(a, b decode.Alternative) int { return cmp.Compare(b.Logp, a.Logp) })
	return out
}

func (s *script) Score(ctx context.Context, sequences []decode.Sequence) ([]decode.Scores, error) {
	out := make([]decode.Scores, len(sequences))
	for i, q := range sequences {
		out[i].Logp = make([]float32, len(q.Tokens))
		out[i].Values = make([]float32, len(q.Tokens))
		for t := range q.Tokens {
			out[i].Values[t] = s.values[s.tokenizer.Decode(q.Prompt)+s.tokenizer.Decode(q.Tokens[:t])]
		}
		out[i].Bootstrap = s.values[s.tokenizer.Decode(q.Prompt)+s.tokenizer.Decode(q.Tokens)]
	}
	return out, ctx.Err()
}

// The puzzle that the script knows, and the steps it may take.
const (
	prompt = "Use 4 5 6 10 to make 24.\n"
	good1  = "10 - 4 = 6 (left: 5 6 6)\n"
	good2  = "5 * 6 = 30 (left: 6 30)\n"
	good3  = "30 - 6 = 24 (left: 24)\n"
	right  = "Answer: (5 * (10 - 4)) - 6 = 24\n"
	bad1   = "4 + 5 = 9 (left: 6 9 10)\n"
	bad2   = "6 + 9 = 15 (left: 10 15)\n"
	bad3   = "10 + 15 = 25 (left: 25)\n"
	wrong  = "Answer: (6 + (4 + 5)) + 10 = 25\n"
	untrue = "4 + 5 = 8 (left: 6 8 10)\n"
)

// misled is a policy whose likeliest line is wrong: the way that solves the puzzle is half as likely, at its first step, as the
// way that does not, and its values know nothing.
func misled() *script {
	s := &script{tokenizer: token.Arithmetic(), values: map[string]float32{}}
	line := func(first string, steps ...string) {
		text := prompt + first
		for _, step := range steps {
			s.next[text] = []move{{step, 1}}
			text += step
		}
	}
	s.next = map[string][]move{prompt: {{bad1, 0.6}, {good1, 0.3}, {untrue, 0.1}}}
	line(bad1, bad2, bad3, wrong)
	line(good1, good2, good3, right)
	return s
}

type fixture struct {
	script  *script
	task    *game24.Task
	roller  *rollout.Roller
	problem hone.Problem
}

// setup gives a roller over the misled policy.
func setup(t *testing.T, change func(*rollout.Config)) fixture {
	t.Helper()
	game, err := game24.New(game24.DefaultConfig())
	require.NoError(t, err)
	problem, err := game.Problem("4 5 6 10")
	require.NoError(t, err)
	require.Equal(t, prompt, problem.Prompt)
	cfg := rollout.DefaultConfig()
	cfg.Search.Candidates = 16 // of which the step that matters is one, but for 1 case in 200
	if change != nil {
		change(&cfg)
	}
	s := misled()
	roller, err := rollout.New(s, s.tokenizer, game, cfg)
	require.NoError(t, err)
	return fixture{script: s, task: game, roller: roller, problem: problem}
}

// judge is 1 for a right answer and 0 otherwise.
func (f fixture) judge(p hone.Problem, completion string) float64 {
	if f.task.Verify(p, completion).Outcome == hone.OutcomeRight {
		return 1
	}
	return 0
}

func (f fixture) origin() rollout.Origin {
	return rollout.Origin{Run: "run", Iteration: 3, Behaviour: 3, Seed: 7, Fingerprint: "script"}
}

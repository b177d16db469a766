package rollout

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// stepEnd is what ends a reasoning step in text.
const stepEnd = "\n"

// ending says whether a state's text goes on.
type ending int

const (
	open     ending = iota // the text ends with a whole step and more may follow
	answered               // the task says that an answer was given
	stopped                // the policy ended the sequence
	cut                    // the token limits ended it within a step, or left no room for another
)

// state is a node of the search: a problem's completion so far.
type state struct {
	// tree is the index of the problem among those searched together.
	tree   int
	tokens []hone.TokenID
	text   string
	// value is V after the last token as the policy sees it, not clamped; unknown at the root.
	value float64
	end   ending
}

// expander evaluates states: it asks the decoder for candidates of the next step. It belongs to one call of mcts.Run.
type expander struct {
	*Roller
	quests []*quest
	judge  JudgeFunc
	// evaluated hears how many states each call took in.
	evaluated func(states int)
}

// Evaluate implements [mcts.Evaluator].
func (e *expander) Evaluate(ctx context.Context, asks []mcts.Request[*state]) ([]mcts.Evaluation[*state], error) {
	out := make([]mcts.Evaluation[*state], len(asks))
	var requests []decode.Request
	var asked []int // which state the next Candidates requests are for
	for i, ask := range asks {
		s := ask.State
		if s.end != open {
			out[i] = mcts.Evaluation[*state]{Value: e.worth(s), Terminal: true}
			continue
		}
		requests = append(requests, e.candidates(s)...)
		asked = append(asked, i)
	}
	if len(requests) > 0 {
		results, err := e.generate(ctx, requests)
		if err != nil {
			return nil, err
		}
		for n, i := range asked {
			k := e.cfg.Search.Candidates
			out[i] = e.expand(asks[i].State, results[n*k:(n+1)*k])
		}
	}
	e.evaluated(len(asks))
	return out, nil
}

// candidates are the requests for the next step from a state. Their streams are named by the text so far, so that the order in
// which states are expanded changes nothing.
func (e *expander) candidates(s *state) []decode.Request {
	q, cfg := e.quests[s.tree], e.cfg.Search
	out := make([]decode.Request, cfg.Candidates)
	prompt := slices.Concat(q.prompt, s.tokens)
	for k := range out {
		sampling := cfg.Sampling
		if k == 0 {
			sampling.TopK = 1 // the likeliest, with its probability at the same temperature as the others'
		}
		out[k] = decode.Request{
			Prompt: prompt, Seed: hone.Seed(q.seed, "step", s.text, k), Sampling: sampling,
			MaxTokens: min(cfg.StepTokens, e.cfg.MaxTokens-len(s.tokens)), Stop: []string{stepEnd},
		}
	}
	return out
}

// expand turns the candidates for a state into its evaluation.
func (e *expander) expand(s *state, results []decode.Result) mcts.Evaluation[*state] {
	q := e.quests[s.tree]
	var actions []mcts.Action[*state]
	var taken [][]hone.TokenID
	var logps []float64
	for _, r := range results {
		q.generated += len(r.Tokens)
		same := func(other []hone.TokenID) bool { return slices.Equal(other, r.Tokens) }
		if len(r.Tokens) == 0 || slices.ContainsFunc(taken, same) {
			continue
		}
		taken = append(taken, r.Tokens)
		actions = append(actions, e.action(s, r))
		logps = append(logps, sum(r.Logp))
	}
	if len(actions) == 0 { // the context is full
		s.end = cut
		return mcts.Evaluation[*state]{Value: e.worth(s), Terminal: true}
	}
	// The search scales priors to sum to 1, so they may be relative to the greatest, and don't all underflow.
	greatest := slices.Max(logps)
	for i := range actions {
		actions[i].Prior = math.Exp(logps[i] - greatest)
	}
	return mcts.Evaluation[*state]{Value: e.clamp(float64(stateValue(results[0]))), Actions: actions}
}

func sum(xs []float32) float64 {
	total := 0.0
	for _, x := range xs {
		total += float64(x)
	}
	return total
}

// stateValue is V of the state that a result was generated from.
func stateValue(r decode.Result) float32 {
	if len(r.Values) > 0 {
		return r.Values[0]
	}
	return r.Bootstrap
}

// action is one candidate as a step from s, its prior still to come.
func (e *expander) action(s *state, r decode.Result) mcts.Action[*state] {
	problem := e.quests[s.tree].problem
	next := &state{tree: s.tree, tokens: slices.Concat(s.tokens, r.Tokens), value: float64(r.Bootstrap)}
	next.text = e.tokenizer.Decode(next.tokens)
	switch {
	case r.Finish == hone.FinishStop:
		next.end, next.value = stopped, float64(r.Values[len(r.Values)-1])
	case r.Stopped && e.ended(problem, next.text):
		next.end = answered
	case !r.Stopped || len(next.tokens) >= e.cfg.MaxTokens:
		next.end = cut
	}
	return mcts.Action[*state]{
		Key: stepKey(next.text[len(s.text):], next.end), Next: next,
		Masked: e.cfg.Search.Prune && !e.good(problem, next.text),
	}
}

// ended tells that the text has given an answer, right or wrong.
func (e *expander) ended(p hone.Problem, text string) bool {
	_, done := e.task.State(p, text)
	return done
}

// good tells that the last step of the text is parsed, true and allowed. A text that ends with no step after its last line end
// has stopped there, which is as good as the line was.
func (e *expander) good(p hone.Problem, text string) bool {
	checks := e.task.Check(p, text)
	return len(checks) > 0 && checks[len(checks)-1].Good()
}

// The marks of steps that ended otherwise than by a line's end: the policy stopped, or a limit cut it off.
const (
	stopMark = "␄"
	cutMark  = "…"
)

// stepKey names a step among its siblings: its text, with a mark where it ended otherwise than by a line's end.
func stepKey(step string, end ending) string {
	switch {
	case end == stopped:
		return step + stopMark
	case end == cut && !strings.HasSuffix(step, stepEnd):
		return step + cutMark
	default:
		return strings.TrimSuffix(step, stepEnd)
	}
}

// worth is what a finished text earns: the judge's word, else the value head's; a line that was cut off has no claim to the
// latter.
func (e *expander) worth(s *state) float64 {
	switch {
	case e.judge != nil:
		return e.judge(e.quests[s.tree].problem, s.text)
	case s.end == cut:
		return e.cfg.Search.ValueMin
	default:
		return e.clamp(s.value)
	}
}

// clamp keeps a value within the range of rewards; NaN stays NaN, and the search refuses it.
func (e *expander) clamp(v float64) float64 {
	return min(max(v, e.cfg.Search.ValueMin), e.cfg.Search.ValueMax)
}

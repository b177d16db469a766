package rollout

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/task"
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
	// logp is the log-probability of its tokens as the policy writes them here, in nats.
	logp float64
	end  ending
	// ahead is the likeliest continuation to its end, where it is known; far is the state there, nil where it was cut off.
	ahead *decode.Result
	far   *state
	// taken are the candidates drawn so far, and greatest the log-probability that their priors are relative to.
	taken    [][]hone.TokenID
	greatest float64
	// after is what is known of the steps after it, where nothing is written twice.
	after written
}

// expander evaluates states: it asks the decoder for candidates of the next step. It belongs to one call of mcts.Run.
type expander struct {
	*Roller
	cfg    SearchConfig
	quests []*quest
	judge  JudgeFunc
	// paths are what is remembered of states solved before; nil for nothing.
	paths *Paths
	// exhaustive is as in growth.
	exhaustive bool
	// evaluated hears how many states each call took in.
	evaluated func(states int)
}

// Evaluate implements [mcts.Evaluator].
func (e *expander) Evaluate(ctx context.Context, asks []mcts.Request[*state]) ([]mcts.Evaluation[*state], error) {
	out := make([]mcts.Evaluation[*state], len(asks))
	sharing := make([]int, len(e.quests)) // how many states of a problem share what is left of its budget
	for _, ask := range asks {
		if ask.State.end == open {
			sharing[ask.State.tree]++
		}
	}
	batch := make([]expansion, 0, len(asks))
	var requests []decode.Request
	for i, ask := range asks {
		s := ask.State
		if s.end != open {
			out[i] = mcts.Evaluation[*state]{Value: e.worth(s), Terminal: true}
			e.ended(s, out[i].Value)
			continue
		}
		x := e.expansion(s, sharing[s.tree])
		x.ask, x.from = i, len(requests)
		requests = append(requests, x.requests...)
		batch = append(batch, x)
	}
	var results []decode.Result
	if len(requests) > 0 {
		var err error
		if results, err = e.generate(ctx, requests); err != nil {
			return nil, err
		}
	}
	if err := e.recall(ctx, batch); err != nil {
		return nil, err
	}
	for _, x := range batch {
		out[x.ask] = e.expand(x, results[x.from:x.from+len(x.requests)])
	}
	for i, ask := range asks {
		q := e.quests[ask.State.tree]
		out[i].Enough = q.solved || q.left(1) == 0
	}
	e.evaluated(len(asks))
	return out, nil
}

// expansion is what is asked of the decoder for one state.
type expansion struct {
	state     *state
	ask, from int // which of the requests for evaluation, and where its requests to the decoder begin
	requests  []decode.Request
	// whole tells that the first request is the likeliest continuation to its end.
	whole bool
	// short tells that the budget left fewer tokens than may be needed, so that being cut off says nothing.
	short bool
	// recalled is a step that solved the state before, as the policy would write it, and worth what was earned from there; nil where
	// nothing is remembered.
	recalled *decode.Result
	worth    float64
}

// expansion asks for candidates of the next step from a state. Their streams are named by the text so far and by how many were drawn
// after it before, so that the order in which states are expanded changes nothing. The budget is shared among so many states.
func (e *expander) expansion(s *state, sharing int) expansion {
	q := e.quests[s.tree]
	x := expansion{state: s}
	prompt := slices.Concat(q.prompt, s.tokens)
	room := e.Roller.cfg.MaxTokens - len(s.tokens)
	step := min(e.cfg.StepTokens, room)
	first := q.drawn[s.text]
	need := 0
	for k := first; k < first+e.cfg.Candidates; k++ {
		r := decode.Request{
			Prompt: prompt, Seed: hone.Seed(q.seed, "step", s.text, k), Sampling: e.cfg.Sampling,
			MaxTokens: step, Stop: []string{stepEnd},
		}
		if k == 0 {
			if s.ahead != nil {
				continue // it is known already
			}
			r.Sampling.TopK = 1 // the likeliest, with its probability at the same temperature as the others'
			if e.cfg.Rollout > 0 {
				r.MaxTokens, r.Stop, x.whole = room, nil, true
			}
		}
		need += r.MaxTokens
		x.requests = append(x.requests, r)
	}
	if has := q.left(need*sharing) / sharing; has < need {
		x.short = true
		for i := range x.requests {
			x.requests[i].MaxTokens = x.requests[i].MaxTokens * has / need
		}
		if has < len(x.requests) { // not a token each: the rest of the budget is of no use
			x.requests, x.whole, q.spent = nil, false, true
		}
	}
	if q.drawn == nil {
		q.drawn = map[string]int{}
	}
	q.drawn[s.text] = first + e.cfg.Candidates
	return x
}

// expand turns the candidates for a state into its evaluation.
func (e *expander) expand(x expansion, results []decode.Result) mcts.Evaluation[*state] {
	s := x.state
	q := e.quests[s.tree]
	var actions []mcts.Action[*state]
	var logps []float64
	before := q.generated
	value := s.value
	if s.ahead == nil && len(results) > 0 {
		value = float64(stateValue(results[0]))
	}
	add := func(r decode.Result) *state {
		same := func(other []hone.TokenID) bool { return slices.Equal(other, r.Tokens) }
		if len(r.Tokens) == 0 || slices.ContainsFunc(s.taken, same) {
			return nil
		}
		s.taken = append(s.taken, r.Tokens)
		a := e.action(s, r)
		actions = append(actions, a)
		logps = append(logps, e.logPrior(r))
		return a.Next
	}
	drawn := len(s.taken) > 0
	for i, r := range results {
		q.generated += len(r.Tokens)
		short := x.short && r.Finish == hone.FinishLength && !r.Stopped
		switch {
		case i == 0 && x.whole:
			s.ahead = &r
			if !short {
				s.far = e.action(s, r).Next
			}
		case !short:
			add(r)
		}
	}
	if s.ahead != nil && !drawn {
		e.addAhead(s, add)
	}
	if x.recalled != nil {
		add(*x.recalled)
		q.recalled++
	}
	cost := q.generated - before
	value = e.informed(x, value)
	switch {
	case len(actions) > 0:
	case drawn || x.short:
		// Nothing new, or too few tokens left to find out: the state stays what it was.
		return mcts.Evaluation[*state]{Value: e.clamp(value), Cost: cost}
	default: // the context is full
		s.end = cut
		return mcts.Evaluation[*state]{Value: e.worth(s), Terminal: true, Cost: cost}
	}
	// The search scales priors to sum to 1, so they may be relative to the greatest, and don't all underflow.
	if !drawn {
		s.greatest = slices.Max(logps)
	}
	for i := range actions {
		actions[i].Prior = math.Exp(min(logps[i]-s.greatest, 600))
	}
	return mcts.Evaluation[*state]{Value: e.clamp(value), Actions: actions, Cost: cost}
}

// informed is a state's value with what its likeliest continuation came to, and what is remembered of it.
func (e *expander) informed(x expansion, value float64) float64 {
	if far := x.state.far; far != nil {
		worth := e.worth(far)
		e.ended(far, worth)
		value = (1-e.cfg.Rollout)*e.clamp(value) + e.cfg.Rollout*worth
	}
	if x.recalled != nil {
		value = (1-e.cfg.Cache.Share)*e.clamp(value) + e.cfg.Cache.Share*e.clamp(x.worth)
	}
	return value
}

// addAhead makes a candidate of the first step of the likeliest continuation, and hands what follows it on to the state after it.
func (e *expander) addAhead(s *state, add func(decode.Result) *state) {
	r := *s.ahead
	n := 0
	for n < len(r.Tokens) && !strings.Contains(e.tokenizer.Piece(r.Tokens[n]), stepEnd) {
		n++
	}
	if n == len(r.Tokens) { // the whole of it is one step
		if s.far != nil {
			add(r)
		}
		return
	}
	n++
	first, rest := r, r
	first.Tokens, first.Logp, first.Values = r.Tokens[:n], r.Logp[:n], r.Values[:n]
	rest.Tokens, rest.Logp, rest.Values = r.Tokens[n:], r.Logp[n:], r.Values[n:]
	if len(rest.Tokens) > 0 {
		first.Finish, first.Stopped, first.Bootstrap = hone.FinishLength, true, rest.Values[0]
	} else {
		first.Stopped = first.Finish == hone.FinishLength
	}
	if next := add(first); next != nil && len(rest.Tokens) > 0 && next.end == open {
		next.ahead, next.far = &rest, s.far
	}
}

// logPrior is the log-probability by which a candidate's prior goes.
func (e *expander) logPrior(r decode.Result) float64 {
	sum := total(r.Logp)
	if e.cfg.LengthNormalised {
		sum /= float64(len(r.Logp))
	}
	return sum
}

// total is the log-probability of tokens together.
func total(logp []float32) float64 {
	sum := 0.0
	for _, x := range logp {
		sum += float64(x)
	}
	return sum
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
	next := &state{tree: s.tree, tokens: slices.Concat(s.tokens, r.Tokens), value: float64(r.Bootstrap), logp: s.logp + total(r.Logp)}
	next.text = e.tokenizer.Decode(next.tokens)
	switch {
	case r.Finish == hone.FinishStop:
		next.end, next.value = stopped, float64(r.Values[len(r.Values)-1])
	case r.Stopped && e.answers(problem, next.text):
		next.end = answered
	case !r.Stopped || len(next.tokens) >= e.Roller.cfg.MaxTokens:
		next.end = cut
	}
	out := mcts.Action[*state]{Key: stepKey(next.text[len(s.text):], next.end), Next: next}
	if e.cfg.Prune || e.cfg.Tree.Share && next.end == open {
		check, good := e.check(problem, next.text)
		out.Masked = e.cfg.Prune && !good
		// A step that is not good leaves the task's state as it was, one that goes back repeats an earlier one, and where the answer is
		// next it speaks of the way: none of these states stands for the text that follows it.
		if e.cfg.Tree.Share && next.end == open && good && check.Kind == task.StepOperation && !check.Final {
			out.State = check.State
		}
	}
	return out
}

// answers tells that the text has given an answer, right or wrong.
func (e *expander) answers(p hone.Problem, text string) bool {
	_, done := e.task.State(p, text)
	return done
}

// check is the finding on the last step of the text, and whether it is parsed, true and allowed. A text that ends with no step after
// its last line end has stopped there, which is as good as the line was.
func (e *expander) check(p hone.Problem, text string) (last task.StepCheck, good bool) {
	checks := e.task.Check(p, text)
	if len(checks) == 0 {
		return task.StepCheck{}, false
	}
	last = checks[len(checks)-1]
	return last, last.Good()
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
		return e.cfg.ValueMin
	case e.values != nil:
		return e.clamp(e.values.Ended(s.value, s.logp))
	default:
		return e.clamp(s.value)
	}
}

// ended keeps the ended text of the most worth, the first of equals, for a problem with a budget.
func (e *expander) ended(s *state, worth float64) {
	q := e.quests[s.tree]
	if q.budget == 0 || s.end == cut || q.best != nil && worth <= q.worth {
		return
	}
	q.best, q.worth = s, worth
	q.solved = e.judge != nil && !e.exhaustive && worth >= e.cfg.ValueMax
}

// clamp keeps a value within the range of rewards; NaN stays NaN, and the search refuses it.
func (e *expander) clamp(v float64) float64 {
	return min(max(v, e.cfg.ValueMin), e.cfg.ValueMax)
}

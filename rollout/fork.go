package rollout

import (
	"cmp"
	"context"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
)

// alternatives is the number of tokens that may be gone on from instead of the likeliest, at each position.
const alternatives = 8

// leastFork is the least log-probability, within its step, of a fork that is kept.
const leastFork = -16

// forker evaluates states for searches that write nothing twice. A state's first evaluation writes the likeliest line from there to
// its end, or to a state that was written before. Asked for more, it goes to the likeliest token, over all positions of the steps
// written after the state, that was not taken, and writes from there to the step's end. So steps come one by one, each a new one,
// about in the order of their probabilities, and what two of them begin with is written once.
type forker struct{ *expander }

// Evaluate implements [mcts.Evaluator]. What a tree's states cost together is said of the first of them.
func (e *forker) Evaluate(ctx context.Context, asks []mcts.Request[*state]) ([]mcts.Evaluation[*state], error) {
	before := make([]int, len(e.quests))
	for i, q := range e.quests {
		before[i] = q.generated
	}
	var lanes []*lane
	for _, ask := range asks {
		switch s := ask.State; {
		case s.end != open || ask.Known == 0 && len(s.after.steps) > 0: // all is known
		case ask.Known == 0:
			lanes = append(lanes, &lane{at: s, line: []*state{s}})
		default:
			lanes = append(lanes, forks(s, 1)...)
		}
	}
	if err := e.write(ctx, lanes); err != nil {
		return nil, err
	}
	if err := e.write(ctx, e.more(asks)); err != nil {
		return nil, err
	}
	out := make([]mcts.Evaluation[*state], len(asks))
	for i, ask := range asks {
		out[i] = e.evaluation(ask.State)
		out[i].Cost = e.quests[ask.State.tree].generated - before[ask.State.tree]
		before[ask.State.tree] += out[i].Cost
	}
	for i, ask := range asks { // now that all ends are known
		q := e.quests[ask.State.tree]
		out[i].Enough = q.solved || q.left(1) == 0
	}
	e.evaluated(len(asks))
	return out, nil
}

// more are the further steps of roots that have to have all that they try at once.
func (e *forker) more(asks []mcts.Request[*state]) []*lane {
	var out []*lane
	for _, ask := range asks {
		if s := ask.State; e.cfg.Tree.Selection == mcts.SelectGumbel && len(s.tokens) == 0 && ask.Known == 0 && s.end == open {
			out = append(out, forks(s, e.cfg.Candidates-1)...)
		}
	}
	return out
}

// evaluation is what is known of a state, with the steps that the search wasn't told of yet.
func (e *forker) evaluation(s *state) mcts.Evaluation[*state] {
	if s.end != open {
		worth := e.worth(s)
		e.ended(s, worth)
		return mcts.Evaluation[*state]{Value: worth, Terminal: true}
	}
	out := mcts.Evaluation[*state]{Value: e.clamp(s.value), Actions: s.after.steps}
	if s.far != nil {
		out.Value = (1-e.cfg.Rollout)*out.Value + e.cfg.Rollout*e.worth(s.far)
	}
	s.after.steps = nil
	if n := len(s.after.forks); n > 0 {
		out.Offer = e.cfg.prior(s.after.forks[n-1].logp)
	}
	return out
}

// written is what is known of the steps after a state.
type written struct {
	// steps are those that the search wasn't told of yet.
	steps []mcts.Action[*state]
	// forks are those not taken, the likeliest last; of equals the one known first.
	forks []fork
}

// fork is a step written up to a token that was not taken.
type fork struct {
	before []hone.TokenID
	token  hone.TokenID
	logp   float64 // of all its tokens
	value  float32 // V before the token
}

// tokens are the fork's.
func (f *fork) tokens() []hone.TokenID { return append(slices.Clip(f.before), f.token) }

// add keeps a fork in order, unless its step is too unlikely ever to be written.
func (w *written) add(f fork) {
	if !(f.logp >= leastFork) {
		return
	}
	at, _ := slices.BinarySearchFunc(w.forks, f.logp, func(g fork, logp float64) int { return cmp.Compare(g.logp, logp) })
	w.forks = slices.Insert(w.forks, at, f)
}

// forks takes the likeliest forks of a state, as lanes that write them.
func forks(s *state, count int) []*lane {
	var out []*lane
	for range min(count, len(s.after.forks)) {
		last := len(s.after.forks) - 1
		out = append(out, &lane{at: s, fork: &s.after.forks[last]})
		s.after.forks = s.after.forks[:last:last]
	}
	return out
}

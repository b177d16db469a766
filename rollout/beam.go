package rollout

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/hone-rl/hone/mcts"
)

// round is one pass over a problem, step by step from its prompt.
type round struct {
	quest *quest
	tree  int
	// width is how many states are kept after each step.
	width int
	// front are the states to go on from: a beam's in the order of their values, and those that a lookahead chooses from.
	front []*state
	// before is what had been generated when the pass began.
	before int
}

// maxWidth bounds a beam: more states than this hold no others than those of a budget that nobody has.
const maxWidth = 1 << 12

// spendOnRounds goes over each problem again and again, by beam search or by lookahead, until its budget is spent; further passes
// draw further candidates, and a beam is twice as wide as the last. Passes of all problems advance together.
//
// A beam keeps the states that the value head thinks most of (Yao et al. 2023, arXiv:2305.10601, algorithm 2, with a learned value).
// A lookahead goes on from one, the one whose best next state it thinks most of.
func (r *Roller) spendOnRounds(ctx context.Context, quests []*quest, in EvaluateInput) ([]grown, error) {
	cfg := r.cfg.Search
	cfg.Rollout = 0
	e := &expander{Roller: r, cfg: cfg, quests: quests, judge: in.Judge, evaluated: func(int) {
		in.Progress(spent(quests, in.Budget), 0)
	}}
	rounds := make([]*round, len(quests))
	for i, q := range quests {
		rounds[i] = &round{quest: q, tree: i, width: 1, front: []*state{{tree: i}}}
	}
	for {
		var asks []mcts.Request[*state]
		for i, one := range rounds {
			if one.quest.solved || one.quest.left(1) == 0 {
				one.front = nil
			}
			for _, s := range one.front {
				asks = append(asks, mcts.Request[*state]{State: s, Tree: i})
			}
		}
		if len(asks) == 0 {
			break
		}
		answers, err := e.Evaluate(ctx, asks)
		if err != nil {
			return nil, err
		}
		for _, one := range rounds {
			if n := len(one.front); n > 0 {
				e.advance(one, asks[:n], answers[:n], in.Mode)
				asks, answers = asks[n:], answers[n:]
			}
		}
	}
	ends := make([]*state, len(quests))
	for i, q := range quests {
		if ends[i] = q.best; ends[i] == nil {
			ends[i] = &state{tree: i}
		}
	}
	return r.finish(ctx, quests, ends)
}

// advance takes a pass one step on, with what was said of its front.
func (e *expander) advance(o *round, asks []mcts.Request[*state], answers []mcts.Evaluation[*state], mode Mode) {
	if mode == ModeLookahead {
		e.look(o, asks, answers)
	} else {
		e.keep(o, nextStates(answers))
	}
	if len(o.front) == 0 {
		o.restart()
	}
}

// restart begins the next pass. Where a pass wrote nothing there is nothing to find out.
func (o *round) restart() {
	q := o.quest
	q.spent = q.spent || q.generated == o.before
	o.front, o.before, o.width = []*state{{tree: o.tree}}, q.generated, min(2*o.width, maxWidth)
}

// nextStates are where all actions lead.
func nextStates(answers []mcts.Evaluation[*state]) []*state {
	var out []*state
	for _, a := range answers {
		for _, action := range a.Actions {
			if !action.Masked {
				out = append(out, action.Next)
			}
		}
	}
	return out
}

// keep makes the best open states of next the front, and keeps what ended.
func (e *expander) keep(o *round, next []*state) {
	o.front = o.front[:0]
	for _, s := range next {
		if s.end == open {
			o.front = append(o.front, s)
		} else {
			e.ended(s, e.worth(s))
		}
	}
	slices.SortStableFunc(o.front, func(a, b *state) int { return cmp.Compare(b.value, a.value) })
	o.front = o.front[:min(o.width, len(o.front))]
}

// look takes a lookahead on: from the states that could come next it chooses the one whose own best next state is worth most, and
// goes on to those. The first time it has nothing to choose from yet.
func (e *expander) look(o *round, asks []mcts.Request[*state], answers []mcts.Evaluation[*state]) {
	chosen := answers
	if asks[0].State.text != "" {
		best, most := 0, math.Inf(-1)
		for i := range answers {
			for _, after := range nextStates(answers[i : i+1]) {
				value := e.clamp(after.value)
				if after.end != open {
					value = e.worth(after)
					e.ended(after, value)
				}
				if value > most {
					best, most = i, value
				}
			}
		}
		chosen = answers[best : best+1]
	}
	o.front = nil
	for _, s := range nextStates(chosen) {
		if s.end == open {
			o.front = append(o.front, s)
		} else {
			e.ended(s, e.worth(s))
		}
	}
}

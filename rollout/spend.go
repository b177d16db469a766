package rollout

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// Spending is the ways to spend a budget of generated tokens on a problem, in the order in which a table shows them.
func Spending() []Mode {
	return []Mode{ModeBestOf, ModeMajority, ModeBeam, ModeLookahead, ModePUCT, ModeGumbel}
}

// rolloutShare is the share of the likeliest continuation's end in a state's value where a search with a budget says none itself.
const rolloutShare = 1

// knownSimulations bounds the simulations of a search by its budget: most of them end where all is known, and cost no token. They are what
// makes likelier branches wait until the others' turn has come.
const knownSimulations = 16

// spendingTemperature is the temperature of priors where a search with a budget says none itself. See doc/adr/0109.
const spendingTemperature = 8

// usualStep is a guess at the tokens of a step, by which the Gumbel search lays out its halving: a line of Game of 24 takes 10 to 20.
const usualStep = 16

// spend answers quests with at most budget generated tokens each. All ways count alike: every token that the decoder writes for a
// problem, also those of candidates that are dropped. With a judge a problem is done as soon as nothing better can be found; the
// majority asks no judge.
func (r *Roller) spend(ctx context.Context, quests []*quest, in EvaluateInput) ([]grown, error) {
	if in.Budget < 1 {
		return nil, fmt.Errorf("mode %q with a budget of %d tokens: want at least 1: %w", in.Mode, in.Budget, hone.ErrInvalid)
	}
	for _, q := range quests {
		q.budget = in.Budget
	}
	var way func(context.Context, []*quest, EvaluateInput) ([]grown, error)
	switch in.Mode {
	case ModeBestOf, ModeMajority:
		way = r.spendOnSamples
	case ModeBeam, ModeLookahead:
		way = r.spendOnRounds
	case ModePUCT, ModeGumbel:
		return r.grow(ctx, quests, growth{search: r.budgeted(in), judge: in.Judge, progress: in.Progress})
	default:
		return nil, fmt.Errorf("mode %q: want %q, %q or one of %q: %w", in.Mode, ModeGreedy, ModeSearch, Spending(), hone.ErrInvalid)
	}
	size := max(r.cfg.Batch/r.cfg.Search.Candidates, 1)
	total, all := len(quests)*in.Budget, in.Progress
	out := make([]grown, 0, len(quests))
	for lo := 0; lo < len(quests); lo += size {
		batch := quests[lo:min(lo+size, len(quests))]
		in.Progress = func(done, _ int) { all.report(lo*in.Budget+done, total) }
		done, err := way(ctx, batch, in)
		if err != nil {
			return nil, err
		}
		out = append(out, done...)
	}
	all.report(total, total)
	return out, nil
}

// budgeted is the configured search as it spends a budget: states are shared, steps are written as selection asks for them, the likeliest
// continuation counts in a state's value, and priors are flattened.
func (r *Roller) budgeted(in EvaluateInput) SearchConfig {
	c := r.cfg.Search
	if c.Rollout == 0 {
		c.Rollout = rolloutShare
	}
	if c.PriorTemperature == 0 {
		c.PriorTemperature = spendingTemperature
	}
	tree := &c.Tree
	tree.Budget, tree.Simulations, tree.NoiseFraction = in.Budget, knownSimulations*in.Budget, 0
	tree.Share = !in.Unshared
	if in.Leaves > 0 {
		tree.Leaves = in.Leaves
	}
	c.Forks, c.LengthNormalised = true, false
	tree.Offers, tree.Close, tree.Widen.Factor = true, true, 0
	tree.Selection = mcts.SelectPUCT
	if in.Mode == ModeGumbel {
		tree.Selection = mcts.SelectGumbel
		tree.Gumbel.Scale = 0
		tree.Gumbel.Plan = max(in.Budget/(c.Candidates*usualStep), 1)
	}
	return c
}

// vote is a class of answers.
type vote struct {
	class string
	count int
	first *state
}

// spendOnSamples draws whole completions, the first of each problem greedily, until the budget is spent.
func (r *Roller) spendOnSamples(ctx context.Context, quests []*quest, in EvaluateInput) ([]grown, error) {
	e := &expander{Roller: r, cfg: r.cfg.Search, quests: quests, judge: in.Judge}
	if in.Mode == ModeMajority {
		e.judge = nil
	}
	votes := make([][]vote, len(quests))
	for {
		var requests []decode.Request
		var asked []int
		for i, q := range quests {
			for _, request := range r.whole(q, len(quests)) {
				requests, asked = append(requests, request), append(asked, i)
			}
		}
		if len(requests) == 0 {
			break
		}
		results, err := r.generate(ctx, requests)
		if err != nil {
			return nil, err
		}
		for n, i := range asked {
			q := quests[i]
			q.generated += len(results[n].Tokens)
			if len(results[n].Tokens) == 0 {
				q.spent = true // the prompt fills the context
				continue
			}
			s := e.action(&state{tree: i}, results[n]).Next
			e.ended(s, e.worth(s))
			votes[i] = cast(votes[i], r.class(q.problem, s), s)
		}
		in.Progress(spent(quests, in.Budget), 0)
	}
	ends := make([]*state, len(quests))
	for i, q := range quests {
		ends[i] = q.best
		if in.Mode == ModeMajority {
			ends[i] = winner(votes[i], q.best)
		}
		if ends[i] == nil {
			ends[i] = &state{tree: i}
		}
	}
	return r.finish(ctx, quests, ends)
}

// whole asks for further completions of a problem, one of so many: as many as surely fit its budget, or one that may be cut off. The
// first is greedy.
func (r *Roller) whole(q *quest, problems int) []decode.Request {
	left := q.left(math.MaxInt)
	if left == 0 || q.solved {
		return nil
	}
	if q.drawn == nil {
		q.drawn = map[string]int{}
	}
	out := make([]decode.Request, min(max(left/r.cfg.MaxTokens, 1), max(r.cfg.Batch/problems, 1)))
	for i := range out {
		k := q.drawn[""]
		out[i] = decode.Request{
			Prompt: q.prompt, Seed: hone.Seed(q.seed, "whole", k), MaxTokens: min(r.cfg.MaxTokens, left), Sampling: r.cfg.Sampling,
		}
		if k == 0 {
			out[i].Sampling = decode.Sampling{}
		}
		q.drawn[""] = k + 1
	}
	return out
}

// winner is the first text of the class with the most votes, the first of equals; otherwise where there is none.
func winner(votes []vote, otherwise *state) *state {
	most := 0
	for _, v := range votes {
		if v.count > most {
			most, otherwise = v.count, v.first
		}
	}
	return otherwise
}

// class is what an ended text's vote is for: the state in which it gave its answer. One that gave none votes for nothing.
func (r *Roller) class(p hone.Problem, s *state) string {
	if at, done := r.task.State(p, s.text); done && s.end != cut {
		return at
	}
	return ""
}

// cast adds a vote; of classes with equal votes the first cast stays before.
func cast(votes []vote, class string, s *state) []vote {
	if class == "" {
		return votes
	}
	if i := slices.IndexFunc(votes, func(v vote) bool { return v.class == class }); i >= 0 {
		votes[i].count++
		return votes
	}
	return append(votes, vote{class: class, count: 1, first: s})
}

// spent is what quests used of their budgets.
func spent(quests []*quest, budget int) int {
	n := 0
	for _, q := range quests {
		n += min(q.generated, budget)
	}
	return n
}

package rollout

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/task"
)

// quest is one problem being searched.
type quest struct {
	problem hone.Problem
	prompt  []hone.TokenID
	sample  int
	seed    uint64
	// generated counts the tokens that the decoder wrote for it, those of dropped candidates included.
	generated int
	// recalled counts the states at which a remembered step was among the candidates.
	recalled int
	// budget is the most tokens that may be generated for it; 0 is no bound.
	budget int
	// spent tells that what is left of the budget is of no use.
	spent bool
	// drawn counts the candidates drawn after each text, so that further ones have streams of their own.
	drawn map[string]int
	// best is the ended text of the most worth that was come to, where texts are kept at all (see spend); nil before the first.
	best  *state
	worth float64
	// solved tells that a judge could find nothing better than best.
	solved bool
	// states are those written by name, each as it was first come to, and longest is the tokens of the longest step, where nothing is
	// written twice.
	states  map[string]*state
	longest int
}

// left is the number of tokens that may still be generated, at most enough.
func (q *quest) left(enough int) int {
	switch {
	case q.spent:
		return 0
	case q.budget == 0:
		return enough
	}
	return min(max(q.budget-q.generated, 0), enough)
}

// growth is how quests are searched.
type growth struct {
	search SearchConfig
	judge  JudgeFunc
	paths  *Paths
	// exhaustive goes on where nothing better can be found.
	exhaustive bool
	progress   ProgressFunc
}

// grown is a quest that was searched, and its best line.
type grown struct {
	*quest
	tree   *mcts.Tree[*state]
	tokens []hone.TokenID
	finish hone.Finish
}

func (g grown) work() Work {
	if g.tree == nil {
		return Work{Generated: g.generated}
	}
	stats := g.tree.Stats()
	return Work{
		Simulations: stats.Simulations, Evaluations: stats.Evaluations, Joined: stats.Joined, Recalled: g.recalled, Generated: g.generated,
	}
}

// grow searches the quests, as many together as fit a batch of the decoder.
func (r *Roller) grow(ctx context.Context, quests []*quest, how growth) ([]grown, error) {
	for _, q := range quests {
		q.budget = how.search.Tree.Budget
	}
	size := max(r.cfg.Batch/r.cfg.Search.Candidates, 1)
	each := how.search.Tree.Simulations + 1 // simulations, or tokens where there is a budget
	if how.search.Tree.Budget > 0 {
		each = how.search.Tree.Budget
	}
	out := make([]grown, 0, len(quests))
	for lo := 0; lo < len(quests); lo += size {
		batch := quests[lo:min(lo+size, len(quests))]
		done := lo * each
		e := &expander{Roller: r, cfg: how.search, quests: batch, judge: how.judge, paths: how.paths, exhaustive: how.exhaustive}
		e.evaluated = func(states int) {
			done += states
			if how.search.Tree.Budget > 0 {
				how.progress.report(lo*each+spent(batch, each), len(quests)*each)
				return
			}
			how.progress.report(done, len(quests)*each)
		}
		var by mcts.Evaluator[*state] = e
		if how.search.Forks {
			by = &forker{expander: e}
		}
		trees, err := mcts.Run(ctx, by, roots(r.task, batch), how.search.Tree)
		if err != nil {
			return nil, err
		}
		lines, err := r.lines(ctx, e, trees)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	if len(quests) > 0 {
		how.progress.report(len(quests)*each, len(quests)*each)
	}
	return out, nil
}

// Noise is the generator of a search's noise, by the seed of the trajectory that was made of it.
func Noise(seed uint64) *rand.Rand { return hone.Rand(hone.Seed(seed, "noise")) }

func roots(t task.Task, quests []*quest) []mcts.Root[*state] {
	out := make([]mcts.Root[*state], len(quests))
	for i, q := range quests {
		name, _ := t.State(q.problem, "")
		out[i] = mcts.Root[*state]{State: &state{tree: i}, Name: name, Rng: Noise(q.seed)}
	}
	return out
}

// lines takes the best line of each tree to its end, or the best text that was come to.
func (r *Roller) lines(ctx context.Context, e *expander, trees []*mcts.Tree[*state]) ([]grown, error) {
	quests, told := e.quests, e.judge != nil || r.values != nil
	ends := make([]*state, len(quests))
	for i, q := range quests {
		s := end(trees[i], told)
		if q.best != nil && (s.end == open || s.end == cut || told && q.worth > e.worth(s)) {
			s = q.best
		}
		if s.end == open && s.far != nil {
			s = s.far // the likeliest continuation, which is known
		}
		ends[i] = s
	}
	out, err := r.finish(ctx, quests, ends)
	for i := range out {
		out[i].tree = trees[i]
	}
	return out, err
}

// finish takes texts to their end, one for each quest: an answer gets the end of the sequence, and a text left open is completed
// greedily, all of them in one call.
func (r *Roller) finish(ctx context.Context, quests []*quest, ends []*state) ([]grown, error) {
	out := make([]grown, len(quests))
	var requests []decode.Request
	var asked []int
	for i, q := range quests {
		s := ends[i]
		out[i] = grown{quest: q, tokens: s.tokens, finish: hone.FinishLength}
		switch {
		case s.end == stopped:
			out[i].finish = hone.FinishStop
		case s.end == answered && len(s.tokens) < r.cfg.MaxTokens:
			out[i].tokens = append(slices.Clone(s.tokens), r.tokenizer.EOS())
			out[i].finish = hone.FinishStop
		case s.end == open:
			asked = append(asked, i)
			requests = append(requests, decode.Request{
				Prompt: slices.Concat(q.prompt, s.tokens), Seed: hone.Seed(q.seed, "complete"),
				MaxTokens: q.left(r.cfg.MaxTokens - len(s.tokens)),
			})
		}
	}
	if len(requests) == 0 {
		return out, nil
	}
	results, err := r.generate(ctx, requests)
	if err != nil {
		return nil, err
	}
	for n, i := range asked {
		g := &out[i]
		g.generated += len(results[n].Tokens)
		g.tokens = slices.Concat(g.tokens, results[n].Tokens)
		g.finish = results[n].Finish
	}
	return out, nil
}

// end is the state that a tree's recommended line leads to. That is the end of the most visited line, unless a judge, or a model of values,
// found an ended state better than the search takes that end to be.
func end(tree *mcts.Tree[*state], told bool) *state {
	last := 0
	if line := tree.Best(); len(line) > 0 {
		last = line[len(line)-1]
	}
	if told {
		n := tree.Node(last)
		if best, ok := bestEnded(tree); ok && best.Raw > n.ValueSum/float64(n.Visits) {
			last = best.Node
		}
	}
	return tree.State(last)
}

// bestEnded is the visited terminal node of the highest value; of equals the most visited, then the first.
func bestEnded(tree *mcts.Tree[*state]) (best mcts.Node, ok bool) {
	for _, n := range tree.Nodes() {
		if n.Terminal && (!ok || n.Raw > best.Raw || n.Raw == best.Raw && n.Visits > best.Visits) {
			best, ok = n, true
		}
	}
	return best, ok
}

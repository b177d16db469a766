package rollout

import (
	"context"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// quest is one problem being searched.
type quest struct {
	problem hone.Problem
	prompt  []hone.TokenID
	sample  int
	seed    uint64
	// generated counts the tokens that the decoder wrote for it, those of dropped candidates included.
	generated int
}

// growth is how quests are searched.
type growth struct {
	tree     mcts.Config
	judge    JudgeFunc
	progress ProgressFunc
}

// grown is a quest that was searched, and its best line.
type grown struct {
	*quest
	tree   *mcts.Tree[*state]
	tokens []hone.TokenID
	finish hone.Finish
}

func (g grown) work() Work {
	stats := g.tree.Stats()
	return Work{Simulations: stats.Simulations, Evaluations: stats.Evaluations, Generated: g.generated}
}

// grow searches the quests, as many together as fit a batch of the decoder.
func (r *Roller) grow(ctx context.Context, quests []*quest, how growth) ([]grown, error) {
	size := max(r.cfg.Batch/r.cfg.Search.Candidates, 1)
	each := how.tree.Simulations + 1
	out := make([]grown, 0, len(quests))
	for lo := 0; lo < len(quests); lo += size {
		batch := quests[lo:min(lo+size, len(quests))]
		done := lo * each
		e := &expander{Roller: r, quests: batch, judge: how.judge, evaluated: func(states int) {
			done += states
			how.progress.report(done, len(quests)*each)
		}}
		trees, err := mcts.Run(ctx, e, roots(batch), how.tree)
		if err != nil {
			return nil, err
		}
		lines, err := r.lines(ctx, batch, trees, how.judge != nil)
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

func roots(quests []*quest) []mcts.Root[*state] {
	out := make([]mcts.Root[*state], len(quests))
	for i, q := range quests {
		out[i] = mcts.Root[*state]{State: &state{tree: i}, Rng: hone.Rand(hone.Seed(q.seed, "noise"))}
	}
	return out
}

// lines takes the best line of each tree to its end: an answer gets the end of the sequence, and a line left open is completed
// greedily, all of them in one call.
func (r *Roller) lines(ctx context.Context, quests []*quest, trees []*mcts.Tree[*state], judged bool) ([]grown, error) {
	out := make([]grown, len(quests))
	var requests []decode.Request
	var asked []int
	for i, q := range quests {
		s := end(trees[i], judged)
		out[i] = grown{quest: q, tree: trees[i], tokens: s.tokens, finish: hone.FinishLength}
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
				MaxTokens: r.cfg.MaxTokens - len(s.tokens),
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

// end is the state that a tree's recommended line leads to. That is the end of the most visited line, unless a judge found an
// ended state better than the search takes that end to be.
func end(tree *mcts.Tree[*state], judged bool) *state {
	last := 0
	if line := tree.Best(); len(line) > 0 {
		last = line[len(line)-1]
	}
	if judged {
		n := tree.Node(last)
		if best, ok := bestEnded(tree); ok && best.Raw > n.ValueSum/float64(n.Visits) {
			last = best.Node
		}
	}
	return tree.State(last)
}

// bestEnded is the visited terminal node of the highest value; of equals the most visited, then the first.
func bestEnded(tree *mcts.Tree[*state]) (best mcts.Node, ok bool) {
	for i := range tree.Len() {
		n := tree.Node(i)
		if n.Terminal && (!ok || n.Raw > best.Raw || n.Raw == best.Raw && n.Visits > best.Visits) {
			best, ok = n, true
		}
	}
	return best, ok
}

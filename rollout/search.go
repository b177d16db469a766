package rollout

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// JudgeFunc is the reward of a completion that has ended, in [SearchConfig.ValueMin, SearchConfig.ValueMax]. It must be a pure
// function: the search asks once for each ended text that it reaches. The completion is without the end-of-sequence token, and
// may have been cut off.
type JudgeFunc func(p hone.Problem, completion string) float64

// SearchInput asks for trajectories by search.
type SearchInput struct {
	Origin
	Slots []Slot
	// Judge says what ended texts are worth; nil leaves that to the value head, and the search sees nothing but the policy.
	Judge JudgeFunc
	// Paths are what is remembered of states solved before; nil for nothing.
	Paths *Paths
	// Progress counts simulations; those that end in a state known already are counted at the end.
	Progress ProgressFunc
}

// Work is what a search cost.
type Work struct {
	// Simulations, Evaluations and Joined are as in [mcts.Stats].
	Simulations int `json:"simulations"`
	Evaluations int `json:"evaluations"`
	Joined      int `json:"joined"`
	// Recalled is the number of states at which a remembered step was among the candidates.
	Recalled int `json:"recalled,omitempty"`
	// Generated is the number of tokens that the decoder wrote: all candidates, also those dropped or never followed, and the
	// greedy end of a line that the tree left open.
	Generated int `json:"generated"`
}

// Found is what one search leaves.
type Found struct {
	// Trajectory is the best line, of [hone.SourceSearch]. Its log-probabilities and values are the policy's at temperature 1.
	Trajectory hone.Trajectory
	// Tree is every node by index, those never visited included. An action is the step's text without its line end; "␄" marks
	// one that ended the sequence and "…" one that was cut off.
	Tree []mcts.Node
	Work Work
}

// Search grows a tree for each slot and returns its best line, in the order of slots; ID.Sample is Index*Group, so searched slots
// need indices that sampled ones don't use. The tree's stream is hone.Seed(run seed, "search", iteration, problem id, ID.Sample).
//
// The best line follows the most visited steps. With a judge, a line that ended in a visited state that the judge found better
// goes before it. A line that ends in the middle of the problem is completed by greedy decoding; one that ends with an answer
// gets the end-of-sequence token, which the search does not spend a simulation on. Prompt and Config.MaxTokens together must fit
// the policy's context. Errors are as in [Roller.Sample]; a judge or a value head that gives NaN is [hone.ErrNonFinite].
func (r *Roller) Search(ctx context.Context, in SearchInput) ([]Found, error) {
	quests, err := r.quests(in.Origin, in.Slots)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	grown, err := r.grow(ctx, quests, growth{search: r.cfg.Search, judge: in.Judge, paths: in.Paths, progress: in.Progress})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	out := make([]Found, len(grown))
	for i, g := range grown {
		out[i] = Found{Tree: g.tree.Nodes(), Work: g.work()}
	}
	trajectories, err := r.searched(ctx, in.Origin, grown)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	for i, t := range trajectories {
		out[i].Trajectory = t
	}
	return out, nil
}

// quests names the streams of the slots' trees.
func (r *Roller) quests(o Origin, slots []Slot) ([]*quest, error) {
	prompts, err := r.prompts(slots)
	if err != nil {
		return nil, err
	}
	out := make([]*quest, len(slots))
	for i, s := range slots {
		sample := s.Index * r.cfg.Group
		out[i] = &quest{
			problem: s.Problem, prompt: prompts[i], sample: sample,
			seed: hone.Seed(o.Seed, "search", o.Iteration, s.Problem.ID(), sample),
		}
	}
	return out, nil
}

// searched makes trajectories of the grown trees' lines, with the policy's word on each token.
func (r *Roller) searched(ctx context.Context, o Origin, grown []grown) ([]hone.Trajectory, error) {
	sequences := make([]decode.Sequence, len(grown))
	for i, g := range grown {
		sequences[i] = decode.Sequence{Prompt: g.prompt, Tokens: g.tokens, Temperature: 1}
	}
	out := make([]hone.Trajectory, 0, len(grown))
	for lo := 0; lo < len(sequences); lo += r.cfg.Batch {
		batch := sequences[lo:min(lo+r.cfg.Batch, len(sequences))]
		scores, err := r.decoder.Score(ctx, batch)
		if err != nil {
			return nil, fmt.Errorf("score %d lines: %w", len(batch), err)
		}
		if len(scores) != len(batch) {
			return nil, fmt.Errorf("score %d lines: got %d: %w", len(batch), len(scores), hone.ErrInvalid)
		}
		for i, s := range scores {
			g := grown[lo+i]
			t, err := r.trajectory(o, g.problem, g.prompt, g.tokens)
			if err != nil {
				return nil, err
			}
			t.ID.Sample, t.Seed, t.Source = g.sample, g.seed, hone.SourceSearch
			t.Logp, t.Values, t.Finish = s.Logp, s.Values, g.finish
			if g.finish == hone.FinishLength {
				t.Bootstrap = s.Bootstrap
			}
			out = append(out, t)
		}
	}
	return out, nil
}

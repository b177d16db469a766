package mcts

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Run grows one tree from each root, all in lock-step, each by cfg.Simulations. Trees come in the order of their roots, and a
// tree is the same whatever other roots are searched beside it. It returns an error wrapping [hone.ErrInvalid] for a bad
// configuration or malformed evaluations, [hone.ErrNonFinite] for a number that isn't finite, the evaluator's own error, or the
// context's; the trees are then lost. Equal roots may be given more than once.
func Run[S any](ctx context.Context, eval Evaluator[S], roots []Root[S], cfg Config) ([]*Tree[S], error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	s := searcher[S]{eval: eval, trees: make([]*Tree[S], len(roots))}
	for i, root := range roots {
		if cfg.NoiseFraction > 0 && root.Rng == nil {
			return nil, fmt.Errorf("search: root %d has no generator for its noise: %w", i, hone.ErrInvalid)
		}
		s.trees[i] = newTree(root.State, cfg)
		s.wait(i, 0)
	}
	if err := s.evaluate(ctx); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	if cfg.NoiseFraction > 0 {
		for i, root := range roots {
			s.trees[i].addNoise(root.Rng)
		}
	}
	for s.collect() {
		if err := s.evaluate(ctx); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
	}
	return s.trees, nil
}

// searcher is the trees and the leaves that wait for the evaluator, at most one a tree.
type searcher[S any] struct {
	eval   Evaluator[S]
	trees  []*Tree[S]
	leaves []pending
	states []S
}

// pending is a leaf to be evaluated.
type pending struct {
	tree int
	leaf int32
}

func (s *searcher[S]) wait(tree int, leaf int32) {
	s.leaves = append(s.leaves, pending{tree: tree, leaf: leaf})
	s.states = append(s.states, s.trees[tree].states[leaf])
}

// collect takes every tree to its next leaf that needs an evaluation, and tells whether there is any.
func (s *searcher[S]) collect() bool {
	for i, t := range s.trees {
		for t.stats.Simulations < t.cfg.Simulations {
			t.stats.Simulations++
			leaf := t.leaf()
			if t.nodes[leaf].order == none {
				s.wait(i, leaf)
				break
			}
			t.backup(leaf, t.nodes[leaf].raw)
		}
	}
	return len(s.leaves) > 0
}

// evaluate has the waiting leaves evaluated, in one call, and takes in what comes back.
func (s *searcher[S]) evaluate(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(s.leaves) == 0 {
		return nil
	}
	evaluations, err := s.eval.Evaluate(ctx, s.states)
	if err != nil {
		return fmt.Errorf("evaluate %d states: %w", len(s.states), err)
	}
	if len(evaluations) != len(s.states) {
		return fmt.Errorf("got %d evaluations for %d states: %w", len(evaluations), len(s.states), hone.ErrInvalid)
	}
	for i, p := range s.leaves {
		if err := s.trees[p.tree].expand(p.leaf, evaluations[i]); err != nil {
			return fmt.Errorf("tree %d, node %d: %w", p.tree, p.leaf, err)
		}
	}
	s.leaves, s.states = s.leaves[:0], s.states[:0]
	return nil
}

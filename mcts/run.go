package mcts

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Run grows one tree from each root, all in lock-step, until each has cfg.Simulations or has spent cfg.Budget. Trees come in the
// order of their roots, and a tree is the same whatever other roots are searched beside it. It returns an error wrapping
// [hone.ErrInvalid] for a bad configuration or malformed evaluations, [hone.ErrNonFinite] for a number that isn't finite, the
// evaluator's own error, or the context's; the trees are then lost. Equal roots may be given more than once.
func Run[S any](ctx context.Context, eval Evaluator[S], roots []Root[S], cfg Config) ([]*Tree[S], error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	trees := make([]*Tree[S], len(roots))
	for i, root := range roots {
		var err error
		if trees[i], err = New(root, cfg); err != nil {
			return nil, fmt.Errorf("search: root %d %w", i, err)
		}
	}
	if err := Grow(ctx, eval, trees); err != nil {
		return nil, err
	}
	return trees, nil
}

// Grow takes trees on, in lock-step, until each has its simulations or has spent its budget. Errors are as in [Run]; each tree is
// then as it was before the wave that failed, with nothing under way, and may be grown again. No tree may be given twice.
func Grow[S any](ctx context.Context, eval Evaluator[S], trees []*Tree[S]) error {
	seen := make(map[*Tree[S]]bool, len(trees))
	for i, t := range trees {
		if seen[t] {
			return fmt.Errorf("search: tree %d is given twice: %w", i, hone.ErrInvalid)
		}
		seen[t] = true
	}
	s := searcher[S]{eval: eval, trees: trees}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("search: %w", err)
		}
		more = s.collect()
		if err := s.evaluate(ctx); err != nil {
			for _, t := range trees {
				t.abandon()
			}
			return fmt.Errorf("search: %w", err)
		}
	}
	return nil
}

// searcher is the trees and what they ask the evaluator for.
type searcher[S any] struct {
	eval     Evaluator[S]
	trees    []*Tree[S]
	requests []Request[S]
}

// patience is how many simulations that need no evaluator a tree makes before the context is looked at again.
const patience = 4096

// collect takes every tree to its next wave that needs the evaluator, and tells whether anything is left to do.
func (s *searcher[S]) collect() (more bool) {
	s.requests = s.requests[:0]
	for i, t := range s.trees {
		for limit := t.stats.Simulations + patience; !t.done(); {
			more = true
			if t.wave() {
				for j := range t.walks {
					if w := &t.walks[j]; w.waits() {
						s.requests = append(s.requests, t.request(i, w))
					}
				}
				break
			}
			t.settle(nil)
			if t.stats.Simulations >= limit {
				break
			}
		}
	}
	return more
}

// evaluate has the requests answered, in one call, and settles the waves that they came from.
func (s *searcher[S]) evaluate(ctx context.Context) error {
	if len(s.requests) == 0 {
		return nil
	}
	answers, err := s.eval.Evaluate(ctx, s.requests)
	if err != nil {
		return fmt.Errorf("evaluate %d states: %w", len(s.requests), err)
	}
	if len(answers) != len(s.requests) {
		return fmt.Errorf("got %d evaluations for %d states: %w", len(answers), len(s.requests), hone.ErrInvalid)
	}
	at := 0
	for i, t := range s.trees {
		for j := range t.walks {
			if w := &t.walks[j]; w.waits() {
				if err := answers[at].check(); err != nil {
					return fmt.Errorf("tree %d, node %d: %w", i, t.index(w.leaf), err)
				}
				at++
			}
		}
	}
	for _, t := range s.trees {
		answers = t.settle(answers)
	}
	return nil
}

// done tells that the tree is grown.
func (t *Tree[S]) done() bool {
	if t.nodes[0].order == none {
		return false
	}
	return t.enough || t.nodes[0].closed || t.stats.Simulations >= t.limit || t.cfg.Budget > 0 && t.stats.Cost >= t.cfg.Budget
}

// wave puts walks under way, up to Leaves of them and as many more as collide, and tells whether any needs the evaluator.
func (t *Tree[S]) wave() (waits bool) {
	want := min(t.cfg.Leaves, t.limit-t.stats.Simulations)
	if t.nodes[0].order == none {
		want = 1
	}
	most := cmp.Or(t.cfg.Collisions, t.cfg.Leaves)
	for n, collided := 0, 0; n < want && collided < most; {
		w := t.newWalk()
		t.descend(w)
		waits = waits || w.waits()
		if w.end == endCollided {
			collided++
		} else {
			n++
		}
	}
	return waits
}

// newWalk is one more walk of the wave, over an old one's memory.
func (t *Tree[S]) newWalk() *walk {
	n := len(t.walks)
	if n < cap(t.walks) {
		t.walks = t.walks[:n+1]
	} else {
		t.walks = append(t.walks, walk{})
	}
	return &t.walks[n]
}

func (t *Tree[S]) request(tree int, w *walk) Request[S] {
	return Request[S]{State: t.states[w.leaf], Tree: tree, Known: int(t.nodes[w.leaf].actions)}
}

// settle takes in the answers to the wave, the first of answers, and ends its walks in the order in which they began. It returns
// the other answers.
func (t *Tree[S]) settle(answers []Evaluation[S]) []Evaluation[S] {
	for j := range t.walks {
		w := &t.walks[j]
		switch w.end {
		case endLeaf:
			t.expand(w.leaf, &answers[0])
			answers = answers[1:]
			if w.leaf == 0 {
				t.start()
				t.stats.Simulations--
			}
		case endWiden:
			t.widen(w.leaf, &answers[0])
			answers = answers[1:]
			t.release(w)
			continue
		case endCollided:
			t.stats.Collisions++
			t.release(w)
			continue
		case endJoined:
			t.stats.Joined++
		case endKnown:
		}
		t.backup(w)
		t.stats.Simulations++
	}
	t.walks = t.walks[:0]
	return answers
}

// abandon takes all walks out of flight.
func (t *Tree[S]) abandon() {
	for j := range t.walks {
		t.release(&t.walks[j])
	}
	t.walks = t.walks[:0]
}

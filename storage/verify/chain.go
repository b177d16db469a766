package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// chain holds versions, iterations and the head against each other.
func (c *checker) chain() {
	for i, v := range c.inv.Versions {
		if v.Number != i {
			c.faultf(fmt.Sprintf("version %d", v.Number), "it follows version %d: versions are gapless from 0", i-1)
			return // all others would follow
		}
		c.version(v)
		c.notef("version %d %s", v.Number, v.Manifest())
	}
	c.checked("versions", len(c.inv.Versions))
	if last := len(c.inv.Versions) - 1; c.inv.Head.Number != last {
		c.faultf("head", "it is version %d, and the newest version is %d", c.inv.Head.Number, last)
	}
	for _, it := range c.inv.Iterations {
		c.standing(it)
	}
	c.checked("iterations", len(c.inv.Iterations))
	if c.inv.Run.Status.Final() == c.inv.Run.Finished.IsZero() {
		c.faultf("status", "%s, finished at %v", c.inv.Run.Status, c.inv.Run.Finished)
	}
}

// version holds a version against the iteration that made it, or against the one that it goes back to. What came before a fork is the
// parent's.
func (c *checker) version(v storage.Numbered) {
	where := fmt.Sprintf("version %d", v.Number)
	if v.Iteration != v.Number-1 {
		c.faultf(where, "it was made by iteration %d, want %d", v.Iteration, v.Number-1)
	}
	if v.Number <= c.inv.Run.FirstCycle {
		return
	}
	it, found := c.standings()[v.Number-1]
	if v.Restores < 0 {
		if !found || it.Status != storage.IterationDone {
			c.faultf(where, "iteration %d, which made it, is %s", v.Number-1, cmp.Or(it.Status, "not there"))
		}
		return
	}
	if found && it.Status != storage.IterationAbandoned {
		c.faultf(where, "it goes back to version %d, and iteration %d is %s, want abandoned", v.Restores, v.Number-1, it.Status)
	}
	if v.Restores >= v.Number || c.inv.Versions[v.Restores].Manifest() != v.Manifest() {
		c.faultf(where, "it goes back to version %d, and has other content", v.Restores)
	}
}

// standings are the iterations by number.
func (c *checker) standings() map[int]storage.Standing {
	out := make(map[int]storage.Standing, len(c.inv.Iterations))
	for _, it := range c.inv.Iterations {
		out[it.Iteration.Iteration] = it
	}
	return out
}

// standing holds an iteration against the versions that sampled it and that it made, and against its prompts.
func (c *checker) standing(it storage.Standing) {
	number, versions := it.Iteration.Iteration, len(c.inv.Versions)
	where := fmt.Sprintf("iteration %d", number)
	if it.Behaviour < 0 || it.Behaviour > number || it.Behaviour >= versions {
		c.faultf(where, "it was sampled by version %d, of versions 0 to %d", it.Behaviour, versions-1)
	}
	switch made := number+1 < versions; {
	case number < c.inv.Run.FirstCycle:
		c.faultf(where, "it is of before the fork, which begins with iteration %d", c.inv.Run.FirstCycle)
	case made && it.Status == storage.IterationOpen:
		c.faultf(where, "it is open, and there is a version %d", number+1)
	case !made && it.Status != storage.IterationOpen:
		c.faultf(where, "it is %s, and there is no version %d", it.Status, number+1)
	}
	switch done := it.Status == storage.IterationDone; {
	case done && (it.Ended != it.Prompts || it.LastSlot != it.Prompts-1):
		c.faultf(where, "of %d prompts %d have an end, the last in slot %d: want an end for each of slots 0 to %d",
			it.Prompts, it.Ended, it.LastSlot, it.Prompts-1)
	case !done && it.Ended > 0:
		c.faultf(where, "it is %s, and %d of its prompts have an end", it.Status, it.Ended)
	}
	c.checked("prompts", it.Ended)
}

// blobs reads what the versions name.
func (c *checker) blobs(ctx context.Context) error {
	seen := make(map[blob.Digest]bool)
	for _, v := range c.inv.Versions {
		for _, part := range []struct {
			name    string
			digest  blob.Digest
			dropped time.Time
		}{{"weights", v.Weights, v.Lost.Weights}, {"optimiser", v.Optimiser, v.Lost.Optimiser}} {
			if seen[part.digest] || !part.dropped.IsZero() {
				continue // what retention took is not missing
			}
			seen[part.digest] = true
			r, err := c.Blobs.Open(ctx, part.digest)
			if err == nil {
				err = r.Close()
			}
			if err != nil {
				if err := c.damaged(fmt.Sprintf("version %d, %s", v.Number, part.name), err); err != nil {
					return err
				}
			}
		}
	}
	c.checked("blobs", len(seen))
	return nil
}

// strays are rows and entries of the ledger that belong to nothing.
func (c *checker) strays() {
	started := c.standings()
	known := func(iteration int) bool {
		_, ok := started[iteration]
		return ok
	}
	for _, r := range c.inv.Rows {
		if !known(r.Iteration) {
			c.faultf(fmt.Sprintf("iteration %d", r.Iteration), "it was never started, and has %d rows of %s", r.Rows, r.Table)
		}
		if !slices.Contains(c.inv.Scorings, r.Scoring) {
			c.faultf(fmt.Sprintf("iteration %d, scoring %d", r.Iteration, r.Scoring), "it was never added, and has %d rows of %s", r.Rows, r.Table)
		}
	}
	for _, b := range c.inv.Batches {
		if !known(b.Iteration) {
			c.faultf(fmt.Sprintf("iteration %d", b.Iteration), "it was never started, and the ledger has a %s of it", b.Kind)
		}
	}
	c.checked("ledger entries", len(c.inv.Batches))
}

// evaluations are made of the answers that they say.
func (c *checker) evaluations(ctx context.Context) error {
	all, err := c.Store.Evaluations(ctx, c.Run)
	if err != nil {
		return err
	}
	for _, e := range all {
		where := fmt.Sprintf("evaluation of version %d, %s on %s", e.Version, e.Mode, e.Split)
		answers, err := c.Store.Answers(ctx, e.EvaluationKey)
		if err != nil && !errors.Is(err, hone.ErrNotFound) {
			return err
		}
		tokens := int64(0)
		for _, a := range answers {
			tokens += int64(a.Tokens)
		}
		if len(answers) != e.Problems || tokens != e.Tokens {
			c.faultf(where, "%d answers with %d tokens, want %d with %d", len(answers), tokens, e.Problems, e.Tokens)
		}
		if digest := storage.AnswersDigest(answers); digest != e.Digest {
			c.faultf(where, "its answers have digest %.12s, and were stored with %.12s", digest, e.Digest)
		}
		c.checked("answers", len(answers))
		c.notef("evaluation %d %s %s %d %s", e.Version, e.Split, e.Mode, e.Limit, e.Digest)
	}
	c.checked("evaluations", len(all))
	return nil
}

package verify

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// cycle is an iteration as it is being read.
type cycle struct {
	storage.Standing

	where        string
	trajectories []hone.Trajectory
	trees        map[int]storage.Tree
	// at is the place of a sample among the trajectories.
	at map[int]int
}

// iteration counts an iteration's rows, and reads them if it is committed.
func (c *checker) iteration(ctx context.Context, it storage.Standing) error {
	number := it.Iteration.Iteration
	cy := &cycle{Standing: it, where: fmt.Sprintf("iteration %d", number), trees: make(map[int]storage.Tree), at: make(map[int]int)}
	if it.Dropped {
		c.dropped(cy)
		return nil
	}
	ledger := 0
	for _, b := range c.batches(storage.BatchRollout, number, 0) {
		ledger += b.Rows
	}
	whole := c.rows("trajectories", number, 0) == ledger
	if !whole {
		c.faultf(cy.where, "%d trajectories are stored, and the ledger has %d", c.rows("trajectories", number, 0), ledger)
	}
	if it.Status != storage.IterationDone {
		return nil
	}
	if read, err := c.trajectories(ctx, cy); !read || err != nil {
		return err // without them nothing else of the iteration can hold
	}
	if whole && len(cy.trajectories) == ledger { // a missing one would put the shards after it out of step
		c.shards(cy)
	}
	for _, scoring := range c.inv.Scorings {
		if err := c.scoring(ctx, cy, scoring); err != nil {
			return err
		}
	}
	return c.prompts(ctx, cy)
}

// dropped checks that retention took all of an iteration.
func (c *checker) dropped(cy *cycle) {
	number := cy.Iteration.Iteration
	for _, r := range c.inv.Rows {
		if r.Iteration == number {
			c.faultf(cy.where, "retention took it, and %d rows of %s are left", r.Rows, r.Table)
		}
	}
	c.checked("iterations without trajectories, by retention", 1)
	c.notef("iteration %d %d dropped", number, cy.Behaviour)
}

// trajectories reads trajectories and trees; what can't be read is a fault.
func (c *checker) trajectories(ctx context.Context, cy *cycle) (read bool, err error) {
	number := cy.Iteration.Iteration
	all, err := c.Store.LoadIteration(ctx, c.Run, number)
	if err != nil {
		return false, c.damaged(cy.where, err)
	}
	cy.trajectories = all
	for i, t := range all {
		cy.at[t.ID.Sample] = i
		// Those of an iteration that was taken from another run are all as far before this run's first version.
		if copied := t.Behaviour <= 0 && t.Behaviour == all[0].Behaviour; t.Behaviour != cy.Behaviour && !copied {
			c.faultf(fmt.Sprintf("%s, sample %d", cy.where, t.ID.Sample), "it was sampled by version %d, and its iteration by %d",
				t.Behaviour, cy.Behaviour)
		}
	}
	c.checked("trajectories", len(all))
	samples, err := c.Store.Trees(ctx, c.Run, number)
	if err != nil {
		return false, err
	}
	nodes := 0
	for _, sample := range samples {
		tree, err := c.Store.LoadTree(ctx, hone.TrajectoryID{Run: c.Run, Iteration: number, Sample: sample})
		if err != nil {
			return false, c.damaged(cy.where, err)
		}
		if i, ok := cy.at[sample]; !ok || all[i].Source != hone.SourceSearch {
			c.faultf(fmt.Sprintf("%s, tree %d", cy.where, sample), "there is no searched trajectory that it is the tree of")
		}
		cy.trees[sample] = tree
		nodes += len(tree.Nodes)
	}
	if rows := c.rows("search_nodes", number, 0); nodes != rows {
		c.faultf(cy.where, "%d nodes of search trees are stored, and %d are of a tree with a root", rows, nodes)
	}
	c.checked("search nodes", nodes)
	digest, err := cy.shard(all).Digest()
	if err != nil {
		return false, c.damaged(cy.where, err)
	}
	c.notef("iteration %d %d %s", number, cy.Behaviour, digest)
	return true, nil
}

// shard is these trajectories with their trees.
func (cy *cycle) shard(part []hone.Trajectory) storage.Shard {
	s := storage.Shard{Trajectories: part, Key: storage.ShardKey{Run: cy.Run, Iteration: cy.Iteration.Iteration}}
	for _, t := range part {
		if tree, ok := cy.trees[t.ID.Sample]; ok {
			s.Trees = append(s.Trees, tree)
		}
	}
	return s
}

// shards deals the trajectories to the ledger's shards again, sampled ones and searched ones each in their order, and makes the
// digests. How many of a shard were searched isn't in the ledger: it is tried, the even share first.
func (c *checker) shards(cy *cycle) {
	var sampled, searched []hone.Trajectory
	for _, t := range cy.trajectories {
		if t.Source == hone.SourceSearch {
			searched = append(searched, t)
		} else {
			sampled = append(sampled, t)
		}
	}
	batches := c.batches(storage.BatchRollout, cy.Iteration.Iteration, 0)
	first, trees := 0, len(searched)
	for _, b := range batches {
		if b.Round == 0 {
			first++
		}
	}
	for _, b := range batches {
		share := 0
		if b.Round == 0 {
			share = trees*(b.Shard+1)/first - trees*b.Shard/first
		}
		n, ok := cy.split(b, sampled, searched, share)
		if !ok {
			c.faultf(fmt.Sprintf("%s, shard %d of round %d", cy.where, b.Shard, b.Round),
				"its %d trajectories are not those that were stored with digest %.12s", b.Rows, b.Digest)
			n = min(max(share, b.Rows-len(sampled)), len(searched), b.Rows)
		}
		sampled, searched = sampled[min(b.Rows-n, len(sampled)):], searched[n:]
	}
	c.checked("shards", len(batches))
}

// split is how many of a shard were searched, found by its digest.
func (cy *cycle) split(b storage.Batch, sampled, searched []hone.Trajectory, share int) (int, bool) {
	most := min(b.Rows, len(searched))
	for try := -1; try <= most; try++ {
		n := try
		if try < 0 {
			n = share
		}
		if n > most || b.Rows-n > len(sampled) || try == share {
			continue
		}
		part := append(append([]hone.Trajectory(nil), sampled[:b.Rows-n]...), searched[:n]...)
		if digest, err := cy.shard(part).Digest(); err == nil && digest == b.Digest {
			return n, true
		}
	}
	return 0, false
}

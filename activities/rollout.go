package activities

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// RolloutShard samples and stores one shard of an iteration.
func (a *Activities) RolloutShard(ctx context.Context, in RolloutShardInput) (out RolloutShardOutput, err error) {
	err = beating(ctx, "rollout", func(ctx context.Context, p *pulse) error {
		s, err := a.session(ctx, in.Run)
		if err != nil {
			return err
		}
		parts, err := s.parts(ctx, in)
		if err != nil {
			return err
		}
		for _, part := range parts {
			one, err := a.shard(ctx, s, part, p)
			if err != nil {
				return err
			}
			out.Add(one)
		}
		out.Seconds = p.seconds()
		return nil
	})
	return out, err
}

// parts are the stored division's shards that an input means. A round is divided once, by who begins it: an execution that divides
// otherwise, since its plan or the machines are others now, takes as many of those at once.
func (s *session) parts(ctx context.Context, in RolloutShardInput) ([]RolloutShardInput, error) {
	shards, err := s.deps.Store.Shards(ctx, in.Run, in.Iteration, in.Round.Number)
	if err != nil {
		return nil, err
	}
	if shards == 0 {
		h, err := newShard(ctx, s, in)
		if err != nil {
			return nil, err
		}
		stored, err := s.deps.Store.HasShard(ctx, h.key)
		if err != nil || stored { // by a build that divided as the plan says
			return []RolloutShardInput{in}, err
		}
		if err := h.begin(ctx); err != nil {
			return nil, err
		}
		if shards, err = s.deps.Store.Shards(ctx, in.Run, in.Iteration, in.Round.Number); err != nil {
			return nil, err
		}
	}
	return in.parts(shards), nil
}

// parts are the shards of a division into so many that in's share of the round means.
func (in RolloutShardInput) parts(shards int) []RolloutShardInput {
	var out []RolloutShardInput
	for shard := shards * in.Shard / in.Shards; shard < shards*(in.Shard+1)/in.Shards; shard++ {
		part := in
		part.Shard, part.Shards = shard, shards
		out = append(out, part)
	}
	return out
}

// shard samples one shard of the stored division, or finds that it is stored.
func (a *Activities) shard(ctx context.Context, s *session, in RolloutShardInput, p *pulse) (RolloutShardOutput, error) {
	h, err := newShard(ctx, s, in)
	if err != nil {
		return RolloutShardOutput{}, err
	}
	stored, err := a.deps.Store.HasShard(ctx, h.key)
	if err != nil {
		return RolloutShardOutput{}, err
	}
	if !stored {
		if h.session, err = a.sessionAt(ctx, in.Run, in.Iteration); err != nil {
			return RolloutShardOutput{}, err
		}
		if err := h.sample(ctx, p); err != nil {
			return RolloutShardOutput{}, err
		}
	}
	return h.summary(ctx)
}

// shard is one part of an iteration's prompts: a run of those to sample and a run of those to search.
type shard struct {
	*session
	in                RolloutShardInput
	key               storage.ShardKey
	sampled, searched []rollout.Slot
	// prompts is the number of the whole iteration's, with this round.
	prompts int
}

func newShard(ctx context.Context, s *session, in RolloutShardInput) (*shard, error) {
	if want := s.job.behaviour(in.Iteration); in.Behaviour != want {
		return nil, fmt.Errorf("iteration %d sampled by version %d: with staleness %d want version %d: %w",
			in.Iteration, in.Behaviour, s.job.Rollout.Staleness, want, hone.ErrInvalid)
	}
	sampled, searched, prompts, err := s.drawSlots(ctx, in)
	if err != nil {
		return nil, err
	}
	part := func(slots []rollout.Slot) []rollout.Slot {
		return slots[len(slots)*in.Shard/in.Shards : len(slots)*(in.Shard+1)/in.Shards]
	}
	return &shard{
		session: s, in: in, key: storage.ShardKey{Run: in.Run, Iteration: in.Iteration, Shard: in.Shard, Round: in.Round.Number},
		sampled: part(sampled), searched: part(searched), prompts: prompts,
	}, nil
}

// drawSlots are the prompts of a round, and the number of those of the iteration with it.
func (s *session) drawSlots(ctx context.Context, in RolloutShardInput) (sampled, searched []rollout.Slot, prompts int, err error) {
	if s.borrows(in.Iteration) {
		all, err := s.borrowed(ctx, in.Iteration)
		if err != nil {
			return nil, nil, 0, err
		}
		sampled, searched, err = s.slotsOf(all)
		return sampled, searched, len(sampled) + len(searched), err
	}
	from, to, err := s.bounds(in.Round)
	if err != nil {
		return nil, nil, 0, err
	}
	_, before, err := s.version(ctx, in.Behaviour)
	if err != nil {
		return nil, nil, 0, err
	}
	sampled, searched = s.slots(in.Iteration, s.dealtBefore(in.Iteration, before), from, to)
	return sampled, searched, to, nil
}

// begin says that the iteration is sampled: from then on its settings stay what they are.
func (h *shard) begin(ctx context.Context) error {
	enter := h.deps.Store.StartIteration
	if h.in.Round.Number > 0 {
		enter = h.deps.Store.ExtendIteration
	}
	return enter(ctx, storage.Iteration{
		Run: h.run, Iteration: h.in.Iteration, Behaviour: h.in.Behaviour, Prompts: h.prompts, Round: h.in.Round.Number, Shards: h.in.Shards,
	})
}

// sample makes the shard's trajectories and stores them, once.
func (h *shard) sample(ctx context.Context, p *pulse) error {
	began := p.seconds()
	roll := h.roll
	if h.borrows(h.in.Iteration) {
		p.phase("copy", "trajectories")
		roll = func(ctx context.Context, _ *pulse) ([]hone.Trajectory, []storage.Tree, error) { return h.borrow(ctx) }
	}
	trajectories, trees, err := roll(ctx, p)
	if err != nil {
		return err
	}
	sampled := p.seconds()
	p.phase("store", "trajectories")
	if err := h.deps.Store.SaveShard(ctx, storage.Shard{Key: h.key, Trajectories: trajectories, Trees: trees}); err != nil {
		return err
	}
	return h.tellTime(ctx, map[string]float64{
		"seconds_sample": sampled - began, "seconds_store": p.seconds() - sampled,
	})
}

// roll samples and searches the shard's prompts.
func (h *shard) roll(ctx context.Context, p *pulse) (trajectories []hone.Trajectory, trees []storage.Tree, err error) {
	roller, err := h.roller(ctx, h.in.Behaviour, h.in.Iteration)
	if err != nil {
		return nil, nil, err
	}
	origin := h.origin(h.in.Iteration, h.in.Behaviour)
	p.phase("sample", "trajectories")
	trajectories, err = roller.Sample(ctx, rollout.SampleInput{Origin: origin, Slots: h.sampled, Progress: p.at})
	if err != nil || len(h.searched) == 0 {
		return trajectories, nil, err
	}
	paths, err := h.paths(ctx, h.in.Iteration)
	if err != nil {
		return nil, nil, err
	}
	p.phase("search", "simulations")
	found, err := roller.Search(ctx, rollout.SearchInput{Origin: origin, Slots: h.searched, Judge: h.judge, Paths: paths, Progress: p.at})
	if err != nil {
		return nil, nil, err
	}
	// Before the shard is there, since a stored shard is never searched again; what is searched again takes the same.
	if err := h.deps.Store.SaveMetrics(ctx, h.run, h.in.Iteration, h.effort(found, paths)); err != nil {
		return nil, nil, err
	}
	for _, f := range found {
		tree := storage.Tree{Sample: f.Trajectory.ID.Sample}
		for _, n := range f.Tree {
			tree.Nodes = append(tree.Nodes, storage.Node(n))
		}
		trajectories, trees = append(trajectories, f.Trajectory), append(trees, tree)
	}
	return trajectories, trees, nil
}

// summary counts what is stored of the shard.
func (h *shard) summary(ctx context.Context) (RolloutShardOutput, error) {
	out := RolloutShardOutput{Prompts: len(h.sampled) + len(h.searched)}
	for i, slots := range [][]rollout.Slot{h.sampled, h.searched} {
		if len(slots) == 0 {
			continue
		}
		group := h.job.Rollout.Group
		from, to := slots[0].Index*group, (slots[len(slots)-1].Index+1)*group
		stored, err := h.deps.Store.LoadSamples(ctx, storage.Samples{Run: h.run, Iteration: h.in.Iteration, From: from, To: to})
		if err != nil {
			return out, err
		}
		for j := range stored {
			// Between prompts that were sampled in two rounds stand those that were searched.
			if (stored[j].Source == hone.SourceSearch) == (i == 1) {
				out.count(&stored[j])
			}
		}
	}
	return out, nil
}

// Add adds another shard's counts and time.
func (o *RolloutShardOutput) Add(s RolloutShardOutput) {
	o.Prompts += s.Prompts
	o.Trajectories += s.Trajectories
	o.Searched += s.Searched
	o.Tokens += s.Tokens
	o.Stopped += s.Stopped
	o.Cut += s.Cut
	o.Failed += s.Failed
	o.Seconds += s.Seconds
}

// count adds one trajectory.
func (o *RolloutShardOutput) count(t *hone.Trajectory) {
	o.Trajectories++
	o.Tokens += int64(len(t.Tokens))
	if t.Source == hone.SourceSearch {
		o.Searched++
	}
	switch t.Finish {
	case hone.FinishStop:
		o.Stopped++
	case hone.FinishLength:
		o.Cut++
	case hone.FinishError:
		o.Failed++
	}
}

// tellTime adds what the shard took to the iteration's metrics, under the shard's own names. Times are for people: nothing is computed
// from them, and their names all begin with "seconds_".
func (h *shard) tellTime(ctx context.Context, seconds map[string]float64) error {
	named := make(map[string]float64, len(seconds))
	for name, value := range seconds {
		named[roundMetric(shardMetric(name, h.in.Shard), h.in.Round)] = value
	}
	return h.deps.Store.SaveMetrics(ctx, h.run, h.in.Iteration, named)
}

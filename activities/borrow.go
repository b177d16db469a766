package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// borrowed are the stored trajectories that a cycle takes, as this run's.
func (s *session) borrowed(ctx context.Context, iteration int) ([]hone.Trajectory, error) {
	run, theirs := s.lender(iteration)
	all, err := s.deps.Store.LoadIteration(ctx, run, theirs)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].ID.Run, all[i].ID.Iteration = s.run, iteration
		// As many versions before version 0 as it is away from: what older means for the update.
		all[i].Behaviour = -s.job.FromScoring.distance(theirs)
	}
	return all, nil
}

// slotsOf are the prompts of trajectories in the order of samples: those sampled and those searched.
func (s *session) slotsOf(all []hone.Trajectory) (sampled, searched []rollout.Slot, err error) {
	n := 0
	for i := range all {
		t := &all[i]
		switch slot := t.ID.Sample / s.job.Rollout.Group; {
		case slot < n:
			continue
		case slot > n:
			return nil, nil, fmt.Errorf("prompt %d of iteration %d has no trajectory: %w", n, t.ID.Iteration, hone.ErrCorrupt)
		case t.Source == hone.SourceSearch:
			searched = append(searched, rollout.Slot{Problem: t.Problem, Index: n})
		default:
			sampled = append(sampled, rollout.Slot{Problem: t.Problem, Index: n})
		}
		n++
	}
	return sampled, searched, nil
}

// borrow is the trajectories of the shard, and the trees that some of them came from.
func (h *shard) borrow(ctx context.Context) (trajectories []hone.Trajectory, trees []storage.Tree, err error) {
	group := h.job.Rollout.Group
	run, theirs := h.lender(h.in.Iteration)
	all, err := h.borrowed(ctx, h.in.Iteration)
	if err != nil {
		return nil, nil, err
	}
	wanted := make(map[int]bool)
	for _, slot := range slices.Concat(h.sampled, h.searched) {
		wanted[slot.Index] = true
	}
	for i := range all {
		if wanted[all[i].ID.Sample/group] {
			trajectories = append(trajectories, all[i])
		}
	}
	for _, slot := range h.searched {
		tree, err := h.deps.Store.LoadTree(ctx, hone.TrajectoryID{Run: run, Iteration: theirs, Sample: slot.Index * group})
		if err != nil {
			return nil, nil, err
		}
		trees = append(trees, tree)
	}
	return trajectories, trees, nil
}

// takeScoring makes the scoring that a cycle takes the live one, once.
func (s *session) takeScoring(ctx context.Context, in ScoreInput) error {
	key := storage.ScoringKey{ShardKey: storage.ShardKey{Run: in.Run, Iteration: in.Iteration}, Scoring: storage.LiveScoring}
	if done, err := s.deps.Store.HasScoring(ctx, key); err != nil || done {
		return err
	}
	run, theirs := s.lender(in.Iteration)
	scored, err := s.deps.Store.LoadScoring(ctx, run, theirs, s.job.FromScoring.Scoring)
	if err != nil {
		return err
	}
	return s.deps.Store.SaveScoring(ctx, key, scored)
}

// goOn publishes version 0: the other run's, with its optimiser and what else moved with it, as far as this job steers by the same.
func (s *session) goOn(ctx context.Context, p *pulse) error {
	f := s.job.FromScoring
	fence, err := s.deps.Store.AcquireLease(ctx, s.run, s.holder(), leaseTime)
	if err != nil {
		return err
	}
	p.phase("take version", "")
	run, err := s.deps.Store.RunNamed(ctx, f.Run)
	if err != nil {
		return err
	}
	lender, err := decodeJob(run.Config)
	if err != nil {
		return err
	}
	theirs, err := s.deps.Store.Version(ctx, run.ID, f.Version)
	if err != nil {
		return err
	}
	var moved state
	if err := json.Unmarshal(theirs.State, &moved); err != nil {
		return fmt.Errorf("state of version %d of run %s: %w: %w", f.Version, f.Run, err, hone.ErrCorrupt)
	}
	params, err := loadWeights(ctx, s.deps.Blobs, theirs.Weights)
	if err != nil {
		return err
	}
	optimiser, err := policy.NewAdamW(params, s.algorithm.adamW())
	if err != nil {
		return err
	}
	first := s.job.firstState()
	if lender.algorithmName() == s.job.algorithmName() {
		moments, err := loadOptimiser(ctx, s.deps.Blobs, theirs.Optimiser)
		if err != nil {
			return err
		}
		if err := optimiser.Restore(moments); err != nil {
			return err
		}
		if lender.PPO.KLCoef == s.job.PPO.KLCoef {
			first.Beta = moved.Beta
		}
		if was := lender.firstState(); was.EntropyCoef == first.EntropyCoef {
			first.EntropyCoef = moved.EntropyCoef
		}
	}
	first.Prompts = moved.Prompts // the deal goes on
	version, err := s.store(ctx, params, optimiser, first)
	if err != nil {
		return err
	}
	metrics := map[string]float64{"seconds_start": p.seconds()}
	return s.deps.Store.PublishFirst(ctx, s.run, fence, storage.First{Version: version, Metrics: metrics})
}

// referenceRun is the run whose version 0 divergence is measured from: this one, or where it goes on from another, that one's.
func (s *session) referenceRun(ctx context.Context) (hone.RunID, error) {
	id, f := s.run, s.job.FromScoring
	for f.Run != "" && f.Version >= 0 {
		run, err := s.deps.Store.RunNamed(ctx, f.Run)
		if err != nil {
			return "", fmt.Errorf("reference: %w", err)
		}
		job, err := decodeJob(run.Config)
		if err != nil {
			return "", err
		}
		id, f = run.ID, job.FromScoring
	}
	return id, nil
}

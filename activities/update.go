package activities

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/storage"
)

// Update trains on an iteration and publishes the next version.
func (a *Activities) Update(ctx context.Context, in UpdateInput) (out UpdateOutput, err error) {
	err = beating(ctx, "update", func(ctx context.Context, p *pulse) error {
		s, err := a.sessionAt(ctx, in.Run, in.Iteration)
		if err != nil {
			return err
		}
		head, err := a.deps.Store.Head(ctx, in.Run)
		if err != nil {
			return err
		}
		switch head.Number {
		case in.Iteration:
			if err := s.update(ctx, in, p); err != nil {
				return err
			}
		case in.Iteration + 1: // It was published before its result was heard of.
		default:
			return fmt.Errorf("update from version %d: the head of run %s is %d: %w", in.Iteration, in.Run, head.Number, hone.ErrInvalid)
		}
		out, err = s.updateOutput(ctx, in)
		out.Seconds = p.seconds()
		return err
	})
	return out, err
}

// update trains the next version and commits the cycle.
func (s *session) update(ctx context.Context, in UpdateInput, p *pulse) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fence, err := s.deps.Store.AcquireLease(ctx, s.run, s.holder(), leaseTime)
	if err != nil {
		return err
	}
	p.phase("load", "")
	scored, err := s.scored(ctx, in.Iteration, 0)
	if err != nil {
		return err
	}
	from, before, err := s.version(ctx, in.Iteration)
	if err != nil {
		return err
	}
	if before, err = s.settled(ctx, in.Iteration, before); err != nil {
		return err
	}
	current, err := s.load(ctx, in.Iteration, from)
	if err != nil {
		return err
	}
	// From here on what is in memory is no version until the next one is published: half a step may have been taken.
	defer func() {
		if err != nil {
			s.learner = nil
		}
	}()
	loaded := p.seconds()
	l := lesson{iteration: in.Iteration, scored: scored, optimiser: current.optimiser, before: before}
	result, err := current.updater.update(ctx, l, p)
	if err != nil {
		return err
	}
	taught := p.seconds()
	p.phase("store version", "")
	version, err := s.store(ctx, current.params, current.optimiser, state{
		Beta: result.beta, EntropyCoef: result.entropyCoef, Prompts: s.dealtAfter(in.Iteration, before, scored),
	})
	if err != nil {
		return err
	}
	metrics := result.metrics
	maps.Copy(metrics, summarise(stored(scored)).metrics())
	metrics["generated_tokens"] = float64(tokensOf(scored))
	efforts, err := s.efforts(ctx, in.Iteration, scored)
	if err != nil {
		return err
	}
	maps.Copy(metrics, efforts)
	if s.borrows(in.Iteration) {
		metrics["staleness"] = float64(s.job.FromScoring.Staleness(in.Iteration))
	}
	metrics["seconds_update_load"], metrics["seconds_update"] = loaded, taught-loaded
	metrics["seconds_store_version"] = p.seconds() - taught
	_, err = s.deps.Store.CommitCycle(ctx, storage.Commit{
		Run: s.run, Iteration: in.Iteration, From: in.Iteration, Fence: fence, Version: version,
		Prompts: s.ends(l, result.end), Targets: result.targets, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	current.version = in.Iteration + 1
	return nil
}

// tokensOf is the number of completion tokens of all trajectories.
func tokensOf(scored []hone.Scored) int {
	n := 0
	for _, one := range scored {
		n += len(one.Trajectory.Tokens)
	}
	return n
}

// scored are the trajectories of an iteration's first slots with their live breakdowns, by sample; 0 slots are all.
func (s *session) scored(ctx context.Context, iteration, slots int) ([]hone.Scored, error) {
	return s.scoredOf(ctx, s.run, iteration, slots)
}

// scoredOf are those of a run that may be an older one, which this was forked from.
func (s *session) scoredOf(ctx context.Context, run hone.RunID, iteration, slots int) ([]hone.Scored, error) {
	trajectories, err := s.deps.Store.LoadSamples(ctx, storage.Samples{Run: run, Iteration: iteration, To: slots * s.job.Rollout.Group})
	if err != nil {
		return nil, err
	}
	scoring, err := s.scoringOf(ctx, run, iteration, slots)
	if err != nil {
		return nil, err
	}
	if len(trajectories) != len(scoring) {
		return nil, fmt.Errorf("iteration %d of run %s has %d trajectories and %d scores: %w",
			iteration, run, len(trajectories), len(scoring), hone.ErrCorrupt)
	}
	out := make([]hone.Scored, len(trajectories))
	for i, t := range trajectories {
		if scoring[i].Sample != t.ID.Sample {
			return nil, fmt.Errorf("trajectory %s has no score: %w", t.ID, hone.ErrCorrupt)
		}
		out[i] = hone.Scored{Trajectory: t, Breakdown: scoring[i].Breakdown}
	}
	return out, nil
}

// scoring is the live scoring of an iteration's first slots, by sample; 0 slots are all.
func (s *session) scoring(ctx context.Context, iteration, slots int) ([]storage.Scored, error) {
	return s.scoringOf(ctx, s.run, iteration, slots)
}

func (s *session) scoringOf(ctx context.Context, run hone.RunID, iteration, slots int) ([]storage.Scored, error) {
	all, err := s.deps.Store.LoadScoring(ctx, run, iteration, storage.LiveScoring)
	if err != nil || slots == 0 {
		return all, err
	}
	n, _ := slices.BinarySearchFunc(all, slots*s.job.Rollout.Group, func(one storage.Scored, sample int) int {
		return cmp.Compare(one.Sample, sample)
	})
	return all[:n], nil
}

// load is the learner at a version: the one in memory, or one made from what is stored.
func (s *session) load(ctx context.Context, version int, stored storage.Version) (*learner, error) {
	if s.learner != nil && s.learner.version == version {
		return s.learner, nil
	}
	s.learner = nil // two need not be in memory at once
	var err error
	l := &learner{version: version}
	if l.params, err = loadWeights(ctx, s.deps.Blobs, stored.Weights); err != nil {
		return nil, err
	}
	moments, err := loadOptimiser(ctx, s.deps.Blobs, stored.Optimiser)
	if err != nil {
		return nil, err
	}
	if l.optimiser, err = policy.NewAdamW(l.params, s.algorithm.adamW()); err != nil {
		return nil, err
	}
	if err := l.optimiser.Restore(moments); err != nil {
		return nil, err
	}
	if l.updater, err = s.algorithm.open(ctx, s, l.params); err != nil {
		return nil, err
	}
	s.learner = l
	return l, nil
}

package activities

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// Algorithm names how a cycle's trajectories change the policy. Values are stored; append only.
type Algorithm string

// The algorithms. An empty name is that of a run that was created before there was a choice, and means PPO.
const (
	// AlgorithmPPO is the policy gradient, with the estimators of advantages and the losses of package ppo.
	AlgorithmPPO Algorithm = "ppo"
	// AlgorithmRejection imitates the best right completions of each problem; see [RejectionConfig].
	AlgorithmRejection Algorithm = "rejection"
	// AlgorithmDPO learns preferences: right completions against wrong ones, and better steps of search trees against worse; see
	// [DPOConfig].
	AlgorithmDPO Algorithm = "dpo"
	// AlgorithmSupervised imitates further demonstrations and learns nothing from what was sampled; see [SupervisedConfig].
	AlgorithmSupervised Algorithm = "supervised"
)

// algorithm is how a run's updates learn: the one place where its choice is made. It is a function of the job.
type algorithm interface {
	// validate joins the faults of what the algorithm reads of the job.
	validate() error
	// adamW is the optimiser whose moments move with the versions.
	adamW() policy.AdamWConfig
	// open readies updates of params, which are those of some version.
	open(ctx context.Context, s *session, params *policy.Params) (updater, error)
}

// updater is an algorithm at work on one policy's parameters. It may keep graphs from update to update, and nothing that a result
// depends on: an updater made anew goes on with the same bits.
type updater interface {
	// update changes the parameters and the optimiser. After an error both may be in between.
	update(ctx context.Context, l lesson, p *pulse) (learned, error)
}

// lesson is what one update is a function of, beside the parameters.
type lesson struct {
	iteration int
	// scored are the iteration's trajectories, in the order of their samples.
	scored    []hone.Scored
	optimiser *policy.AdamW
	// before is what moved with the version that the update starts from.
	before state
}

// learned is what an update leaves beside the changed parameters.
type learned struct {
	// beta and entropyCoef are the coefficients that the next update starts with; an algorithm without them hands them on.
	beta, entropyCoef float64
	// metrics are by the names of doc/metrics.md.
	metrics map[string]float64
	// targets are what was made of trajectories, if anything was.
	targets []storage.Target
	// end is asked of prompts with at least one usable trajectory.
	end endFunc
}

// endFunc says how a prompt ended whose trajectories are these.
type endFunc func(group []hone.Scored) (storage.PromptState, string)

// algorithmName is the job's, never empty.
func (j Job) algorithmName() Algorithm { return cmp.Or(j.Algorithm, AlgorithmPPO) }

// algorithm is the job's.
func (j Job) algorithm() (algorithm, error) {
	switch j.Algorithm {
	case AlgorithmPPO, "":
		return proximal{j}, nil
	case AlgorithmRejection:
		return rejection{j}, nil
	case AlgorithmDPO:
		return preference{j}, nil
	case AlgorithmSupervised:
		return supervised{j}, nil
	}
	return nil, fmt.Errorf("algorithm %q: want one of %q: %w", j.Algorithm,
		[]Algorithm{AlgorithmPPO, AlgorithmRejection, AlgorithmDPO, AlgorithmSupervised}, hone.ErrInvalid)
}

// prompts are those of a lesson, in whatever round they were drawn.
func (s *session) prompts(l lesson) []rollout.Slot {
	if !s.borrows(l.iteration) {
		sampled, searched := s.slots(l.iteration, s.dealtBefore(l.iteration, l.before), 0, s.drawn(l.scored))
		return append(sampled, searched...)
	}
	var out []rollout.Slot
	for _, one := range l.scored {
		if slot := one.Trajectory.ID.Sample / s.job.Rollout.Group; slot == len(out) {
			out = append(out, rollout.Slot{Problem: one.Trajectory.Problem, Index: slot})
		}
	}
	return out
}

// ends says how each prompt of a cycle ended, in whatever round it was drawn: exactly one state each, with the reason.
func (s *session) ends(l lesson, end endFunc) []storage.PromptEnd {
	bySlot := make(map[int][]hone.Scored)
	for _, one := range l.scored {
		slot := one.Trajectory.ID.Sample / s.job.Rollout.Group
		bySlot[slot] = append(bySlot[slot], one)
	}
	var out []storage.PromptEnd
	for _, slot := range s.prompts(l) {
		e := storage.PromptEnd{Slot: slot.Index, Problem: slot.Problem, State: storage.PromptFailed}
		group, usable := bySlot[slot.Index], 0
		for _, one := range group {
			if one.Trajectory.Finish != hone.FinishError && one.Breakdown.Outcome.Judged() {
				usable++
			}
		}
		if usable > 0 {
			e.State, e.Reason = end(group)
		} else {
			e.Reason = fmt.Sprintf("none of %d trajectories was judged", len(group))
		}
		out = append(out, e)
	}
	return out
}

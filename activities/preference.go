package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// DPOConfig is direct preference optimisation on a cycle's own samples and trees. The reference is version 0.
type DPOConfig struct {
	// PerProblem is the most pairs of a right and a wrong completion of a problem, >= 0; see [dpo.PairSamples].
	PerProblem int `json:"per_problem" yaml:"per_problem"`
	// Steps says which steps of search trees make pairs, where the job has searched problems; see [rollout.PreferSteps].
	Steps rollout.Preference `json:"steps" yaml:"steps"`
	// Loss is how pairs are learned; its learning rate is laid over the run's cycles.
	Loss dpo.Config `json:"loss" yaml:"loss"`
}

// DefaultDPOConfig takes up to four pairs of a problem.
func DefaultDPOConfig() DPOConfig {
	return DPOConfig{PerProblem: 4, Steps: rollout.DefaultPreference(), Loss: dpo.DefaultConfig()}
}

// preference is [AlgorithmDPO].
type preference struct{ job Job }

func (a preference) validate() error {
	c := a.job.DPO
	errs := []error{c.Loss.Validate(), c.Steps.Validate()}
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	switch {
	case c.PerProblem < 0:
		fault("per_problem %d: want at least 0", c.PerProblem)
	case c.PerProblem == 0 && a.job.Searched == 0:
		fault("per_problem is 0 and searched is 0: there is nothing to make pairs of; want one of them above 0")
	case c.PerProblem > 0 && a.job.Rollout.Group < 2:
		fault("per_problem %d sets samples of a problem against each other: rollout: group %d, want at least 2",
			c.PerProblem, a.job.Rollout.Group)
	}
	if from, to := a.job.Rollout.Sampling.Temperature, a.job.sampling(a.job.Cycles).Sampling.Temperature; to != from {
		fault("temperature goes from %v to %v over the cycles, and the reference is scored at one: leave temperature constant", from, to)
	}
	if a.job.Reward.Noise {
		fault("reward.noise is set: preferences ask the verifier which answers are right, so they would learn from it all the same")
	}
	return errors.Join(errs...)
}

func (a preference) adamW() policy.AdamWConfig { return a.job.DPO.Loss.AdamW() }

func (a preference) open(ctx context.Context, s *session, params *policy.Params) (updater, error) {
	temperature := float32(a.job.Rollout.Sampling.Temperature)
	reference, err := s.reference(ctx, temperature)
	if err != nil {
		return nil, err
	}
	learner, err := dpo.NewLearner(params, s.deps.Kernels, a.job.DPO.Loss, temperature)
	return &preferenceUpdater{session: s, learner: learner, reference: reference}, err
}

// preferenceUpdater learns from pairs.
type preferenceUpdater struct {
	session   *session
	learner   *dpo.Learner
	reference *policy.Trainer
}

func (u *preferenceUpdater) update(ctx context.Context, l lesson, p *pulse) (learned, error) {
	job := u.session.job
	pairs := dpo.PairSamples(l.scored, job.DPO.PerProblem)
	samples := len(pairs)
	fromTree := make(map[int]int) // pairs by sample
	for _, one := range l.scored {
		t := &one.Trajectory
		if t.Source != hone.SourceSearch || t.Finish == hone.FinishError {
			continue
		}
		steps, err := u.steps(ctx, t)
		if err != nil {
			return learned{}, err
		}
		fromTree[t.ID.Sample] = len(steps)
		pairs = append(pairs, steps...)
	}
	rate := job.DPO.Loss.Schedule(job.Cycles).At(l.iteration)
	out := learned{beta: l.before.Beta, entropyCoef: l.before.EntropyCoef, metrics: map[string]float64{
		"steps": 0, "learning_rate": rate, "dpo_pairs": 0,
		"dpo_pairs_samples": float64(samples), "dpo_pairs_steps": float64(len(pairs) - samples),
	}}
	out.end = func(group []hone.Scored) (storage.PromptState, string) {
		switch first := group[0].Trajectory; {
		case first.Source == hone.SourceSearch && fromTree[first.ID.Sample] > 0, len(dpo.PairSamples(group, job.DPO.PerProblem)) > 0:
			return storage.PromptTrained, ""
		case first.Source == hone.SourceSearch:
			return storage.PromptDropped, "no two steps of its tree were visited often enough and far enough apart"
		}
		return storage.PromptDropped, fmt.Sprintf("%d trajectories make no pair of a right and a wrong answer", len(group))
	}
	if len(pairs) == 0 {
		return out, nil
	}
	phase := ""
	stats, err := u.learner.Update(ctx, dpo.UpdateInput{
		Config: job.DPO.Loss, Optimizer: l.optimiser, Reference: u.reference, Pairs: pairs, LearningRate: rate,
		Seed: hone.Seed(job.Seed, "update", l.iteration),
		Progress: func(at dpo.Progress) {
			if at.Phase != phase {
				phase = at.Phase
				p.phase(phase, map[string]string{"reference": "pairs", "update": "steps"}[phase])
			}
			p.at(at.Done, at.Total)
		},
	})
	if err != nil {
		return learned{}, err
	}
	metrics, err := numbers(stats)
	maps.Copy(out.metrics, metrics)
	return out, err
}

// steps are the pairs of a searched problem's tree.
func (u *preferenceUpdater) steps(ctx context.Context, t *hone.Trajectory) ([]dpo.Pair, error) {
	nodes, err := u.session.tree(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return rollout.PreferSteps(u.session.token, t.Problem, nodes, u.session.job.DPO.Steps)
}

package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/sft"
	"github.com/hone-rl/hone/storage"
)

// RejectionConfig is fine-tuning by rejection sampling: a cycle's best right completions become the next demonstrations; see [sft.Best].
type RejectionConfig struct {
	// Keep is the most completions of a problem to imitate, >= 1; with sft.constraint_coef above 0 as many faults of its wrong ones
	// are forbidden, see [sft.Faults].
	Keep int `json:"keep" yaml:"keep"`
	// Window is the number of cycles, the newest included, whose stored trajectories are chosen from, >= 1.
	Window int `json:"window" yaml:"window"`
	// SFT is how they are imitated. Epochs is a cycle's; the learning rate is laid over the run's cycles, with Warmup in cycles.
	SFT sft.Config `json:"sft" yaml:"sft"`
}

// DefaultRejectionConfig goes twice over up to four completions of a problem.
func DefaultRejectionConfig() RejectionConfig {
	return RejectionConfig{
		Keep: 4, Window: 1,
		SFT: sft.Config{Epochs: 2, BatchTokens: 1024, LearningRate: 3e-4, Warmup: 5, ClipNorm: 1},
	}
}

// SupervisedConfig is supervised training that goes on after the start: what all reinforcement has to be compared with.
type SupervisedConfig struct {
	// Traces is the number of further demonstrations a cycle, >= 1, in the styles of the start.
	Traces int `json:"traces" yaml:"traces"`
	// SFT is how they are imitated, as in [RejectionConfig].
	SFT sft.Config `json:"sft" yaml:"sft"`
}

// DefaultSupervisedConfig writes as many demonstrations as the usual cycle samples completions, and sees each once.
func DefaultSupervisedConfig() SupervisedConfig {
	return SupervisedConfig{
		Traces: 1024,
		SFT:    sft.Config{Epochs: 1, BatchTokens: 1024, LearningRate: 1e-3, Warmup: 5, WeightDecay: 0.01, ClipNorm: 1},
	}
}

// rejection is [AlgorithmRejection].
type rejection struct{ job Job }

func (a rejection) validate() error {
	c := a.job.Rejection
	errs := []error{c.SFT.Validate()}
	if c.Keep < 1 || c.Window < 1 {
		errs = append(errs, fmt.Errorf("keep %d, window %d: want at least 1 each: %w", c.Keep, c.Window, hone.ErrInvalid))
	}
	if a.job.Reward.Noise {
		errs = append(errs, fmt.Errorf("reward.noise is set: rejection sampling asks the verifier which answers are right, so it would learn "+
			"from it all the same: %w", hone.ErrInvalid))
	}
	return errors.Join(errs...)
}

func (a rejection) adamW() policy.AdamWConfig { return a.job.Rejection.SFT.AdamW() }

func (a rejection) open(_ context.Context, s *session, params *policy.Params) (updater, error) {
	i, err := newImitator(s, params, a.job.Rejection.SFT)
	return &rejectionUpdater{imitator: i, window: a.job.Rejection.Window, keep: a.job.Rejection.Keep}, err
}

// rejectionUpdater imitates the best right completions.
type rejectionUpdater struct {
	*imitator
	window, keep int
}

func (u *rejectionUpdater) update(ctx context.Context, l lesson, p *pulse) (learned, error) {
	scored := l.scored
	for iteration := max(0, l.iteration-u.window+1); iteration < l.iteration; iteration++ {
		older, err := u.session.earlier(ctx, iteration)
		if err != nil {
			return learned{}, err
		}
		scored = append(older, scored...)
	}
	var examples []sft.Example
	chosen := make(map[int]bool)
	for _, b := range sft.Best(scored, u.keep) {
		examples = append(examples, sft.Example{Prompt: b.Trajectory.Prompt, Completion: b.Trajectory.Tokens})
		if b.Trajectory.ID.Iteration == l.iteration {
			chosen[b.Trajectory.ID.Sample] = true
		}
	}
	if u.config.ConstraintCoef > 0 {
		examples = append(examples, sft.Faults(l.scored, u.keep)...)
	}
	out, err := u.imitate(ctx, l, examples, p)
	out.end = func(group []hone.Scored) (storage.PromptState, string) {
		right := 0
		for _, one := range group {
			if chosen[one.Trajectory.ID.Sample] {
				return storage.PromptTrained, ""
			}
			if one.Breakdown.Outcome == hone.OutcomeRight {
				right++
			}
		}
		if right > 0 {
			return storage.PromptDropped, fmt.Sprintf("%d trajectories are right, and as good or better ones of the problem were kept", right)
		}
		return storage.PromptDropped, fmt.Sprintf("none of %d trajectories is right", len(group))
	}
	return out, err
}

// supervised is [AlgorithmSupervised].
type supervised struct{ job Job }

func (a supervised) validate() error {
	errs := []error{a.job.Supervised.SFT.Validate()}
	if a.job.Supervised.SFT.ConstraintCoef > 0 {
		errs = append(errs, errNothingForbidden("sft.constraint_coef", a.job.Supervised.SFT))
	}
	if a.job.Supervised.Traces < 1 {
		errs = append(errs, fmt.Errorf("traces %d: want at least 1: %w", a.job.Supervised.Traces, hone.ErrInvalid))
	}
	return errors.Join(errs...)
}

func (a supervised) adamW() policy.AdamWConfig { return a.job.Supervised.SFT.AdamW() }

func (a supervised) open(_ context.Context, s *session, params *policy.Params) (updater, error) {
	i, err := newImitator(s, params, a.job.Supervised.SFT)
	return &supervisedUpdater{i}, err
}

// supervisedUpdater imitates demonstrations.
type supervisedUpdater struct{ *imitator }

func (u *supervisedUpdater) update(ctx context.Context, l lesson, p *pulse) (learned, error) {
	n := u.session.job.Supervised.Traces
	p.phase("write traces", "traces")
	examples, err := u.session.demonstrations(ctx, u.session.job.Start.Traces+l.iteration*n, n, p)
	if err != nil {
		return learned{}, err
	}
	out, err := u.imitate(ctx, l, examples, p)
	out.end = func([]hone.Scored) (storage.PromptState, string) {
		return storage.PromptDropped, "algorithm is supervised: samples are scored and not trained on"
	}
	return out, err
}

// imitator is what the algorithms share that learn by cross-entropy.
type imitator struct {
	session *session
	learner *sft.Learner
	config  sft.Config
}

func newImitator(s *session, params *policy.Params, c sft.Config) (*imitator, error) {
	learner, err := sft.NewLearner(params, s.deps.Kernels, c)
	return &imitator{session: s, learner: learner, config: c}, err
}

// imitate is one update on the examples. No examples are no step: the next version has the same weights, and its metrics say so.
func (i *imitator) imitate(ctx context.Context, l lesson, examples []sft.Example, p *pulse) (learned, error) {
	job := i.session.job
	rate := i.config.Schedule(job.Cycles).At(l.iteration)
	learn, tokens := 0, 0
	for _, e := range examples {
		if !e.Forbidden {
			learn++
			tokens += len(e.Completion)
		}
	}
	out := learned{beta: l.before.Beta, entropyCoef: l.before.EntropyCoef, metrics: map[string]float64{
		"imitated": float64(learn), "imitation_tokens": float64(tokens), "forbidden": float64(len(examples) - learn),
		"learning_rate": rate, "steps": 0,
	}}
	if len(examples) == 0 {
		return out, nil
	}
	p.phase("imitate", "steps")
	result, err := i.learner.Update(ctx, sft.UpdateInput{
		Config: i.config, Optimizer: l.optimiser, LearningRate: rate, Examples: examples,
		Seed: hone.Seed(job.Seed, "update", l.iteration), Progress: func(at sft.Progress) { p.at(at.Step, at.Steps) },
	})
	if err != nil {
		return out, err
	}
	maps.Copy(out.metrics, map[string]float64{
		"steps": float64(result.Steps), "imitation_loss": result.LastEpochLoss, "grad_norm": result.GradNorm, "grad_norm_max": result.GradNormMax,
	})
	if i.config.DiversityCoef > 0 || i.config.ConstraintCoef > 0 {
		out.metrics["imitation_entropy"], out.metrics["constraint_loss"] = result.Entropy, result.ConstraintLoss
	}
	maps.Copy(out.metrics, result.Usage.Metrics())
	return out, nil
}

// errNothingForbidden refuses a constraint where there are demonstrations alone.
func errNothingForbidden(field string, c sft.Config) error {
	return fmt.Errorf("%s is %v: demonstrations forbid nothing, want 0: %w", field, c.ConstraintCoef, hone.ErrInvalid)
}

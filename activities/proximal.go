package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// proximal is [AlgorithmPPO].
type proximal struct{ job Job }

// validate also holds the update's configuration against what a cycle samples.
func (a proximal) validate() error {
	faults := []error{a.job.PPO.Validate()}
	switch kind := a.job.PPO.Advantage; {
	case kind.Grouped() && a.job.Rollout.Group < 2:
		faults = append(faults, fmt.Errorf("ppo: advantage %s compares the samples of a problem: rollout: group %d, want at least 2: %w",
			kind, a.job.Rollout.Group, hone.ErrInvalid))
	case kind == advantage.Tree:
		faults = append(faults, a.validateTree())
	}
	return errors.Join(faults...)
}

// validateTree holds the job against advantages from search trees.
func (a proximal) validateTree() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("ppo: advantage tree "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	c := a.job.PPO
	if a.job.Searched == 0 || a.job.Reward.Noise {
		fault("compares the steps of searched lines: searched is %d and reward.noise %v, want at least 1 problem that is searched",
			a.job.Searched, a.job.Reward.Noise)
	}
	if from, to := a.job.Rollout.Sampling.Temperature, a.job.sampling(a.job.Cycles).Sampling.Temperature; from != 1 || to != 1 {
		fault("learns from lines whose log-probabilities are at temperature 1: rollout.sampling.temperature is %v, and %v at the end, want 1",
			from, to)
	}
	if c.GroupSpread > 0 {
		fault("has one line a problem, which has no spread: group_spread is %v, want 0", c.GroupSpread)
	}
	if c.KLPenalty == ppo.KLInReward && c.KLCoef > 0 {
		fault("reads no reward, so a charge in it holds nothing: kl_penalty is %s and kl_coef %v, want the penalty in the loss or 0",
			c.KLPenalty, c.KLCoef)
	}
	if c.CriticPretrain > 0 {
		fault("learns nothing from samples: critic_pretrain is %d, want 0", c.CriticPretrain)
	}
	return errors.Join(faults...)
}

func (a proximal) adamW() policy.AdamWConfig { return a.job.PPO.AdamW() }

func (a proximal) open(_ context.Context, s *session, params *policy.Params) (updater, error) {
	return &proximalUpdater{session: s, params: params}, nil
}

// reference scores under version 0 of the run that all began with.
func (s *session) reference(ctx context.Context, temperature float32) (*policy.Trainer, error) {
	run, err := s.referenceRun(ctx)
	if err != nil {
		return nil, err
	}
	first, err := s.deps.Store.Version(ctx, run, 0)
	if err != nil {
		return nil, err
	}
	params, err := loadWeights(ctx, s.deps.Blobs, first.Weights)
	if err != nil {
		return nil, err
	}
	return policy.NewTrainer(params, s.deps.Kernels, policy.TrainerOptions{Temperature: temperature})
}

// proximalUpdater runs the updates of package ppo.
type proximalUpdater struct {
	*session

	params *policy.Params
	// learner and reference are built for a temperature, and again where the next cycle has another. reference is nil where divergence
	// costs nothing.
	temperature float32
	learner     *ppo.Learner
	reference   *policy.Trainer
}

// heat readies learner and reference for samples drawn at a temperature.
func (u *proximalUpdater) heat(ctx context.Context, temperature float32) (err error) {
	if u.learner != nil && u.temperature == temperature {
		return nil
	}
	if u.job.PPO.KLCoef > 0 {
		if u.reference, err = u.session.reference(ctx, temperature); err != nil {
			return err
		}
	}
	u.temperature = temperature
	u.learner, err = ppo.NewLearner(u.params, u.deps.Kernels, u.job.PPO, temperature)
	return err
}

func (u *proximalUpdater) update(ctx context.Context, l lesson, p *pulse) (learned, error) {
	if err := u.heat(ctx, float32(u.job.sampling(l.iteration).Sampling.Temperature)); err != nil {
		return learned{}, err
	}
	taught := l.scored
	var branches map[hone.TrajectoryID][]advantage.Branch
	if u.job.PPO.Advantage == advantage.Tree {
		var err error
		if taught, branches, err = u.branches(ctx, l.scored); err != nil {
			return learned{}, err
		}
	}
	phase := ""
	result, err := u.learner.Update(ctx, ppo.UpdateInput{
		Config: u.job.PPO.At(l.iteration, u.job.Cycles), Optimizer: l.optimiser, Reference: u.reference,
		Trajectories: taught, Branches: branches,
		Seed: hone.Seed(u.job.Seed, "update", l.iteration), Beta: l.before.Beta, EntropyCoef: l.before.EntropyCoef,
		Version: l.iteration, Number: l.iteration, MaxTokens: u.job.Rollout.MaxTokens,
		LearningRate: u.job.PPO.Schedule(u.job.Cycles).At(l.iteration),
		Progress: func(at ppo.Progress) {
			if at.Phase != phase {
				phase = at.Phase
				p.phase(phase, "batches")
			}
			p.at(at.Done, at.Total)
		},
	})
	if err := errors.Join(err, u.inspect(l, result.Skipped)); err != nil {
		return learned{}, err
	}
	metrics, err := numbers(result.Stats)
	if err != nil {
		return learned{}, err
	}
	maps.Copy(metrics, result.Stats.Usage.Metrics())
	maps.Copy(metrics, result.Stats.BlockMetrics())
	maps.Copy(metrics, u.groups(l.scored).metrics())
	if n := u.job.PPO.CriticPretrain; n > 0 && l.iteration+1 == u.job.PPO.CriticWarmup {
		pretraining, err := u.pretrain(ctx, l, p)
		if err != nil {
			return learned{}, err
		}
		maps.Copy(metrics, pretraining)
	}
	trained := make(map[int]bool)
	for _, t := range result.Targets {
		trained[t.ID.Sample] = true
	}
	out := learned{
		beta: result.Beta, metrics: metrics, targets: targetsOf(l.scored, result.Targets),
		end: func(group []hone.Scored) (storage.PromptState, string) { return u.end(group, trained) },
	}
	if u.job.PPO.EntropyTarget > 0 {
		out.entropyCoef = result.EntropyCoef
	}
	return out, nil
}

// branches are the searched lines, and what their trees say of each of their steps.
func (u *proximalUpdater) branches(ctx context.Context, scored []hone.Scored) (
	lines []hone.Scored, branches map[hone.TrajectoryID][]advantage.Branch, err error,
) {
	branches = make(map[hone.TrajectoryID][]advantage.Branch)
	for _, one := range scored {
		t := one.Trajectory
		if t.Source != hone.SourceSearch {
			continue
		}
		nodes, err := u.tree(ctx, t.ID)
		if err != nil {
			return nil, nil, err
		}
		if branches[t.ID], err = rollout.Branches(t, nodes); err != nil {
			return nil, nil, err
		}
		lines = append(lines, one)
	}
	return lines, branches, nil
}

// pretrain ends the critic's warm-up: the value head goes over all that its cycles sampled, by a policy that has not moved.
func (u *proximalUpdater) pretrain(ctx context.Context, l lesson, p *pulse) (map[string]float64, error) {
	var all []hone.Scored
	for iteration := range l.iteration {
		older, err := u.earlier(ctx, iteration)
		if err != nil {
			return nil, err
		}
		all = append(all, older...)
	}
	p.phase("pretrain critic", "batches")
	result, err := u.learner.Update(ctx, ppo.UpdateInput{
		Config: u.job.PPO.At(l.iteration, u.job.Cycles).Pretraining(), Optimizer: l.optimiser, Trajectories: append(all, l.scored...),
		Seed: hone.Seed(u.job.Seed, "pretrain", l.iteration), Version: l.iteration, Number: l.iteration, ValueOnly: true,
		MaxTokens: u.job.Rollout.MaxTokens, LearningRate: u.job.PPO.Schedule(u.job.Cycles).At(l.iteration),
		Progress: func(at ppo.Progress) { p.at(at.Done, at.Total) },
	})
	if err != nil {
		return nil, fmt.Errorf("pretrain critic: %w", err)
	}
	return map[string]float64{
		"critic_pretrain_trajectories": float64(result.Stats.Sampled), "critic_pretrain_steps": float64(result.Stats.Steps),
		"critic_pretrain_skipped": float64(result.Stats.SkippedSteps), "critic_pretrain_loss": result.Stats.ValueLoss,
	}, nil
}

// inspection is what is kept of steps that were not taken, for a person to look at.
type inspection struct {
	Iteration int               `json:"iteration"`
	Skipped   []ppo.SkippedStep `json:"skipped"`
	// Trajectories are those of all skipped steps.
	Trajectories []hone.Scored `json:"trajectories"`
}

// inspect keeps the steps that were not taken, with their trajectories.
func (u *proximalUpdater) inspect(l lesson, skipped []ppo.SkippedStep) error {
	if len(skipped) == 0 || u.deps.Inspect == nil {
		return nil
	}
	in := make(map[hone.TrajectoryID]bool)
	for _, step := range skipped {
		for _, id := range step.Samples {
			in[id] = true
		}
	}
	record := inspection{Iteration: l.iteration, Skipped: skipped}
	for _, one := range l.scored {
		if in[one.Trajectory.ID] {
			record.Trajectories = append(record.Trajectories, one)
		}
	}
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode skipped steps of cycle %d: %w", l.iteration, err)
	}
	return u.deps.Inspect(u.run, fmt.Sprintf("skipped-%d.json", l.iteration), raw)
}

// end says how a prompt ended, given the samples that the policy gradient was trained on.
func (u *proximalUpdater) end(group []hone.Scored, trained map[int]bool) (storage.PromptState, string) {
	searched := group[0].Trajectory.Source == hone.SourceSearch
	if u.job.PPO.Advantage == advantage.Tree {
		switch {
		case !searched:
			return storage.PromptDropped, "advantage is tree: samples are stored and not trained on"
		case !trained[group[0].Trajectory.ID.Sample]:
			return storage.PromptDropped, "the update left its line out"
		}
		return storage.PromptTrained, ""
	}
	if searched {
		switch {
		case u.job.PPO.ImitationCoef == 0:
			return storage.PromptDropped, "imitation_coef is 0: search lines are stored and not trained on"
		case group[0].Breakdown.Outcome != hone.OutcomeRight:
			return storage.PromptDropped, "search found no right answer"
		}
		return storage.PromptTrained, ""
	}
	worst, best := math.Inf(1), math.Inf(-1)
	for _, one := range group {
		if trained[one.Trajectory.ID.Sample] {
			return storage.PromptTrained, ""
		}
		if one.Trajectory.Finish != hone.FinishError && one.Breakdown.Outcome.Judged() {
			total := one.Breakdown.Total()
			worst, best = min(worst, total), max(best, total)
		}
	}
	return storage.PromptDropped, fmt.Sprintf("rewards from %.3f to %.3f: the spread of its group is below group_spread %g",
		worst, best, u.job.PPO.GroupSpread)
}

// targetsOf are the targets to store.
func targetsOf(scored []hone.Scored, targets []ppo.Targets) []storage.Target {
	reward := make(map[int]float64, len(scored))
	for _, one := range scored {
		reward[one.Trajectory.ID.Sample] = one.Breakdown.Total()
	}
	out := make([]storage.Target, len(targets))
	for i, t := range targets {
		out[i] = storage.Target{Sample: t.ID.Sample, Reward: reward[t.ID.Sample], Advantages: t.Advantages, Returns: t.Returns}
	}
	return out
}

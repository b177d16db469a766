package activities

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task"
)

// Inspector answers questions about stored runs, outside of workflows: its methods are no activities.
type Inspector struct{ activities *Activities }

// NewInspector looks through the same store and kernels.
func NewInspector(a *Activities) Inspector { return Inspector{activities: a} }

// Rewards is the run's task, and its stack under another configuration.
func (i Inspector) Rewards(ctx context.Context, run hone.RunID, cfg stack.Config) (task.Task, *reward.Stack, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	rewards, err := stack.NewWith(cfg, s.task, RewardModels(ctx, s.deps.Kernels, s.deps.Blobs))
	return s.task, rewards, err
}

// Logp is what a version of the run's policy gives each token of the trajectories, at the run's sampling temperature.
func (i Inspector) Logp(ctx context.Context, run hone.RunID, version int, trajectories []hone.Trajectory) ([][]float32, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return nil, err
	}
	params, err := s.loaded(ctx, version)
	if err != nil {
		return nil, err
	}
	engine, err := decode.New(params, s.token, s.deps.Kernels, decode.Options{Precision: s.job.Rollout.Precision})
	if err != nil {
		return nil, err
	}
	sequences := make([]decode.Sequence, len(trajectories))
	for n, t := range trajectories {
		sequences[n] = decode.Sequence{Prompt: t.Prompt, Tokens: t.Tokens, Temperature: s.job.Rollout.Sampling.Temperature}
	}
	scores, err := engine.Score(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("version %d of run %s: %w", version, run, err)
	}
	out := make([][]float32, len(scores))
	for n, one := range scores {
		out[n] = one.Logp
	}
	return out, nil
}

// Fresh samples n problems with a version of the run's policy, a group each, as a cycle would: the same every time. The problems are
// training problems, of a deal of their own. Their iteration is the version.
func (i Inspector) Fresh(ctx context.Context, run hone.RunID, version, n int) ([]hone.Trajectory, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return nil, err
	}
	roller, err := s.roller(ctx, version, version)
	if err != nil {
		return nil, err
	}
	slots := make([]rollout.Slot, n)
	for k := range slots {
		slots[k] = rollout.Slot{Problem: s.problem("fresh", k), Index: k}
	}
	origin := s.origin(version, version)
	origin.Seed = hone.Seed(s.job.Seed, "fresh")
	return roller.Sample(ctx, rollout.SampleInput{Origin: origin, Slots: slots})
}

// ReferenceLogp is what the policy that divergence is measured from gives each token, as Logp has it.
func (i Inspector) ReferenceLogp(ctx context.Context, run hone.RunID, trajectories []hone.Trajectory) ([][]float32, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return nil, err
	}
	first, err := s.referenceRun(ctx)
	if err != nil {
		return nil, err
	}
	return i.Logp(ctx, first, 0, trajectories)
}

// Again are the stored trajectories of an iteration, and the same generated once more, in the order of samples.
type Again struct {
	Stored, Again []hone.Trajectory
	// Fingerprint names the kernels of the second time.
	Fingerprint string
}

// Regenerate samples and searches an iteration once more, from the stored policy version, seeds and sampler. One that was taken from
// another run is generated there.
func (i Inspector) Regenerate(ctx context.Context, run hone.RunID, iteration int) (Again, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return Again{}, err
	}
	out := Again{Fingerprint: s.job.fingerprint(s.deps.Kernels)}
	if out.Stored, err = s.deps.Store.LoadIteration(ctx, run, iteration); err != nil {
		return out, err
	}
	if len(out.Stored) == 0 {
		return out, fmt.Errorf("iteration %d of run %s has no trajectories: %w", iteration, run, hone.ErrNotFound)
	}
	if s, err = i.activities.sessionAt(ctx, run, iteration); err != nil {
		return out, err
	}
	if s.borrows(iteration) {
		lender, theirs := s.lender(iteration)
		again, err := i.Regenerate(ctx, lender, theirs)
		for _, t := range again.Again {
			t.ID.Run, t.ID.Iteration = run, iteration
			out.Again = append(out.Again, t)
		}
		if err == nil && len(out.Again) != len(out.Stored) {
			err = fmt.Errorf("iteration %d of run %s has %d trajectories, its copy %d: %w",
				theirs, lender, len(out.Again), len(out.Stored), hone.ErrCorrupt)
		}
		return out, err
	}
	roller, err := s.roller(ctx, out.Stored[0].Behaviour, iteration)
	if err != nil {
		return out, err
	}
	var sampled []hone.Trajectory
	found := make(map[int]hone.Trajectory)
	for _, t := range out.Stored {
		if t.Source == hone.SourceSample {
			sampled = append(sampled, t)
		}
	}
	if len(sampled) > 0 {
		again, err := roller.Regenerate(ctx, sampled)
		if err != nil {
			return out, err
		}
		for _, t := range again {
			found[t.ID.Sample] = t
		}
	}
	if len(sampled) < len(out.Stored) {
		_, searched := s.slots(iteration, 0, s.job.Prompts, s.own())
		paths, err := s.paths(ctx, iteration)
		if err != nil {
			return out, err
		}
		again, err := roller.Search(ctx, rollout.SearchInput{
			Origin: s.origin(iteration, out.Stored[0].Behaviour), Slots: searched, Judge: s.judge, Paths: paths,
		})
		if err != nil {
			return out, err
		}
		for _, f := range again {
			found[f.Trajectory.ID.Sample] = f.Trajectory
		}
	}
	for _, t := range out.Stored {
		again, ok := found[t.ID.Sample]
		if !ok {
			return out, fmt.Errorf("trajectory %s is of no prompt that the run's configuration deals: %w", t.ID, hone.ErrCorrupt)
		}
		out.Again = append(out.Again, again)
	}
	return out, nil
}

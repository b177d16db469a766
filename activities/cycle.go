package activities

import (
	"context"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// sessionAt is the run under the settings of a cycle: those that it was created with and what was changed up to then. The cycle must have
// begun, since no change comes into it from then on.
func (a *Activities) sessionAt(ctx context.Context, run hone.RunID, iteration int) (*session, error) {
	s, err := a.session(ctx, run)
	if err != nil {
		return nil, err
	}
	changes, err := a.deps.Store.Changes(ctx, run, iteration)
	if err != nil || len(changes) == 0 {
		return s, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Changes are ordered by their cycles, so that their number tells which they are.
	if s.changed != nil && len(s.changed.changes) == len(changes) {
		return s.changed, nil
	}
	changed, err := s.under(changes)
	if err != nil {
		return nil, err
	}
	// What is in memory of the cycles before is a cache, and as large as all the rest.
	for _, older := range []*session{s, s.changed} {
		if older != nil && older.mu.TryLock() {
			older.learner = nil
			older.mu.Unlock()
		}
	}
	s.changed = changed
	return changed, nil
}

// under is the same run under changed settings. What it is made of beside them is shared.
func (s *session) under(changes []storage.Change) (*session, error) {
	job, err := s.job.with(changes)
	if err != nil {
		return nil, err
	}
	algorithm, err := job.algorithm()
	return &session{
		deps: s.deps, run: s.run, job: job, shape: s.shape, task: s.task, train: s.train, token: s.token, stack: s.stack,
		algorithm: algorithm, changes: changes, orders: make(map[string][]int),
	}, err
}

// settled is what moved with the version of a cycle's number, as its update starts with it: a coefficient that was set anew since the
// version was trained begins from there.
func (s *session) settled(ctx context.Context, iteration int, moved state) (state, error) {
	if len(s.changes) == 0 {
		return moved, nil
	}
	restored, err := s.deps.Store.Restored(ctx, s.run)
	if err != nil {
		return moved, err
	}
	version := iteration
	for older, ok := restored[version]; ok; older, ok = restored[version] {
		version = older
	}
	for _, c := range s.changes {
		if c.Iteration < version || c.Iteration > iteration {
			continue
		}
		switch c.Key {
		case "ppo.kl_coef":
			moved.Beta = s.job.PPO.KLCoef
		case "ppo.entropy_coef", "ppo.entropy_target":
			moved.EntropyCoef = s.job.firstState().EntropyCoef
		}
	}
	return moved, nil
}

// earlier are the scored trajectories of a cycle before the one under way, wherever they were sampled, under the name of this run, since
// updates order them by it; none of a cycle that the run went back in.
func (s *session) earlier(ctx context.Context, iteration int) ([]hone.Scored, error) {
	restored, err := s.deps.Store.Restored(ctx, s.run)
	if err != nil {
		return nil, err
	}
	if _, ok := restored[iteration+1]; ok {
		return nil, nil
	}
	owner, err := s.deps.Store.Owner(ctx, s.run, iteration)
	if err != nil {
		return nil, err
	}
	scored, err := s.scoredOf(ctx, owner, iteration, 0)
	for i := range scored {
		scored[i].Trajectory.ID.Run = s.run
	}
	return scored, err
}

package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
)

// FromScoring is how a run begins on trajectories that another run stored: its first cycles take an iteration each, under a scoring of that
// run, instead of sampling. They are copied with their scoring, so that the run's record is whole; the cycles after them sample.
type FromScoring struct {
	// Run is the other run's name; empty is none, and then nothing else is set.
	Run string `json:"run" yaml:"run"`
	// Scoring is its number in that run, >= 0; 0 is the live one.
	Scoring int `json:"scoring" yaml:"scoring"`
	// From and To are the first and the last iteration, 0 <= From <= To.
	From int `json:"from" yaml:"from"`
	To   int `json:"to" yaml:"to"`
	// Version is the other run's policy version that is this run's version 0, with the moments of its optimiser. Divergence is measured from
	// the other run's reference then. -1 is a supervised start of the run's own.
	Version int `json:"version" yaml:"version"`
	// Lag is by how many versions the other run's sampling was behind, >= 0: its rollout.staleness.
	Lag int `json:"lag,omitempty" yaml:"lag"`
}

// Cycles is the number of cycles that sample nothing.
func (f FromScoring) Cycles() int {
	if f.Run == "" {
		return 0
	}
	return f.To - f.From + 1
}

// Staleness is how old the trajectories of a cycle in [0, Cycles) are: the number of updates between the policy that sampled them and the
// one that learns, along the line from one to the other. For a supervised start of the run's own it is counted as if both runs had begun
// with the same.
func (f FromScoring) Staleness(cycle int) int { return cycle + f.distance(f.From+cycle) }

// distance is the number of updates between the version that sampled an iteration and this run's version 0.
func (f FromScoring) distance(iteration int) int {
	d := max(0, iteration-f.Lag) - max(f.Version, 0)
	return max(d, -d)
}

// MostStale is the age of the oldest trajectories.
func (f FromScoring) MostStale() int {
	most := 0
	for cycle := range f.Cycles() {
		most = max(most, f.Staleness(cycle))
	}
	return most
}

// validate joins the faults of what the job says of stored trajectories.
func (f FromScoring) validate(j Job) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if f.Run == "" {
		if f != (FromScoring{}) {
			fault("no run is named, and %+v is set", f)
		}
		return errors.Join(faults...)
	}
	if f.Scoring < 0 || f.From < 0 || f.To < f.From || f.Version < -1 || f.Lag < 0 {
		fault("scoring %d, iterations %d to %d, version %d, lag %d: want at least 0, a range from 0 on, at least -1, and at least 0",
			f.Scoring, f.From, f.To, f.Version, f.Lag)
	}
	if j.Cycles < f.Cycles() {
		fault("cycles %d: iterations %d to %d take a cycle each, want at least %d", j.Cycles, f.From, f.To, f.Cycles())
	}
	if j.Temperature != (policy.Curve{}) {
		fault("temperature %+v: stored log-probabilities are at one temperature, want none", j.Temperature)
	}
	switch c := j.PPO.Importance; {
	case j.Algorithm != AlgorithmPPO && j.Algorithm != "":
	case c.Truncate == 0:
		fault("ppo.importance.truncate is 0: samples of another policy need it, want at least 1, such as 2")
	case c.MaxStaleness < f.MostStale():
		fault("ppo.importance.max_staleness is %d: the samples are up to %d updates old, want at least that, or fewer iterations",
			c.MaxStaleness, f.MostStale())
	}
	return errors.Join(faults...)
}

// borrows tells whether a cycle takes stored trajectories.
func (s *session) borrows(iteration int) bool { return iteration < s.job.FromScoring.Cycles() }

// lender is the run that a session takes trajectories from, and the iteration that a cycle takes.
func (s *session) lender(iteration int) (hone.RunID, int) {
	return storage.RunIDOf(s.job.FromScoring.Run), s.job.FromScoring.From + iteration
}

// checkLender holds the job against the run that it takes trajectories from.
func (s *session) checkLender(ctx context.Context) error {
	f := s.job.FromScoring
	if f.Run == "" {
		return nil
	}
	run, err := s.deps.Store.RunNamed(ctx, f.Run)
	if err != nil {
		return fmt.Errorf("from_scoring: %w", err)
	}
	lender, err := decodeJob(run.Config)
	if err != nil {
		return fmt.Errorf("from_scoring: run %s: %w", f.Run, err)
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("from_scoring: "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	if lender.Task != s.job.Task || run.Dataset != task.Digest(s.train) {
		fault("run %s has other training problems; want the same task, settings and test puzzles", f.Run)
	}
	if a, b := lender.Rollout.Group, s.job.Rollout.Group; a != b {
		fault("run %s has rollout.group %d, this one %d; want the same, since samples are told by it", f.Run, a, b)
	}
	if a, b := lender.Rollout.Sampling, s.job.Rollout.Sampling; a != b || lender.Temperature != (policy.Curve{}) {
		fault("run %s sampled by %+v, this one samples by %+v; want the same, and no temperature that changes", f.Run, a, b)
	}
	changes, err := s.deps.Store.Changes(ctx, run.ID, f.To)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if strings.HasPrefix(c.Key, "rollout.sampling.") || strings.HasPrefix(c.Key, "temperature.") {
			fault("run %s samples with another %s from cycle %d on; want iterations before that", f.Run, c.Key, c.Iteration)
		}
	}
	if a, b := lender.Rollout.Staleness, f.Lag; a != b {
		fault("lag %d: run %s has rollout.staleness %d; want the same, since the age of samples is counted by it", b, f.Run, a)
	}
	if copied := lender.FromScoring.Cycles(); f.From < copied {
		fault("iterations 0 to %d of run %s are copies of run %s's; take them from there, or from %d on",
			copied-1, f.Run, lender.FromScoring.Run, copied)
	}
	if shape, err := lender.shape(); f.Version >= 0 && (err != nil || shape != s.shape) {
		fault("run %s has a policy of another shape, which can't be gone on with; want the same, or version -1", f.Run)
	}
	if f.Version >= 0 {
		if _, err := s.deps.Store.Version(ctx, run.ID, f.Version); err != nil {
			faults = append(faults, fmt.Errorf("from_scoring: %w", err))
		}
	}
	have, err := s.deps.Store.IterationsOf(ctx, run.ID, f.Scoring)
	if err != nil {
		return err
	}
	for i := f.From; i <= f.To; i++ {
		if !slices.Contains(have, i) {
			fault("scoring %d of run %s has no iteration %d; it has %v", f.Scoring, f.Run, i, have)
			break
		}
	}
	return errors.Join(faults...)
}

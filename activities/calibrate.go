package activities

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/calibration"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
)

// Forecasts is what the value head of a version says, and what the policy came to.
type Forecasts struct {
	// Problems and Trajectories are how many were sampled.
	Problems     int
	Trajectories int
	// After are the forecasts after so many steps, from 0: of each trajectory that went on from there, what the value head says of its
	// state, kept within [0, 1], and whether its answer was right in the end.
	After [][]calibration.Forecast
}

// Forecasts samples problems of a split with a version of the run's policy, a group each, the same every time. limit chooses problems as
// in [EvaluateInput]. The value head has learned returns, of which a right answer is nearly all. With a stored process-value model, that
// one is asked instead of the head.
func (i Inspector) Forecasts(
	ctx context.Context, in EvaluateInput, model blob.Digest, progress rollout.ProgressFunc,
) (Forecasts, error) {
	s, err := i.activities.session(ctx, in.Run)
	if err != nil {
		return Forecasts{}, err
	}
	problems, err := s.subset(in.Split, in.Limit)
	if err != nil {
		return Forecasts{}, err
	}
	roller, err := s.rollerOf(ctx, in.Version, s.job.sampling(in.Version), model)
	if err != nil {
		return Forecasts{}, err
	}
	slots := make([]rollout.Slot, len(problems))
	for k, p := range problems {
		slots[k] = rollout.Slot{Problem: p, Index: k}
	}
	origin := s.origin(in.Version, in.Version)
	origin.Seed = hone.Seed(s.job.Seed, "calibration")
	sampled, err := roller.Sample(ctx, rollout.SampleInput{Origin: origin, Slots: slots, Progress: progress})
	if err != nil {
		return Forecasts{}, err
	}
	out := Forecasts{Problems: len(problems), Trajectories: len(sampled)}
	for k := range sampled {
		right := s.task.Verify(sampled[k].Problem, sampled[k].Text).Outcome == hone.OutcomeRight
		if err := out.add(&sampled[k], right); err != nil {
			return Forecasts{}, err
		}
	}
	return out, nil
}

// add takes in what the value head says at the beginning of each step.
func (f *Forecasts) add(t *hone.Trajectory, right bool) error {
	for k, step := range t.Steps {
		if step.From >= len(t.Values) {
			break // a step without tokens
		}
		v := float64(t.Values[step.From])
		if math.IsNaN(v) {
			return fmt.Errorf("value of step %d of %s is %v: %w", k, t.ID, v, hone.ErrNonFinite)
		}
		if k == len(f.After) {
			f.After = append(f.After, nil)
		}
		f.After[k] = append(f.After[k], calibration.Forecast{Prob: min(max(v, 0), 1), True: right})
	}
	return nil
}

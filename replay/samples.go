package replay

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/storage"
)

// part is how many groups of samples make an iteration of [Samples]: enough to keep processors busy, and a window of them in memory.
const part = 16

// Samples are trajectories that no store has, such as fresh ones, to be replayed like those of one: their live scoring is a stack's.
type Samples struct {
	run    hone.RunID
	judged []storage.Judged
	live   []hone.Breakdown
	// size is the number of samples of an iteration.
	size int
}

// NewSamples judges trajectories under a stack, once. They are whole groups of so many samples, in order, and ID.Sample is the place of
// each.
func NewSamples(ctx context.Context, trajectories []hone.Trajectory, group int, stack *reward.Stack) (*Samples, error) {
	if group < 1 || len(trajectories)%group != 0 {
		return nil, fmt.Errorf("replay: %d samples in groups of %d: want whole groups: %w", len(trajectories), group, hone.ErrInvalid)
	}
	s := &Samples{size: part * group, judged: make([]storage.Judged, len(trajectories)), live: make([]hone.Breakdown, len(trajectories))}
	for i, t := range trajectories {
		if t.ID.Sample != i {
			return nil, fmt.Errorf("replay: trajectory %s is at place %d: %w", t.ID, i, hone.ErrInvalid)
		}
		var err error
		if s.live[i], err = stack.Score(ctx, t.Problem, t); err != nil {
			return nil, err
		}
		s.run = t.ID.Run
		s.judged[i].Trajectory = t
	}
	if stack.Grouped() {
		for lo := 0; lo < len(s.live); lo += group {
			stack.NormaliseGroup(s.live[lo : lo+group])
		}
	}
	for i, b := range s.live {
		side := sideOf(b)
		s.judged[i].Outcome, s.judged[i].Total, s.judged[i].Layers = side.Outcome, side.Total, side.Layers
	}
	return s, nil
}

// ScoredIterations are all parts; trajectories keep the iteration that they name.
func (s *Samples) ScoredIterations(context.Context, hone.RunID, int, int) ([]int, error) {
	var out []int
	for lo := 0; lo < len(s.judged); lo += s.size {
		out = append(out, lo/s.size)
	}
	return out, nil
}

// LoadJudged is a part.
func (s *Samples) LoadJudged(_ context.Context, sel storage.Selection, iteration int, _ bool) ([]storage.Judged, error) {
	if !sel.Whole() {
		return nil, fmt.Errorf("replay: samples that aren't stored can't be selected from: %w", hone.ErrInvalid)
	}
	lo := iteration * s.size
	out := make([]storage.Judged, 0, s.size)
	for _, j := range s.judged[lo:min(lo+s.size, len(s.judged))] {
		j.Trajectory.Steps = append([]hone.Step(nil), j.Trajectory.Steps...)
		out = append(out, j)
	}
	return out, nil
}

// LoadScoring is what only a stored scoring can be asked for.
func (s *Samples) LoadScoring(context.Context, hone.RunID, int, int) ([]storage.Scored, error) {
	return nil, fmt.Errorf("replay: samples that aren't stored have no scoring to keep a layer of: %w", hone.ErrInvalid)
}

// LoadBreakdown is what the stack found.
func (s *Samples) LoadBreakdown(_ context.Context, id hone.TrajectoryID, _ int) (hone.Breakdown, error) {
	return s.live[id.Sample], nil
}

// HasScoring is false.
func (s *Samples) HasScoring(context.Context, storage.ScoringKey) (bool, error) { return false, nil }

// SaveScoring is refused.
func (s *Samples) SaveScoring(context.Context, storage.ScoringKey, []storage.Scored) error {
	return fmt.Errorf("replay: a scoring of samples that aren't stored can't be: %w", hone.ErrInvalid)
}

// KeepScorings has nothing to keep.
func (s *Samples) KeepScorings(context.Context) error { return nil }

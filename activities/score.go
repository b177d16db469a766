package activities

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// Score stores the live scoring of a round of an iteration, and says whether another round is to follow.
func (a *Activities) Score(ctx context.Context, in ScoreInput) (out ScoreOutput, err error) {
	err = beating(ctx, "score", func(ctx context.Context, p *pulse) error {
		s, err := a.sessionAt(ctx, in.Run, in.Iteration)
		if err != nil {
			return err
		}
		if s.borrows(in.Iteration) {
			if err := s.takeScoring(ctx, in); err != nil {
				return err
			}
			scored, err := s.scoring(ctx, in.Iteration, 0)
			out = summarise(scored)
			out.Seconds = p.seconds()
			return err
		}
		if err := s.score(ctx, in, p); err != nil {
			return err
		}
		_, to, err := s.bounds(in.Round)
		if err != nil {
			return err
		}
		scored, err := s.scoring(ctx, in.Iteration, to)
		if err != nil {
			return err
		}
		out = summarise(scored)
		if out.Next, err = s.next(ctx, in); err != nil {
			return err
		}
		out.Seconds = p.seconds()
		return nil
	})
	return out, err
}

// score judges every trajectory of a round and stores what was found, once.
func (s *session) score(ctx context.Context, in ScoreInput, p *pulse) error {
	from, to, err := s.bounds(in.Round)
	if err != nil {
		return err
	}
	key := storage.ScoringKey{
		ShardKey: storage.ShardKey{Run: in.Run, Iteration: in.Iteration, Round: in.Round.Number}, Scoring: storage.LiveScoring,
	}
	if done, err := s.deps.Store.HasScoring(ctx, key); err != nil || done {
		return err
	}
	group := s.job.Rollout.Group
	trajectories, err := s.deps.Store.LoadSamples(ctx, storage.Samples{
		Run: s.run, Iteration: in.Iteration, From: from * group, To: to * group,
	})
	if err != nil {
		return err
	}
	scored, err := s.judged(ctx, trajectories, p)
	if err != nil {
		return err
	}
	judged := p.seconds()
	if err := s.deps.Store.SaveScoring(ctx, key, scored); err != nil {
		return err
	}
	return s.deps.Store.SaveMetrics(ctx, s.run, key.Iteration, map[string]float64{
		roundMetric("seconds_score", in.Round): judged, roundMetric("seconds_store_scoring", in.Round): p.seconds() - judged,
	})
}

// judged are the breakdowns of trajectories, which are whole groups.
func (s *session) judged(ctx context.Context, trajectories []hone.Trajectory, p *pulse) ([]storage.Scored, error) {
	p.phase("score", "trajectories")
	scored := make([]storage.Scored, len(trajectories))
	group, inner := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(trajectories); i += workers {
				if err := inner.Err(); err != nil {
					return err
				}
				t := trajectories[i]
				breakdown, err := s.stack.Score(inner, t.Problem, t)
				if err != nil {
					return fmt.Errorf("score %s: %w", t.ID, err)
				}
				scored[i] = storage.Scored{Sample: t.ID.Sample, Breakdown: breakdown}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if s.stack.Grouped() {
		s.normalise(scored)
	}
	p.at(len(scored), len(scored))
	return scored, nil
}

// normalise scales the layers that are normalised over the samples of a problem.
func (s *session) normalise(scored []storage.Scored) {
	for lo := 0; lo < len(scored); {
		var group []hone.Breakdown
		slot := scored[lo].Sample / s.job.Rollout.Group
		for ; lo < len(scored) && scored[lo].Sample/s.job.Rollout.Group == slot; lo++ {
			group = append(group, scored[lo].Breakdown)
		}
		s.stack.NormaliseGroup(group) // their layers are shared with scored
	}
}

// summarise is the means of a scoring.
func summarise(scored []storage.Scored) ScoreOutput {
	out := ScoreOutput{Trajectories: len(scored)}
	judged := 0
	for _, one := range scored {
		out.Outcomes.add(one.Breakdown.Outcome)
		if !one.Breakdown.Outcome.Judged() {
			continue
		}
		judged++
		out.Reward += one.Breakdown.Total()
		for i, layer := range one.Breakdown.Layers {
			if i == len(out.Layers) {
				out.Layers = append(out.Layers, LayerMean{Layer: layer.Layer})
			}
			out.Layers[i].Mean += layer.Total()
		}
	}
	if judged > 0 {
		out.Reward /= float64(judged)
		for i := range out.Layers {
			out.Layers[i].Mean /= float64(judged)
		}
	}
	return out
}

// add counts one outcome.
func (o *Outcomes) add(outcome hone.Outcome) {
	switch outcome {
	case hone.OutcomeRight:
		o.Right++
	case hone.OutcomeWrong:
		o.Wrong++
	case hone.OutcomeUnparsable:
		o.Unparsable++
	case hone.OutcomeTimeout:
		o.Timeout++
	case hone.OutcomeCrashed:
		o.Crashed++
	}
}

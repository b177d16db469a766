package activities

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// Score stores the live scoring of an iteration.
func (a *Activities) Score(ctx context.Context, in ScoreInput) (out ScoreOutput, err error) {
	err = beating(ctx, "score", func(ctx context.Context, p *pulse) error {
		s, err := a.session(ctx, in.Run)
		if err != nil {
			return err
		}
		key := storage.ScoringKey{ShardKey: storage.ShardKey{Run: in.Run, Iteration: in.Iteration}, Scoring: storage.LiveScoring}
		done, err := a.deps.Store.HasScoring(ctx, key)
		if err != nil {
			return err
		}
		var scored []storage.Scored
		if done {
			scored, err = a.deps.Store.LoadScoring(ctx, in.Run, in.Iteration, storage.LiveScoring)
		} else {
			scored, err = s.score(ctx, key, p)
		}
		if err != nil {
			return err
		}
		out = summarise(scored)
		out.Seconds = p.seconds()
		return nil
	})
	return out, err
}

// score judges every trajectory of an iteration and stores what was found.
func (s *session) score(ctx context.Context, key storage.ScoringKey, p *pulse) ([]storage.Scored, error) {
	trajectories, err := s.deps.Store.LoadIteration(ctx, s.run, key.Iteration)
	if err != nil {
		return nil, err
	}
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
	judged := p.seconds()
	if err := s.deps.Store.SaveScoring(ctx, key, scored); err != nil {
		return nil, err
	}
	return scored, s.deps.Store.SaveMetrics(ctx, s.run, key.Iteration, map[string]float64{
		"seconds_score": judged, "seconds_store_scoring": p.seconds() - judged,
	})
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

package valuemodel

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/calibration"
	"github.com/hone-rl/hone/policy/logistic"
)

// Bins is the ranges of a report.
const Bins = 10

// measure is the model as it is on what was held out, and its calibration.
func (l *learner) measure(ctx context.Context, stats *Stats) error {
	stats.Calibrated, stats.CalibratedEnds = plain(), plain()
	var seen mean
	var sampled, ended []said
	all := make([]int, len(l.in.HeldOut))
	for i := range all {
		all[i] = i
	}
	for _, part := range policy.Runs(all, l.in.Config.BatchTokens, func(i int) int { return len(l.in.HeldOut[i].Tokens) }) {
		scores, err := l.trainer.Evaluate(ctx, l.pack(l.in.HeldOut, part))
		if err != nil {
			return fmt.Errorf("value model on held-out states: %w", err)
		}
		at := 0
		for _, i := range part {
			for _, s := range l.in.HeldOut[i].States {
				z := float64(scores.Value[l.now.rows[at]])
				at++
				seen.add(s.Target*logistic.Softplus(-z)+(1-s.Target)*logistic.Softplus(z), s.Weight)
				one := said{logit: z, target: s.Target, weight: s.Weight}
				if l.in.HeldOut[i].Sampled {
					sampled = append(sampled, one)
				}
				if s.Ended {
					one.logp = s.Logp
					ended = append(ended, one)
				}
			}
		}
	}
	stats.HeldOutLoss = seen.value
	stats.Calibrated, stats.CalibratedEnds = fitStates(sampled), fitEnds(ended)
	for _, r := range []struct {
		out **calibration.Report
		c   Calibration
		of  []said
	}{{&stats.Before, plain(), sampled}, {&stats.After, stats.Calibrated, sampled}, {&stats.Ends, stats.CalibratedEnds, ended}} {
		if len(r.of) == 0 {
			continue
		}
		measured, err := report(r.c, r.of)
		if err != nil {
			return err
		}
		*r.out = &measured
	}
	return nil
}

// report measures what is said of samples: each sample through a state is a forecast.
func report(c Calibration, all []said) (calibration.Report, error) {
	var out []calibration.Forecast
	for _, s := range all {
		n, right := int(s.weight+0.5), int(s.weight*s.target+0.5)
		for k := range n {
			out = append(out, calibration.Forecast{Prob: c.Prob(s.logit, s.logp), True: k < right})
		}
	}
	return calibration.Measure(out, Bins)
}

package ppo

import (
	"math"

	"github.com/hone-rl/hone"
)

// Group is what the samples of one problem earned.
type Group struct {
	// Worst and Best are the extremes of their rewards, unshaped.
	Worst, Best float64
	// Right and Wrong count the samples by their outcome.
	Right, Wrong int
}

// Spread is what Config.GroupSpread is compared with.
func (g Group) Spread() float64 { return g.Best - g.Worst }

// Groups are those of all problems that were sampled and judged, as an update sees them: what a search found, what the sampler failed at
// and what was not judged is in none.
func Groups(scored []Scored) map[hone.Problem]Group {
	groups := make(map[hone.Problem]Group)
	for _, s := range scored {
		t, outcome := &s.Trajectory, s.Breakdown.Outcome
		if t.Source == hone.SourceSearch || t.Finish == hone.FinishError || !outcome.Judged() {
			continue
		}
		g := widened(groups, t.Problem, sum(s.Breakdown.StepRewards()))
		if outcome == hone.OutcomeRight {
			g.Right++
		} else {
			g.Wrong++
		}
		groups[t.Problem] = g
	}
	return groups
}

// widened is the problem's group with one more reward in it.
func widened(groups map[hone.Problem]Group, p hone.Problem, reward float64) Group {
	g, ok := groups[p]
	if !ok {
		g = Group{Worst: math.Inf(1), Best: math.Inf(-1)}
	}
	g.Worst, g.Best = min(g.Worst, reward), max(g.Best, reward)
	return g
}

// spreadOut leaves out the samples of problems whose best and worst reward differ by less than least, and says how many those are. Where
// that would leave nothing it leaves out nothing.
func spreadOut(samples []*sample, least float64) (kept []*sample, uniform int) {
	if least == 0 {
		return samples, 0
	}
	groups := make(map[hone.Problem]Group)
	for _, s := range samples {
		groups[s.trajectory.Problem] = widened(groups, s.trajectory.Problem, sum(s.task))
	}
	for _, s := range samples {
		if groups[s.trajectory.Problem].Spread() >= least {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return samples, 0
	}
	return kept, len(samples) - len(kept)
}

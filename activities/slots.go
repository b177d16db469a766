package activities

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/rollout"
)

// A cycle's prompts have slots:
//
//	[0, prompts)  sampled   [prompts, own)  searched   [own, own+1, …)  sampled in further rounds
//
// Problems to sample come from one deal, from where the cycle before stopped.

// own is the number of slots of a cycle's first round.
func (s *session) own() int { return s.job.Prompts + s.searches() }

// dealtBefore is the number of problems that the cycles before one have been dealt, given what moved with the version of its number. A
// cycle that is sampled before that version is made has them at a fixed place: each before it counts with as many as it could have drawn.
func (s *session) dealtBefore(iteration int, before state) int {
	if s.job.Rollout.Staleness > 0 {
		return iteration * s.job.mostPrompts()
	}
	return before.Prompts
}

// dealtAfter is the same with the cycle itself, which has these trajectories.
func (s *session) dealtAfter(iteration int, before state, scored []hone.Scored) int {
	if s.job.Rollout.Staleness > 0 {
		return (iteration + 1) * s.job.mostPrompts()
	}
	return before.Prompts + s.dealt(iteration, scored)
}

// behaviour is the version that samples a cycle: a function of its number alone, so that no timing can make it another.
func (j Job) behaviour(iteration int) int { return max(0, iteration-j.Rollout.Staleness) }

// slots are the prompts of a cycle in slots [from, to), those to sample and those to search. dealt is the number of problems that were
// sampled in the cycles before.
func (s *session) slots(iteration, dealt, from, to int) (sampled, searched []rollout.Slot) {
	for i := from; i < to; i++ {
		switch {
		case i < s.job.Prompts:
			sampled = append(sampled, rollout.Slot{Problem: s.problem("sample", dealt+i), Index: i})
		case i < s.own():
			problem := s.problem("search", iteration*s.job.Searched+i-s.job.Prompts)
			searched = append(searched, rollout.Slot{Problem: problem, Index: i})
		default:
			sampled = append(sampled, rollout.Slot{Problem: s.problem("sample", dealt+i-s.searches()), Index: i})
		}
	}
	return sampled, searched
}

// drawn is the number of slots of a cycle whose trajectories, in the order of samples, are all there are.
func (s *session) drawn(scored []hone.Scored) int {
	if len(scored) == 0 {
		return s.own()
	}
	return max(s.own(), scored[len(scored)-1].Trajectory.ID.Sample/s.job.Rollout.Group+1)
}

// dealt is the number of problems to sample that a cycle with these trajectories took from the deal.
func (s *session) dealt(iteration int, scored []hone.Scored) int {
	if s.borrows(iteration) {
		return 0
	}
	return s.drawn(scored) - s.searches()
}

// bounds are the slots of a round. What is no round of the job is [hone.ErrInvalid].
func (s *session) bounds(r Round) (from, to int, err error) {
	if r == (Round{}) {
		return 0, s.own(), nil
	}
	if r.Number < 1 || r.From < s.own() || r.To <= r.From || r.To > s.job.mostPrompts()+s.searches() {
		return 0, 0, fmt.Errorf("round %d of slots [%d, %d): want one from 1 of slots in [%d, %d): %w",
			r.Number, r.From, r.To, s.own(), s.job.mostPrompts()+s.searches(), hone.ErrInvalid)
	}
	return r.From, r.To, nil
}

// mostPrompts is the most problems that a cycle samples.
func (j Job) mostPrompts() int {
	return max(j.Prompts, int(math.Round(j.Rollout.TopUp*float64(j.Prompts))))
}

// next is the round that follows r: as many prompts as there are groups too few to learn from, until there are as many as the job has
// prompts or no more may be drawn. It is a function of what was stored of the cycle until then. Yu et al. 2025, arXiv:2503.14476,
// section 3.2. Differs: a round draws what is missing and no more, so that no group is sampled to be thrown away.
func (s *session) next(ctx context.Context, in ScoreInput) (Round, error) {
	_, to, err := s.bounds(in.Round)
	if err != nil || s.job.mostPrompts() == s.job.Prompts {
		return Round{}, err
	}
	scored, err := s.scored(ctx, in.Iteration, to)
	if err != nil {
		return Round{}, err
	}
	missing := min(s.job.Prompts-s.groups(scored).kept, s.job.mostPrompts()+s.searches()-to)
	if missing <= 0 {
		return Round{}, nil
	}
	return Round{Number: in.Round.Number + 1, From: to, To: to + missing}, nil
}

// groups counts sampled prompts by what there is to learn from their group; the others add up to drawn.
type groups struct {
	drawn int
	// kept are those whose rewards differ enough. right, wrong and mixed are the others, by the outcomes of their problem's samples,
	// and unjudged those without a judgement.
	kept, right, wrong, mixed, unjudged int
}

// groups counts those of a cycle's trajectories, which are in the order of samples.
func (s *session) groups(scored []hone.Scored) (g groups) {
	earned := ppo.Groups(scored)
	last := -1
	for i := range scored {
		t := &scored[i].Trajectory
		slot := t.ID.Sample / s.job.Rollout.Group
		if slot == last || t.Source == hone.SourceSearch {
			continue
		}
		last = slot
		g.drawn++
		switch group, judged := earned[t.Problem]; {
		case !judged:
			g.unjudged++
		case group.Spread() >= s.job.PPO.GroupSpread:
			g.kept++
		case group.Wrong == 0:
			g.right++
		case group.Right == 0:
			g.wrong++
		default:
			g.mixed++
		}
	}
	return g
}

// metrics are the counts by the names of doc/metrics.md.
func (g groups) metrics() map[string]float64 {
	return map[string]float64{
		"prompts_drawn": float64(g.drawn), "groups_kept": float64(g.kept), "groups_uniform_right": float64(g.right),
		"groups_uniform_wrong": float64(g.wrong), "groups_uniform_mixed": float64(g.mixed), "groups_unjudged": float64(g.unjudged),
	}
}

package workflows

import (
	"fmt"
	"math"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
)

// rollout samples a round, shard by shard, a few shards at once, and adds it to the cycle's sum.
func (t *training) rollout(ctx workflow.Context, round activities.Round, cycle *Cycle) error {
	shards := make([]activities.RolloutShardOutput, t.shards())
	if round.Number > 0 {
		shards = shards[:min(len(shards), round.To-round.From)]
	}
	t.show(PhaseRollout)
	t.state.ShardsDone, t.state.Shards = 0, len(shards)
	p := &pace{factor: t.input.Plan.Reissue, shards: len(shards)}
	err := each(ctx, len(shards), t.input.Plan.Parallel, func(ctx workflow.Context, shard int) error {
		where := call{
			QueueRollout, 2 * time.Hour,
			fmt.Sprintf("cycle %d: rollout %d of %d%s", cycle.Iteration, shard+1, len(shards), roundName(round)),
		}
		in := activities.RolloutShardInput{
			Run: t.state.Run, Iteration: cycle.Iteration, Shard: shard, Shards: len(shards), Behaviour: t.behaviour(cycle.Iteration),
			Round: round,
		}
		if err := t.shard(ctx, where, in, p).Get(ctx, &shards[shard]); err != nil {
			return fmt.Errorf("rollout shard %d of %d: %w", shard+1, len(shards), err)
		}
		p.seconds = append(p.seconds, shards[shard].Seconds)
		t.state.ShardsDone++
		return nil
	})
	if err != nil {
		return err
	}
	cycle.Reissued += p.reissued
	for _, s := range shards {
		cycle.Rollout.Add(s)
	}
	return nil
}

// shards is how many a cycle is divided into. By how fast the cycle before was, all its workers together: where they take their shards
// one by one, faster ones take more of them.
func (t *training) shards() int {
	target, last := t.input.Plan.ShardSeconds, t.state.Last
	if target == 0 || last == nil || last.Rollout.Seconds == 0 {
		return t.input.Plan.Shards
	}
	const most = 16
	wanted := math.Round(min(last.Rollout.Seconds/target, float64(most*t.input.Plan.Parallel), maxShards))
	return max(t.input.Plan.Parallel, int(wanted))
}

// pace is what a round's shards have taken so far.
type pace struct {
	// factor is the plan's, 0 for none.
	factor float64
	// shards are how many there are, seconds what those that have ended took, by the worker's clock, waiting not included.
	shards   int
	seconds  []float64
	reissued int
}

// leastPatience is what every shard is given: below it, a second worker costs more than it saves.
const leastPatience = 20 * time.Second

// patience is how long a shard may take before it is given to a second worker; 0 while too few have ended to tell.
func (p *pace) patience() time.Duration {
	n := len(p.seconds)
	if p.factor == 0 || n == 0 || 2*n < p.shards {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.seconds))
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return max(leastPatience, time.Duration(p.factor*median*float64(time.Second)))
}

// shard is the answer to a shard: of the worker that it was given to or, where that takes much longer than others took for theirs, of
// whichever of two is first. Both make the same, and the ledger keeps one. Who comes second is told to stop and not waited for.
func (t *training) shard(ctx workflow.Context, where call, in activities.RolloutShardInput, p *pace) workflow.Future {
	began := workflow.Now(ctx)
	one, stopOne := workflow.WithCancel(ctx)
	first := workflow.ExecuteActivity(where.context(one), t.act.RolloutShard, in)
	if p.factor == 0 || workflow.Await(ctx, func() bool { return first.IsReady() || p.patience() > 0 }) != nil || first.IsReady() {
		return first
	}
	if left := p.patience() - workflow.Now(ctx).Sub(began); left > 0 {
		if ended, err := workflow.AwaitWithTimeout(ctx, left, first.IsReady); ended || err != nil {
			return first
		}
	}
	p.reissued++
	where.summary += ", again"
	other, stopOther := workflow.WithCancel(ctx)
	second := workflow.ExecuteActivity(where.context(other), t.act.RolloutShard, in)
	if err := workflow.Await(ctx, func() bool { return first.IsReady() || second.IsReady() }); err != nil {
		return first
	}
	winner, loser, stop := first, second, stopOther
	if !first.IsReady() {
		winner, loser, stop = second, first, stopOne
	}
	if err := winner.Get(ctx, nil); err != nil && !temporal.IsCanceledError(err) {
		return loser
	}
	stop()
	return winner
}

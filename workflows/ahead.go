package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"
)

// lookahead is the sampling of cycles before their turn: while the policy learns from one, the next are sampled, each by the version that
// its number and the run's staleness name. Which trajectories there are is no matter of when.
type lookahead struct {
	// staleness is by how many versions the policy that samples may be behind; at 0 nothing is begun before its turn.
	staleness int
	// horizon is the first cycle that is left to the next execution.
	horizon int
	// begun are the cycles being sampled, or sampled and not learned from yet, by their numbers, without gaps.
	begun []*sampling
	// stop ends those under way.
	stop workflow.CancelFunc
	// scope is the context they run in.
	scope workflow.Context
}

// sampling is the sampling of one cycle. done is ready when it has ended, and cycle is complete then.
type sampling struct {
	cycle Cycle
	done  workflow.Future
}

// behaviour is the version that samples a cycle, by the same rule as the activities have.
func (t *training) behaviour(iteration int) int { return max(0, iteration-t.staleness) }

// sampled waits until the cycle under way is sampled and scored.
func (t *training) sampled(ctx workflow.Context, cycle *Cycle) error {
	if t.staleness == 0 {
		return t.sample(ctx, cycle)
	}
	t.state.Phase = PhaseRollout
	if len(t.begun) == 0 {
		t.begin(ctx, cycle.Iteration)
	}
	first := t.begun[0]
	err := first.done.Get(ctx, nil)
	*cycle = first.cycle
	t.begun = t.begun[1:]
	if err != nil {
		return fmt.Errorf("sample cycle %d: %w", cycle.Iteration, err)
	}
	return nil
}

// lookAhead begins the cycles that may be sampled while the one under way is learned from, unless the run is about to do something else.
func (t *training) lookAhead(ctx workflow.Context) {
	if t.state.Stopping || t.state.Paused || t.state.RollBack != nil || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		return
	}
	for next := t.state.Version + 1 + len(t.begun); next <= t.state.Version+t.staleness && next < min(t.state.Cycles, t.horizon); next++ {
		t.begin(ctx, next)
	}
}

// begin samples a cycle beside what else goes on, after those that were begun before it.
func (t *training) begin(ctx workflow.Context, iteration int) {
	if t.stop == nil {
		t.scope, t.stop = workflow.WithCancel(ctx)
	}
	var before workflow.Future
	if n := len(t.begun); n > 0 {
		before = t.begun[n-1].done
	}
	done, ended := workflow.NewFuture(ctx)
	s := &sampling{cycle: Cycle{Iteration: iteration}, done: done}
	t.begun = append(t.begun, s)
	workflow.Go(t.scope, func(ctx workflow.Context) {
		var err error
		if before != nil {
			err = before.Get(ctx, nil)
		}
		if err == nil {
			err = t.sample(ctx, &s.cycle)
		}
		ended.Set(nil, err)
	})
}

// await waits for what was begun. What it stored is found by the next execution; what went wrong goes wrong there again.
func (t *training) await(ctx workflow.Context) {
	for _, s := range t.begun {
		_ = s.done.Get(ctx, nil)
	}
	t.begun, t.stop = nil, nil
}

// abandon ends what was begun, and waits until it has ended. What it stored stays.
func (t *training) abandon(ctx workflow.Context) {
	if t.stop != nil {
		t.stop()
	}
	t.await(ctx)
}

// show is the phase that a cycle's sampling is in, which is the run's while nothing else is waited for.
func (t *training) show(phase Phase) {
	if t.staleness == 0 || t.state.Phase == PhaseRollout || t.state.Phase == PhaseScore {
		t.state.Phase = phase
	}
}

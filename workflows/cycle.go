package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
)

// Cycle sums up one cycle: what was sampled, what it earned, and what the update made of it.
type Cycle struct {
	// Iteration is the cycle's number, from 0; it is also the policy version that the update starts from.
	Iteration int `json:"iteration"`
	// Rollout is the sum over the cycle's shards; its Seconds add up the shards' own.
	Rollout activities.RolloutShardOutput `json:"rollout"`
	Score   activities.ScoreOutput        `json:"score"`
	Update  activities.UpdateOutput       `json:"update"`
	// Reissued is how many shards were given to a second worker, the first being slow.
	Reissued int `json:"reissued,omitempty"`
	// Seconds is how long the whole cycle took by the server's clock, waiting included.
	Seconds float64 `json:"seconds"`
}

// cycles runs cycles until the plan is done or a stop is asked for, with the evaluations that are due before each. It returns
// a continue-as-new error when the execution has become long.
func (t *training) cycles(ctx workflow.Context) error {
	t.horizon = t.state.Version + t.input.Plan.ContinueEvery
	for done := 0; (t.state.Version < t.state.Cycles || t.state.RollBack != nil) && !t.state.Stopping; done++ {
		if done > 0 && (done >= t.input.Plan.ContinueEvery || workflow.GetInfo(ctx).GetContinueAsNewSuggested()) {
			return t.continueAsNew(ctx)
		}
		if err := t.between(ctx); err != nil {
			return err
		}
		if t.state.Version >= t.state.Cycles || t.state.Stopping {
			continue
		}
		// Before the cycle rather than after the one that made the version: a resumed run owes it too. It costs nothing then,
		// since an evaluation that is stored is not made again.
		if t.due() {
			latest, err := t.evaluate(ctx, t.state.Version, t.input.Plan.Every)
			if err != nil {
				return err
			}
			t.state.Latest = latest
			if t.state.Stopping {
				return nil
			}
		}
		if err := t.tell(ctx, activities.StatusRunning); err != nil {
			return err
		}
		if err := t.cycle(ctx); err != nil {
			return fmt.Errorf("cycle %d: %w", t.state.Version, err)
		}
	}
	return ctx.Err() //nolint:wrapcheck // a cancellation, which Temporal must recognise
}

// due tells whether the head is to be evaluated before the next cycle.
func (t *training) due() bool {
	every := t.input.Plan.EvalEvery
	return every > 0 && t.state.Version > 0 && t.state.Version%every == 0
}

// cycle samples with the head or the version that its staleness says, scores, and trains the next version.
func (t *training) cycle(ctx workflow.Context) error {
	began := workflow.Now(ctx)
	cycle := Cycle{Iteration: t.state.Version}
	if err := t.sampled(ctx, &cycle); err != nil {
		return err
	}
	t.lookAhead(ctx)
	t.state.Phase = PhaseUpdate
	err := workflow.ExecuteActivity(call{QueueTrain, 4 * time.Hour, fmt.Sprintf("cycle %d: update", cycle.Iteration)}.context(ctx),
		t.act.Update, activities.UpdateInput{
			Run: t.state.Run, Iteration: cycle.Iteration, Behaviour: t.behaviour(cycle.Iteration),
		}).Get(ctx, &cycle.Update)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	cycle.Seconds = workflow.Now(ctx).Sub(began).Seconds()
	t.state.Version, t.manifest = cycle.Update.Version, cycle.Update.Manifest
	t.state.Last = &cycle
	if cycle.Update.Alarm != "" {
		t.state.Stopping, t.state.Alarm = true, cycle.Update.Alarm
	}
	return nil
}

// sample samples and scores the cycle's prompts, in as many rounds as scoring asks for. Which round is the next is a function of what
// was stored of those before, so a new execution goes through the same.
func (t *training) sample(ctx workflow.Context, cycle *Cycle) error {
	for round := (activities.Round{}); ; round = cycle.Score.Next {
		if err := t.rollout(ctx, round, cycle); err != nil {
			return err
		}
		t.show(PhaseScore)
		cycle.Score = activities.ScoreOutput{}
		where := call{QueueReward, time.Hour, fmt.Sprintf("cycle %d: score%s", cycle.Iteration, roundName(round))}
		err := workflow.ExecuteActivity(where.context(ctx), t.act.Score, activities.ScoreInput{
			Run: t.state.Run, Iteration: cycle.Iteration, Behaviour: t.behaviour(cycle.Iteration), Round: round,
		}).Get(ctx, &cycle.Score)
		if err != nil {
			return fmt.Errorf("score: %w", err)
		}
		if cycle.Score.Next == (activities.Round{}) {
			return nil
		}
	}
}

// roundName is what a summary says of a round after the first.
func roundName(r activities.Round) string {
	if r.Number == 0 {
		return ""
	}
	return fmt.Sprintf(", top-up %d", r.Number)
}

// evaluate measures one version, in the order of the plan.
func (t *training) evaluate(ctx workflow.Context, version int, measures []Measure) ([]activities.Evaluation, error) {
	if t.state.Phase != PhaseFinal {
		t.state.Phase = PhaseEvaluate
	}
	results := make([]activities.Evaluation, len(measures))
	err := each(ctx, len(measures), t.input.Plan.Parallel, func(ctx workflow.Context, i int) error {
		m := measures[i]
		what := fmt.Sprintf("version %d: evaluate %s on %s", version, m.Mode, m.Split)
		in := activities.EvaluateInput{Run: t.state.Run, Version: version, Split: m.Split, Mode: m.Mode, Limit: m.Limit}
		err := workflow.ExecuteActivity(call{QueueRollout, 4 * time.Hour, what}.context(ctx), t.act.Evaluate, in).Get(ctx, &results[i])
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// continueAsNew hands over to a new execution with an empty history, once no update is half done and no sampling is.
func (t *training) continueAsNew(ctx workflow.Context) error {
	t.await(ctx)
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	next := t.input
	next.Carry = &Carry{
		Started: t.state.Started, Cycles: t.state.Cycles, Stopping: t.state.Stopping, Paused: t.state.Paused, RollBack: t.state.RollBack,
		Start: t.state.Start, Latest: t.state.Latest, Last: t.state.Last,
	}
	return workflow.NewContinueAsNewError(ctx, TrainWorkflow, next)
}

// each calls f for 0 to n-1, at most limit at a time, and waits for all of them. The first error cancels the others and is
// returned.
func each(ctx workflow.Context, n, limit int, f func(ctx workflow.Context, i int) error) error {
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	slots := workflow.NewSemaphore(ctx, int64(limit))
	running := workflow.NewWaitGroup(ctx)
	var first error
	fail := func(err error) {
		if first == nil {
			first = err
			cancel()
		}
	}
	for i := range n {
		if err := slots.Acquire(ctx, 1); err != nil {
			fail(err)
			break
		}
		running.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer running.Done()
			defer slots.Release(1)
			if err := f(ctx, i); err != nil {
				fail(err)
			}
		})
	}
	running.Wait(ctx)
	return first
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

const (
	// pollInterval is how often a run is asked how far it is.
	pollInterval = time.Second
	// pollPatience is how long one answer may take, which a busy machine's may.
	pollPatience = 10 * time.Second
	// lostPatience is for how long joined servers may not answer before their owner is looked for.
	lostPatience = 15 * time.Second
)

// The failures of attempts that were cut short with the process that ran them.
const (
	workerStopping = "worker is stopping"
	workerLost     = "activity Heartbeat timeout"
)

// watcher follows a run and tells a view what is new.
type watcher struct {
	*training
	client client.Client
	flow   *workflows.Training

	pace pace
	// cycles is the number of cycles that were shown or were there before.
	cycles int
	// shown are the evaluations and failures that were shown.
	shown map[string]bool
	// heard is when the run last answered.
	heard time.Time
}

// watch returns the run's result when it has ended.
func (w *watcher) watch(ctx context.Context) (workflows.TrainResult, error) {
	type end struct {
		result workflows.TrainResult
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		result, err := w.wait(ctx)
		ended <- end{result, err}
	}()
	w.cycles, w.shown, w.heard = max(w.head, 0), make(map[string]bool), time.Now()
	if w.flow.Attached && w.servers.joined != nil {
		w.view.note("the run is being trained on these servers already; following it")
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case e := <-ended:
			if e.err == nil {
				w.last(ctx, e.result)
			}
			return e.result, e.err
		case <-tick.C:
			if err := w.poll(ctx); err != nil {
				return workflows.TrainResult{}, err
			}
		}
	}
}

// wait waits for the run's end. Servers that are away, or too busy to answer, end nothing: the run goes on when they do.
func (w *watcher) wait(ctx context.Context) (workflows.TrainResult, error) {
	for {
		result, err := w.flow.Wait(ctx)
		if !errors.Is(err, hone.ErrUnavailable) || ctx.Err() != nil {
			return result, err
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
		}
	}
}

// poll shows what is new. An answer that doesn't come is no fault of the run's, unless the servers have gone.
func (w *watcher) poll(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, pollPatience)
	defer cancel()
	status, err := workflows.ReadStatus(patience, w.client, w.name)
	if err != nil {
		gone := w.servers.joined
		if ctx.Err() == nil && gone != nil && time.Since(w.heard) > lostPatience && !w.servers.data.alive(*gone) {
			return fmt.Errorf("process %d, which ran the servers of %s, has ended; type the same command again: %w",
				gone.PID, w.servers.data.path, hone.ErrUnavailable)
		}
		return nil
	}
	w.heard = time.Now()
	p := status.Progress
	w.showEvaluations(p.Start)
	w.showCycles(ctx, p)
	w.showEvaluations(p.Latest)
	w.showFailures(status.Activities)
	w.pace.see(p, w.heard)
	now := moment{progress: p, left: w.pace.left(p, w.heard)}
	for _, a := range status.Activities {
		if !a.Beat.IsZero() && (now.beat == nil || a.Heartbeat.Total > 0) {
			beat := a.Heartbeat
			now.beat = &beat
		}
	}
	if b := now.beat; b != nil && now.left == 0 && !now.inCycle() && b.Rate > 0 && b.Total > b.Done {
		now.left = time.Duration(float64(b.Total-b.Done) / b.Rate * float64(time.Second))
	}
	w.view.moment(now)
	return nil
}

// last shows what came after the last poll.
func (w *watcher) last(ctx context.Context, result workflows.TrainResult) {
	w.showEvaluations(result.Start)
	w.showCycles(ctx, workflows.Progress{Run: result.Run, Version: result.Version, Cycles: w.config.Plan.Cycles, Last: result.Last})
	w.showEvaluations(result.Final)
}

// showCycles shows the cycles that were finished since the last time, with the evaluations between them, from the record: a fast
// cycle is over between two polls.
func (w *watcher) showCycles(ctx context.Context, p workflows.Progress) {
	if p.Version <= w.cycles {
		return
	}
	metrics, err := w.store.Metrics(ctx, p.Run)
	if err != nil {
		return // it is read again at the next poll
	}
	evaluations, err := w.store.Evaluations(ctx, p.Run)
	if err != nil {
		return
	}
	for i := w.cycles; i < p.Version; i++ {
		for _, e := range evaluations {
			if e.Version == i && i >= w.head {
				w.showEvaluations([]activities.Evaluation{newEvaluation(e)})
			}
		}
		if len(metrics[i]) == 0 {
			w.view.note(fmt.Sprintf("cycle %d/%d went back to an older version", i+1, p.Cycles))
			continue
		}
		c := newCycle(i, p.Cycles, metrics[i])
		if p.Last != nil && p.Last.Iteration == i {
			c.Seconds = p.Last.Seconds
		}
		c.Left = w.pace.left(p, time.Now())
		w.view.cycle(c)
	}
	w.cycles = p.Version
}

func (w *watcher) showEvaluations(all []activities.Evaluation) {
	for _, e := range all {
		key := fmt.Sprint("evaluation ", e.Version, e.Split, e.Mode, e.Problems)
		if !w.shown[key] {
			w.shown[key] = true
			w.view.evaluation(e)
		}
	}
}

// showFailures shows why activities are tried again, but for those that were cut short with the process before this one.
func (w *watcher) showFailures(all []workflows.Activity) {
	for _, a := range all {
		if a.Failure == "" || a.Failure == workerLost || a.Failure == workerStopping {
			continue
		}
		key := fmt.Sprint("failure ", a.Name, a.Attempt, a.Failure)
		if !w.shown[key] {
			w.shown[key] = true
			w.view.note(fmt.Sprintf("%s is tried again (attempt %d): %s", a.Name, a.Attempt, a.Failure))
		}
	}
}

// pace measures how long cycles take, with the evaluations between them, to tell the time that is left.
type pace struct {
	// first and newest are the first version that was seen and the last that was new, with the times at which they were.
	first, newest     int
	began, lastChange time.Time
}

// see notes the progress at a time.
func (p *pace) see(now workflows.Progress, at time.Time) {
	switch {
	case p.began.IsZero() && now.Phase != workflows.PhaseRollout: // What comes before the first cycle doesn't count.
	case p.began.IsZero():
		p.first, p.newest, p.began, p.lastChange = now.Version, now.Version, at, at
	case now.Version > p.newest:
		p.newest, p.lastChange = now.Version, at
	}
}

// left is the time until the cycles are done, 0 where it isn't known yet.
func (p *pace) left(now workflows.Progress, at time.Time) time.Duration {
	if p.newest <= p.first || now.Version >= now.Cycles {
		return 0
	}
	each := p.lastChange.Sub(p.began) / time.Duration(p.newest-p.first)
	return max(each*time.Duration(now.Cycles-now.Version)-min(at.Sub(p.lastChange), each), time.Second)
}

// cycle is one finished cycle, as it is shown.
type cycle struct {
	// Number counts from 1; Cycles is how many there are to be.
	Number int `json:"cycle"`
	Cycles int `json:"cycles"`
	// Reward is the mean total, Layers the layers' means that it is the sum of, in the order of the stack.
	Reward float64                `json:"reward"`
	Layers []activities.LayerMean `json:"layers"`
	// Right is the share of right answers among the trajectories, in [0, 1].
	Right float64 `json:"right"`
	// KL is the divergence from the supervised start and Entropy the policy's, in nats a token.
	KL           float64 `json:"kl"`
	Entropy      float64 `json:"entropy"`
	Trajectories int     `json:"trajectories"`
	// Staleness is how many updates old the trajectories were; nil where the cycle sampled them.
	Staleness *int `json:"staleness,omitempty"`
	// SampleRate is trajectories sampled a second, TrainRate tokens trained on a second, of the time spent on each.
	SampleRate float64       `json:"sample_rate"`
	TrainRate  float64       `json:"train_rate"`
	Tokens     int           `json:"tokens"`
	Seconds    float64       `json:"seconds"`
	Left       time.Duration `json:"-"`
}

// newCycle reads a cycle's metrics, by the names of doc/metrics.md.
func newCycle(iteration, cycles int, m map[string]float64) cycle {
	c := cycle{
		Number: iteration + 1, Cycles: cycles, Reward: m["reward"], Layers: layersOf(m), KL: m["kl_ref_k3"], Entropy: m["entropy"],
		Trajectories: int(m["trajectories"]), Tokens: int(m["tokens"]), Seconds: workSeconds(m),
	}
	c.SampleRate = rate(m["trajectories"], secondsOf(m, "seconds_sample"))
	c.TrainRate = rate(m["tokens"], secondsOf(m, "seconds_update"))
	if age, ok := m["staleness"]; ok {
		whole := int(age)
		c.Staleness = &whole
	}
	if c.Trajectories > 0 {
		c.Right = m["outcome_right"] / m["trajectories"]
	}
	return c
}

// storedEnds are the evaluations of the first and the last version that are in the record.
func (t *training) storedEnds(ctx context.Context) (evaluated, error) {
	all, err := t.store.Evaluations(ctx, t.stored.ID)
	if err != nil {
		return evaluated{}, err
	}
	head, err := t.store.Head(ctx, t.stored.ID)
	if err != nil {
		return evaluated{}, err
	}
	out := evaluated{version: head.Number, weights: string(head.Weights)}
	for _, e := range all {
		one := newEvaluation(e)
		if e.Version == 0 && planned(t.config.Plan.Start, e) {
			out.start = append(out.start, one)
		}
		if e.Version == head.Number && planned(t.config.Plan.Final, e) {
			out.final = append(out.final, one)
		}
	}
	return out, nil
}

func planned(measures []workflows.Measure, e storage.Evaluation) bool {
	for _, m := range measures {
		if m.Split == e.Split && string(m.Mode) == e.Mode && m.Limit == e.Limit {
			return true
		}
	}
	return false
}

// newEvaluation is a stored evaluation as the workflows have it.
func newEvaluation(e storage.Evaluation) activities.Evaluation {
	out := activities.Evaluation{
		Version: e.Version, Split: e.Split, Mode: activities.Mode(e.Mode), Problems: e.Problems,
		Outcomes: activities.Outcomes{
			Right: e.Outcomes[hone.OutcomeRight], Wrong: e.Outcomes[hone.OutcomeWrong], Unparsable: e.Outcomes[hone.OutcomeUnparsable],
			Timeout: e.Outcomes[hone.OutcomeTimeout], Crashed: e.Outcomes[hone.OutcomeCrashed],
		},
	}
	if e.Problems > 0 {
		out.Tokens = float64(e.Tokens) / float64(e.Problems)
	}
	return out
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
)

// Store is what a replay reads and writes; [storage.Store] is one.
type Store interface {
	ScoredIterations(ctx context.Context, run hone.RunID, from, to int) ([]int, error)
	LoadJudged(ctx context.Context, sel storage.Selection, iteration int, values bool) ([]storage.Judged, error)
	LoadScoring(ctx context.Context, run hone.RunID, iteration, scoring int) ([]storage.Scored, error)
	LoadBreakdown(ctx context.Context, id hone.TrajectoryID, scoring int) (hone.Breakdown, error)
	HasScoring(ctx context.Context, key storage.ScoringKey) (bool, error)
	SaveScoring(ctx context.Context, key storage.ScoringKey, scored []storage.Scored) error
	KeepScorings(ctx context.Context) error
}

// Input is what to replay.
type Input struct {
	Store Store
	// Selection picks trajectories; From and To bound the iterations, To < 0 is the last.
	Selection storage.Selection
	From, To  int
	// Group is the number of samples of a problem that training compares with each other, >= 1.
	Group int
	Task  task.Task
	// Stack judges again. Against, where it isn't nil, judges too, and the report is of what it changes from Stack; otherwise it is of what
	// Stack changes from the live scoring.
	Stack, Against *reward.Stack
	// Keep are layers of Stack and Against whose live terms are taken as they are stored, since they can't be had again. A
	// [reward.Unrepeatable] layer is kept without being named.
	Keep []string
	// Scoring is the number under which the result is stored, which [storage.Store.AddScoring] gave; 0 stores nothing. It takes a whole
	// selection, and no Against.
	Scoring int
	// Row, where it isn't nil, is given every trajectory in order.
	Row func(Row) error
	// Progress, where it isn't nil, hears how many iterations are done.
	Progress func(done, total int)
}

func (in Input) validate() error {
	switch {
	case in.Group < 1:
		return fmt.Errorf("replay: group of %d: want 1 or more: %w", in.Group, hone.ErrInvalid)
	case in.Scoring > 0 && (!in.Selection.Whole() || in.Against != nil):
		return fmt.Errorf("replay: only a whole iteration under one stack is stored: leave the other conditions away: %w", hone.ErrInvalid)
	}
	return nil
}

// Run replays. The report is deterministic; see [Report].
func Run(ctx context.Context, in Input) (Report, error) {
	if err := in.validate(); err != nil {
		return Report{}, err
	}
	iterations, err := in.Store.ScoredIterations(ctx, in.Selection.Run, in.From, in.To)
	if err != nil {
		return Report{}, err
	}
	fold := newFold(in)
	if err := in.each(ctx, iterations, fold.iteration); err != nil {
		return Report{}, err
	}
	if in.Scoring > 0 {
		if err := in.Store.KeepScorings(ctx); err != nil {
			return Report{}, err
		}
	}
	return fold.report(ctx)
}

// ahead is how many iterations for each processor are read and judged, or wait for those before them to be folded: they are what is in
// memory. More than one, since a processor has nothing to do while the database works.
const ahead = 2

// each judges iterations in parallel, and hands them to f one at a time, in order.
func (in Input) each(ctx context.Context, iterations []int, f func([]pair) error) error {
	group, inner := errgroup.WithContext(ctx)
	judged := make(chan chan []pair, ahead*runtime.GOMAXPROCS(0)-1)
	group.Go(func() error {
		defer close(judged)
		for _, iteration := range iterations {
			one := make(chan []pair, 1)
			select {
			case judged <- one:
			case <-inner.Done():
				return inner.Err()
			}
			group.Go(func() error {
				defer close(one)
				pairs, err := in.iteration(inner, iteration)
				if err == nil {
					one <- pairs
				}
				return err
			})
		}
		return nil
	})
	group.Go(func() error {
		done := 0
		for one := range judged {
			pairs, ok := <-one
			if !ok {
				return inner.Err()
			}
			if err := f(pairs); err != nil {
				return err
			}
			if done++; in.Progress != nil {
				in.Progress(done, len(iterations))
			}
		}
		return nil
	})
	return group.Wait()
}

// pair is one trajectory under the two rewards that are compared.
type pair struct {
	storage.Judged
	before, after Side
}

// Side is a trajectory under one reward.
type Side struct {
	Outcome hone.Outcome         `json:"outcome"`
	Total   float64              `json:"total"`
	Layers  []storage.LayerTotal `json:"layers"`
	// breakdown is nil where only totals were loaded.
	breakdown *hone.Breakdown
}

func sideOf(b hone.Breakdown) Side {
	s := Side{Outcome: b.Outcome, Total: b.Total(), Layers: make([]storage.LayerTotal, len(b.Layers)), breakdown: &b}
	for i, l := range b.Layers {
		s.Layers[i] = storage.LayerTotal{Layer: l.Layer, Total: l.Total()}
	}
	return s
}

// iteration judges the trajectories of an iteration again, and stores what was found.
func (in Input) iteration(ctx context.Context, iteration int) ([]pair, error) {
	judged, err := in.Store.LoadJudged(ctx, in.Selection, iteration, in.values())
	if err != nil {
		return nil, err
	}
	for i := range judged {
		in.name(&judged[i].Trajectory)
	}
	key := storage.ScoringKey{ShardKey: storage.ShardKey{Run: in.Selection.Run, Iteration: iteration}, Scoring: in.Scoring}
	stored := false
	if in.Scoring > 0 {
		if stored, err = in.Store.HasScoring(ctx, key); err != nil {
			return nil, err
		}
	}
	var breakdowns []hone.Breakdown
	if stored {
		breakdowns, err = in.load(ctx, iteration, judged)
	} else {
		breakdowns, err = in.judge(ctx, in.Stack, iteration, judged)
	}
	if err != nil {
		return nil, err
	}
	if in.Scoring > 0 && !stored {
		scored := make([]storage.Scored, len(judged))
		for i, j := range judged {
			scored[i] = storage.Scored{Sample: j.Trajectory.ID.Sample, Breakdown: breakdowns[i]}
		}
		if err := in.Store.SaveScoring(ctx, key, scored); err != nil {
			return nil, err
		}
	}
	pairs := make([]pair, len(judged))
	for i, j := range judged {
		pairs[i] = pair{Judged: j, before: Side{Outcome: j.Outcome, Total: j.Total, Layers: j.Layers}, after: sideOf(breakdowns[i])}
	}
	if in.Against != nil {
		others, err := in.judge(ctx, in.Against, iteration, judged)
		if err != nil {
			return nil, err
		}
		for i := range pairs {
			pairs[i].before, pairs[i].after = pairs[i].after, sideOf(others[i])
		}
	}
	return pairs, nil
}

// load is what an earlier call stored.
func (in Input) load(ctx context.Context, iteration int, judged []storage.Judged) ([]hone.Breakdown, error) {
	scored, err := in.Store.LoadScoring(ctx, in.Selection.Run, iteration, in.Scoring)
	if err != nil {
		return nil, err
	}
	if len(scored) != len(judged) {
		return nil, fmt.Errorf("scoring %d of iteration %d has %d samples, want %d: %w",
			in.Scoring, iteration, len(scored), len(judged), hone.ErrCorrupt)
	}
	out := make([]hone.Breakdown, len(scored))
	for i, s := range scored {
		out[i] = s.Breakdown
	}
	return out, nil
}

// values tells whether a layer reads what the value head said.
func (in Input) values() bool {
	reads := func(s *reward.Stack) bool {
		return s != nil && slices.ContainsFunc(s.Layers(), func(w reward.Weighted) bool { return w.Layer.Name() == "progress" })
	}
	return reads(in.Stack) || reads(in.Against)
}

// judge scores an iteration under a stack.
func (in Input) judge(ctx context.Context, stack *reward.Stack, iteration int, judged []storage.Judged) ([]hone.Breakdown, error) {
	stack, err := in.keeping(ctx, stack, iteration)
	if err != nil {
		return nil, err
	}
	out := make([]hone.Breakdown, len(judged))
	for i := range judged {
		t := &judged[i].Trajectory
		out[i], err = stack.Score(ctx, t.Problem, *t)
		switch {
		case errors.Is(err, hone.ErrUnavailable):
			return nil, fmt.Errorf("%w; a layer that can't be had again is kept as it was stored with --keep", err)
		case err != nil:
			return nil, err
		}
	}
	if stack.Grouped() {
		for lo := 0; lo < len(out); {
			hi := lo + 1
			for hi < len(out) && in.slot(judged[hi]) == in.slot(judged[lo]) {
				hi++
			}
			stack.NormaliseGroup(out[lo:hi])
			lo = hi
		}
	}
	return out, nil
}

// slot is the place of a trajectory's problem within its iteration.
func (in Input) slot(j storage.Judged) int { return j.Trajectory.ID.Sample / in.Group }

// name gives the steps their texts.
func (in Input) name(t *hone.Trajectory) {
	for i, text := range in.Task.Steps(t.Text) {
		if i < len(t.Steps) {
			t.Steps[i].Text = text
		}
	}
}

// keeping is the stack with the layers that are kept answering from the live scoring.
func (in Input) keeping(ctx context.Context, stack *reward.Stack, iteration int) (*reward.Stack, error) {
	names := kept(stack, in.Keep)
	if len(names) == 0 {
		return stack, nil
	}
	live, err := in.Store.LoadScoring(ctx, in.Selection.Run, iteration, storage.LiveScoring)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		k := stored{name: name, terms: make(map[int]reward.Judgement, len(live))}
		for i, s := range live {
			for at, l := range s.Breakdown.Layers {
				if l.Layer != name {
					continue
				}
				j := reward.Judgement{Terms: l.Terms}
				if at == 0 { // the layer that verifies answers is the first
					j.Outcome = live[i].Breakdown.Outcome
				}
				k.terms[s.Sample] = j
			}
		}
		if stack, err = stack.Replace(k); err != nil {
			return nil, err
		}
	}
	return stack, nil
}

// kept are the names of layers to keep in a stack: those that are named, and those of its own that can't be had again.
func kept(stack *reward.Stack, named []string) []string {
	names := slices.Clone(named)
	for _, w := range stack.Layers() {
		if _, once := w.Layer.(reward.Unrepeatable); once && !slices.Contains(names, w.Layer.Name()) {
			names = append(names, w.Layer.Name())
		}
	}
	return names
}

// stored is a layer that says what it said.
type stored struct {
	name  string
	terms map[int]reward.Judgement
}

func (k stored) Name() string { return k.name }

func (k stored) Judge(_ context.Context, _ hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	j, ok := k.terms[traj.ID.Sample]
	if !ok {
		return j, fmt.Errorf("layer %q of trajectory %s was never scored, so there is nothing to keep: %w", k.name, traj.ID, hone.ErrNotFound)
	}
	return j, nil
}

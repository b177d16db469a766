package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// training is one call of hone train.
type training struct {
	app     *app
	servers *servers
	store   *storage.Store
	puzzles testPuzzles
	began   time.Time

	name   string
	config config
	// apart is true where the work is left to workers elsewhere.
	apart bool
	// stored is the run as it was found; nil for a new one. head is its newest version, -1 for none.
	stored *storage.Run
	head   int
	// keep is the list of puzzles kept out of training.
	keep [][]int
	view view
}

// finished tells that there is nothing left to do.
func (t *training) finished() bool {
	return t.stored != nil && t.stored.Status == storage.StatusSucceeded && t.head >= t.config.Plan.Cycles
}

// alreadyDone shows what a finished run came to.
func (t *training) alreadyDone(ctx context.Context) error {
	t.view = t.app.newView()
	defer t.view.close()
	t.view.note(fmt.Sprintf("%s is finished, with all its %d cycles: nothing to do (more with --cycles)", t.name, t.head))
	ends, err := t.storedEnds(ctx)
	if err != nil {
		return err
	}
	return t.conclude(ctx, ends)
}

// run starts what is missing, trains, and shows the result.
func (t *training) run(ctx context.Context) error {
	kernels, err := kernel.Open()
	if err != nil {
		return fmt.Errorf("kernels: %w", err)
	}
	if err := t.servers.startTemporal(ctx, 0); err != nil {
		return err
	}
	if err := t.servers.publish(roleTrain, t.name); err != nil {
		return err
	}
	blobs, err := t.servers.openBlobs(ctx)
	if err != nil {
		return err
	}
	d := t.servers.data
	if err := errors.Join(t.config.save(d.config(t.name)), savePuzzles(d.puzzles(t.name), t.keep)); err != nil {
		return d.fail(err)
	}
	act := activities.New(activities.Deps{
		Store: t.store, Blobs: blobs, Kernels: kernels, Yao: t.keep, Commit: thisBuild().Commit,
		Inspect: func(_ hone.RunID, name string, content []byte) error { return d.inspect(t.name, name, content) },
	})
	t.view = t.app.newView()
	t.introduce(kernels)
	defer t.view.close()
	result, err := t.serve(ctx, act)
	if err != nil {
		return err
	}
	if result.Status == activities.StatusPaused {
		t.view.note(fmt.Sprintf("%s was %s. To go on: %s", t.name, result.Reason, t.app.again()))
		return nil
	}
	ends := evaluated{version: result.Version, weights: result.Weights, start: result.Start, final: result.Final}
	return t.conclude(ctx, ends)
}

// introduce says what is going to happen, and with what.
func (t *training) introduce(kernels *kernel.Set) {
	state := "a new run"
	if t.stored != nil {
		state = fmt.Sprintf("going on after %d of %d cycles", max(t.head, 0), t.config.Plan.Cycles)
		if t.head < 0 {
			state = "going on before the end of its supervised start"
		}
	}
	t.view.note(fmt.Sprintf("run %s: %s", t.name, state))
	t.introduceScoring()
	if t.apart {
		t.view.note(fmt.Sprintf("the workers of Temporal at %s do the work", t.servers.temporalAddress))
		return
	}
	if at := t.app.watched.address(); at != "" {
		t.view.note("metrics on http://" + at + "/metrics")
	}
	t.view.note(fmt.Sprintf("data in %s, kernels %s", t.servers.data.path, kernels.Name()))
	if need, left, ok := t.needsSpace(); ok && left < need {
		t.view.note(fmt.Sprintf("the weights of all versions will take %.1f GB, and only %.1f GB are free; when the disk is full the run waits",
			float64(need)/1e9, float64(left)/1e9))
	}
	switch {
	case t.keep != nil && t.puzzles.path != "":
		t.view.note(fmt.Sprintf("the %d test puzzles of %s are kept out of training", len(t.keep), t.puzzles.path))
	case t.keep != nil:
		t.view.note(fmt.Sprintf("the %d test puzzles that the run was created with are kept out of training", len(t.keep)))
	}
}

// needsSpace is what the versions still to come will take on disk, each with weights and both of its optimiser's moments, and the
// space that is left, in bytes.
func (t *training) needsSpace() (need, left uint64, ok bool) {
	left, err := t.servers.data.free()
	if err != nil || t.servers.blobURL() != "" {
		return 0, 0, false
	}
	shape := t.config.Policy
	if tok, err := token.Open(activities.Tokenizer); err == nil && shape.Vocab == 0 {
		shape.Vocab = tok.Vocab()
	}
	const bytesPerParameter = 3 * 4
	return uint64(max(t.config.Plan.Cycles-t.head, 0)) * uint64(shape.NumParams()) * bytesPerParameter, left, true
}

// serve takes the run's work until it has ended, or ctx has. When it returns, all workers have stopped.
func (t *training) serve(ctx context.Context, act *activities.Activities) (workflows.TrainResult, error) {
	c, err := t.servers.dial(ctx)
	if err != nil {
		return workflows.TrainResult{}, err
	}
	defer c.Close()
	if err := t.app.watched.queues(ctx, c, t.servers.temporalSpace, workflows.AllQueues()); err != nil {
		return workflows.TrainResult{}, err
	}
	raw, err := t.config.job()
	if err != nil {
		return workflows.TrainResult{}, err
	}
	if t.servers.temporal != nil {
		others, err := setAside(ctx, c, t.name)
		if err != nil {
			return workflows.TrainResult{}, err
		}
		for _, name := range others {
			t.view.note(fmt.Sprintf("run %s, which was interrupted, stays as it is until its own command is typed again", name))
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var result workflows.TrainResult
	var group errgroup.Group
	if !t.apart {
		group.Go(func() error {
			err := workflows.Serve(ctx, c, workflows.Service{Activities: act, Rollouts: 1})
			cancel(err)
			return err
		})
	}
	group.Go(func() error {
		select {
		case <-t.servers.lost():
			err := fmt.Errorf("the private Postgres has ended; see %s: %w", t.servers.postgres.LogFile(), hone.ErrUnavailable)
			cancel(err)
			return err
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() (err error) {
		defer func() { cancel(err) }()
		flow, err := workflows.StartTrain(ctx, c, workflows.TrainInput{Run: t.name, Config: raw, Plan: t.config.Plan})
		if err != nil {
			return err
		}
		w := &watcher{training: t, client: c, flow: flow}
		result, err = w.watch(ctx)
		t.view.close()
		if errors.Is(context.Cause(ctx), errInterrupted) {
			// Before the workers and the servers have stopped, which takes a moment.
			says := "stopping; nothing is lost. To go on"
			if t.apart {
				says = "the workers go on with the run. To follow it again"
			}
			fmt.Fprintf(t.app.stderr, "hone: %s: %s\n", says, t.app.again())
			t.app.parted = true
		}
		return err
	})
	err = group.Wait()
	// What ended the others is what went wrong.
	if cause := context.Cause(ctx); err != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return result, err
}

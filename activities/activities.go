package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/sdk/activity"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/task"
)

// Deps are what the activities of one process work with.
type Deps struct {
	Store   *storage.Store
	Blobs   blob.Store
	Kernels *kernel.Set
	// Yao is the list of Game of 24 puzzles that are kept for evaluation beside the held-out ones, for jobs that don't hold it themselves;
	// empty where it isn't at hand.
	Yao [][]int
	// Inspect keeps a file about a run for a person to look at, such as the batch of a step that was not finite; nil keeps nothing.
	Inspect func(run hone.RunID, name string, content []byte) error
	// Commit names the program in the record of the runs that it creates.
	Commit string
	// Environment is a variable of the process by name, for the addresses of databases with problems; nil has none.
	Environment func(name string) string
	// Watch hears of the progress of calls that no Temporal orders, often and on their goroutine; nil is nobody.
	Watch func(Heartbeat)
}

// Activities hold what a process knows of its runs between calls. All methods are safe for concurrent use.
type Activities struct {
	deps Deps

	mu       sync.Mutex
	sessions map[hone.RunID]*session
}

// New is the activities over d, with nothing loaded yet.
func New(d Deps) *Activities {
	return &Activities{deps: d, sessions: make(map[hone.RunID]*session)}
}

// session is what is known of a run, loaded at its first use.
func (a *Activities) session(ctx context.Context, id hone.RunID) (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.sessions[id]; ok {
		return s, nil
	}
	run, err := a.deps.Store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	job, err := decodeJob(run.Config)
	if err != nil {
		return nil, err
	}
	s, err := newSession(ctx, a.deps, id, job)
	if err == nil && task.Digest(s.train) != run.Dataset && len(a.deps.Yao) > 0 {
		// The process serves many runs, and this one was trained without regard to its list.
		without := a.deps
		without.Yao = nil
		s, err = newSession(ctx, without, id, job)
	}
	if err != nil {
		return nil, err
	}
	if digest := task.Digest(s.train); digest != run.Dataset {
		return nil, fmt.Errorf("run %s was trained on problems with digest %s, here they are %s: give it the same list of test puzzles: %w",
			run.Name, run.Dataset, digest, hone.ErrInvalid)
	}
	a.sessions[id] = s
	return s, nil
}

// keep spares the activities that follow the making of a session, which for a task takes a while.
func (a *Activities) keep(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.sessions[s.run]; !ok {
		a.sessions[s.run] = s
	}
}

// Prepare creates the run or finds it, marks it as running, and says where it stands.
func (a *Activities) Prepare(ctx context.Context, in PrepareInput) (out PrepareOutput, err error) {
	err = beating(ctx, "prepare", func(ctx context.Context, _ *pulse) error {
		out, err = a.prepare(ctx, in)
		return err
	})
	return out, err
}

func (a *Activities) prepare(ctx context.Context, in PrepareInput) (PrepareOutput, error) {
	job, err := decodeJob(in.Config)
	if err != nil {
		return PrepareOutput{}, err
	}
	s, err := newSession(ctx, a.deps, storage.RunIDOf(in.Name), job)
	if err != nil {
		return PrepareOutput{}, err
	}
	if err := s.checkLender(ctx); err != nil {
		return PrepareOutput{}, err
	}
	config, err := json.Marshal(job)
	if err != nil {
		return PrepareOutput{}, fmt.Errorf("encode configuration: %w", err)
	}
	fingerprint := job.fingerprint(a.deps.Kernels)
	run, err := a.deps.Store.CreateRun(ctx, storage.NewRun{
		Name: in.Name, Config: config, Seed: job.Seed, Dataset: task.Digest(s.train),
		Commit: a.deps.Commit, Fingerprint: fingerprint,
	})
	if err != nil {
		return PrepareOutput{}, unretried(err)
	}
	if run.Fingerprint != fingerprint && activity.IsActivity(ctx) {
		activity.GetLogger(ctx).Warn("kernels differ from those the run was created with: results may differ in the last bits",
			"run_id", run.ID, "stored", run.Fingerprint, "here", fingerprint)
	}
	if err := a.deps.Store.SetStatus(ctx, run.ID, storage.StatusRunning, ""); err != nil {
		return PrepareOutput{}, err
	}
	head, err := a.deps.Store.Head(ctx, run.ID)
	if err != nil {
		return PrepareOutput{}, err
	}
	a.keep(s)
	out := PrepareOutput{Run: run.ID, Version: head.Number, Staleness: job.Rollout.Staleness}
	if head.Number >= 0 {
		out.Manifest = string(head.Manifest())
	}
	return out, nil
}

// unretried makes a conflict of settings an error that is not tried again: they will not change by waiting.
func unretried(err error) error {
	if errors.Is(err, hone.ErrConflict) {
		return fmt.Errorf("%v: %w", err, hone.ErrInvalid) //nolint:errorlint // the conflict must not show: it would be retried
	}
	return err
}

// Finish sets the run's status.
func (a *Activities) Finish(ctx context.Context, in FinishInput) error {
	return beating(ctx, "finish", func(ctx context.Context, _ *pulse) error {
		return a.deps.Store.SetStatus(ctx, in.Run, storage.Status(in.Status), in.Reason)
	})
}

// Publish names the run's result, after reading it back whole.
func (a *Activities) Publish(ctx context.Context, in PublishInput) (out PublishOutput, err error) {
	err = beating(ctx, "publish", func(ctx context.Context, _ *pulse) error {
		version, err := a.deps.Store.Version(ctx, in.Run, in.Version)
		if err != nil {
			return err
		}
		if _, err := loadWeights(ctx, a.deps.Blobs, version.Weights); err != nil {
			return err
		}
		out = PublishOutput{Manifest: string(version.Manifest()), Weights: string(version.Weights)}
		return nil
	})
	return out, err
}

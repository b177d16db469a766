package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/workflows"
)

// workerFlags are what hone worker is told.
type workerFlags struct {
	roles         []string
	parallel      int
	drain         time.Duration
	patience      time.Duration
	healthAddress string
	migrate       bool
	build         workflows.Build
	versioning    string
	yao           string
}

func (a *app) workerCommand() *cobra.Command {
	var f workerFlags
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Work on the runs of a Temporal and a Postgres that many machines share",
		Long: `worker takes work from Temporal until it is told to end: as many processes on as many machines as there are, all with the same
Temporal, Postgres and weights. Runs are started by hone train --no-worker, or by any other hone train on the same servers.

Roles: rollout samples and evaluates, reward scores, learner trains and keeps the order of runs, all is everything. Every role must be held
by some process, or runs wait. More rollout workers sample faster (plan.shards and plan.parallel say into how many parts, and how many at
once); a second learner stands by for when the first goes.

At an interrupt or SIGTERM it takes nothing new, lets what it works on end within --drain, gives back what has not ended, and exits with
0. A second signal ends it at once. No work is lost either way: what was given back is done again elsewhere, to the same bytes.

Without addresses it works for the servers of its data directory, those of hone server or of hone train.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.worker(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.roles, "role", []string{string(workflows.RoleAll)}, "rollout, learner, reward or all; several with commas")
	flags.IntVar(&f.parallel, "parallel", 1, "rollout shards and evaluations at once; each uses all processors")
	flags.DurationVar(&f.drain, "drain", 25*time.Second, "how long work under way may go on once the worker is told to end")
	flags.DurationVar(&f.patience, "wait", 5*time.Minute, "how long to wait at the start for servers that are away")
	flags.StringVar(&f.healthAddress, "health-address", "",
		"host:port to answer /healthz and /readyz on, such as 127.0.0.1:8080 (default nowhere)")
	flags.BoolVar(&f.migrate, "migrate", false, "bring the database's schema up to this program's before work")
	a.registerTelemetry(flags)
	flags.StringVar(&f.build.ID, "build-id", "",
		"name of this build, for builds that replace one another while they run; hone deployment says which takes work (default: none is named)")
	flags.StringVar(&f.build.Deployment, "deployment", defaultDeployment, "what the builds replace one another in")
	flags.StringVar(&f.versioning, "versioning", versioningUpgrade,
		"what becomes of runs under way when another build takes over: "+versioningUpgrade+" or "+versioningPinned)
	flags.StringVar(&f.yao, "yao", "", "24.csv of Yao et al. 2023, for runs that were created before runs held their test puzzles themselves")
	return cmd
}

// What becomes of runs when another build takes over.
const (
	versioningUpgrade = "auto-upgrade"
	versioningPinned  = "pinned"
)

// validate joins all faults of the flags, and says which queues the roles mean.
func (f workerFlags) validate() (queues []string, err error) {
	roles := make([]workflows.Role, len(f.roles))
	for i, role := range f.roles {
		roles[i] = workflows.Role(role)
	}
	queues, err = workflows.Queues(roles...)
	if f.parallel < 1 {
		err = errors.Join(err, fmt.Errorf("--parallel %d: want at least 1: %w", f.parallel, hone.ErrInvalid))
	}
	if f.drain < 0 || f.patience < 0 {
		err = errors.Join(err, fmt.Errorf("--drain %v, --wait %v: want 0 or more: %w", f.drain, f.patience, hone.ErrInvalid))
	}
	if f.versioning != versioningUpgrade && f.versioning != versioningPinned {
		err = errors.Join(err, fmt.Errorf("--versioning %q: want %s or %s: %w", f.versioning,
			versioningUpgrade, versioningPinned, hone.ErrInvalid))
	}
	return queues, err
}

func (a *app) worker(ctx context.Context, f workerFlags) (err error) {
	queues, err := f.validate()
	if err != nil {
		return err
	}
	puzzles, err := a.readTestPuzzles(f.yao)
	if err != nil {
		return err
	}
	kernels, err := kernel.Open()
	if err != nil {
		return fmt.Errorf("kernels: %w", err)
	}
	a.drain.Store(int64(f.drain))
	h, err := newProbes(ctx, f.healthAddress)
	if err != nil {
		return err
	}
	defer h.close()
	if a.watched, err = a.openTelemetry(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.watched.close(ctx)) }()
	p, err := a.reach(ctx, f)
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	blobs, err := p.openBlobs(ctx)
	if err != nil {
		return err
	}
	if err := p.sees(ctx, blobs); err != nil {
		return err
	}
	act := activities.New(activities.Deps{
		Store: p.store, Blobs: blobs, Kernels: kernels, Yao: puzzles.list, Commit: thisBuild().Commit, Environment: a.getenv,
		Inspect: func(run hone.RunID, name string, content []byte) error {
			return p.data.inspect(string(run), name, content)
		},
	})
	if err := a.watched.queues(ctx, p.client, p.temporalSpace, queues); err != nil {
		return err
	}
	h.checks.Store(&[]check{
		{"postgres", p.store.CheckVersion},
		{"temporal", func(ctx context.Context) error {
			if _, err := p.client.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
				return fmt.Errorf("temporal: %w", err)
			}
			return nil
		}},
	})
	if err := a.introduceWorker(p, f, h, kernels); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go p.watchOwner(ctx, cancel)
	context.AfterFunc(ctx, func() {
		h.leaving.Store(true)
		if errors.Is(context.Cause(ctx), errInterrupted) {
			fmt.Fprintf(a.stderr, "hone: stopping; what is under way has %v to end\n", f.drain)
		}
	})
	f.build.Pinned = f.versioning == versioningPinned
	err = workflows.Serve(ctx, p.client, workflows.Service{
		Queues: queues, Rollouts: f.parallel, Drain: f.drain, Build: f.build, Activities: act,
	})
	return stopped(ctx, err)
}

// stopped is err, or nil where a worker ended as it was told to.
func stopped(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return nil
	}
	return err
}

// introduceWorker says what the worker does, and for whom.
func (a *app) introduceWorker(p *workplace, f workerFlags, h *probes, kernels *kernel.Set) error {
	if a.json {
		err := json.NewEncoder(a.stdout).Encode(struct {
			Event             string   `json:"event"`
			Process           int      `json:"process"`
			Roles             []string `json:"roles"`
			Kernels           string   `json:"kernels"`
			DatabaseURL       string   `json:"database_url"`
			TemporalAddress   string   `json:"temporal_address"`
			TemporalNamespace string   `json:"temporal_namespace"`
			Health            string   `json:"health,omitempty"`
			Metrics           string   `json:"metrics,omitempty"`
		}{
			"worker", os.Getpid(), f.roles, kernels.Name(), withoutPassword(p.databaseURL), p.temporalAddress, p.temporalSpace, h.address(),
			a.watched.address(),
		})
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return nil
	}
	fmt.Fprintf(a.stdout, "worker %d of role %s, kernels %s\n", os.Getpid(), strings.Join(f.roles, ", "), kernels.Name())
	fmt.Fprintf(a.stdout, "Postgres  %s\nTemporal  %s, namespace %s\nweights   %s\n",
		withoutPassword(p.databaseURL), p.temporalAddress, p.temporalSpace, cmp.Or(p.blobURL(), p.data.blobs()))
	if at := h.address(); at != "" {
		fmt.Fprintf(a.stdout, "health    http://%s/healthz, /readyz\n", at)
	}
	if at := a.watched.address(); at != "" {
		fmt.Fprintf(a.stdout, "metrics   http://%s/metrics\n", at)
	}
	return nil
}

// workplace is where a worker works: servers that it was connected to.
type workplace struct {
	*servers

	store  *storage.Store
	client client.Client
}

// reach connects to the servers, and waits for those that are away.
func (a *app) reach(ctx context.Context, f workerFlags) (*workplace, error) {
	const longest = 15 * time.Second
	deadline := time.Now().Add(f.patience)
	said := ""
	for pause := time.Second; ; pause = min(2*pause, longest) {
		p, err := a.connect(ctx, f)
		if err == nil || !errors.Is(err, hone.ErrUnavailable) || ctx.Err() != nil {
			return p, err
		}
		if time.Now().Add(pause).After(deadline) {
			return nil, fmt.Errorf("given up after --wait %v: %w", f.patience, err)
		}
		if now := describe(err); now != said {
			fmt.Fprintf(a.stderr, "hone: %s\n      waiting for it, for up to %v\n", now, f.patience)
			said = now
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// connect connects once.
func (a *app) connect(ctx context.Context, f workerFlags) (_ *workplace, err error) {
	s, err := a.openServers(ctx, roleWork)
	if err != nil {
		return nil, err
	}
	p := &workplace{servers: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	to := accessWrite
	if f.migrate {
		to = accessTrain
	}
	if p.store, err = s.store(ctx, to); err != nil {
		return nil, err
	}
	p.client, err = s.dial(ctx)
	return p, err
}

func (p *workplace) close(ctx context.Context) error {
	if p.client != nil {
		p.client.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
	return p.Close(ctx)
}

// sees makes sure that weights are where this worker looks for them: one that looked elsewhere would find none, and every run that it was
// given work of would fail.
func (p *workplace) sees(ctx context.Context, blobs blob.Store) error {
	runs, err := p.store.Runs(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(runs, func(r storage.Progress) bool { return r.Status == storage.StatusRunning && r.Version >= 0 })
	if at < 0 {
		return nil
	}
	head, err := p.store.Head(ctx, runs[at].ID)
	if err != nil {
		return err
	}
	r, err := blobs.Open(ctx, head.Weights)
	if errors.Is(err, hone.ErrNotFound) {
		return fmt.Errorf("the weights of run %s, which is under way, are not in %s; give --blob-url, the same for all workers and "+
			"hone train: %w",
			runs[at].Name, cmp.Or(p.blobURL(), p.data.blobs()), hone.ErrInvalid)
	}
	if err != nil {
		return err
	}
	return r.Close()
}

// watchOwner ends the worker when the process whose servers it joined has ended: the next one's are elsewhere.
func (p *workplace) watchOwner(ctx context.Context, cancel context.CancelCauseFunc) {
	if p.joined == nil {
		return
	}
	tick := time.NewTicker(lostPatience / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !p.data.alive(*p.joined) {
				cancel(fmt.Errorf("process %d, which ran the servers of %s, has ended: %w", p.joined.PID, p.data.path, hone.ErrUnavailable))
				return
			}
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/cpu"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
	"github.com/hone-rl/hone/workflows/temporallocal"
)

// health is the outcome of one check.
type health string

const (
	healthy health = "ok"
	// doubtful is something that works, though not as well as it might.
	doubtful health = "warn"
	broken   health = "fail"
)

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Health health `json:"health"`
	// Found is what is there; Do is what to do about it, "" where nothing is to be done.
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what was found on this machine, and check each part",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

// doctor checks everything and fails where something a run needs is broken.
func (a *app) doctor(ctx context.Context) error {
	b := thisBuild()
	findings := []finding{{Check: "hone", Health: healthy, Found: fmt.Sprintf("%s, commit %s, %s, %s", b.Version, b.Commit, b.Go, b.System)}}
	findings = append(findings, checkProcessor(), checkKernels(), a.checkData(), a.checkPuzzles())
	servers, err := a.checkServers(ctx)
	if err != nil {
		return err
	}
	findings = append(findings, servers...)
	failed := 0
	for _, f := range findings {
		if f.Health == broken {
			failed++
		}
		if !a.json {
			text := fmt.Sprintf("%-4s  %-9s %s", f.Health, f.Check, f.Found)
			if f.Do != "" {
				text += "; " + f.Do
			}
			fmt.Fprintln(a.stdout, text)
		}
	}
	if a.json {
		if err := a.writeJSON(findings); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(findings)) //nolint:err113 // the findings say which, and nobody tells it apart
	}
	return nil
}

func checkProcessor() finding {
	f := finding{Check: "processor", Health: healthy}
	var features []string
	for _, x := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2},
		{"FMA", cpu.X86.HasFMA},
		{"AVX-512", cpu.X86.HasAVX512F},
		{"BF16", cpu.X86.HasAVX512BF16},
		{"ASIMD", cpu.ARM64.HasASIMD},
	} {
		if x.has {
			features = append(features, x.name)
		}
	}
	f.Found = fmt.Sprintf("%d threads, %s", runtime.GOMAXPROCS(0), strings.Join(features, " "))
	if runtime.GOARCH == "amd64" && !cpu.X86.HasAVX2 {
		f.Health, f.Do = doubtful, "without AVX2 everything is several times slower"
	}
	return f
}

func checkKernels() finding {
	f := finding{Check: "kernels", Health: healthy}
	set, err := kernel.Open()
	if err != nil {
		return finding{Check: "kernels", Health: broken, Found: describe(err), Do: "unset HONE_KERNELS to take the best that this machine has"}
	}
	f.Found = set.Fingerprint() + ", bfloat16 by " + set.BFloat16Kernels() + ", self-check passed"
	began := time.Now()
	if err := set.SelfCheck(); err != nil {
		return finding{Check: "kernels", Health: broken, Found: describe(err), Do: "HONE_KERNELS=portable does without assembly and libraries"}
	}
	f.Found += " in " + duration(time.Since(began))
	if set.Name() == "portable" {
		f.Health, f.Do = doubtful, "OpenBLAS is several times faster: apt-get install -y libopenblas0-pthread"
	}
	return f
}

func (a *app) checkData() finding {
	f := finding{Check: "data", Health: healthy}
	fail := func(err error) finding { return finding{Check: "data", Health: broken, Found: describe(err)} }
	d, err := a.openData()
	if err != nil {
		return fail(err)
	}
	probe, err := os.CreateTemp(d.path, ".doctor-*")
	if err != nil {
		return fail(d.fail(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fail(d.fail(err))
	}
	if err := d.requireSpace(); err != nil {
		return fail(err)
	}
	left, err := d.free()
	if err != nil {
		return fail(err)
	}
	owner := "nobody uses it"
	if r, ok := d.served(); ok {
		owner = fmt.Sprintf("used by process %d (hone %s %s)", r.PID, r.Role, r.Run)
	}
	f.Found = fmt.Sprintf("%s, writable, %.1f GB free, %s", d.path, float64(left)/1e9, strings.TrimSpace(owner))
	return f
}

func (a *app) checkPuzzles() finding {
	p, err := a.readTestPuzzles("")
	switch {
	case err != nil:
		return finding{Check: "puzzles", Health: broken, Found: describe(err), Do: "give a whole 24.csv with --yao"}
	case p.path == "":
		return finding{
			Check: "puzzles", Health: healthy,
			Found: "no list of Yao et al. 2023: split yao2023 can't be measured", Do: "give 24.csv with --yao if you want it",
		}
	default:
		return finding{Check: "puzzles", Health: healthy, Found: fmt.Sprintf("%d of Yao et al. 2023 in %s", len(p.list), p.path)}
	}
}

// checkServers starts both servers in a folder that is thrown away, or connects to the user's.
func (a *app) checkServers(ctx context.Context) (_ []finding, err error) {
	dir, err := os.MkdirTemp("", "hone-doctor-*")
	if err != nil {
		return nil, fmt.Errorf("folder for the check: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // the account of Postgres must pass through
		return nil, fmt.Errorf("folder for the check: %w", err)
	}
	url, postgres, stop := a.checkPostgres(ctx, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if postgres.Health == broken && a.temporalAddress == "" {
		return []finding{postgres, {Check: "temporal", Health: broken, Found: "not checked: it needs Postgres"}}, nil
	}
	return []finding{postgres, a.checkTemporal(ctx, url)}, nil
}

// checkPostgres returns the address at which a Temporal may be tried, and what stops the server.
func (a *app) checkPostgres(ctx context.Context, dir string) (url string, f finding, stop func() error) {
	stop = func() error { return nil }
	f = finding{Check: "postgres", Health: healthy}
	url = a.databaseURL
	if url == "" {
		url = a.getenv("DATABASE_URL")
	}
	fail := func(err error, do string) (string, finding, func() error) {
		return "", finding{Check: "postgres", Health: broken, Found: describe(err), Do: do}, stop
	}
	if url != "" {
		store, err := storage.Open(ctx, url, storage.Options{MaxConns: 1})
		if err != nil && !errors.Is(err, hone.ErrConflict) {
			return fail(err, "check --database-url and DATABASE_URL")
		}
		f.Found = "yours at " + withoutPassword(url)
		if err != nil {
			f.Health, f.Do = doubtful, describe(err)
			return url, f, stop
		}
		store.Close()
		return url, f, stop
	}
	began := time.Now()
	found, err := pglocal.Find(a.postgresBinaries, pglocal.DefaultCacheDir())
	if err != nil {
		return fail(err, "")
	}
	server, err := pglocal.Start(ctx, pglocal.Options{Dir: dir, BinDir: found.Dir})
	if err != nil {
		return fail(err, "")
	}
	f.Found = fmt.Sprintf("%s in %s, a trial start took %s", found.Version, found.Dir, duration(time.Since(began)))
	return server.URL("postgres"), f, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return server.Stop(ctx)
	}
}

func (a *app) checkTemporal(ctx context.Context, url string) finding {
	began := time.Now()
	profile, err := a.temporalProfile()
	if err != nil {
		return finding{Check: "temporal", Health: broken, Found: describe(err)}
	}
	if profile.Address != "" {
		s := &servers{app: a, temporalAddress: profile.Address, temporalSpace: profile.Namespace, profile: profile, log: quietLog()}
		c, err := s.dial(ctx)
		if err != nil {
			return finding{Check: "temporal", Health: broken, Found: describe(err), Do: "check --temporal-address and --temporal-namespace"}
		}
		c.Close()
		found := fmt.Sprintf("yours at %s answers, in %s", profile.Address, duration(time.Since(began)))
		return finding{Check: "temporal", Health: healthy, Found: found}
	}
	if a.databaseURL != "" || a.getenv("DATABASE_URL") != "" {
		const found = "embedded; not tried, since it would make databases of its own on your Postgres"
		return finding{Check: "temporal", Health: healthy, Found: found}
	}
	server, err := temporallocal.Start(ctx, temporallocal.Options{URL: url})
	if err != nil {
		return finding{Check: "temporal", Health: broken, Found: describe(err)}
	}
	f := finding{Check: "temporal", Health: healthy, Found: "embedded, a trial start took " + duration(time.Since(began))}
	if err := server.Stop(); err != nil { //nolint:contextcheck // it takes about a second, and no context
		f.Health, f.Do = doubtful, describe(err)
	}
	return f
}

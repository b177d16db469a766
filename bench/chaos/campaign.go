package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
)

// campaign is one run under strikes, and its twin.
type campaign struct {
	options

	number int
	out    io.Writer
	// done is how many kills there were in the campaigns before.
	done int
	rng  *rand.Rand
}

func (c *campaign) name() string { return fmt.Sprintf("chaos-%d", c.number+1) }

func (c *campaign) seedFlag() []string {
	return []string{"--seed", strconv.FormatUint(c.seed+uint64(c.number), 10)}
}

// logs is where the processes write: on another disk than the one that runs full.
func (c *campaign) logs() string { return filepath.Join(c.dir, c.name()+"-logs") }

// verdict is what hone verify says of a run, in as far as it matters here.
type verdict struct {
	Run     string `json:"run"`
	Status  string `json:"status"`
	Version int    `json:"version"`
	Digest  string `json:"digest"`
	Faults  []struct {
		Where string `json:"where"`
		What  string `json:"what"`
	} `json:"faults"`
}

// run trains the run and its twin, and compares them.
func (c *campaign) run(ctx context.Context) ([]struck, error) {
	c.rng = hone.Rand(hone.Seed(c.seed, "chaos", c.number))
	var strikes []struck
	var stormy, calm verdict
	twin := func() (err error) {
		calm, err = c.twin(ctx)
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if !c.follow {
		group.Go(twin)
	}
	group.Go(func() (err error) {
		if strikes, stormy, err = c.storm(ctx); err == nil && c.follow {
			err = twin()
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return strikes, err
	}
	for _, v := range []verdict{stormy, calm} {
		if len(v.Faults) > 0 || v.Status != "succeeded" || v.Version != c.cycles {
			return strikes, fmt.Errorf("%w: %s is %s at version %d of %d, with faults %v",
				errBroken, v.Run, v.Status, v.Version, c.cycles, v.Faults)
		}
	}
	if stormy.Digest != calm.Digest {
		return strikes, fmt.Errorf("%w: %s has digest %s, and undisturbed %s", errBroken, stormy.Run, stormy.Digest, calm.Digest)
	}
	fmt.Fprintf(c.out, "%s: %d cycles under %d strikes, verified; digest %s, as undisturbed\n",
		c.name(), c.cycles, len(strikes), stormy.Digest)
	return strikes, nil
}

// twin trains the run in one process that nobody disturbs.
func (c *campaign) twin(ctx context.Context) (verdict, error) {
	dir := filepath.Join(c.dir, c.name()+"-twin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return verdict{}, err
	}
	file := filepath.Join(dir, "chaos.yaml")
	if err := os.WriteFile(file, c.config(), 0o600); err != nil {
		return verdict{}, err
	}
	data := filepath.Join(dir, "data")
	args := append([]string{"train", "--config", file, "--run", c.name(), "--data-dir", data, "--json"}, c.seedFlag()...)
	// Nobody disturbs it but the machine, which is busy: where the command gives up, it is typed again.
	p := &process{name: "twin", once: true, log: logFile(dir, "twin"), cmd: func(ctx context.Context) *exec.Cmd {
		return command(ctx, c.hone, args...)
	}}
	if err := p.supervise(ctx); err != nil {
		return verdict{}, err
	}
	<-p.ended
	if ctx.Err() != nil {
		return verdict{}, context.Cause(ctx)
	}
	return c.verify(ctx, "--data-dir", data)
}

// tail is the end of an output.
func tail(said []byte) []byte {
	const most = 1000
	return bytes.TrimSpace(said[max(0, len(said)-most):])
}

// verify asks hone.
func (c *campaign) verify(ctx context.Context, flags ...string) (verdict, error) {
	var out, errs bytes.Buffer
	cmd := command(ctx, c.hone, append([]string{"verify", c.name(), "--json"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var all []verdict
	if decodeErr := json.Unmarshal(out.Bytes(), &all); decodeErr != nil || len(all) != 1 {
		return verdict{}, fmt.Errorf("hone verify: %w: %s", errors.Join(err, decodeErr), tail(errs.Bytes()))
	}
	return all[0], nil
}

// storm trains the run under strikes.
func (c *campaign) storm(ctx context.Context) (strikes []struck, v verdict, err error) {
	dir := filepath.Join(c.dir, c.name())
	for _, d := range []string{dir, c.logs()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, v, err
		}
	}
	if c.disk {
		if refused := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("mode=0755,size=%dm", c.diskMB)); refused != nil {
			fmt.Fprintf(c.out, "the disk does not run full: can't mount a small one: %v\n", refused)
			c.disk = false
		} else {
			defer func() {
				if err == nil { // else there are logs to be read
					err = syscall.Unmount(dir, 0)
				}
			}()
		}
	}
	// Workers end before the servers, and all of them before the disk goes.
	serving, stop := context.WithCancel(ctx)
	defer stop()
	p, err := c.newPlace(serving, dir)
	if p != nil {
		defer func() {
			stop()
			p.await()
			for _, h := range p.hosts {
				err = errors.Join(err, h.leave(context.WithoutCancel(ctx)))
			}
		}()
	}
	if err != nil {
		return nil, v, err
	}
	if err := p.begin(serving); err != nil {
		return nil, v, err
	}
	w := newWatcher(p)
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go w.watch(watching)
	if err := c.strike(ctx, p, w); err != nil {
		return w.all(), v, err
	}
	if err := c.settle(ctx, p, w); err != nil {
		return w.all(), v, err
	}
	address, err := p.direct()
	if err != nil {
		return w.all(), v, err
	}
	v, err = c.verify(ctx, "--data-dir", filepath.Join(dir, "work"), "--database-url", address)
	return w.all(), v, err
}

// await waits for all processes to end.
func (p *place) await() {
	for _, one := range append(append([]*process{p.trainer, p.temporal}, p.rollouts...), append(p.learners, p.postgres)...) {
		if one != nil && one.ended != nil {
			<-one.ended
		}
	}
}

// strike strikes until there were enough kills or the run has ended. The next strike comes at a random moment after the run has moved on.
func (c *campaign) strike(ctx context.Context, p *place, w *watcher) error {
	all := kinds()
	if c.hosts > 0 {
		all = hostKinds(ctx)
	}
	before, _ := w.standing()
	special := c.specials(p)
	for n := c.done; n < c.kills && time.Now().Before(c.until); {
		if over, err := c.moves(ctx, p, w, before); over || err != nil {
			return err
		}
		select {
		case <-p.trainer.ended:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(c.rng.Int64N(int64(c.spread)))):
		}
		before, _ = w.standing()
		if s, ok := special[n]; ok {
			delete(special, n)
			w.struck(struck{kind: s.name, at: time.Now()})
			fmt.Fprintf(c.out, "%s  %s\n", time.Now().UTC().Format(time.TimeOnly), s.name)
			if err := s.do(); err != nil {
				return err
			}
			continue
		}
		k := draw(c.rng, all)
		at := time.Now()
		pid, ok := k.do(p, c.rng)
		if !ok {
			continue // it is between two lives
		}
		w.struck(struck{kind: k.name, kill: k.kill, at: at, pid: pid})
		if k.kill {
			n++
		}
		fmt.Fprintf(c.out, "%s  kill %3d of %d  %s (at %d)\n", at.UTC().Format(time.TimeOnly), n, c.kills, k.name, before)
	}
	return nil
}

// special is a strike with a place of its own among the others.
type special struct {
	name string
	do   func() error
}

// specials are by the number of kills that come before them.
func (c *campaign) specials(p *place) map[int]special {
	out := make(map[int]special)
	if c.disk {
		full := special{"disk full", p.fillDisk}
		out[c.kills/3], out[2*c.kills/3] = full, full
	}
	if p.clock != nil {
		for i, by := range []time.Duration{time.Hour, -time.Hour, 0} {
			out[(i+1)*c.kills/4] = special{fmt.Sprintf("clock stepped to %+v", by), func() error { return p.clock.step(by) }}
		}
	}
	return out
}

// moves waits until the run has moved on from a mark, or has ended.
func (c *campaign) moves(ctx context.Context, p *place, w *watcher, from int) (over bool, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		mark, since := w.standing()
		switch {
		case mark > from:
			return false, nil
		case since > c.patience:
			return false, fmt.Errorf("%w: the run has not moved for %v", errBroken, since.Round(time.Second))
		}
		select {
		case <-p.trainer.ended:
			return true, nil
		case <-ctx.Done():
			return true, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// settle waits for the run to end by itself.
func (c *campaign) settle(ctx context.Context, p *place, w *watcher) error {
	for {
		mark, _ := w.standing()
		if over, err := c.moves(ctx, p, w, mark); over || err != nil {
			return err
		}
	}
}

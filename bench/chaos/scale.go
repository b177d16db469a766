package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// scale measures what a second worker adds: the same run, undisturbed, sampled by one worker process and then by two, each on a processor
// of its own.
func scale(ctx context.Context, o options, out io.Writer) error {
	o.disk, o.clock, o.hosts, o.learners, o.pin = false, false, 0, 1, true
	o.shards = 4 // dealt evenly to two
	var rates []float64
	for n := range 2 {
		o.rollouts = n + 1
		c := &campaign{options: o, number: n, out: out, done: o.kills} // so that nothing is killed
		rate, err := c.rate(ctx)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
		fmt.Fprintf(out, "%d worker processes: %.0f tokens/s\n", o.rollouts, rate)
	}
	_, err := fmt.Fprintf(out, "sampling grew %.2f-fold from one to two\n", rates[1]/rates[0])
	return err //nolint:wrapcheck // the terminal is gone
}

// rate trains the run and returns the tokens that its workers sampled a second, from a cycle's start to its last shard.
func (c *campaign) rate(ctx context.Context) (tokens float64, err error) {
	dir := filepath.Join(c.dir, c.name())
	for _, d := range []string{dir, c.logs()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return 0, err
		}
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	p, err := c.newPlace(serving, dir)
	if err != nil {
		return 0, err
	}
	defer func() {
		stop()
		p.await()
	}()
	if err := p.begin(serving); err != nil {
		return 0, err
	}
	w := newWatcher(p)
	go w.watch(serving)
	if err := c.settle(ctx, p, w); err != nil {
		return 0, err
	}
	conn, err := p.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The first cycle warms up: workers load what they work with.
	err = conn.QueryRow(ctx, `SELECT sum(t.tokens) / sum(extract(epoch FROM b.stored - i.started_at))
		FROM iterations i
		JOIN (SELECT iteration, sum(n_tokens) AS tokens FROM trajectories GROUP BY iteration) t USING (iteration)
		JOIN (SELECT split_part(batch_key, '/', 2)::int AS iteration, max(created_at) AS stored FROM ingest_batches
			WHERE batch_key LIKE 'rollout/%' GROUP BY 1) b USING (iteration)
		WHERE iteration > 0`).Scan(&tokens)
	return tokens, err
}

// pinned makes a command run on one processor alone.
func pinned(cmd *exec.Cmd, processor int) *exec.Cmd {
	path, err := exec.LookPath("taskset")
	if err != nil {
		return cmd
	}
	cmd.Args = append([]string{path, "-c", strconv.Itoa(processor), cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Env = path, append(cmd.Env, "GOMAXPROCS=1")
	return cmd
}

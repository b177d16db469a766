package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// config is the run: small, and with everything in it.
const config = `
task: game24
policy: {width: 64, layers: 2, heads: 2, kv_heads: 1, hidden: 128, context: 128}
game24: {wide: 200, wide_four: 13, wide_three: 24}
start: {traces: 600, sft: {epochs: 8, batch_tokens: 900}}
cycles: %d
prompts: 32
searched: 2
rollout: {group: 8, max_tokens: 64, batch: 32, search: {tree: {simulations: 6}, candidates: 3}}
ppo: {minibatches: 2}
plan:
  cycles: %d
  shards: %d
  parallel: %d
  eval_every: 10
  continue_every: 7
  start: [{split: heldout, mode: greedy, limit: 20}]
  every: [{split: heldout, mode: greedy, limit: 20}]
  final: [{split: heldout, mode: greedy, limit: 20}, {split: heldout, mode: search, limit: 4}]
`

// scaleConfig is the run whose sampling is measured: a policy of a million parameters and a cycle of a thousand samples, as preset demo
// has.
const scaleConfig = `
task: game24
game24: {wide: 200, wide_four: 13, wide_three: 24}
start: {traces: 1500, sft: {epochs: 2, batch_tokens: 900}}
cycles: %d
prompts: 64
searched: 0
rollout: {group: 16, max_tokens: 72, batch: 256}
plan:
  cycles: %d
  shards: %d
  parallel: %d
  start: []
  every: []
  final: []
`

// place is where a run is trained: servers and workers as processes of their own, joined by links.
//
//	dir/postgres   data directory of the process that runs Postgres
//	dir/temporal   of the one that runs the Temporal server
//	dir/work       of the workers: weights
//	dir/host-N     of the workers of a host, where there are hosts
type place struct {
	campaign *campaign
	dir      string
	config   string
	clock    *clock

	postgres, temporal, trainer *process
	rollouts, learners          []*process
	hosts                       []*host
	// fromTemporal is the link of the Temporal server to its database.
	fromTemporal *link
	temporalPort int
}

func (c *campaign) newPlace(ctx context.Context, dir string) (*place, error) {
	p := &place{campaign: c, dir: dir, config: filepath.Join(dir, "chaos.yaml")}
	for _, sub := range []string{"postgres", "temporal", "work/blobs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(p.config, c.config(), 0o600); err != nil {
		return nil, err
	}
	var err error
	if p.fromTemporal, err = newLink(ctx, "127.0.0.1"); err != nil {
		return nil, err
	}
	if c.clock {
		if p.clock, err = newClock(dir); err != nil {
			fmt.Fprintf(c.out, "the database's clock is not stepped: %v\n", err)
		}
	}
	if p.temporalPort, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := p.newHosts(ctx, c.hosts); err != nil {
		return p, err // whose hosts so far have to leave
	}
	for _, h := range p.hosts {
		h.toTemporal.lead("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.temporalPort)))
	}
	return p, nil
}

func (c *campaign) config() []byte {
	text := config
	if c.scale {
		text = scaleConfig
	}
	return fmt.Appendf(nil, text, c.cycles, c.cycles, c.shards, c.rollouts)
}

// freePort is a port that nobody listens on now.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err //nolint:wrapcheck // it names what was tried
	}
	defer l.Close() //nolint:errcheck // the port is all that was wanted
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err //nolint:wrapcheck // as above
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, fmt.Errorf("port %q: %w", port, err)
	}
	return number, nil
}

// begin starts all processes.
func (p *place) begin(ctx context.Context) error {
	sub := func(name string) string { return filepath.Join(p.dir, name) }
	hone := p.campaign.hone
	p.postgres = p.process("postgres", func(ctx context.Context) *exec.Cmd {
		args := []string{"server", "--json", "--data-dir", sub("postgres"), "--temporal-address", "127.0.0.1:1"}
		if p.clock != nil {
			args = append(args, "--pg-bin", p.clock.bin)
		}
		return command(ctx, hone, args...)
	})
	p.temporal = p.process("temporal", func(ctx context.Context) *exec.Cmd {
		return command(ctx, hone, "server", "--json", "--data-dir", sub("temporal"), "--database-url", databaseURL(p.fromTemporal),
			"--temporal-port", strconv.Itoa(p.temporalPort))
	})
	worker := func(at int, name, roles string) *process {
		h := p.hosts[at%len(p.hosts)]
		w := p.process(name, func(ctx context.Context) *exec.Cmd { return h.command(ctx, hone, "worker", "--json", "--role", roles) })
		h.workers = append(h.workers, w)
		return w
	}
	for i := range p.campaign.rollouts {
		w := worker(i, fmt.Sprintf("rollout-%d", i+1), "rollout,reward")
		if p.campaign.pin {
			cmd := w.cmd
			w.cmd = func(ctx context.Context) *exec.Cmd { return pinned(cmd(ctx), i) }
		}
		p.rollouts = append(p.rollouts, w)
	}
	for i := range p.campaign.learners {
		p.learners = append(p.learners, worker(i, fmt.Sprintf("learner-%d", i+1), "learner"))
	}
	p.trainer = p.process("trainer", func(ctx context.Context) *exec.Cmd {
		return p.hosts[0].command(ctx, hone, append([]string{
			"train", "--no-worker", "--json", "--config", p.config, "--run", p.campaign.name(),
		}, p.campaign.seedFlag()...)...)
	})
	p.trainer.once = true
	if err := p.postgres.supervise(ctx); err != nil {
		return err
	}
	go p.followPostgres(ctx)
	if err := p.awaitPostgres(ctx); err != nil {
		return err
	}
	for _, one := range append(append([]*process{p.temporal}, p.rollouts...), append(p.learners, p.trainer)...) {
		if err := one.supervise(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *place) process(name string, cmd func(context.Context) *exec.Cmd) *process {
	return &process{name: name, cmd: cmd, log: logFile(p.campaign.logs(), name)}
}

// databaseURL is hone's database through a link.
func databaseURL(l *link) string {
	return "postgres://hone@" + l.address() + "/hone?sslmode=disable&connect_timeout=5"
}

// socket is where the private Postgres listens now.
func (p *place) socket() (string, error) {
	address, err := p.direct()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("server.json: %w", err)
	}
	return filepath.Join(u.Query().Get("host"), ".s.PGSQL."+u.Query().Get("port")), nil
}

// direct is the address of the database past the links.
func (p *place) direct() (string, error) {
	raw, err := os.ReadFile(filepath.Join(p.dir, "postgres", "server.json"))
	if err != nil {
		return "", err
	}
	var record struct {
		DatabaseURL string `json:"database_url"`
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return "", fmt.Errorf("server.json: %w", err)
	}
	return record.DatabaseURL, nil
}

// followPostgres keeps the links to the database leading to where it is.
func (p *place) followPostgres(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if socket, err := p.socket(); err == nil {
			p.fromTemporal.lead("unix", socket)
			for _, h := range p.hosts {
				h.toDatabase.lead("unix", socket)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *place) awaitPostgres(ctx context.Context) error {
	deadline := time.Now().Add(p.campaign.patience)
	for {
		if _, err := p.socket(); err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%w: Postgres did not start; see %s", errBroken, p.postgres.log)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// killPostmaster ends Postgres itself by SIGKILL, and leaves the process that watches over it.
func (p *place) killPostmaster() bool {
	raw, err := os.ReadFile(filepath.Join(p.dir, "postgres", "postgres", "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(line)
	return err == nil && pid > 1 && p.postgres.running() != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
}

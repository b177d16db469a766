package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// short.yaml is a policy of some seconds.
//
//go:embed short.yaml
var shortConfig []byte

// The smoke test's run, and its budget.
const (
	shortRun    = "short"
	shortBudget = "90"
	shortLimit  = 12
)

// shorten makes the comparison the smoke test, in a folder of its own.
func (o *options) shorten() {
	o.dir = filepath.Join(o.dir, "short")
	o.out, o.dataDir = o.dir, filepath.Join(o.dir, "data")
	o.split, o.limit, o.version, o.verified = "train", shortLimit, -1, true
}

// trainShort trains the policy of the smoke test; one that is trained already stays as it is.
func (o options) trainShort(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("folder of records: %w", err)
	}
	config := filepath.Join(o.dir, "short.yaml")
	if err := os.WriteFile(config, shortConfig, 0o644); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	args := []string{"train", "--json", "--config", config, "--run", shortRun, "--data-dir", o.dataDir}
	if o.pgBin != "" {
		args = append(args, "--pg-bin", o.pgBin)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, o.hone, args...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	fmt.Fprintln(log, "trained", shortRun)
	return nil
}

// checkShort holds the smoke test's records to what must be: its policy knows some of the problems that it was taught, and a way that goes
// over the greedy line first and has the verifier solves no fewer.
func checkShort(records []record) error {
	greedy := 0
	for _, r := range records {
		if r.Method == "greedy" {
			greedy = r.Right
		}
	}
	if greedy == 0 {
		return fmt.Errorf("greedy decoding solves none of %d problems that the policy was taught: %w", shortLimit, errWorse)
	}
	for _, r := range records {
		m, _ := methodOf(r.Method)
		if r.Verified && m.greedyFirst() && r.Right < greedy {
			return fmt.Errorf("%s solves %d problems, fewer than the %d of greedy decoding: %w", r.Method, r.Right, greedy, errWorse)
		}
	}
	return nil
}

// greedyFirst tells that the way's first line is the greedy one.
func (m method) greedyFirst() bool {
	return m.name == "best_of" || m.name == "gumbel" || strings.HasPrefix(m.name, "puct")
}

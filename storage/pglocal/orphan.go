package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
)

// postmaster is what a server says of itself in postmaster.pid.
type postmaster struct {
	pid    int
	status string // "starting", "ready", "stopping", ...
}

func readPostmaster(data string) (postmaster, error) {
	const statusLine = 7 // of the lines that PostgreSQL 10 and later write, counted from 0
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return postmaster{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return postmaster{}, fmt.Errorf("postmaster.pid in %s: %w", data, err)
	}
	pm := postmaster{pid: pid}
	if len(lines) > statusLine {
		pm.status = strings.TrimSpace(lines[statusLine])
	}
	return pm, nil
}

// takeOver ends a server that outlived its owner. The caller holds the owner's lock, so whoever runs on this data is an orphan.
func takeOver(ctx context.Context, data string) error {
	const patience = 60 * time.Second // a big checkpoint on a slow disk
	pm, err := readPostmaster(data)
	if err != nil || !runsOn(pm.pid, data) {
		return nil // nothing runs; PostgreSQL itself deals with what a crash left
	}
	if err := syscall.Kill(pm.pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop orphaned postgres %d on %s: %w", pm.pid, data, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		// The file goes before the process does, which may stay a zombie for a while.
		if _, err := readPostmaster(data); err != nil || !runsOn(pm.pid, data) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres %d still runs on %s; end it first: %w: %w", pm.pid, data, hone.ErrUnavailable, ctx.Err())
		case <-tick.C:
		}
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/term"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/workflows"
)

// leastInterval keeps a view from being what the servers are busy with.
const leastInterval = 200 * time.Millisecond

func (a *app) topCommand() *cobra.Command {
	interval, once := 2*time.Second, false
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show runs, what works on them, task queues and workers, live",
		Long: `top shows, until q or Ctrl-C: the runs with their newest cycle, what is being done for those that go on, the backlogs of Temporal's
task queues, and the workers that took work from them in the last minutes. Where standard output is no terminal, or with --once, it
writes that once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < leastInterval {
				return fmt.Errorf("--interval %v: want at least %v: %w", interval, leastInterval, hone.ErrInvalid)
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.top(ctx, s, store, interval, once)
			})
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", interval, "time between two looks")
	cmd.Flags().BoolVar(&once, "once", false, "look once")
	return cmd
}

// sight is what top sees at a moment.
type sight struct {
	Time time.Time    `json:"time"`
	Runs []runSummary `json:"runs"`
	// Live are the runs that somebody works on, by name.
	Live   map[string]*workflows.Status `json:"live"`
	Queues []workflows.Queue            `json:"queues"`
	// Faults are what could not be seen, in words.
	Faults []string `json:"faults,omitempty"`
}

// top looks once, or again and again.
func (a *app) top(ctx context.Context, s *servers, store *storage.Store, interval time.Duration, once bool) error {
	var c client.Client
	if s.temporalAddress != "" {
		var err error
		if c, err = s.dial(ctx); err != nil && !errors.Is(err, hone.ErrUnavailable) {
			return err
		}
	}
	if c != nil {
		defer c.Close()
	}
	out, terminal := a.terminal()
	if a.json || once || !terminal {
		now, err := see(ctx, c, s, store)
		if err != nil {
			return err
		}
		if a.json {
			return a.writeJSON(now)
		}
		for _, line := range now.lines() {
			fmt.Fprintln(a.stdout, line)
		}
		return nil
	}
	screen, err := openScreen(out)
	if err != nil {
		return err
	}
	defer screen.close()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		now, err := see(ctx, c, s, store)
		if err != nil {
			return err
		}
		screen.show(now.lines())
		select {
		case <-tick.C:
		case <-screen.quit:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// see asks the servers. A Temporal that doesn't answer is a fault of the sight; a record that doesn't is an error.
func see(ctx context.Context, c client.Client, s *servers, store *storage.Store) (sight, error) {
	now := sight{Time: time.Now(), Live: make(map[string]*workflows.Status), Queues: []workflows.Queue{}, Runs: []runSummary{}}
	all, err := store.Runs(ctx)
	if err != nil {
		return now, err
	}
	ask, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	for _, p := range all {
		r := summarise(p, nil)
		if p.Status == storage.StatusRunning && c != nil {
			if status, err := workflows.ReadStatus(ask, c, p.Name); err == nil && status.State == "running" {
				now.Live[p.Name], r.Cycles = &status, status.Progress.Cycles
			}
		}
		r.Status = statusName(p.Run, now.Live[p.Name] != nil)
		now.Runs = append(now.Runs, r)
	}
	slices.SortStableFunc(now.Runs, func(a, b runSummary) int { // those that go on come first
		return map[bool]int{true: 0, false: 1}[now.Live[a.Name] != nil] - map[bool]int{true: 0, false: 1}[now.Live[b.Name] != nil]
	})
	if c == nil {
		now.Faults = append(now.Faults, "no Temporal serves here: nothing is being trained")
		return now, nil
	}
	if now.Queues, err = workflows.ReadQueues(ask, c, s.temporalSpace, workflows.AllQueues()); err != nil {
		now.Faults = append(now.Faults, describe(err))
	}
	return now, nil
}

// screen is a terminal that a view has to itself.
type screen struct {
	out    *os.File
	before *term.State
	quit   chan struct{}
}

// openScreen turns to the terminal's second page, so that the first is as it was when close is called.
func openScreen(out *os.File) (*screen, error) {
	s := &screen{out: out, quit: make(chan struct{})}
	if in := int(os.Stdin.Fd()); term.IsTerminal(in) {
		var err error
		if s.before, err = term.MakeRaw(in); err != nil {
			return nil, fmt.Errorf("terminal: %w", err)
		}
		go s.listen()
	}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l\x1b[2J")
	return s, nil
}

// listen waits for q, Ctrl-C or Ctrl-D, as long as the process lives.
func (s *screen) listen() {
	key := make([]byte, 1)
	for {
		n, err := os.Stdin.Read(key)
		if err != nil || n == 1 && bytes.ContainsAny(key, "qQ\x03\x04") {
			close(s.quit)
			return
		}
	}
}

// show writes over what was there, line by line, in one write: nothing is blank in between.
func (s *screen) show(lines []string) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	fmt.Fprint(s.out, frame(lines, width, height))
}

func (s *screen) close() {
	fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")
	if s.before != nil {
		_ = term.Restore(int(os.Stdin.Fd()), s.before)
	}
}

// frame are lines for a terminal of that size, from its upper left corner on, each with what was behind it rubbed out.
func frame(lines []string, width, height int) string {
	if len(lines) > height {
		more := len(lines) - height + 1
		lines = append(slices.Clone(lines[:height-1]), fmt.Sprintf("… %d more lines", more))
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width-1]) + "…"
		}
		b.WriteString(line + "\x1b[K")
	}
	return b.String() + "\x1b[J"
}

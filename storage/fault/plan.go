package fault

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
)

// Env is the environment variable from which the command takes its plan.
const Env = "HONE_FAULT"

// Plan says what happens at which points. It is safe for concurrent use.
type Plan struct {
	mu    sync.Mutex
	rules []rule
}

// rule is one thing that happens once.
type rule struct {
	point Point
	// left is how many hits it takes until it happens.
	left  int
	what  string
	delay time.Duration
}

// Parse reads a plan: rules with commas between them, each "point=action" or "point=action@n" for the n-th time that the point is
// come by, n >= 1. Every rule comes true once. Actions:
//
//	kill          the process ends by SIGKILL
//	error         the call fails with [hone.ErrUnavailable]
//	delay:2s      the call goes on after so long
//
// Anything else is [hone.ErrInvalid].
func Parse(text string) (*Plan, error) {
	p := new(Plan)
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRule(part)
		if err != nil {
			return nil, fmt.Errorf("fault %q: %w", part, err)
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

func parseRule(text string) (rule, error) {
	point, action, ok := strings.Cut(strings.TrimSpace(text), "=")
	if !ok {
		return rule{}, fmt.Errorf("want point=action: %w", hone.ErrInvalid)
	}
	r := rule{point: Point(point), left: 1}
	if !slices.Contains(Points(), r.point) {
		return rule{}, fmt.Errorf("point %q: want one of %q: %w", point, Points(), hone.ErrInvalid)
	}
	action, times, counted := strings.Cut(action, "@")
	if counted {
		n, err := strconv.Atoi(times)
		if err != nil || n < 1 {
			return rule{}, fmt.Errorf("time %q: want a number of at least 1: %w", times, hone.ErrInvalid)
		}
		r.left = n
	}
	what, delay, delayed := strings.Cut(action, ":")
	r.what = what
	switch {
	case what == "delay" && delayed:
		d, err := time.ParseDuration(delay)
		if err != nil || d < 0 {
			return rule{}, fmt.Errorf("delay %q: want a duration such as 2s: %w", delay, hone.ErrInvalid)
		}
		r.delay = d
	case (what == "kill" || what == "error") && !delayed:
	default:
		return rule{}, fmt.Errorf("action %q: want kill, error or delay:2s: %w", action, hone.ErrInvalid)
	}
	return r, nil
}

// planKey is what a context keeps its plan under.
type planKey struct{}

// With is a context in which the plan's faults happen.
func With(ctx context.Context, p *Plan) context.Context { return context.WithValue(ctx, planKey{}, p) }

// Hit says that the record has come to a point. It returns nil unless the context's plan has an error there, or ctx ends in a delay.
func Hit(ctx context.Context, point Point) error {
	p, ok := ctx.Value(planKey{}).(*Plan)
	if !ok {
		return nil
	}
	r, due := p.due(point)
	if !due {
		return nil
	}
	switch r.what {
	case "kill":
		err := syscall.Kill(os.Getpid(), syscall.SIGKILL)
		if err == nil {
			select {} // the signal is on its way
		}
		return fmt.Errorf("fault at %s: kill: %w", point, err)
	case "error":
		return fmt.Errorf("fault at %s: %w", point, hone.ErrUnavailable)
	}
	timer := time.NewTimer(r.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// due takes the rule of the point whose time has come.
func (p *Plan) due(point Point) (rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.rules {
		r := &p.rules[i]
		if r.point != point || r.left == 0 {
			continue
		}
		if r.left--; r.left == 0 {
			return *r, true
		}
	}
	return rule{}, false
}

// Around makes a move that one call makes, and comes by its points.
func Around(ctx context.Context, m Move, move func() error) error {
	if err := Hit(ctx, m.Before()); err != nil {
		return err
	}
	if err := move(); err != nil {
		return err
	}
	return Hit(ctx, m.After())
}

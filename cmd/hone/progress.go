package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hone-rl/hone/activities"
)

// progressInterval is how often a line of progress is written again.
const progressInterval = 500 * time.Millisecond

// watching is a function that keeps a line of progress on standard error, where that is a terminal, and another that removes it.
func (a *app) watching() (watch func(activities.Heartbeat), done func()) {
	f, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	var mu sync.Mutex
	var last time.Time
	watch = func(h activities.Heartbeat) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(last) < progressInterval {
			return
		}
		last = now
		fmt.Fprintf(f, "\r\x1b[K%s: %d of %d %s", h.Phase, h.Done, h.Total, h.Unit)
	}
	return watch, func() { fmt.Fprint(f, "\r\x1b[K") }
}

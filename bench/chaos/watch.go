package main

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
)

// watcher looks at a run from outside, past the links: how far its record is, and which samplings were begun and lost.
type watcher struct {
	place *place

	mu sync.Mutex
	// mark grows with whatever is stored of the run; moved is when it last did.
	mark  int
	moved time.Time
	// begun are the samplings under way, by execution and activity.
	begun   map[string]attempt
	strikes []struck
}

// attempt is one try of an activity.
type attempt struct {
	number   int32
	started  time.Time
	identity string
}

func newWatcher(p *place) *watcher {
	return &watcher{place: p, moved: time.Now(), begun: make(map[string]attempt)}
}

// watch looks until ctx ends. What can't be asked at the moment is asked again.
func (w *watcher) watch(ctx context.Context) {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	temporal, err := client.NewLazyClient(client.Options{
		HostPort: net.JoinHostPort("127.0.0.1", strconv.Itoa(w.place.temporalPort)),
		Logger:   sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return // without it nothing is known to be lost
	}
	defer temporal.Close()
	var conn *pgx.Conn
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked, cancel := context.WithTimeout(ctx, time.Second)
		if conn == nil || conn.IsClosed() {
			conn, _ = w.place.connect(asked)
		}
		if conn != nil {
			w.look(asked, conn)
		}
		w.describe(asked, temporal)
		cancel()
	}
}

// connect reaches the database directly.
func (p *place) connect(ctx context.Context) (*pgx.Conn, error) {
	address, err := p.direct()
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, address)
}

func (w *watcher) look(ctx context.Context, conn *pgx.Conn) {
	var mark int
	err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM ingest_batches) + (SELECT count(*) FROM policy_versions)
		+ (SELECT count(*) FROM evaluations) + (SELECT count(*) FROM runs WHERE status = 'succeeded')`).Scan(&mark)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if mark == w.mark {
		return
	}
	now := time.Now()
	w.mark, w.moved = mark, now
	for i := range w.strikes {
		if s := &w.strikes[i]; s.still == 0 {
			s.still = now.Sub(s.at).Seconds()
		}
	}
}

func (w *watcher) describe(ctx context.Context, temporal client.Client) {
	d, err := temporal.DescribeWorkflowExecution(ctx, "hone-train-"+w.place.campaign.name(), "")
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range d.GetPendingActivities() {
		if a.GetActivityType().GetName() != "RolloutShard" || a.GetLastStartedTime() == nil {
			continue
		}
		key := d.GetWorkflowExecutionInfo().GetExecution().GetRunId() + a.GetActivityId()
		before, seen := w.begun[key]
		if seen && a.GetAttempt() > before.number {
			ended := time.Time{}
			if t := a.GetLastAttemptCompleteTime(); t != nil {
				ended = t.AsTime()
			}
			w.lose(before, ended)
		}
		if a.GetState() == enumspb.PENDING_ACTIVITY_STATE_STARTED || a.GetAttempt() > before.number {
			w.begun[key] = attempt{number: a.GetAttempt(), started: a.GetLastStartedTime().AsTime(), identity: a.GetLastWorkerIdentity()}
		}
	}
}

// lose adds what an attempt had sampled to the cost of the strike that ended it: the one that killed its process, or else the newest.
func (w *watcher) lose(a attempt, ended time.Time) {
	for i := len(w.strikes) - 1; i >= 0; i-- {
		s := &w.strikes[i]
		if s.pid != 0 && strings.Contains(a.identity, " "+strconv.Itoa(s.pid)+"@") {
			s.lost += max(0, s.at.Sub(a.started).Seconds())
			return
		}
	}
	if len(w.strikes) > 0 && ended.After(a.started) {
		w.strikes[len(w.strikes)-1].lost += ended.Sub(a.started).Seconds()
	}
}

// struck notes a strike.
func (w *watcher) struck(s struck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strikes = append(w.strikes, s)
}

// all are the strikes so far with their costs.
func (w *watcher) all() []struck {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.strikes)
}

// standing is how far the run is and for how long it has been there.
func (w *watcher) standing() (mark int, since time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mark, time.Since(w.moved)
}

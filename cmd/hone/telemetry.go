package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/telemetry"
	"github.com/hone-rl/hone/workflows"
)

// watched is how a process that works is watched from outside. A nil one isn't.
type watched struct {
	metrics *telemetry.Metrics // nil without an address
	traces  *telemetry.Traces  // nil unless the environment asks for them
	server  *http.Server
}

// registerTelemetry adds the flag of the commands that work.
func (a *app) registerTelemetry(flags *pflag.FlagSet) {
	flags.StringVar(&a.metricsAddress, "metrics-address", "",
		"host:port to answer Prometheus on at /metrics, such as 127.0.0.1:9464; :9464 is every interface (default nowhere)")
}

// openTelemetry starts what was asked for: metrics by flag, traces by OpenTelemetry's variables. It is closed after all work has stopped.
func (a *app) openTelemetry(ctx context.Context) (w *watched, err error) {
	w = new(watched)
	build := telemetry.Build{Version: thisBuild().Version, Commit: thisBuild().Commit}
	if w.traces, err = telemetry.OpenTraces(ctx, build, a.getenv); err != nil {
		return nil, err
	}
	if a.metricsAddress == "" {
		return w, nil
	}
	if w.metrics, err = telemetry.NewMetrics(build, slog.New(slog.NewTextHandler(a.stderr, nil))); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.metricsAddress)
	if err != nil {
		return nil, fmt.Errorf("--metrics-address %s: %w: %w", a.metricsAddress, hone.ErrInvalid, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", w.metrics)
	w.server = &http.Server{Addr: listener.Addr().String(), Handler: mux, ReadHeaderTimeout: checkPatience}
	go func() { _ = w.server.Serve(listener) }() // which ends with close
	return w, nil
}

// address is where metrics are answered, "" for nowhere.
func (w *watched) address() string {
	if w == nil || w.server == nil {
		return ""
	}
	return w.server.Addr
}

// options make a client tell what it does.
func (w *watched) options(o *client.Options) error {
	if w == nil {
		return nil
	}
	if w.metrics != nil {
		o.MetricsHandler = w.metrics.Handler()
	}
	interceptors, err := w.traces.Interceptors()
	o.Interceptors = append(o.Interceptors, interceptors...)
	return err
}

// queues makes the backlogs of queues metrics.
func (w *watched) queues(ctx context.Context, c client.Client, namespace string, names []string) error {
	if w == nil || w.metrics == nil {
		return nil
	}
	return w.metrics.Register(&queueCollector{read: func() ([]workflows.Queue, error) {
		ctx, cancel := context.WithTimeout(ctx, checkPatience)
		defer cancel()
		return workflows.ReadQueues(ctx, c, namespace, names)
	}})
}

// close sends the last spans and stops answering.
func (w *watched) close(ctx context.Context) error {
	if w == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := w.traces.Close(ctx)
	if w.server != nil {
		err = errors.Join(err, w.server.Close())
	}
	return err
}

// queueAge is how old an answer of the server's about its queues may be.
const queueAge = 15 * time.Second

// queueCollector asks for queues when it is scraped. A server that doesn't answer is a gap in the curve.
type queueCollector struct {
	read func() ([]workflows.Queue, error)

	mu    sync.Mutex
	asked time.Time
	found []workflows.Queue
}

func queueMetric(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"task_queue", "kind"}, nil)
}

// Describe says nothing beforehand: what there is depends on the server.
func (*queueCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (q *queueCollector) Collect(to chan<- prometheus.Metric) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.asked) >= queueAge {
		q.asked = time.Now()
		var err error
		if q.found, err = q.read(); err != nil {
			q.found = nil
		}
	}
	for _, one := range q.found {
		for _, gauge := range []struct {
			name, help string
			value      float64
		}{
			{"hone_queue_backlog", "Tasks that wait, about.", float64(one.Backlog)},
			{"hone_queue_backlog_age_seconds", "How long the oldest of them has waited.", one.Age.Seconds()},
			{"hone_queue_workers", "Processes that asked for such work in the last minutes.", float64(len(one.Workers))},
		} {
			to <- prometheus.MustNewConstMetric(queueMetric(gauge.name, gauge.help), prometheus.GaugeValue, gauge.value, one.Name, one.Kind)
		}
	}
}

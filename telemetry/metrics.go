package telemetry

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	temporal "go.temporal.io/sdk/contrib/opentelemetry"
)

// Build is what a process says of its program.
type Build struct{ Version, Commit string }

// Metrics are a process's own: the Go runtime's, the process's, and whatever is told to [Metrics.Handler].
type Metrics struct {
	registry *prometheus.Registry
	handler  client.MetricsHandler
}

// seconds are the bounds of all histograms, which are all of durations: from a call of the server to a supervised start.
func seconds() []float64 {
	return []float64{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600, 14400}
}

// view makes timers histograms, but for those of operators: they are many, and their sums are what is looked at.
func view(i metric.Instrument) (metric.Stream, bool) {
	if i.Kind != metric.InstrumentKindHistogram {
		return metric.Stream{}, false
	}
	s := metric.Stream{Name: i.Name, Description: i.Description, Unit: i.Unit}
	s.Aggregation = metric.AggregationExplicitBucketHistogram{Boundaries: seconds()}
	if i.Name == sumOnly {
		s.Aggregation = metric.AggregationSum{}
	}
	return s, true
}

// sumOnly is the timer of operators.
const sumOnly = "hone_kernel"

// NewMetrics is a registry with nothing in it but the runtime's and the build's.
func NewMetrics(b Build, log *slog.Logger) (*Metrics, error) {
	m := &Metrics{registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hone_build_info", Help: "1; the program's version and commit are the labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	reader, err := exporter.New(exporter.WithRegisterer(m.registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(view))
	m.handler = temporal.NewMetricsHandler(temporal.MetricsHandlerOptions{
		Meter: provider.Meter("github.com/hone-rl/hone"), UseMonotonicCounters: true,
		OnError: func(err error) { log.Warn("metric can't be kept", "error", err) },
	})
	return m, nil
}

// Handler is where Temporal's SDK, and through it the activities, tell their metrics.
func (m *Metrics) Handler() client.MetricsHandler { return m.handler }

// Register adds a collector, such as one that asks when it is scraped.
func (m *Metrics) Register(c prometheus.Collector) error {
	if err := m.registry.Register(c); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}).ServeHTTP(w, r)
}

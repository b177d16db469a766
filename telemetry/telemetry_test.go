package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/telemetry"
)

// scrape is what Prometheus would read.
func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	server := httptest.NewServer(m)
	defer server.Close()
	answer, err := http.Get(server.URL)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

func TestAScrapeShowsWhatWasTold(t *testing.T) {
	t.Parallel()
	m, err := telemetry.NewMetrics(telemetry.Build{Version: "v1", Commit: "abc"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	h := m.Handler().WithTags(map[string]string{"task_queue": "hone-rollout"})
	h.Counter("hone_tokens").Inc(40)
	h.Counter("hone_tokens").Inc(2)
	h.Timer("hone_shard").Record(2 * time.Second)
	h.Timer("hone_kernel").Record(time.Second)
	h.Timer("hone_kernel").Record(time.Second / 2)
	h.Gauge("hone_depth").Update(3.5)
	require.NoError(t, m.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hone_asked", Help: "7."}, func() float64 { return 7 })))
	text := scrape(t, m)
	for _, line := range []string{
		`hone_tokens_total{task_queue="hone-rollout"} 42`,
		`hone_shard_seconds_sum{task_queue="hone-rollout"} 2`,
		`hone_shard_seconds_bucket{task_queue="hone-rollout",le="1"} 0`,
		`hone_shard_seconds_bucket{task_queue="hone-rollout",le="3"} 1`,
		`hone_depth{task_queue="hone-rollout"} 3.5`,
		`hone_kernel_seconds_total{task_queue="hone-rollout"} 1.5`,
		"hone_asked 7",
		`hone_build_info{commit="abc",version="v1"} 1`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		require.Contains(t, text, "\n"+line)
	}
}

func TestTwoMetricsOfOneProcessDontMeet(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	one, err := telemetry.NewMetrics(telemetry.Build{}, quiet)
	require.NoError(t, err)
	other, err := telemetry.NewMetrics(telemetry.Build{}, quiet)
	require.NoError(t, err)
	one.Handler().Counter("hone_tokens").Inc(1)
	require.Contains(t, scrape(t, one), "hone_tokens_total")
	require.NotContains(t, scrape(t, other), "hone_tokens_total")
}

func TestTracesAreOnOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env map[string]string
		on  bool
	}{
		"nothing is said":       {nil, false},
		"an endpoint":           {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true},
		"an endpoint of traces": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true},
		"the exporter":          {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"gRPC":                  {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true},
		"none": {
			map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false,
		},
		"disabled": {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traces, err := telemetry.OpenTraces(t.Context(), telemetry.Build{}, func(key string) string { return c.env[key] })
			require.NoError(t, err)
			interceptors, err := traces.Interceptors()
			require.NoError(t, err)
			require.Equal(t, c.on, len(interceptors) == 1)
			require.NoError(t, traces.Close(t.Context()))
		})
	}
}

func TestUnknownExportersAndProtocolsAreRefused(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier pigeon"} {
		_, err := telemetry.OpenTraces(t.Context(), telemetry.Build{}, func(k string) string {
			return map[string]string{"OTEL_TRACES_EXPORTER": "otlp", key: value}[k]
		})
		require.ErrorIs(t, err, hone.ErrInvalid)
		require.ErrorContains(t, err, value)
	}
}

func TestClosingSendsTheLastSpans(t *testing.T) {
	t.Parallel()
	kept := &keeper{InMemoryExporter: tracetest.NewInMemoryExporter()}
	traces, err := telemetry.NewTraces(t.Context(), telemetry.Build{Version: "v1"}, kept)
	require.NoError(t, err)
	interceptors, err := traces.Interceptors()
	require.NoError(t, err)
	require.Len(t, interceptors, 1)
	require.NoError(t, traces.Close(t.Context()))
	require.True(t, kept.closed)
}

// keeper is an exporter that knows whether it was closed.
type keeper struct {
	*tracetest.InMemoryExporter

	closed bool
}

func (k *keeper) Shutdown(context.Context) error {
	k.closed = true
	return nil
}

func TestLinesOfLogUseOneNameForOneThing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, telemetry.FormatJSON, slog.LevelInfo)
	require.NoError(t, err)
	theirs := sdklog.With(sdklog.NewStructuredLogger(log), "WorkflowID", "hone-train-a", "RunID", "r", "TraceID", "t", "SpanID", "s",
		"ActivityType", "RolloutShard", "run_id", "u", "iteration", 3, "shard", 1)
	theirs.Debug("not said")
	theirs.Info("activity done", "seconds", 1.5)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.NotEmpty(t, line["time"])
	delete(line, "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "activity done", "seconds": 1.5, "workflow_id": "hone-train-a", "workflow_run_id": "r", "trace_id": "t",
		"span_id": "s", "activity": "RolloutShard", "run_id": "u", "iteration": 3.0, "shard": 1.0,
	}, line)
}

func TestFormatsAndLevels(t *testing.T) {
	t.Parallel()
	_, err := telemetry.NewLogger(io.Discard, "xml", slog.LevelInfo)
	require.ErrorIs(t, err, hone.ErrInvalid)
	level, err := telemetry.ParseLevel("warn")
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, level)
	_, err = telemetry.ParseLevel("loud")
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, "loud")
}

// The exporter reads the process's own environment, so this test has it to itself.
func TestSpansArriveAtACollector(t *testing.T) {
	arrived := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test-bench")
	traces, err := telemetry.OpenTraces(t.Context(), telemetry.Build{Version: "v1"}, os.Getenv)
	require.NoError(t, err)
	interceptors, err := traces.Interceptors()
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	tracer, ok := interceptors[0].(interceptor.WorkerInterceptor)
	require.True(t, ok, "it also serves the workers made from the client")
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{tracer}})
	env.RegisterActivityWithOptions(func() error { return nil }, activity.RegisterOptions{Name: "Rest"})
	_, err = env.ExecuteActivity("Rest")
	require.NoError(t, err)
	require.NoError(t, traces.Close(t.Context()))
	got := <-arrived
	require.True(t, strings.HasPrefix(got, "/v1/traces "), got)
	for _, text := range []string{"RunActivity:Rest", "service.name", "hone", "test-bench"} {
		require.Contains(t, got, text)
	}
}

package activities_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	temporal "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/telemetry"
)

// watched is a worker whose activities are watched from all sides.
type watched struct {
	*testsuite.TestActivityEnvironment

	metrics *telemetry.Metrics
	spans   *tracetest.SpanRecorder
	log     *bytes.Buffer
}

func newWatched(t *testing.T, act *activities.Activities) *watched {
	t.Helper()
	w := &watched{spans: tracetest.NewSpanRecorder(), log: new(bytes.Buffer)}
	log, err := telemetry.NewLogger(w.log, telemetry.FormatJSON, slog.LevelInfo)
	require.NoError(t, err)
	w.metrics, err = telemetry.NewMetrics(telemetry.Build{}, log)
	require.NoError(t, err)
	tracing, err := temporal.NewTracingInterceptor(temporal.TracerOptions{
		Tracer: trace.NewTracerProvider(trace.WithSpanProcessor(w.spans)).Tracer("test"),
	})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(log))
	suite.SetMetricsHandler(w.metrics.Handler())
	w.TestActivityEnvironment = suite.NewTestActivityEnvironment()
	w.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{tracing, new(activities.Observer)}})
	w.RegisterActivity(act)
	return w
}

// scrape is the lines of hone's own metrics.
func (w *watched) scrape() string {
	answer := httptest.NewRecorder()
	w.metrics.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return answer.Body.String()
}

// line is the last line of the log with that message.
func (w *watched) line(t *testing.T, message string) (found map[string]any) {
	t.Helper()
	for raw := range strings.Lines(w.log.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(raw), &line))
		if line["msg"] == message {
			found = line
		}
	}
	require.NotNil(t, found, "no line %q in:\n%s", message, w.log)
	return found
}

// paths counts spans by their names, each behind those of the spans around it.
func (w *watched) paths() map[string]int {
	all := w.spans.Ended()
	paths := make(map[string]int)
	for _, s := range all {
		name := s.Name()
		for parent := s.Parent().SpanID(); parent.IsValid(); {
			next := parent
			for _, p := range all {
				if p.SpanContext().SpanID() == parent {
					name, next = p.Name()+"/"+name, p.Parent().SpanID()
				}
			}
			if next == parent {
				break
			}
			parent = next
		}
		paths[name]++
	}
	return paths
}

func TestACycleIsSeenFromOutside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	act := w.process()
	run := w.prepare(act, "seen", tiny()).Run
	_, err := act.SupervisedStart(t.Context(), activities.SupervisedStartInput{Run: run})
	require.NoError(t, err)
	seen := newWatched(t, act)
	_, err = seen.ExecuteActivity(act.RolloutShard, activities.RolloutShardInput{Run: run, Shards: 1})
	require.NoError(t, err)
	_, err = seen.ExecuteActivity(act.Score, activities.ScoreInput{Run: run})
	require.NoError(t, err)
	_, err = seen.ExecuteActivity(act.Update, activities.UpdateInput{Run: run})
	require.NoError(t, err)

	text := seen.scrape()
	for _, pattern := range []string{
		`hone_prompts_total\{.*\} 6`, // 4 sampled and 2 searched
		`hone_trajectories_total\{.*finish="length".*\} \d+`,
		`hone_tokens_total\{.*\} \d+`,
		`hone_outcomes_total\{.*outcome="right".*\} \d+`,
		`hone_cycles_total\{.*\} 1`,
		`hone_optimiser_steps_total\{.*\} \d+`,
		`hone_shard_seconds_count\{.*\} 1`,
		`hone_score_seconds_count\{.*\} 1`,
		`hone_update_seconds_count\{.*\} 1`,
		`hone_phase_seconds_count\{.*phase="sample".*\} 1`,
		`hone_phase_seconds_count\{.*phase="update".*\} \d+`,
		`hone_work_seconds_count\{.*work="generate".*\} \d+`,
		`hone_work_seconds_count\{.*work="gradient".*\} \d+`,
		`hone_work_seconds_count\{.*work="optimiser".*\} \d+`,
		`hone_kernel_seconds_total\{.*kernel="linear".*work="gradient".*\} 0\.\d+`,
		`hone_kernel_seconds_total\{.*kernel="attention\.grad".*work="gradient".*\} `,
	} {
		require.Regexp(t, `(?m)^`+pattern, text)
	}
	require.NotContains(t, text, "hone_activity_errors")

	paths := seen.paths()
	for _, path := range []string{
		"RunActivity:RolloutShard", "RunActivity:RolloutShard/sample", "RunActivity:RolloutShard/sample/generate",
		"RunActivity:RolloutShard/search/generate", "RunActivity:RolloutShard/store", "RunActivity:Score/score",
		"RunActivity:Update/load", "RunActivity:Update/update/gradient", "RunActivity:Update/update/optimiser",
	} {
		require.Contains(t, paths, path)
	}
	line := seen.line(t, "activity done")
	require.Equal(t, "Update", line["activity"])
	require.Equal(t, string(run), line["run_id"])
	require.EqualValues(t, 0, line["iteration"])
	require.Regexp(t, "^[0-9a-f]{32}$", line["trace_id"])
	require.NotEmpty(t, line["workflow_id"])
	for _, s := range seen.spans.Ended() {
		if s.Name() == "RunActivity:RolloutShard" {
			require.Contains(t, attributesOf(s), "hone.run_id="+string(run))
			require.Contains(t, attributesOf(s), "hone.shard=0")
		}
	}
}

func attributesOf(s trace.ReadOnlySpan) (all []string) {
	for _, a := range s.Attributes() {
		all = append(all, string(a.Key)+"="+a.Value.String())
	}
	return all
}

func TestAFailedAttemptIsCountedByItsKind(t *testing.T) {
	t.Parallel()
	w := setup(t)
	act := w.process()
	seen := newWatched(t, act)
	_, err := seen.ExecuteActivity(act.RolloutShard, activities.RolloutShardInput{
		Run: "00000000-0000-0000-0000-000000000000", Iteration: 3, Shard: 1, Shards: 2,
	})
	require.Error(t, err)
	require.Regexp(t, `(?m)^hone_activity_errors_total\{.*kind="hone\.NotFound".*\} 1`, seen.scrape())
	line := seen.line(t, "activity failed")
	require.Equal(t, "hone.NotFound", line["kind"])
	require.EqualValues(t, 3, line["iteration"])
	require.EqualValues(t, 1, line["shard"])
}

// What is watched is done with the same bits, and what nobody watches makes no span.
func TestWatchingChangesNoBit(t *testing.T) {
	t.Parallel()
	var manifests []string
	for _, watch := range []bool{false, true} {
		w := setup(t)
		act := w.process()
		run := w.prepare(act, "same", tiny()).Run
		env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
		if watch {
			env = newWatched(t, act).TestActivityEnvironment
		} else {
			env.RegisterActivity(act)
		}
		for _, call := range []struct {
			method any
			in     any
		}{
			{act.SupervisedStart, activities.SupervisedStartInput{Run: run}},
			{act.RolloutShard, activities.RolloutShardInput{Run: run, Shards: 1}},
			{act.Score, activities.ScoreInput{Run: run}},
			{act.Update, activities.UpdateInput{Run: run}},
		} {
			_, err := env.ExecuteActivity(call.method, call.in)
			require.NoError(t, err)
		}
		head, err := w.store.Head(t.Context(), run)
		require.NoError(t, err)
		manifests = append(manifests, string(head.Manifest()))
	}
	require.Equal(t, manifests[0], manifests[1])
}

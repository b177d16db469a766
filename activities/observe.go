package activities

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/phase"
)

// Observer is how a worker tells of its activities: what each was about goes to its span and to a line of the log, what it came to is
// counted, and its phases are timed. Metrics go to the handler that the worker's client was made with, spans to the provider of the
// activity's own; where there are neither, next to nothing is done. doc/metrics.md lists the names.
type Observer struct {
	interceptor.WorkerInterceptorBase
}

// InterceptActivity puts the observer around an activity.
func (*Observer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	o := &observed{}
	o.Next = next
	return o
}

// observed is an activity with the observer around it.
type observed struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity is the attempt.
func (o *observed) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	about := subjectOf(in.Args)
	span, metrics := trace.SpanFromContext(ctx), activity.GetMetricsHandler(ctx)
	span.SetAttributes(about.attributes()...)
	logger := log.With(activity.GetLogger(ctx), about.pairs()...)
	inner, stages := ctx, (*stages)(nil)
	if metrics != client.MetricsNopHandler || span.IsRecording() {
		stages = newStages(ctx, metrics)
		inner = context.WithValue(phase.With(ctx, stages), stagesKey{}, stages)
	}
	began := time.Now()
	result, err := o.Next.ExecuteActivity(inner, in)
	stages.end()
	if err != nil {
		kind := errorKind(err)
		metrics.WithTags(map[string]string{"kind": kind}).Counter("hone_activity_errors").Inc(1)
		logger.Warn("activity failed", "kind", kind, "seconds", time.Since(began).Seconds(), "error", err)
		return nil, err //nolint:wrapcheck // the SDK must recognise it
	}
	count(metrics, result, time.Since(began))
	logger.Info("activity done", "seconds", time.Since(began).Seconds())
	return result, nil
}

// subject is what an activity is about: the fields of its input that are keys of log lines.
type subject struct {
	RunID     string `json:"run"`
	Run       string `json:"name"`
	Iteration *int64 `json:"iteration"`
	Shard     *int64 `json:"shard"`
	Version   *int64 `json:"version"`
}

// subjectOf reads an activity's arguments; what has no such field has none.
func subjectOf(args []any) (s subject) {
	if len(args) == 0 {
		return s
	}
	if raw, err := json.Marshal(args[0]); err == nil {
		_ = json.Unmarshal(raw, &s) // an input of another form is about nothing that a log line has a key for
	}
	return s
}

// attributes are the subject's on a span.
func (s subject) attributes() (out []attribute.KeyValue) {
	pairs := s.pairs()
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case string:
			out = append(out, attribute.String("hone."+name, v))
		case int64:
			out = append(out, attribute.Int64("hone."+name, v))
		}
	}
	return out
}

// pairs are the subject's keys and values in a log line.
func (s subject) pairs() (out []any) {
	for _, one := range []struct{ key, value string }{{"run_id", s.RunID}, {"run", s.Run}} {
		if one.value != "" {
			out = append(out, one.key, one.value)
		}
	}
	for _, one := range []struct {
		key   string
		value *int64
	}{{"iteration", s.Iteration}, {"shard", s.Shard}, {"version", s.Version}} {
		if one.value != nil {
			out = append(out, one.key, *one.value)
		}
	}
	return out
}

// errorKind is the label of an attempt's error.
func errorKind(err error) string {
	var app *temporal.ApplicationError
	switch {
	case errors.Is(err, errStopping):
		return "stopping"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), temporal.IsCanceledError(err):
		return "cancelled"
	case errors.As(err, &app) && app.Type() != "":
		return app.Type()
	default:
		return "retried"
	}
}

// count adds an activity's result to the counters. A result that was stored before, by an attempt nobody heard of, counts once for
// each time that it is returned.
func count(metrics client.MetricsHandler, result any, took time.Duration) {
	add := func(name string, n int64, tags ...string) {
		m := metrics
		for i := 0; i < len(tags); i += 2 {
			m = m.WithTags(map[string]string{tags[i]: tags[i+1]})
		}
		m.Counter(name).Inc(n)
	}
	switch out := result.(type) {
	case RolloutShardOutput:
		metrics.Timer("hone_shard").Record(took)
		add("hone_prompts", int64(out.Prompts))
		add("hone_tokens", out.Tokens)
		add("hone_trajectories", int64(out.Stopped), "finish", "stop")
		add("hone_trajectories", int64(out.Cut), "finish", "length")
		add("hone_trajectories", int64(out.Failed), "finish", "error")
	case ScoreOutput:
		metrics.Timer("hone_score").Record(took)
		if out.Next != (Round{}) {
			return // the next round's outcomes are this one's and more
		}
		found := out.Outcomes
		for name, n := range map[hone.Outcome]int{
			hone.OutcomeRight: found.Right, hone.OutcomeWrong: found.Wrong, hone.OutcomeUnparsable: found.Unparsable,
			hone.OutcomeTimeout: found.Timeout, hone.OutcomeCrashed: found.Crashed,
		} {
			add("hone_outcomes", int64(n), "outcome", string(name))
		}
	case UpdateOutput:
		metrics.Timer("hone_update").Record(took)
		add("hone_cycles", 1)
		add("hone_trained_tokens", out.Tokens)
		add("hone_optimiser_steps", int64(out.Steps))
	case Evaluation:
		metrics.Timer("hone_evaluation").Record(took)
		add("hone_evaluated_problems", int64(out.Problems), "mode", string(out.Mode), "split", string(out.Split))
	case SupervisedStartOutput:
		metrics.Timer("hone_start").Record(took)
	}
}

package activities

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone/policy/phase"
)

// tracerName is the scope of the spans within an activity.
const tracerName = "github.com/hone-rl/hone"

// stagesKey is where an activity's stages are in its context.
type stagesKey struct{}

// stages times an attempt from the inside: the phases that its heartbeat names follow one another, and pieces of work on the policy
// (package phase) lie in them. Each is a span and an observation. A nil one times nothing.
type stages struct {
	tracer  trace.Tracer
	metrics client.MetricsHandler
	// root is the attempt's own context, whose children the heartbeat's phases are.
	root context.Context //nolint:containedctx // spans of later phases are its children

	mu sync.Mutex
	// now is the context of the phase that runs; stop ends it.
	now  context.Context //nolint:containedctx // as root
	stop func()
}

func newStages(ctx context.Context, metrics client.MetricsHandler) *stages {
	return &stages{
		tracer: trace.SpanFromContext(ctx).TracerProvider().Tracer(tracerName), metrics: metrics,
		root: ctx, now: ctx, stop: func() {},
	}
}

// turn ends the phase before and begins the one of that name.
func (s *stages) turn(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	began := time.Now()
	ctx, span := s.tracer.Start(s.root, name)
	s.now = ctx
	s.stop = sync.OnceFunc(func() {
		span.End()
		s.metrics.WithTags(map[string]string{"phase": name}).Timer("hone_phase").Record(time.Since(began))
	})
}

// end ends the last phase.
func (s *stages) end() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// Begin implements [phase.Watcher].
func (s *stages) Begin(ctx context.Context, name string) (context.Context, phase.Phase) {
	parent := ctx
	if trace.SpanFromContext(ctx) == trace.SpanFromContext(s.root) { // no piece of work around it
		s.mu.Lock()
		parent = trace.ContextWithSpan(ctx, trace.SpanFromContext(s.now))
		s.mu.Unlock()
	}
	began := time.Now()
	ctx, span := s.tracer.Start(parent, name)
	return ctx, &piece{stages: s, name: name, span: span, began: began, last: began, parts: make(map[string]time.Duration)}
}

// piece is a piece of work on the policy.
type piece struct {
	stages      *stages
	name        string
	span        trace.Span
	began, last time.Time
	parts       map[string]time.Duration
}

// Lap implements [phase.Phase].
func (p *piece) Lap(part string) {
	now := time.Now()
	p.parts[part] += now.Sub(p.last)
	p.last = now
}

// End implements [phase.Phase].
func (p *piece) End() {
	metrics := p.stages.metrics.WithTags(map[string]string{"work": p.name})
	metrics.Timer("hone_work").Record(time.Since(p.began))
	for _, part := range slices.Sorted(maps.Keys(p.parts)) {
		metrics.WithTags(map[string]string{"kernel": part}).Timer("hone_kernel").Record(p.parts[part])
		p.span.SetAttributes(attribute.Float64("hone.seconds."+part, p.parts[part].Seconds()))
	}
	p.span.End()
}

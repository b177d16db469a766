package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	temporal "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"

	"github.com/hone-rl/hone"
)

// Traces are the spans of a process on their way to a collector. A nil one has none.
type Traces struct{ provider *trace.TracerProvider }

// OpenTraces reads OpenTelemetry's own variables from getenv: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or
// OTEL_TRACES_EXPORTER=otlp for the usual endpoint on this machine, turn traces on; without them, with OTEL_TRACES_EXPORTER=none and with
// OTEL_SDK_DISABLED=true the result is nil. The exporter itself reads the others, such as headers, certificates and the sampler,
// from the process's environment. [hone.ErrInvalid]: another exporter or protocol.
func OpenTraces(ctx context.Context, b Build, getenv func(string) string) (*Traces, error) {
	exporter, err := newExporter(ctx, getenv)
	if exporter == nil || err != nil {
		return nil, err
	}
	return NewTraces(ctx, b, exporter)
}

// NewTraces sends spans to an exporter, in batches.
func NewTraces(ctx context.Context, b Build, exporter trace.SpanExporter) (*Traces, error) {
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(
		attribute.String("service.name", "hone"), attribute.String("service.version", b.Version), attribute.String("hone.commit", b.Commit),
	), resource.WithFromEnv()) // the last wins
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("traces: %w: %w", err, hone.ErrInvalid)
	}
	return &Traces{provider: trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}, nil
}

func newExporter(ctx context.Context, getenv func(string) string) (trace.SpanExporter, error) {
	value := func(name string) string { return strings.TrimSpace(getenv(name)) }
	if strings.EqualFold(value("OTEL_SDK_DISABLED"), "true") {
		return nil, nil //nolint:nilnil // none is asked for
	}
	switch kind := value("OTEL_TRACES_EXPORTER"); kind {
	case "none":
		return nil, nil //nolint:nilnil // none is asked for
	case "otlp":
	case "":
		if value("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return nil, nil //nolint:nilnil // none is asked for
		}
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER %q: want otlp or none: %w", kind, hone.ErrInvalid)
	}
	protocol := value("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = value("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	var exporter trace.SpanExporter
	var err error
	switch protocol {
	case "", "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL %q: want http/protobuf or grpc: %w", protocol, hone.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("traces: %w: %w", err, hone.ErrInvalid)
	}
	return exporter, nil
}

// Interceptors make a client, and the workers made from it, trace workflows and activities.
func (t *Traces) Interceptors() ([]interceptor.ClientInterceptor, error) {
	if t == nil {
		return nil, nil
	}
	one, err := temporal.NewTracingInterceptor(temporal.TracerOptions{Tracer: t.provider.Tracer("go.temporal.io/sdk")})
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return []interceptor.ClientInterceptor{one}, nil
}

// Close sends what is left, as long as ctx lasts.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

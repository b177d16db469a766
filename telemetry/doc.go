// Package telemetry is how a process is watched from outside: metrics that Prometheus scrapes, spans that go to a collector by
// OpenTelemetry's protocol, and lines of log. It knows how they leave the process and nothing of what they say; that is in
// doc/metrics.md, and in the rooms that say it.
//
// Nothing is on unless asked for. What is computed never depends on any of it.
package telemetry

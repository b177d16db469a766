// Package storage is the record of training runs: what was sampled, how it was judged, what was learned from it, and which
// policy version is the head, in PostgreSQL through pgx.
//
// Three rules hold throughout:
//
//   - Samples are immutable. Scoring them again writes a new scoring beside the first.
//   - Every write is exactly once. Bulk writes go through a ledger in the same transaction, so repeating one does nothing, and
//     repeating it with other content is [hone.ErrConflict].
//   - A cycle is one commit. Policy version, state, targets and metrics move together, under a fence, by compare-and-swap on the
//     head of the run.
//
// Per-token numbers are packed into one bytea per row (columns of 4-byte numbers, little-endian); everything a person asks for is a column.
// Bulk tables have a partition per run, so that dropping a run is cheap.
//
// The package retries nothing: errors wrap [hone.ErrUnavailable] where trying again may help, and the caller's workflow engine
// decides. It stores digests of weights, not weights; those are in package blob.
package storage

// Package verify checks that the record of a run holds together: every digest, every count and every sum. It reads, and changes
// nothing.
//
// What was stored under a digest is read and its digest made again: weights and optimisers in the blob store, shards and scorings
// against the ledger, answers against their evaluation. What was counted is counted: rows against the ledger, prompts against their
// iteration, iterations against versions, which follow each other without a gap. What was summed is summed: terms to layers, layers
// to totals, totals to targets and to the iteration's metrics.
//
// A run may be trained meanwhile: an iteration that is not committed yet is counted and not read.
package verify

// Package temporallocal runs a Temporal server inside this process, on a Postgres that is already running. It is the default of
// a single machine; with an address of a real cluster, nothing of this package is needed and nothing else changes.
//
// The server keeps two databases of its own beside hone's (Temporal's two schemas can't share one), creates them where they are
// missing, and brings an older schema up to date. It listens on the loopback interface alone, since its front door asks nobody
// who they are. One server owns its databases: a second one is refused by an advisory lock that Postgres drops when the owner
// dies, however it dies.
//
// This is the only package that imports go.temporal.io/server. Those packages carry no promise of stability, and compiling
// them takes twelve CPU-minutes, which the tests of other packages must not pay for.
package temporallocal

package pglocal

import (
	"os"
	"slices"
)

// settings suit a small machine that also trains: little memory held, no parallel query, no network. They go on the command
// line, so that a change here reaches existing clusters.
var settings = []string{ //nolint:gochecknoglobals // a table, never written
	"listen_addresses=",
	"unix_socket_permissions=0700",
	"max_connections=100",
	"shared_buffers=128MB",
	"work_mem=16MB",
	"maintenance_work_mem=64MB",
	"effective_cache_size=1GB",
	"max_wal_size=1GB",
	"max_parallel_workers_per_gather=0", // parallel workers need /dev/shm, which containers keep small
	"jit=off",
	"timezone=UTC",
	"log_timezone=UTC",
	"log_checkpoints=off",
	"lc_messages=C", // serverError reads the messages
}

// fastSettings give up what only a crash of the machine needs.
var fastSettings = []string{ //nolint:gochecknoglobals // a table, never written
	"fsync=off",
	"full_page_writes=off",
	"synchronous_commit=off",
	"shared_buffers=32MB",
	"max_wal_size=256MB",
	"autovacuum_naptime=1h",
}

func arguments(l layout, o Options) []string {
	args := []string{"-D", l.data, "-k", l.socket}
	all := slices.Clip(settings)
	if o.Fast {
		all = append(all, fastSettings...)
	}
	for _, s := range slices.Concat(all, o.Settings) { // the last of a name wins
		args = append(args, "-c", s)
	}
	return args
}

// environment is all that the binaries see: nothing of the owner's PG* variables or secrets.
func environment() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"} }

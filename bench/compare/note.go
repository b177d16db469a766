package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// note is what a reader must know to take the figures again.
type note struct {
	Commit  string `json:"commit"`
	Command string `json:"command"`
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Threads int    `json:"threads"`
	Reps    int    `json:"reps"`
	Load    string `json:"load"`
	// Remark is a sentence of whoever took the figures, if they were taken in another way than usual.
	Remark string `json:"remark,omitempty"`
}

// note writes the first line of the raw file.
func (r *runner) note(ctx context.Context, o options) error {
	n := note{
		Commit: commit(ctx), Command: "make bench-engine", Date: time.Now().UTC().Format(time.DateOnly),
		Machine: machine(), Threads: r.threads, Reps: o.reps, Load: load(), Remark: o.remark,
	}
	if o.short {
		n.Command += " SHORT=1"
	}
	var parts []string
	for _, f := range []struct{ name, value string }{{"tasks", o.tasks}, {"sizes", o.sizes}} {
		if f.value != "" && !o.short {
			parts = append(parts, fmt.Sprintf("-%s=%s", f.name, f.value))
		}
	}
	if len(parts) > 0 {
		n.Command += fmt.Sprintf(" ARGS='%s'", strings.Join(parts, " "))
	}
	if err := json.NewEncoder(r.raw).Encode(measured{Note: &n}); err != nil {
		return fmt.Errorf("write raw result: %w", err)
	}
	return nil
}

// commit is the checked-out one, with a word if files differ from it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// machine is the processor, how many of it, and the memory.
func machine() string {
	return fmt.Sprintf("%d x %s, %s of memory, %s/%s", runtime.NumCPU(),
		field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"), runtime.GOOS, runtime.GOARCH)
}

// load is the load average of the last minute before the first measurement.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

// field is the first value of that name in a file of "name : value" lines.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

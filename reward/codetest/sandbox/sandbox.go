package sandbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
)

// Limits are those of one run of the program.
type Limits struct {
	// CPU is processor time of a process, a second or more; it is rounded up to seconds. Wall is time that passes.
	CPU  time.Duration `json:"cpu"`
	Wall time.Duration `json:"wall"`
	// Memory is the address space of a process in bytes, Files what may be written to files, in all and to each, Output what may be printed.
	Memory int64 `json:"memory"`
	Files  int64 `json:"files"`
	Output int64 `json:"output"`
	// Processes is how many there may be at once, threads included. Without namespaces it is beside those that the account has when the
	// run begins, and root's are not limited.
	Processes int `json:"processes"`
}

// Program is what to run and under which conditions.
type Program struct {
	// Name and Text are the file that is written for each case into the folder where the program starts; what was there is removed.
	Name string `json:"name"`
	Text string `json:"text"`
	// Read are absolute paths that it may read, at the same place; everything else is absent. Optional ones are left out where they don't
	// exist.
	Read     []string `json:"read"`
	Optional []string `json:"optional"`
	// Env is its whole environment, HOME, PATH and TMPDIR aside.
	Env    []string `json:"env"`
	Limits Limits   `json:"limits"`
	// Unsandboxed runs without namespaces: the limits hold, the files of the account and the network are open.
	Unsandboxed bool `json:"unsandboxed"`
	// Cgroup is a folder of control groups, version 2, in which this process may make its own; memory and processes are then limited in
	// sum. Empty is none.
	Cgroup string `json:"cgroup"`
}

// Case is one run.
type Case struct {
	// Command is looked for in the sandbox; a name without a slash along PATH.
	Command []string `json:"command"`
	Stdin   string   `json:"stdin"`
}

// End says how a run ended.
type End string

// The ends of a run.
const (
	// Exited is an end of the program's own, or by a signal that it got for what it did.
	Exited End = "exited"
	// OutOfCPU, OutOfTime and OutOfOutput are kills at a limit.
	OutOfCPU    End = "cpu"
	OutOfTime   End = "time"
	OutOfOutput End = "output"
)

// Result is what a run did.
type Result struct {
	End End `json:"end"`
	// Code is the exit status, 128 and the signal's number where a signal ended it.
	Code int `json:"code"`
	// Stdout is what was printed, at most [Limits.Output] bytes; Stderr the last 4 kB of the other stream.
	Stdout []byte `json:"stdout"`
	Stderr []byte `json:"stderr"`
	// CPU is processor time of the program and of the children it waited for. Wall is time that passed, and Peak the most memory that the
	// program itself held, in bytes; 0 where the system doesn't tell.
	CPU  time.Duration `json:"cpu"`
	Wall time.Duration `json:"wall"`
	Peak int64         `json:"peak"`
}

// validate reports every fault.
func (p Program) validate(cases []Case) error {
	var faults []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s %v: want %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	l := p.Limits
	want(l.CPU >= time.Second, "cpu", l.CPU, "a second or more")
	want(l.Wall > 0, "wall", l.Wall, "more than 0")
	want(l.Memory > 0, "memory", l.Memory, "more than 0 bytes")
	want(l.Files > 0, "files", l.Files, "more than 0 bytes")
	want(l.Output > 0, "output", l.Output, "more than 0 bytes")
	want(l.Processes > 0, "processes", l.Processes, "more than 0")
	want(len(cases) > 0, "cases", len(cases), "one or more")
	for i, c := range cases {
		want(len(c.Command) > 0, fmt.Sprintf("cases[%d]: command", i), c.Command, "one word or more")
	}
	return errors.Join(faults...)
}

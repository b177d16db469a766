package codetest

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/codetest/sandbox"
)

// Config is how programs are run. What is left out is the default, which runs Python.
type Config struct {
	// File is the name under which the program is written, and Command what runs it: words, of which the first is looked for in
	// /usr/local/bin, /usr/bin and /bin.
	File    string   `json:"file,omitempty" yaml:"file"`
	Command []string `json:"command,omitempty" yaml:"command"`
	// AssertCommand runs what it reads from standard input: the program, the test's assertions and Done, in which "{token}" stands for a
	// secret that must be the last thing printed, so that a program which ends early is found out.
	AssertCommand []string `json:"assert_command,omitempty" yaml:"assert_command"`
	Done          string   `json:"done,omitempty" yaml:"done"`
	// Env is the program's environment, beside PATH, HOME and TMPDIR: "NAME=value".
	Env []string `json:"env,omitempty" yaml:"env"`
	// Read are folders and files that it may read, beside /bin, /lib, /lib64 and /usr.
	Read []string `json:"read,omitempty" yaml:"read"`

	// CPU is processor time of a process, in seconds; 0 means 5. Wall is time that passes, in seconds; 0 means 15.
	CPU  int `json:"cpu_seconds,omitempty" yaml:"cpu_seconds"`
	Wall int `json:"wall_seconds,omitempty" yaml:"wall_seconds"`
	// Memory is the address space of a process, in MiB; 0 means 1,024.
	Memory int `json:"memory_mib,omitempty" yaml:"memory_mib"`
	// Files is what may be written to files, Output what may be printed, in KiB; 0 means 1,024 and 256.
	Files  int `json:"files_kib,omitempty" yaml:"files_kib"`
	Output int `json:"output_kib,omitempty" yaml:"output_kib"`
	// Processes is how many there may be, threads included; 0 means 16.
	Processes int `json:"processes,omitempty" yaml:"processes"`
	// Cgroup is a folder of control groups, version 2, with the controllers memory and pids, in which hone may make groups; memory and
	// processes are then limited in sum. Empty is none.
	Cgroup string `json:"cgroup,omitempty" yaml:"cgroup"`
	// Unsandboxed runs programs without namespaces, where the system has none to give: limits hold, but files and the network are open to
	// whatever a policy writes.
	Unsandboxed bool `json:"unsandboxed,omitempty" yaml:"unsandboxed"`

	// Partial is what a program earns for the share of tests that it passes where it doesn't pass all, in [0, 1).
	Partial float64 `json:"partial,omitempty" yaml:"partial"`
}

// filled is the configuration with its defaults. Python's hashes are fixed, so that a program prints the same twice.
func (c Config) filled() Config {
	if c.File == "" {
		c.File = "program.py"
	}
	if len(c.Command) == 0 {
		c.Command = []string{"python3", c.File}
	}
	if len(c.AssertCommand) == 0 {
		c.AssertCommand = []string{"python3", "-"}
	}
	if c.Done == "" {
		c.Done = `__import__("sys").stdout.write("\n{token}\n")`
	}
	if c.Env == nil {
		c.Env = []string{"LANG=C.UTF-8", "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1"}
	}
	for _, f := range []struct {
		field *int
		value int
	}{{&c.CPU, 5}, {&c.Wall, 15}, {&c.Memory, 1024}, {&c.Files, 1024}, {&c.Output, 256}, {&c.Processes, 16}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return c
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if strings.ContainsAny(c.File, "/\x00") || c.File == "." || c.File == ".." {
		bad("file %q: want a name without a folder", c.File)
	}
	if c.Done != "" && !strings.Contains(c.Done, "{token}") {
		bad("done %q: want code that prints {token}", c.Done)
	}
	for _, v := range c.Env {
		if name, _, found := strings.Cut(v, "="); !found || name == "" {
			bad("env %q: want NAME=value", v)
		}
	}
	for _, path := range c.Read {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
			bad("read %q: want an absolute path below /", path)
		}
	}
	if c.Cgroup != "" && !filepath.IsAbs(c.Cgroup) {
		bad("cgroup %q: want an absolute path", c.Cgroup)
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{
		{"cpu_seconds", c.CPU, 3600},
		{"wall_seconds", c.Wall, 3600},
		{"memory_mib", c.Memory, 1 << 20},
		{"files_kib", c.Files, 1 << 20},
		{"output_kib", c.Output, 1 << 16},
		{"processes", c.Processes, 1 << 12},
	} {
		if f.value < 0 || f.value > f.most {
			bad("%s %d: want 0 (the default) to %d", f.name, f.value, f.most)
		}
	}
	if !(c.Partial >= 0 && c.Partial < 1) || math.IsNaN(c.Partial) {
		bad("partial %v: want at least 0 and less than 1", c.Partial)
	}
	return errors.Join(faults...)
}

// program is a text as the sandbox is told of it.
func (c Config) program(text string) sandbox.Program {
	return sandbox.Program{
		Name: c.File, Text: text, Env: c.Env, Read: c.Read, Unsandboxed: c.Unsandboxed, Cgroup: c.Cgroup,
		Optional: []string{"/bin", "/lib", "/lib64", "/usr", "/etc/alternatives", "/etc/ld.so.cache"},
		Limits: sandbox.Limits{
			CPU: time.Duration(c.CPU) * time.Second, Wall: time.Duration(c.Wall) * time.Second,
			Memory: int64(c.Memory) << 20, Files: int64(c.Files) << 10, Output: int64(c.Output) << 10, Processes: c.Processes,
		},
	}
}

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
)

const (
	// initName is what the process in the middle is called, and marker a variable of its environment that keeps one that doesn't know what
	// it is from starting more.
	initName = "hone-sandbox"
	marker   = "HONE_SANDBOX"
	// patience is what a run may take beyond the limits of its cases, for setting up and killing.
	patience = 30 * time.Second
	// nobody is the account of programs where the caller is root.
	nobody = 65534
)

// order is what the process in the middle is told.
type order struct {
	Program Program `json:"program"`
	Cases   []Case  `json:"cases"`
	// Account is whom the program runs as within the namespaces; 0 is whom the process in the middle does.
	Account int `json:"account"`
}

// reply is one of its lines: the first says that it is ready, the next are results in the order of cases, the last may be a fault.
type reply struct {
	Ready  bool    `json:"ready,omitempty"`
	Result *Result `json:"result,omitempty"`
	Fault  string  `json:"fault,omitempty"`
}

// Run runs the program once for each case, one after another, each time in a clean folder and with nothing left of the time before. A
// case that ends at a limit of time ends the run: there are then fewer results than cases.
//
// What the program does is a result, never an error. [hone.ErrUnavailable] is a system that doesn't give what the sandbox needs, and says
// what; [hone.ErrInvalid] are limits, paths or commands that can't be; ctx's error is that.
func Run(ctx context.Context, p Program, cases []Case) ([]Result, error) {
	if err := p.validate(cases); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if os.Getenv(marker) != "" {
		return nil, fmt.Errorf("sandbox: begun within one: the main function must call sandbox.Init first: %w", hone.ErrInvalid)
	}
	dir, err := os.MkdirTemp("", "hone-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the program's account starts in it
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(len(cases))*p.Limits.Wall+patience,
		fmt.Errorf("sandbox: the runs did not end: %w", hone.ErrUnavailable))
	defer cancel()

	group, err := newGroup(p)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer group.remove()
	o := order{Program: p, Cases: cases}
	attr := &syscall.SysProcAttr{Setsid: true}
	if !p.Unsandboxed {
		o.Account = isolate(attr)
	}
	group.join(attr)
	results, err := talk(ctx, dir, attr, o)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return results, nil
}

// isolate asks for the namespaces. The account is whom the program shall be: root is itself and nobody, so that limits count for the
// program and no file is its own; others, and the root of a container that knows no nobody, can be mapped to themselves alone. (Where that
// root stands for the system's, as under unshare -r, the kernel doesn't limit its processes: what is left is the limit of time.)
func isolate(attr *syscall.SysProcAttr) (account int) {
	attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC |
		syscall.CLONE_NEWUTS
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	if os.Getuid() != 0 || !mapped("/proc/self/uid_map", nobody) || !mapped("/proc/self/gid_map", nobody) {
		return 0
	}
	attr.UidMappings = append(attr.UidMappings, syscall.SysProcIDMap{ContainerID: nobody, HostID: nobody, Size: 1})
	attr.GidMappings = append(attr.GidMappings, syscall.SysProcIDMap{ContainerID: nobody, HostID: nobody, Size: 1})
	attr.GidMappingsEnableSetgroups = true
	return nobody
}

// mapped tells whether the namespace of this process knows an account; the map's lines are a first account, whom it stands for, and a
// count.
func mapped(path string, account int) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		var first, outside, count int
		if _, err := fmt.Sscan(line, &first, &outside, &count); err == nil && account >= first && account-first < count {
			return true
		}
	}
	return false
}

// talk starts the process in the middle and hears its replies.
func talk(ctx context.Context, dir string, attr *syscall.SysProcAttr, o order) ([]Result, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode order: %w", err)
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args, cmd.Env, cmd.Dir, cmd.SysProcAttr = []string{initName}, []string{marker + "=1", "GOMAXPROCS=2"}, dir, attr
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe() // its end tells the process in the middle that nobody waits any more
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	cmd.Cancel, cmd.WaitDelay = in.Close, 5*time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("this system allows no namespaces (%w): allow them, or configure unsandboxed: %w", err, hone.ErrUnavailable)
	}
	_, err = in.Write(text)
	results, heard := hear(out, len(o.Cases))
	// A program that was killed because nobody waits any more has a result as well, which says nothing of it.
	if heard == nil && err == nil && ctx.Err() == nil {
		_ = in.Close() // it is done
		_ = cmd.Wait() // and said all it had to say
		return results, nil
	}
	_ = in.Close()
	ended := cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if heard == nil || errors.Is(heard, io.ErrUnexpectedEOF) {
		heard = fmt.Errorf("the process in the middle ended early (%w; %w), %q: %w",
			errors.Join(err, heard), errors.Join(ended), bytes.TrimSpace(complaint.Bytes()), hone.ErrUnavailable)
	}
	return nil, heard
}

// hear reads replies until all results are there, or the run was ended at a limit.
func hear(out io.Reader, cases int) ([]Result, error) {
	replies := json.NewDecoder(out)
	var results []Result
	for ready := false; ; {
		var r reply
		err := replies.Decode(&r)
		switch {
		case err != nil && !ready:
			return nil, fmt.Errorf("the main function of this program doesn't call sandbox.Init: %w: %w", err, hone.ErrInvalid)
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, fmt.Errorf("reply of the process in the middle: %w: %w", err, hone.ErrCorrupt)
		case r.Fault != "":
			return nil, fmt.Errorf("%s: %w", r.Fault, hone.ErrUnavailable)
		case r.Result != nil:
			results = append(results, *r.Result)
			if len(results) == cases || r.Result.End == OutOfTime || r.Result.End == OutOfCPU {
				return results, nil
			}
		default:
			ready = ready || r.Ready
		}
	}
}

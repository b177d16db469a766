package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	path = "/usr/local/bin:/usr/bin:/bin"
	// maxStderr is what is kept of standard error.
	maxStderr = 4 << 10
	// openFiles is how many files a process may hold.
	openFiles = 256
)

// keeper runs the cases. Its thread is locked, and everything that it starts is a child of it.
type keeper struct {
	order
	box string
}

// run is one case.
func (k *keeper) run(c Case) (r Result, err error) {
	if err := k.clean(); err != nil {
		return r, fmt.Errorf("clean the box: %w", err)
	}
	command, err := exec.LookPath(c.Command[0])
	if err != nil {
		return r, fmt.Errorf("command %s is not to be had: %w; add its folder to what may be read", c.Command[0], err)
	}
	parent, child, err := pipes()
	if err != nil {
		return r, err
	}
	defer closeAll(parent)
	begun := time.Now() //nolint:forbidigo // what is measured is time
	pid, err := k.start(command, c.Command, child)
	closeAll(child)
	if err != nil {
		return r, fmt.Errorf("start %s: %w", command, err)
	}
	var out, complaints collector
	out.limit, complaints.limit = k.Program.Limits.Output, k.Program.Limits.Output
	var ended atomic.Pointer[End]
	stop := func(why End) {
		ended.CompareAndSwap(nil, &why)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	done := make(chan struct{}, 2)
	for i, c := range []*collector{&out, &complaints} {
		go func() { c.read(parent[i+1], func() { stop(OutOfOutput) }); done <- struct{}{} }()
	}
	go func() { _, _ = parent[0].WriteString(c.Stdin); parent[0].Close() }()
	late := time.AfterFunc(k.Program.Limits.Wall, func() { stop(OutOfTime) }) //nolint:forbidigo // a limit of time
	defer late.Stop()

	usage, err := k.watch(pid, func() { stop(OutOfCPU) })
	r.Wall = time.Since(begun) //nolint:forbidigo // what is measured is time
	k.sweep()                  // what holds the pipes open is gone after it
	<-done
	<-done
	if err != nil {
		return r, err
	}
	r.End, r.Code, r.CPU, r.Peak = Exited, usage.code, usage.cpu, usage.peak
	if why := ended.Load(); why != nil {
		r.End = *why
	} else if r.CPU > k.Program.Limits.CPU {
		r.End = OutOfCPU
	}
	r.Stdout = out.text
	r.Stderr = complaints.text[max(0, len(complaints.text)-maxStderr):]
	return r, nil
}

// pipes are those to standard input and from standard output and error, and their other ends.
func pipes() (parent, child [3]*os.File, err error) {
	for i := range child {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(parent)
			closeAll(child)
			return parent, child, fmt.Errorf("pipe: %w", err)
		}
		parent[i], child[i] = r, w
		if i == 0 {
			parent[i], child[i] = w, r
		}
	}
	return parent, child, nil
}

func closeAll(files [3]*os.File) {
	for _, f := range files {
		f.Close() // nil is none
	}
}

// start begins the program, which stops before its first instruction to be given its limits.
func (k *keeper) start(command string, args []string, files [3]*os.File) (pid int, err error) {
	attr := &syscall.SysProcAttr{Setsid: true, Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if k.Account != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(k.Account), Gid: uint32(k.Account)}
	}
	env := append([]string{"PATH=" + path, "HOME=" + k.box, "TMPDIR=" + k.box}, k.Program.Env...)
	return syscall.ForkExec(command, args, &syscall.ProcAttr{ //nolint:wrapcheck // the caller says what was started
		Dir: k.box, Env: env, Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()}, Sys: attr,
	})
}

// limit sets what the kernel holds the process to.
func (k *keeper) limit(pid int) error {
	l := k.Program.Limits
	seconds := uint64((l.CPU + time.Second - 1) / time.Second)
	processes := uint64(l.Processes)
	if k.Program.Unsandboxed {
		processes += uint64(threads(os.Getuid()))
	}
	for _, one := range []struct {
		name       string
		which      int
		soft, hard uint64
	}{
		{"processor time", unix.RLIMIT_CPU, seconds, seconds + 1},
		{"address space", unix.RLIMIT_AS, uint64(l.Memory), uint64(l.Memory)},
		{"size of files", unix.RLIMIT_FSIZE, uint64(l.Files), uint64(l.Files)},
		{"processes", unix.RLIMIT_NPROC, processes, processes},
		{"open files", unix.RLIMIT_NOFILE, openFiles, openFiles},
		{"core", unix.RLIMIT_CORE, 0, 0},
		{"locked memory", unix.RLIMIT_MEMLOCK, 0, 0},
		{"queues", unix.RLIMIT_MSGQUEUE, 0, 0},
	} {
		if err := unix.Prlimit(pid, one.which, &unix.Rlimit{Cur: one.soft, Max: one.hard}, nil); err != nil {
			return fmt.Errorf("limit %s: %w", one.name, err)
		}
	}
	return nil
}

// threads counts those of an account, with which a program that has no namespace is counted together.
func threads(account int) int {
	count := 0
	lists, _ := filepath.Glob("/proc/[0-9]*/task")
	for _, list := range lists {
		var stat unix.Stat_t
		if unix.Stat(list, &stat) != nil || int(stat.Uid) != account {
			continue
		}
		tasks, _ := os.ReadDir(list) // it may have ended
		count += len(tasks)
	}
	return count
}

// spent is what the kernel says of a process that has ended.
type spent struct {
	code int
	cpu  time.Duration
	peak int64
}

// watch follows the program to its end: it sets the limits, passes signals on, and reads what memory was held while it is still to be
// read. Spending all processor time is told of once.
func (k *keeper) watch(pid int, outOfCPU func()) (s spent, err error) {
	defer func() {
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}()
	begun := false
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		got, err := unix.Wait4(-1, &status, unix.WALL, &usage)
		switch {
		case errors.Is(err, unix.EINTR) || err == nil && got != pid: // an orphan
			continue
		case err != nil:
			return s, fmt.Errorf("wait: %w", err)
		case status.Exited() || status.Signaled():
			s.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			s.code = status.ExitStatus()
			if status.Signaled() {
				s.code = 128 + int(status.Signal())
			}
			return s, nil
		}
		signal := status.StopSignal()
		switch {
		case !begun:
			begun, signal = true, 0
			err = errors.Join(k.limit(pid), unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACEEXIT|unix.PTRACE_O_EXITKILL))
			if errors.Is(err, unix.ESRCH) { // killed before it began
				continue
			}
			if err != nil {
				return s, err
			}
		case status.TrapCause() == unix.PTRACE_EVENT_EXIT:
			s.peak, signal = peak(pid), 0
		case signal == unix.SIGXCPU:
			outOfCPU()
		case signal == unix.SIGSTOP || signal == unix.SIGTSTP || signal == unix.SIGTTIN || signal == unix.SIGTTOU:
			signal = 0
		}
		if err := unix.PtraceCont(pid, int(signal)); err != nil && !errors.Is(err, unix.ESRCH) {
			return s, fmt.Errorf("go on: %w", err)
		}
	}
}

// peak is the most memory that a process held; 0 where it isn't told.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	kb, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

// sweep kills all that a program left, and waits for it.
func (k *keeper) sweep() {
	for {
		if k.Program.Unsandboxed {
			killChildren()
		} else {
			_ = unix.Kill(-1, unix.SIGKILL) // all of the namespace but this, its first process
		}
		_, err := unix.Wait4(-1, nil, unix.WALL, nil)
		for pid := 1; pid > 0; { // there may be thousands
			pid, _ = unix.Wait4(-1, nil, unix.WALL|unix.WNOHANG, nil)
		}
		if errors.Is(err, unix.ECHILD) {
			return
		}
	}
}

// killChildren kills the children of this process, to which orphans are given.
func killChildren() {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
}

// clean empties the box and writes the program into it.
func (k *keeper) clean() error {
	entries, err := os.ReadDir(k.box)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(k.box, e.Name())); err != nil {
			return err
		}
	}
	if k.Program.Name == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(k.box, k.Program.Name), []byte(k.Program.Text), 0o644)
}

// collector keeps what is printed up to a limit.
type collector struct {
	limit int64
	text  []byte
}

// read reads to the end; over is told once of what passes the limit, and the rest is thrown away.
func (c *collector) read(from io.Reader, over func()) {
	var kept bytes.Buffer
	_, _ = io.Copy(&kept, io.LimitReader(from, c.limit))
	c.text = kept.Bytes()
	if n, _ := io.Copy(io.Discard, io.LimitReader(from, 1)); n > 0 {
		over()
		_, _ = io.Copy(io.Discard, from)
	}
}

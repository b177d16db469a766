package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/hone-rl/hone"
)

const (
	pollEvery    = 5 * time.Millisecond
	quitPatience = 5 * time.Second
	maxLogBytes  = 16 << 20
)

// process is a child that a goroutine of its own waits for.
type process struct {
	pid  int
	done chan struct{}
	err  error // of Wait; read after done
}

// spawn starts the child. The kernel's death signal is tied to the thread that forks, so one goroutine keeps that thread for as
// long as the child lives.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// wait returns when the child has ended by itself, or kills it with the signal when ctx ends.
func (p *process) wait(ctx context.Context, sig syscall.Signal) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		_ = syscall.Kill(-p.pid, sig)
		<-p.done
		return ctx.Err()
	}
}

// stop asks for a fast shutdown, then for an immediate one when ctx ends, then kills.
func (p *process) stop(ctx context.Context) error {
	_ = syscall.Kill(p.pid, syscall.SIGINT) // fails only if it has ended
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	_ = syscall.Kill(p.pid, syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(quitPatience):
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
	}
	return fmt.Errorf("shutdown was cut short: %w", ctx.Err())
}

// launch starts the server and waits until it accepts connections. A server that still finds its killed predecessor's
// processes attached to the shared memory is started again until they have gone.
func launch(ctx context.Context, b Binaries, l layout, who account, o Options) (*process, error) {
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	for {
		p, err := launchOnce(ctx, b, l, who, o)
		if err == nil || !strings.Contains(err.Error(), "shared memory block") || time.Now().After(deadline) || ctx.Err() != nil {
			return p, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * pollEvery):
		}
	}
}

func launchOnce(ctx context.Context, b Binaries, l layout, who account, o Options) (*process, error) {
	log, from, err := openLog(l.logFile())
	if err != nil {
		return nil, dirError(l.dir, err)
	}
	defer log.Close()
	// Never pg_ctl: it makes the server a daemon, which no death signal reaches.
	// ctx is of starting; the server outlives it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), b.path("postgres"), arguments(l, o)...)
	cmd.Dir, cmd.Env, cmd.Stderr = l.dir, environment(), log
	cmd.SysProcAttr = attributes(who, syscall.SIGINT)
	p, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, accountError(who, l.dir, err))
	}
	if err := p.ready(ctx, l.data); err != nil {
		if ctx.Err() != nil {
			_ = p.stop(ctx)
		}
		return nil, serverError(l, err, from)
	}
	return p, nil
}

// ready returns when the child's own line in postmaster.pid says that it takes connections.
func (p *process) ready(ctx context.Context, data string) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if pm, err := readPostmaster(data); err == nil && pm.pid == p.pid && pm.status == "ready" {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("postgres ended during start: %w", errors.Join(hone.ErrUnavailable, p.err))
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// openLog opens the log for appending and tells where it ends now. A log that has grown long starts afresh and keeps one
// predecessor.
func openLog(name string) (*os.File, int64, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// serverError adds what the server itself wrote since the byte offset.
func serverError(l layout, err error, from int64) error {
	const maxTail = 4 << 10
	said, readErr := os.ReadFile(l.logFile())
	if readErr != nil || int64(len(said)) < from {
		return err
	}
	said = said[from:]
	said = said[max(0, len(said)-maxTail):]
	text := strings.TrimSpace(string(said))
	if diskFull(text) {
		return dirError(l.dir, fmt.Errorf("%w\n%s", syscall.ENOSPC, text))
	}
	return fmt.Errorf("%w; %s says:\n%s", err, l.logFile(), text)
}

// accountError explains a refusal to start a child as another account.
func accountError(who account, dir string, err error) error {
	if who.namespace && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("postgres does not run as root, account %d can't enter %s, and user namespaces are not allowed here; "+
			"choose a directory all of whose parents others may pass through, such as /var/lib/hone: %w: %w", who.uid, dir, hone.ErrInvalid, err)
	}
	return err
}

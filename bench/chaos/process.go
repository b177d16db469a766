package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that is started again whenever it ends, as systemd or a cluster would.
type process struct {
	name string
	cmd  func(ctx context.Context) *exec.Cmd
	log  string
	// once tells that it is not started again after it has ended well.
	once bool

	mu  sync.Mutex
	pid int
	// starts is how often it was started, and away when it may be again at the earliest.
	starts int
	away   time.Time
	// ended is closed when it is not started again.
	ended chan struct{}
}

// restartAfter is the pause before a process that has ended is started again.
const restartAfter = 300 * time.Millisecond

// supervise starts the process and keeps it until ctx ends, when it is told to end and, if it does not, killed.
func (p *process) supervise(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		defer log.Close()
		for ctx.Err() == nil {
			err := p.life(ctx, log)
			if err == nil && p.once {
				return
			}
			fmt.Fprintf(log, "--- %s %s ended: %v\n", time.Now().Format(time.TimeOnly), p.name, err)
			select {
			case <-ctx.Done():
			case <-time.After(max(restartAfter, p.absent())):
			}
		}
	}()
	return nil
}

// life runs it once.
func (p *process) life(ctx context.Context, log *os.File) error {
	cmd := p.cmd(ctx)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	// In a group of its own: Ctrl-C is for this program, which ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.pid, p.starts = cmd.Process.Pid, p.starts+1
	p.mu.Unlock()
	err := cmd.Wait()
	p.mu.Lock()
	p.pid = 0
	p.mu.Unlock()
	return err //nolint:wrapcheck // it is only written down
}

// running is its process id, 0 where it is between two lives.
func (p *process) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// stay keeps it away for so long once it has ended.
func (p *process) stay(away time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = time.Now().Add(away)
}

func (p *process) absent() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.away)
}

// kill ends it by SIGKILL, or reports that it is not there.
func (p *process) kill() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid != 0 && syscall.Kill(p.pid, syscall.SIGKILL) == nil
}

// command is a call of hone with nothing of the caller's environment that would steer it.
func command(ctx context.Context, hone string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, hone, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HONE_") && !strings.HasPrefix(v, "DATABASE_URL=") && !strings.HasPrefix(v, "TEMPORAL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HONE_SHARED=/nonexistent")
	return cmd
}

// logFile is where the process of that name writes.
func logFile(dir, name string) string { return filepath.Join(dir, name+".log") }

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// echo is a server that says again what it hears.
func echo(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

// say sends text and hears it back.
func say(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	heard := make([]byte, len(text))
	if _, err := io.ReadFull(c, heard); err != nil {
		return err
	}
	if string(heard) != text {
		return errors.New("heard " + string(heard))
	}
	return nil
}

func TestLinkIsGoodSlowCutAndGoodAgain(t *testing.T) {
	t.Parallel()
	l, err := newLink(t.Context(), "127.0.0.1")
	require.NoError(t, err)
	l.lead("tcp", echo(t))
	c := dial(t, l.address())
	require.NoError(t, say(c, strings.Repeat("hello", 2*piece)))

	const delay = 50 * time.Millisecond
	l.slow(delay, time.Hour)
	began := time.Now()
	require.NoError(t, say(c, "slow"))
	require.GreaterOrEqual(t, time.Since(began), 2*delay, "there and back")

	l.refuse(time.Hour)
	require.Error(t, say(c, "cut"))
	require.Error(t, say(dial(t, l.address()), "refused"))

	l.slow(0, 0)
	require.NoError(t, say(dial(t, l.address()), "good"))
	l.lead("tcp", "127.0.0.1:1")
	require.Error(t, say(dial(t, l.address()), "nobody is there"))
}

func TestProcessIsStartedAgainUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	p := &process{name: "sleeper", log: logFile(t.TempDir(), "sleeper"), cmd: func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "sleep", "60")
	}}
	require.NoError(t, p.supervise(ctx))
	alive := func() bool { return p.running() != 0 }
	require.Eventually(t, alive, 10*time.Second, 5*time.Millisecond)
	first := p.running()
	require.True(t, p.kill())
	require.Eventually(t, func() bool { return alive() && p.running() != first }, 10*time.Second, 5*time.Millisecond)
	stop()
	<-p.ended
	require.Zero(t, p.running())
	require.False(t, p.kill())
	log, err := os.ReadFile(p.log)
	require.NoError(t, err)
	require.Contains(t, string(log), "sleeper ended: signal: killed")

	done := &process{name: "true", once: true, log: logFile(t.TempDir(), "true"), cmd: func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "true")
	}}
	require.NoError(t, done.supervise(t.Context()))
	<-done.ended
	require.Equal(t, 1, done.starts)
}

// What a worker had sampled when it was killed is the cost of that kill; what an attempt took that failed by itself is that of the newest
// strike.
func TestLostSamplingIsCountedOnceWhereItBelongs(t *testing.T) {
	t.Parallel()
	began := time.Now()
	after := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	w := newWatcher(nil)
	w.struck(struck{kind: "kill rollout worker", kill: true, pid: 41, at: after(3)})
	w.struck(struck{kind: "kill Postgres", kill: true, at: after(5)})
	w.lose(attempt{started: after(1), identity: "hone 41@here"}, after(15))
	w.lose(attempt{started: after(4), identity: "hone 42@here"}, after(5.5))
	w.lose(attempt{started: after(4), identity: "hone 4@here"}, time.Time{})
	lost, _ := costs(w.all())
	require.InDeltaSlice(t, []float64{1.5, 2}, lost, 1e-6)
	require.InDelta(t, 1.75, median(lost), 1e-6)
	require.InDelta(t, 2, most(lost), 1e-6)
	require.Zero(t, median(nil))
	require.Zero(t, most(nil))
}

func TestEveryKindIsDrawn(t *testing.T) {
	t.Parallel()
	rng := hone.Rand(hone.Seed(1, "draw"))
	times := make(map[string]int)
	for range 2000 {
		times[draw(rng, kinds()).name]++
	}
	require.Len(t, times, len(kinds()))
	require.Greater(t, times["kill rollout worker"], times["kill follower"])
}

func TestReportHasARowForEachKind(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "report.txt")
	require.NoError(t, report(options{out: file}, &out, []struck{
		{kind: "kill learner", kill: true, still: 12},
		{kind: "kill rollout worker", kill: true, lost: 0.5, still: 14},
		{kind: "kill rollout worker", kill: true, lost: 1.5, still: 13},
		{kind: "slow links", still: 1},
	}, time.Minute))
	require.Contains(t, out.String(), "3 kills and 1 other strikes in 1m0s")
	require.Regexp(t, `kill rollout worker +2 +1\.00 +1\.50 +13\.5 +14\.0\n`, out.String())
	require.Regexp(t, `all kills +3 +0\.50 +1\.50 +13\.0 +14\.0\n`, out.String())
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, out.String(), string(written))
}

func TestCommandLineThatIsNone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-kills", "0"}, {"-rollouts", "0"}, {"-spread", "0s"}, {"-dance"}} {
		_, err := parse(args, io.Discard)
		require.ErrorIs(t, err, errUsage, args)
	}
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 200, o.kills)
}

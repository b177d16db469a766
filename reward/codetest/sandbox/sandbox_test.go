//go:build linux

package sandbox_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward/codetest/sandbox"
)

func TestMain(m *testing.M) {
	if code, is := sandbox.Init(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// program is a shell script under limits that tests can wait for.
func program(text string) sandbox.Program {
	return sandbox.Program{
		Name: "program", Text: text, Optional: []string{"/bin", "/lib", "/lib64", "/usr"},
		Limits: sandbox.Limits{
			CPU: time.Second, Wall: 2 * time.Minute, Memory: 512 << 20, Files: 1 << 20, Output: 1 << 16, Processes: 16,
		},
	}
}

// run runs a script once. A system without namespaces can't, and the test says so.
func run(t *testing.T, p sandbox.Program, stdin string) sandbox.Result {
	t.Helper()
	return one(t, p, sandbox.Case{Command: []string{"sh", "program"}, Stdin: stdin})
}

func one(t *testing.T, p sandbox.Program, c sandbox.Case) sandbox.Result {
	t.Helper()
	results, err := sandbox.Run(t.Context(), p, []sandbox.Case{c})
	if err != nil && strings.Contains(err.Error(), "allows no namespaces") {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Len(t, results, 1)
	return results[0]
}

// python runs a program in Python where there is one.
func python(t *testing.T, p sandbox.Program) sandbox.Result {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		t.Skip("there is no /usr/bin/python3")
	}
	return one(t, p, sandbox.Case{Command: []string{"/usr/bin/python3", "-I", "-S", "program"}})
}

func TestAProgramReadsAndPrints(t *testing.T) {
	t.Parallel()
	r := run(t, program("read a b; echo $((a + b)); echo hm >&2; exit 3"), "20 22\n")
	require.Equal(t, sandbox.Exited, r.End)
	require.Equal(t, 3, r.Code)
	require.Equal(t, "42\n", string(r.Stdout))
	require.Equal(t, "hm\n", string(r.Stderr))
	require.Positive(t, r.Wall)
	require.Greater(t, r.Peak, int64(100<<10))
	require.Less(t, r.Peak, int64(20<<20), "of the shell, not of what started it")
}

func TestEveryCaseBeginsClean(t *testing.T) {
	t.Parallel()
	p := program(`
		cat left program 2>/dev/null | grep -c '^x$'; echo x >left; echo x >>program
		setsid sleep 1000 & ls /proc | grep -c '^[0-9]'`)
	c := sandbox.Case{Command: []string{"sh", "program"}}
	results, err := sandbox.Run(t.Context(), p, []sandbox.Case{c, c, c})
	if err != nil {
		t.Skip(err)
	}
	require.Len(t, results, 3)
	require.Equal(t, "0\n", string(results[0].Stdout)[:2])
	for _, r := range results[1:] {
		require.Equal(t, results[0].Stdout, r.Stdout, "neither files nor processes are left")
	}
}

func TestLimitsHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want func(t *testing.T, r sandbox.Result)
	}{
		"endless loop": {"while :; do :; done", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, sandbox.OutOfCPU, r.End)
		}},
		"endless loop that catches signals": {"trap '' XCPU TERM; while :; do :; done", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, sandbox.OutOfCPU, r.End)
		}},
		"endless output": {"while :; do echo xxxxxxxxxxxxxxxx; done", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, sandbox.OutOfOutput, r.End)
			require.Len(t, r.Stdout, 1<<16)
		}},
		"endless complaints": {"while :; do echo xxxxxxxxxxxxxxxx >&2; done", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, sandbox.OutOfOutput, r.End)
			require.Len(t, r.Stderr, 4<<10)
		}},
		"too many processes": {"i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i + 1)); done; echo all", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.NotContains(t, string(r.Stdout), "all")
			require.Contains(t, strings.ToLower(string(r.Stderr)), "fork")
		}},
		"big file": {"head -c 3000000 /dev/zero >big; wc -c <big", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			size, err := strconv.Atoi(strings.TrimSpace(string(r.Stdout)))
			require.NoError(t, err)
			require.LessOrEqual(t, size, 1<<20)
		}},
		"many files": {
			"i=0; while [ $i -lt 8 ]; do head -c 300000 /dev/zero >f$i; i=$((i + 1)); done; cat f* | wc -c",
			func(t *testing.T, r sandbox.Result) {
				t.Helper()
				size, err := strconv.Atoi(strings.TrimSpace(string(r.Stdout)))
				require.NoError(t, err)
				require.LessOrEqual(t, size, 1<<20)
			},
		},
		"died of a signal": {"kill -SEGV $$", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, sandbox.Exited, r.End)
			require.Equal(t, 128+11, r.Code)
		}},
		"stopped itself": {"kill -STOP $$; echo on", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, "on\n", string(r.Stdout))
		}},
		"reads nothing": {"exec <&-; echo fine", func(t *testing.T, r sandbox.Result) {
			t.Helper()
			require.Equal(t, "fine\n", string(r.Stdout))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want(t, run(t, program(c.text), strings.Repeat("x", 1<<20)))
		})
	}
}

func TestWaitingEndsAtTheLimitOfTime(t *testing.T) {
	t.Parallel()
	p := program("setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & sleep 1000")
	p.Limits.Wall = 300 * time.Millisecond
	begun := time.Now()
	require.Equal(t, sandbox.OutOfTime, run(t, p, "").End)
	require.Less(t, time.Since(begun), 20*time.Second)
}

func TestAForkBombIsStopped(t *testing.T) {
	t.Parallel()
	p := program("bomb() { bomb | bomb & }; bomb; sleep 1000")
	p.Limits.Wall = time.Second
	r := run(t, p, "")
	require.Contains(t, []sandbox.End{sandbox.OutOfTime, sandbox.Exited, sandbox.OutOfOutput}, r.End)
}

func TestHungerForMemory(t *testing.T) {
	t.Parallel()
	r := python(t, program("x = bytearray(1 << 30)"))
	require.Equal(t, 1, r.Code)
	require.Contains(t, string(r.Stderr), "MemoryError")
	r = python(t, program("x = bytearray(100 << 20)"))
	require.Zero(t, r.Code, string(r.Stderr))
	require.Greater(t, r.Peak, int64(100<<20))
}

// TestNothingOfTheSystemIsToBeHad tries what a program would try.
func TestNothingOfTheSystemIsToBeHad(t *testing.T) {
	t.Setenv("SECRET", "rosebud")
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("rosebud"), 0o644))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()

	r := run(t, program(`env; cat `+secret+` /etc/passwd /etc/shadow /proc/1/environ /proc/1/maps /proc/1/mem; ls / /root /home;
		echo x >/usr/x; echo x >/x; mkdir /y; mount -t tmpfs x /usr; unshare -Ur id; kill -9 1; echo $$; id -u; grep Cap /proc/self/status`), "")
	text := string(r.Stdout)
	require.NotContains(t, text, "rosebud")
	require.NotContains(t, text, "root:")
	require.Contains(t, text, "bin\nbox\ndev\n")
	require.NotContains(t, text, "home")
	require.Contains(t, text, "CapEff:\t0000000000000000")
	require.Contains(t, text, "CapBnd:\t0000000000000000")
	for _, name := range []string{"/usr/x", "/x", "/y"} {
		require.NoFileExists(t, name)
	}

	r = python(t, program(`
import os, socket
try:
    socket.create_connection(("127.0.0.1", `+strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)+`), 1)
    print("connected")
except OSError as e:
    print(e)
print(sorted(os.listdir("/")), os.environ.get("SECRET"), os.listdir("/proc/self/fd"))
for call in (lambda: open("/proc/1/mem", "rb"), lambda: os.chroot("/usr"), lambda: os.mknod("/box/disk", 0o60600, 0x800)):
    try:
        call()
        print("allowed")
    except OSError as e:
        print(e)
`))
	text = string(r.Stdout)
	require.NotContains(t, text, "connected")
	require.NotContains(t, text, "allowed")
	require.Contains(t, text, "'usr'] None ['0', '1', '2', '3']")
}

func TestUnsandboxedSaysSoByConfigurationAlone(t *testing.T) {
	t.Parallel()
	p := program("cat; ls /; sleep 1000 & echo done")
	p.Unsandboxed = true
	r := run(t, p, "read\n")
	require.Contains(t, string(r.Stdout), "read\n")
	require.Contains(t, string(r.Stdout), "etc")
	require.Contains(t, string(r.Stdout), "done")
	p.Text, p.Limits.Wall = "sleep 1000", 300*time.Millisecond
	require.Equal(t, sandbox.OutOfTime, run(t, p, "").End)
}

func TestNothingIsLeft(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := program("echo x >x; sleep 1000 & sleep 1000")
	p.Limits.Wall = 200 * time.Millisecond
	run(t, p, "")
	p.Unsandboxed = true
	run(t, p, "")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestGivingUp(t *testing.T) {
	t.Parallel()
	for _, unsandboxed := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		p := program("sleep 1000")
		p.Limits.Wall, p.Unsandboxed = time.Hour, unsandboxed
		_, err := sandbox.Run(ctx, p, []sandbox.Case{{Command: []string{"sh", "program"}}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
	}
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := sandbox.Run(t.Context(), sandbox.Program{}, []sandbox.Case{{}})
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, want := range []string{"cpu 0s", "memory 0", "processes 0", "cases[0]: command []"} {
		require.ErrorContains(t, err, want)
	}
	p := program("")
	p.Cgroup = t.TempDir() // no group, so no controllers
	_, err = sandbox.Run(t.Context(), p, []sandbox.Case{{Command: []string{"sh"}}})
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "controllers memory and pids")
	p = program("")
	_, err = sandbox.Run(t.Context(), p, []sandbox.Case{{Command: []string{"no-such-interpreter"}}})
	require.ErrorIs(t, err, hone.ErrUnavailable)
	require.ErrorContains(t, err, "no-such-interpreter")
	p.Read = []string{"/no/such/folder"}
	_, err = sandbox.Run(t.Context(), p, []sandbox.Case{{Command: []string{"sh"}}})
	require.ErrorContains(t, err, "/no/such/folder")
}

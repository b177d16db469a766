package fault_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
)

func armed(t *testing.T, text string) context.Context {
	t.Helper()
	p, err := fault.Parse(text)
	require.NoError(t, err)
	return fault.With(t.Context(), p)
}

func TestFaultHappensOnceAtItsTime(t *testing.T) {
	t.Parallel()
	ctx := armed(t, "shard.before=error@2, shard.after=error,cycle.before=delay:1ns")
	for _, hit := range []struct {
		point fault.Point
		fails bool
	}{
		{fault.Shard.Before(), false},
		{fault.Shard.Before(), true},
		{fault.Shard.Before(), false},
		{fault.Cycle.Before(), false},
		{fault.Shard.After(), true},
		{fault.Shard.After(), false},
		{fault.Cycle.After(), false},
	} {
		err := fault.Hit(ctx, hit.point)
		require.Equal(t, hit.fails, err != nil, hit.point)
		if hit.fails {
			require.ErrorIs(t, err, hone.ErrUnavailable)
			require.ErrorContains(t, err, "fault at "+string(hit.point))
		}
		require.NoError(t, fault.Hit(t.Context(), hit.point), "without a plan nothing happens")
	}
}

func TestAroundStopsWhereTheFaultIs(t *testing.T) {
	t.Parallel()
	other := errors.New("of the move itself")
	for plan, want := range map[string]struct {
		moved bool
		fails error
	}{
		"lease.before=error": {false, hone.ErrUnavailable},
		"lease.after=error":  {true, hone.ErrUnavailable},
		"shard.after=error":  {true, nil},
	} {
		moved := false
		err := fault.Around(armed(t, plan), fault.Lease, func() error {
			moved = true
			return nil
		})
		require.Equal(t, want.moved, moved, plan)
		require.ErrorIs(t, err, want.fails, plan)
	}
	require.ErrorIs(t, fault.Around(armed(t, "lease.after=error"), fault.Lease, func() error { return other }), other)
}

func TestDelayEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(armed(t, "blob.after=delay:1h"), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, fault.Hit(ctx, fault.Blob.After()), context.DeadlineExceeded)
}

func TestPlanThatIsNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "want point=action",
		"shard.before":         "want point=action",
		"shard.during=kill":    `point "shard.during": want one of ["migration.before"`,
		"shard.before=explode": `action "explode": want kill, error or delay:2s`,
		"shard.before=kill:1s": `action "kill:1s"`,
		"shard.before=delay":   `action "delay"`,
		"shard.before=delay:x": `delay "x": want a duration`,
		"shard.before=kill@0":  `time "0": want a number of at least 1`,
	} {
		_, err := fault.Parse(text)
		require.ErrorIs(t, err, hone.ErrInvalid, text)
		require.ErrorContains(t, err, want)
	}
}

// TestKill ends a child.
func TestKill(t *testing.T) {
	t.Parallel()
	if os.Getenv(fault.Env) != "" {
		_ = fault.Hit(armed(t, os.Getenv(fault.Env)), fault.Start.Before())
		return // alive
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
	child.Env = append(os.Environ(), fault.Env+"=start.before=kill")
	require.Error(t, child.Run())
	status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

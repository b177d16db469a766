//go:build e2e

package workflows_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// victimDir is the environment variable by which TestKilledProcess tells its child where to work.
const victimDir = "HONE_E2E_VICTIM_DIR"

// busy waits until the gated run's update has sent a heartbeat on the given attempt.
func busy(t *testing.T, c client.Client, attempt int) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, err := workflows.ReadStatus(t.Context(), c, "gate")
		if err != nil || len(status.Activities) != 1 {
			return false
		}
		a := status.Activities[0]
		return a.Name == "Update" && a.Attempt == attempt && a.Heartbeat.Done > 0
	}, time.Minute, 50*time.Millisecond)
}

// TestVictim is the process that TestKilledProcess kills: Postgres, server, workers and an update under way.
func TestVictim(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(victimDir)
	if dir == "" {
		t.Skip("runs only as a child of TestKilledProcess")
	}
	c := serve(t, postgres(t, filepath.Join(dir, "postgres")), newFakes())
	begin(t, c, named("gate", 1))
	busy(t, c, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "busy"), nil, 0o600))
	<-t.Context().Done()
}

// TestKilledProcess kills everything at once in the middle of an update, without warning, and starts it again: the run goes on by
// itself, with the update's second attempt.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$", "-test.v")
	victim.Env = append(os.Environ(), victimDir+"="+dir)
	victim.Stdout, victim.Stderr = os.Stderr, os.Stderr
	require.NoError(t, victim.Start())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "busy"))
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, victim.Process.Kill())
	killed := time.Now()
	require.ErrorContains(t, victim.Wait(), "killed")

	f := newFakes()
	c := serve(t, postgres(t, filepath.Join(dir, "postgres")), f)
	t.Logf("servers are back %v after the kill", time.Since(killed))
	joined := begin(t, c, named("gate", 1))
	require.True(t, joined.Attached)
	t.Logf("run is joined %v after the kill", time.Since(killed))
	busy(t, c, 2)
	t.Logf("second attempt runs %v after the kill", time.Since(killed))
	f.open <- struct{}{}
	result, err := joined.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, result.Version)
	require.Equal(t, activities.StatusSucceeded, f.status(f.gate).Status)
}

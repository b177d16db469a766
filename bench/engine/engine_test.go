package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy/weights"
)

// TestEachTaskPrintsOneResult runs the tasks that a test has time for.
func TestEachTaskPrintsOneResult(t *testing.T) { //nolint:paralleltest // a measurement sets the number of processors
	folder := t.TempDir()
	for _, task := range []job.Task{job.Export, job.Check, job.Supervised, job.Update, job.Sample} {
		j := job.Job{Task: task, Size: job.Size1M, Batch: 2, Prompt: 3, New: 4, Warmup: 1, Steps: 1, Threads: 2, Folder: folder}
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), j.Args(), &out), "%s", task)
		require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")), "%s", task)
		var got job.Result
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		j.Folder = ""
		require.Equal(t, j, got.Job)
		require.Equal(t, "hone", got.Engine)
		require.Positive(t, got.PeakBytes)
		if task != job.Export && task != job.Check {
			require.Positive(t, got.Rate(), "%s", task)
		}
	}
	t.Run("what was exported is what is measured", func(t *testing.T) {
		want, err := job.Params(job.Size1M)
		require.NoError(t, err)
		file, err := os.Open(filepath.Join(folder, fileModel))
		require.NoError(t, err)
		got, _, err := weights.Load(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, want.Digest(), got.Digest())
	})
	require.ErrorIs(t, run(t.Context(), []string{"--task=nap"}, &bytes.Buffer{}), hone.ErrInvalid)
}

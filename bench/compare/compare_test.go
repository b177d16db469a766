package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/bench/job"
)

func TestSpreadOf(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4}
	require.Equal(t, spread{4, 1, 5}, spreadOf(values), "odd")
	require.Equal(t, []float64{5, 1, 4}, values, "the argument stays as it was")
	require.Equal(t, spread{2.5, 1, 9}, spreadOf([]float64{9, 2, 3, 1}), "even: the mean of the middle two")
	require.Equal(t, spread{7, 7, 7}, spreadOf([]float64{7}), "one")
	require.True(t, math.IsNaN(spreadOf(nil).median), "none")
}

func TestSpreadIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spread spread
		want   string
	}{
		{spread{1234567.4, 999, 12345678}, "1,234,567 (999–12,345,678)"},
		{spread{1.404, 0.5, 99.94}, "1.40 (0.50–99.9)"},
		{spread{1e-7, 0, 100}, "1.0e-07 (0.00–100)"},
		{spreadOf(nil), "—"},
	} {
		require.Equal(t, c.want, c.spread.String())
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ratio, target float64
		want          [2]string
	}{
		{1.4, 1.4, [2]string{"**1.40**", "≥ 1.4: met"}},
		{1.39, 1.4, [2]string{"**1.39**", "≥ 1.4: missed"}},
		{2, 0, [2]string{"2.00", ""}},
		{math.NaN(), 1.5, [2]string{"—", "≥ 1.5"}},
	} {
		shown, wanted := verdict(c.ratio, c.target)
		require.Equal(t, c.want, [2]string{shown, wanted})
	}
}

func TestPlanNamesEveryTarget(t *testing.T) {
	t.Parallel()
	targets := map[string]float64{}
	for _, c := range plan(false) {
		require.Equal(t, c.target, targetOf(c.Job), "%v", c.Job)
		if c.Task == job.Sample || c.Task == job.Update {
			targets[string(c.Task)+" "+c.Size] += c.target
		}
	}
	// Sums over the batches 1, 16, 64 and 256; a hundred million stop at 64 and have a lower target at 1.
	require.Equal(t, map[string]float64{
		"update 1m": 1.4, "update 10m": 1.2, "update 100m": 1.15, "sample 1m": 20, "sample 10m": 12, "sample 100m": 7.5,
	}, targets)
}

// a run of the update of the smallest policy at so many steps a second.
func updateRun(engine string, stepsPerSecond float64) measured {
	j := job.Job{Task: job.Update, Size: job.Size1M, Batch: 64, Prompt: 16, New: 48, Warmup: 1, Steps: 10, Threads: 2}
	return measured{Result: job.Result{Job: j, Engine: engine, Seconds: 10 / stepsPerSecond, PeakBytes: 5e8, Allocs: 90}}
}

// a run that samples from the middle policy at so many calls a second.
func sampleRun(engine string, callsPerSecond float64) measured {
	j := job.Job{Task: job.Sample, Size: job.Size10M, Batch: 16, Prompt: 16, New: 128, Warmup: 1, Steps: 10, Threads: 2}
	return measured{Result: job.Result{Job: j, Engine: engine, Seconds: 10 / callsPerSecond}}
}

func TestRender(t *testing.T) {
	t.Parallel()
	product := func(engine string, gflops float64) measured {
		return measured{Result: job.Result{
			Job: job.Job{Task: job.Peak, Steps: 1}, Engine: engine, Figures: map[string]float64{"gflops": gflops},
			About: map[string]string{"kernels": "a|b"},
		}}
	}
	stream := measured{Result: job.Result{
		Job: job.Job{Task: job.Bandwidth}, Engine: hone, Figures: map[string]float64{"read_gbs": 20, "triad_gbs": 10},
	}}
	disturbedRun := updateRun(eager, 1000)
	disturbedRun.Disturbed, disturbedRun.Foreign = true, 0.5
	failed := updateRun(compiled, 1)
	failed.Error = "no compiler"
	page, err := render([]measured{
		{Note: &note{Commit: "abc", Command: "make bench-engine", Reps: 3, Threads: 2, Load: "0.01"}},
		product(hone, 200), product(eager, 210), product(hone, 190), stream,
		updateRun(hone, 6), updateRun(hone, 4), updateRun(hone, 5),
		updateRun(eager, 2.5), disturbedRun, failed,
		sampleRun(hone, 10), sampleRun(bf16, 20), sampleRun(transformers, 2), sampleRun(transformersBF16, 5),
	})
	require.NoError(t, err)
	require.Contains(t, page, "| update | 1m | 64 × 64 | 20,480 (16,384–24,576) | 10,240 (10,240–10,240) | — | **2.00** | ≥ 1.4: met | — |")
	require.Contains(t, page, "| 10m | 16 | 16 + 128 | 20,480 (20,480–20,480) | 4,096 (4,096–4,096) | **5.00** | ≥ 3: met | "+
		"40,960 (40,960–40,960) | 10.0 | 10,240 (10,240–10,240) | 4.00 | — | — |")
	require.Contains(t, page, "| kernels | a/b |", "a bar would end the cell")
	require.Contains(t, page, "| runs taken again for that | 1 |")
	require.Contains(t, page, "Shares are of the best that either has shown, 210 GFLOPS and 20.0 GB/s.")
	require.NotContains(t, page, "and nothing else", "the machine was quiet")
	// Five passes of a million weights and 4,096 tokens, five times a second.
	c, err := job.Config(job.Size1M)
	require.NoError(t, err)
	exact := 5 * updateRun(hone, 5).Operations(c) / 1e9
	require.Contains(t, page, "| "+short(exact)+" (")
	require.Contains(t, page, "| "+percent(exact/210)+" |")
	for line := range strings.Lines(page) {
		require.NotContains(t, line, "NaN")
	}

	_, err = render(nil)
	require.ErrorIs(t, err, errNothing)
}

func TestRunsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "raw.jsonl")
	f, err := os.Create(name)
	require.NoError(t, err)
	want := []measured{{Note: &note{Commit: "abc"}}, updateRun(hone, 6)}
	for _, m := range want {
		require.NoError(t, json.NewEncoder(f).Encode(m))
	}
	require.NoError(t, f.Close())
	got, err := readRuns(name)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, failures(got))
	got[1].Error = "no compiler"
	require.ErrorIs(t, failures(got), errRun)
}

func TestTakeUsesUpEarlierRuns(t *testing.T) {
	t.Parallel()
	left := updateRun(hone, 6)
	r := runner{done: map[entry]int{{left.Job, hone}: 2}}
	j := left.Job
	j.Folder = "somewhere"
	require.False(t, r.take(j, eager))
	require.True(t, r.take(j, hone))
	require.True(t, r.take(j, hone))
	require.False(t, r.take(j, hone))
}

func TestOnlyRunsOfThisCommitAreKept(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "raw.jsonl")
	write := func(runs ...measured) {
		f, err := os.Create(name)
		require.NoError(t, err)
		for _, m := range runs {
			require.NoError(t, json.NewEncoder(f).Encode(m))
		}
		require.NoError(t, f.Close())
	}
	again := updateRun(hone, 6)
	again.Disturbed = true
	write(measured{Note: &note{Commit: commit(t.Context())}}, updateRun(hone, 6), again, updateRun(hone, 5))
	done, err := measuredAlready(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, map[entry]int{{again.Job, hone}: 2}, done)

	write(measured{Note: &note{Commit: "another"}}, updateRun(hone, 6))
	_, err = measuredAlready(t.Context(), name)
	require.ErrorIs(t, err, errOther)
}

func TestInstallSaysWhyItCant(t *testing.T) {
	t.Chdir("../..") // requirements are found from the repository's root
	var said strings.Builder
	_, err := install(t.Context(), "no-such-python", t.TempDir(), &said)
	require.ErrorIs(t, err, errInstall)
	require.ErrorContains(t, err, "no-such-python")
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "{}", string(lastLine([]byte("a warning\n{}\n"))))
	require.Equal(t, "{}", string(lastLine([]byte("{}"))))
	require.Empty(t, lastLine(nil))
}

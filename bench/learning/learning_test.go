package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// made is a record of a run whose accuracy rises in a line from 10 % by gain, over steps of so many tokens.
func made(t task, m method, seed int, gain, tokens float64) record {
	r := record{
		Run: spec{t, m, seed}.name(), Task: t.name, Method: m.name, Seed: seed, Cycles: 4, Version: 4, Finished: true, Commit: "0123456789",
	}
	for v := range 3 {
		r.Points = append(r.Points, point{
			Version: 2 * v, Tokens: tokens * float64(v), Right: 100 + int(1000*gain*float64(v)/2), Problems: 1000,
		})
	}
	r.Curve = []cycle{{Generated: 2 * tokens, Trained: tokens, Steps: 8}}
	return r
}

// matrix is records of all methods on the first task: the third method is the best, and the supervised one better still.
func matrix() []record {
	var out []record
	for i, m := range methodsAll() {
		for seed := range 3 {
			gain := []float64{0.5, 0.1, 0.4, 0.3, 0.2, 0.2, 0.35, 0.2}[i] + 0.01*float64(seed)
			out = append(out, made(tasksAll()[0], m, seed+1, gain, 1e6*(1+0.1*float64(i))))
		}
	}
	return out
}

func TestAccuracyIsReadBetweenEvaluations(t *testing.T) {
	t.Parallel()
	r := made(tasksAll()[0], methodsAll()[0], 1, 0.4, 1e6)
	for tokens, want := range map[float64]float64{-1: 0.1, 0: 0.1, 5e5: 0.2, 1e6: 0.3, 1.5e6: 0.4, 2e6: 0.5, 9e6: 0.5} {
		require.InDelta(t, want, r.at(tokens), 1e-12, "at %v tokens", tokens)
	}
}

func TestComparedAtTheTokensThatAllHaveReached(t *testing.T) {
	t.Parallel()
	records := matrix()
	unfinished := made(tasksAll()[0], methodsAll()[1], 4, 1, 1)
	unfinished.Finished = false
	c := compare(tasksAll()[0], append(records, unfinished))
	require.Equal(t, 2e6, c.budget)
	require.Equal(t, []record{unfinished}, c.unfinished)
	require.Len(t, c.entries, len(methodsAll()))
	require.Equal(t, []float64{1, 2, 3}, c.entries[2].values(func(r record) float64 { return float64(r.Seed) }))

	mean, std := meanStd([]float64{1, 2, 4})
	require.InDelta(t, 7.0/3, mean, 1e-12)
	require.InDelta(t, math.Sqrt(7.0/3), std, 1e-12)
	require.Equal(t, "10.0", spread([]float64{0.1}, 100))
	require.Equal(t, "15.0 ± 7.1", spread([]float64{0.1, 0.2}, 100))
}

func TestDifferencesArePairedBySeed(t *testing.T) {
	t.Parallel()
	c := compare(tasksAll()[0], matrix())
	ppo := c.of(methodPPO)
	rloo := c.of("rloo")
	rloo.runs = rloo.runs[1:] // seeds 2 and 3
	for i, d := range c.differences(rloo, ppo) {
		require.InDelta(t, rloo.runs[i].at(c.budget)-ppo.runs[i+1].at(c.budget), d, 1e-15)
	}
	require.Len(t, c.differences(rloo, ppo), 2)
	require.Empty(t, c.differences(c.of("none"), ppo))

	// The deviation is 1.5275: 4.303 times that over the root of 3.
	mean, half := interval([]float64{1, 2, 4})
	require.InDelta(t, 7.0/3, mean, 1e-12)
	require.InDelta(t, 3.795, half, 1e-3)
	_, half = interval([]float64{1})
	require.True(t, math.IsNaN(half))
}

func TestPageNamesWhatIsNotFinished(t *testing.T) {
	t.Parallel()
	records := matrix()
	records[0].Finished, records[0].Version = false, 3
	started := made(tasksAll()[1], methodsAll()[0], 1, 0, 1)
	started.Finished, started.Version, started.Points, started.Curve = false, -1, nil, nil
	var all []comparison
	for _, task := range tasksAll() {
		all = append(all, compare(task, append(records, started)))
	}
	text := page(all, "a machine of sixteen processors")
	require.Contains(t, text, "Trained on a machine of sixteen processors.")
	require.Contains(t, text, "Interrupted, and in no row: "+records[0].Run+" (3 of 4 cycles).")
	require.Contains(t, text, "## Countdown\n\nNo run is finished, so there is nothing to compare.\n\nInterrupted, and in no row: "+
		started.Run+" (in its supervised start, 4 cycles to come).")
	// GRPO gains 0.4 by 2 million tokens where PPO gains 0.2, with nothing between the seeds but rounding.
	require.Contains(t, text, "different from PPO (GAE): supervised only, rejection sampling, GRPO, RLOO")
	require.NotContains(t, page(all, ""), "Trained on")
	// RLOO gains 0.3 to 0.32 by 2.6 million tokens, with search 0.35 to 0.37 by 3.2;
	// rejection sampling 0.1 to 0.12 by 2.2, and 0.2 to 0.22 by 3.4.
	require.Contains(t, text, "RLOO and search against RLOO at equal tokens: -1.3 ± 0.4, so its tokens are better spent on samples.")
	require.Contains(t, text, "rejection sampling and search against "+
		"rejection sampling at equal tokens: +2.4 ± 0.8, so search is worth its tokens.")
}

func TestSearchIsPaidForByAllThatItWrote(t *testing.T) {
	t.Parallel()
	var st status
	require.NoError(t, json.Unmarshal([]byte(`{"status": "succeeded", "version": 1,
		"metrics": {"0": {"generated_tokens": 100, "search_tokens": 70, "written_tokens": 160}},
		"evaluations": [{"version": 1, "split": "heldout", "mode": "greedy", "problems": 10, "outcomes": {"right": 5}}]}`), &st))
	i := slices.IndexFunc(methodsAll(), func(m method) bool { return m.name == "rloo_search" })
	require.Equal(t, 160.0, newRecord(spec{tasksAll()[0], methodsAll()[i], 1}, options3(t), st).last().Tokens)
	require.Equal(t, "rloo", methodsAll()[i].without)
}

func TestWinnerLearnsFromWhatItGenerates(t *testing.T) {
	t.Parallel()
	winner, ok := winnerOf(matrix(), tasksAll()[0])
	require.True(t, ok)
	require.Equal(t, "grpo", winner.name)
	_, ok = winnerOf(nil, tasksAll()[0])
	require.False(t, ok)
}

func options3(t *testing.T, more ...string) options {
	t.Helper()
	o, err := parse(append([]string{"-dir", t.TempDir(), "-cycles", "4"}, more...), new(bytes.Buffer))
	require.NoError(t, err)
	return o
}

func TestPlan(t *testing.T) {
	t.Parallel()
	o := options3(t)
	specs := plan(o)
	var names []string
	for _, s := range specs {
		names = append(names, s.name())
	}
	require.Len(t, names, 3*(8+4))
	require.Equal(t, []string{
		"countdown-supervised-1", "countdown-rloo-1", "countdown-ppo-1", "countdown-rloo_search-1",
		"game24-supervised-1", "game24-rejection-1", "game24-grpo-1", "game24-rloo-1",
		"game24-reinforce_pp-1", "game24-ppo-1", "game24-rloo_search-1", "game24-rejection_search-1", "countdown-supervised-2",
	}, names[:13])

	require.Empty(t, planWinner(o, nil), "not known before the first task is done")
	records := matrix()
	require.Empty(t, planWinner(o, records[1:]))
	names = nil
	for _, s := range planWinner(o, records) {
		names = append(names, s.name())
	}
	require.Equal(t, []string{"countdown-grpo-1", "countdown-grpo-2", "countdown-grpo-3"}, names)

	short := records
	short[0].Cycles = 5
	require.Empty(t, planWinner(o, short), "a run of another length is another run")
}

func TestCommandLineOfARun(t *testing.T) {
	t.Parallel()
	o := options3(t, "-pg-bin", "/pg", "-yao", "24.csv")
	s := spec{tasksAll()[0], methodsAll()[3], 2}
	line := strings.Join(s.train(o), " ")
	for _, part := range []string{
		"train --preset demo --seed 2 --run game24-rloo-2 --cycles 4 --data-dir " + o.data(s), "--pg-bin /pg", "--yao 24.csv",
		"--set searched=0", "--set ppo.advantage=rloo",
	} {
		require.Contains(t, line, part)
	}
	countdown := spec{tasksAll()[1], methodsAll()[0], 2}
	require.NotContains(t, strings.Join(countdown.train(o), " "), "--yao", "its puzzles are of another task")
	sets := s.sets(true)
	require.Equal(t, shortSets(), sets[len(sets)-len(shortSets()):], "what makes a run short comes last, and wins")
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"-tasks chess":           `-tasks "chess": want some of game24,countdown`,
		"-methods ppo,luck":      `-methods "luck"`,
		"-seeds 1,x":             `-seeds "x"`,
		"-cycles 0":              "0 cycles",
		"-parallel 1 also":       `arguments ["also"]`,
		"-bogus":                 "bogus",
		"-tasks chess -seeds ,1": `-seeds ""`,
	} {
		_, err := parse(strings.Fields(line), new(bytes.Buffer))
		require.ErrorIs(t, err, errUsage, line)
		require.ErrorContains(t, err, says, line)
	}
}

func TestRecordOfAStatus(t *testing.T) {
	t.Parallel()
	var st status
	require.NoError(t, json.Unmarshal([]byte(`{
		"name": "x", "status": "succeeded", "version": 2, "commit": "abc", "weights": "w",
		"metrics": {
			"-1": {"sft_loss": 1},
			"0": {"generated_tokens": 100, "imitation_tokens": 30, "tokens": 60, "steps": 4, "trajectories": 8, "outcome_right": 2,
				"seconds_score": 1},
			"1": {"generated_tokens": 110, "imitation_tokens": 40, "tokens": 70, "steps": 4, "trajectories": 8, "outcome_right": 4,
				"seconds_score": 2}
		},
		"evaluations": [
			{"version": 2, "split": "heldout", "mode": "greedy", "problems": 10, "tokens": 7, "outcomes": {"right": 5}},
			{"version": 0, "split": "heldout", "mode": "greedy", "problems": 10, "tokens": 9, "outcomes": {"right": 1}},
			{"version": 2, "split": "heldout", "mode": "search", "problems": 10, "outcomes": {"right": 9}}
		]}`), &st))
	o := options3(t, "-cycles", "2")
	sampling := newRecord(spec{tasksAll()[0], methodsAll()[1], 1}, o, st)
	require.True(t, sampling.Finished)
	require.Equal(t, []point{
		{Version: 0, Right: 1, Problems: 10, Length: 9}, {Version: 2, Tokens: 210, Right: 5, Problems: 10, Length: 7},
	}, sampling.Points)
	require.Equal(t, 3.0, sampling.Seconds)
	require.Equal(t, 0.5, sampling.Curve[1].Right)
	require.Equal(t, 200.0, sampling.trained())
	require.Equal(t, 8.0, sampling.steps())
	supervised := newRecord(spec{tasksAll()[0], methodsAll()[0], 1}, o, st)
	require.Equal(t, 70.0, supervised.last().Tokens, "its tokens are those of the demonstrations")
	require.False(t, newRecord(spec{}, options3(t), st).Finished, "of 4 cycles")

	dir := t.TempDir()
	require.NoError(t, sampling.save(dir))
	back, err := readRecords(dir)
	require.NoError(t, err)
	require.Equal(t, []record{sampling}, back)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte(`{"rum": 1}`), 0o600))
	_, err = readRecords(dir)
	require.ErrorContains(t, err, "bad.json")
	none, err := readRecords(filepath.Join(dir, "nowhere"))
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestPageIsAFunctionOfTheRecords(t *testing.T) {
	t.Parallel()
	var pages []string
	for range 2 {
		o := options3(t, "-report-only")
		o.out = t.TempDir()
		for _, r := range matrix() {
			require.NoError(t, os.MkdirAll(o.records(), 0o755))
			require.NoError(t, r.save(o.records()))
		}
		var said bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"-dir", o.dir, "-out", o.out, "-report-only"}, &said))
		text, err := os.ReadFile(filepath.Join(o.out, "learning.md"))
		require.NoError(t, err)
		pages = append(pages, string(text))
		f, err := os.Open(filepath.Join(o.out, "learning-game24.png"))
		require.NoError(t, err)
		picture, err := png.Decode(f)
		require.NoError(t, err)
		require.Greater(t, picture.Bounds().Dx(), 400)
	}
	require.Equal(t, pages[0], pages[1])
	// GRPO is 20 % further than the shortest, so its 2 million tokens lie between its second and third evaluation.
	require.Contains(t, pages[0], "| GRPO | 10.0 ± 0.0 | **")
	require.Contains(t, pages[0], "| method | start | at 2.00 million tokens |")
	require.Contains(t, pages[0], "commit `0123456`")

	err := run(t.Context(), []string{"-dir", t.TempDir(), "-report-only"}, new(bytes.Buffer))
	require.ErrorIs(t, err, errNothing)
}

// A program in the place of hone: it trains for ever, or at once, and its status is that of so many cycles.
func fakeHone(t *testing.T, train string, version int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hone")
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = train ]; then
  while [ "$1" != --data-dir ]; do if [ "$1" = --run ]; then run=$2; fi; shift; done
  mkdir -p "$2/runs/$run" && echo "seed: 1" > "$2/runs/$run/config.yaml"
  echo "GOMAXPROCS=$GOMAXPROCS"
  %s
fi
echo '{"status": "succeeded", "version": %d, "metrics": {"0": {"generated_tokens": 5}}, "evaluations": [
  {"version": 0, "split": "heldout", "mode": "greedy", "problems": 4, "outcomes": {"right": 1}}]}'
`, train, version)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	return path
}

func TestDriveTrainsWhatIsMissing(t *testing.T) {
	t.Parallel()
	o := options3(t, "-cycles", "1", "-methods", "ppo", "-tasks", "game24", "-parallel", "2", "-discard")
	o.hone = fakeHone(t, "exit 0", 1)
	var said bytes.Buffer
	require.NoError(t, (&driver{options: o, log: &said}).drive(t.Context()))
	records, err := readRecords(o.records())
	require.NoError(t, err)
	require.Len(t, records, 3)
	for _, r := range records {
		require.True(t, r.Finished)
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte("seed: 1\n"))), r.Config)
	}
	log, err := os.ReadFile(filepath.Join(o.dir, "log", "game24-ppo-1.log"))
	require.NoError(t, err)
	require.Equal(t, "GOMAXPROCS=1\n", string(log))
	_, err = os.Stat(filepath.Join(o.dir, "data", "game24-ppo-1"))
	require.ErrorIs(t, err, os.ErrNotExist, "a finished run's data is deleted")

	said.Reset()
	require.NoError(t, (&driver{options: o, log: &said}).drive(t.Context()))
	require.Equal(t, 3, strings.Count(said.String(), "finished before"))
	require.NotContains(t, said.String(), "start")
}

func TestDriveStopsAndRecordsHowFarItCame(t *testing.T) {
	t.Parallel()
	o := options3(t, "-methods", "ppo", "-tasks", "game24")
	o.hone = fakeHone(t, "trap 'exit 130' INT; while :; do sleep 0.1; done", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said bytes.Buffer
	d := &driver{options: o, log: &said}
	done := make(chan error)
	go func() { done <- d.drive(ctx) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(o.dir, "data", "game24-ppo-1", "runs", "game24-ppo-1", "config.yaml"))
		return err == nil
	}, patience, 1e7)
	cancel()
	require.NoError(t, <-done)
	records, err := readRecords(o.records())
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.False(t, records[0].Finished, "1 of 4 cycles")
	require.Contains(t, said.String(), "game24-ppo-1: 1 of 4 cycles")
	require.NotContains(t, said.String(), "game24-ppo-2: start")
}

func TestAFailedRunStopsNoOther(t *testing.T) {
	t.Parallel()
	o := options3(t, "-cycles", "2", "-methods", "ppo", "-tasks", "game24")
	o.hone = fakeHone(t, `case $run in *-2) exit 1;; esac; exit 0`, 1)
	err := (&driver{options: o, log: new(bytes.Buffer)}).drive(t.Context())
	require.ErrorContains(t, err, "game24-ppo-2: hone train: exit status 1")
	require.NotContains(t, err.Error(), "game24-ppo-1")
	records, err := readRecords(o.records())
	require.NoError(t, err)
	require.Len(t, records, 3)
}

func TestRanges(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{0, 1, 2, 8, 10, 11}, ranges("0-2,8,10-11"))
	require.Nil(t, ranges("0-x"))
}

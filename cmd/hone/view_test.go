package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// metricsOfACycle are as the activities store them.
func metricsOfACycle() map[string]float64 {
	return map[string]float64{
		"reward": 0.31, "reward_correctness": 0.35, "reward_step": -0.03, "reward_efficiency": -0.01, "reward_mean": 0.3, "reward_charge": 0.01,
		"outcome_right": 35, "trajectories": 100, "kl_ref_k3": 0.003, "entropy": 0.4, "tokens": 4000,
		"seconds_update": 2, "seconds_sample_shard_0": 1, "seconds_sample_shard_1": 1.5, "seconds_score": 0.3,
	}
}

func evaluationOf(version int, split hone.Split, mode activities.Mode, right, problems int) activities.Evaluation {
	return activities.Evaluation{
		Version: version, Split: split, Mode: mode, Problems: problems, Outcomes: activities.Outcomes{Right: right, Wrong: problems - right},
	}
}

func TestACycleIsOneLineWithItsBreakdown(t *testing.T) {
	t.Parallel()
	c := newCycle(11, 80, metricsOfACycle())
	c.Left = 5*time.Minute + 20*time.Second
	require.Equal(t, "cycle 12/80  reward 0.310 = correctness 0.350 + step -0.030 + efficiency -0.010  right 35%  kl 0.003  entropy 0.4  "+
		"4.8 s  left 5m20s", c.String())
	other := metricsOfACycle()
	other["reward_thorough"] = 0.25
	require.Equal(t, activities.LayerMean{Layer: "thorough", Mean: 0.25}, newCycle(11, 80, other).Layers[3], "after those that it knows")
	require.InDelta(t, 40, c.SampleRate, 1e-9)
	require.InDelta(t, 2000, c.TrainRate, 1e-9)
	require.Equal(t, "cycle 1/2  reward 0.000  right 0%  kl 0  entropy 0  0.0 s", newCycle(0, 2, nil).String())
}

func TestPlainLinesAreOneAnEvent(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := &plainView{out: &out}
	in := func(phase workflows.Phase, version int) moment {
		return moment{progress: workflows.Progress{Phase: phase, Version: version, Cycles: 2}}
	}
	v.note("run demo-1: a new run")
	v.moment(in(workflows.PhaseSupervised, -1))
	v.moment(in(workflows.PhaseSupervised, -1))
	v.evaluation(evaluationOf(0, hone.SplitHeldOut, activities.ModeGreedy, 3, 10))
	v.moment(in(workflows.PhaseRollout, 0))
	v.moment(in(workflows.PhaseUpdate, 0))
	v.cycle(newCycle(0, 2, nil))
	late := in(workflows.PhaseRollout, 1)
	late.beat = &activities.Heartbeat{Phase: "sample", Done: 512, Total: 1024, Unit: "trajectories", Rate: 240.4}
	v.wrote = time.Now().Add(-time.Minute)
	v.moment(late)
	v.moment(late)
	v.moment(in(workflows.PhaseFinal, 2))
	v.evaluation(evaluationOf(2, hone.SplitTrain, activities.ModeSearch, 5, 10))
	require.Equal(t, `run demo-1: a new run
supervised start
supervised start: 10 held-out puzzles, greedy: 30.0% (3 of 10)
cycle 1/2  reward 0.000  right 0%  kl 0  entropy 0  0.0 s
cycle 2/2: sample 512/1024 trajectories, 240/s
final evaluation
version 2: 10 training puzzles, with search: 50.0% (5 of 10)
`, out.String())
}

func TestTheTableComparesBothEnds(t *testing.T) {
	t.Parallel()
	r := result{
		Run: "demo-1", Version: 80, Seconds: 462, WorkSeconds: 400, Weights: "ab12", Path: "/data/ab12", Next: `hone solve "4 5 6 10"`,
		Start: []evaluation{
			withAccuracy(evaluationOf(0, hone.SplitTrain, activities.ModeGreedy, 87, 200)),
			withAccuracy(evaluationOf(0, hone.SplitHeldOut, activities.ModeSearch, 75, 136)),
			withAccuracy(evaluationOf(0, hone.SplitHeldOut, activities.ModeGreedy, 56, 136)),
		},
		Final: []evaluation{
			withAccuracy(evaluationOf(80, hone.SplitHeldOut, activities.ModeGreedy, 92, 136)),
			withAccuracy(evaluationOf(80, hone.SplitHeldOut, activities.ModeSearch, 136, 136)),
			withAccuracy(evaluationOf(80, "yao2023", activities.ModeGreedy, 51, 100)),
			withAccuracy(evaluationOf(80, hone.SplitTrain, activities.ModeGreedy, 80, 200)),
		},
	}
	var out strings.Builder
	r.write(&out)
	require.Equal(t, `
demo-1 after 80 cycles

                                   supervised start  after RL  change
136 held-out puzzles, greedy                  41.2%     67.6%   +26.5
136 held-out puzzles, with search             55.1%    100.0%   +44.9
100 yao2023 puzzles, greedy                       -     51.0%
200 training puzzles, greedy                  43.5%     40.0%    -3.5

time     7m42s
weights  ab12
         /data/ab12
next     hone solve "4 5 6 10"
`, out.String())
	r.Seconds = 100
	out.Reset()
	r.write(&out)
	require.Contains(t, out.String(), "time     1m40s here; training took 6m40s in all\n")
}

func TestEventsAreLinesOfJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := &jsonView{app: &app{stdout: &out}}
	v.note("hello")
	v.moment(moment{progress: workflows.Progress{Phase: workflows.PhaseRollout, Cycles: 3}})
	v.moment(moment{progress: workflows.Progress{Phase: workflows.PhaseRollout, Cycles: 3}})
	v.cycle(newCycle(0, 3, metricsOfACycle()))
	v.evaluation(evaluationOf(1, hone.SplitHeldOut, activities.ModeGreedy, 1, 4))
	v.result(result{Run: "demo-1"})
	v.close()
	var kinds []string
	for line := range strings.Lines(out.String()) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		kinds = append(kinds, fmt.Sprint(e["event"]))
		switch e["event"] {
		case "cycle":
			require.InDelta(t, 0.31, e["reward"], 0)
			require.Len(t, e["layers"], 3)
		case "evaluation":
			require.InDelta(t, 0.25, e["accuracy"], 0)
		}
	}
	require.Equal(t, []string{"note", "phase", "cycle", "evaluation", "result"}, kinds)
}

func TestTimeLeftIsMeasuredOverWholeCycles(t *testing.T) {
	t.Parallel()
	var p pace
	at := time.Unix(1000, 0)
	see := func(phase workflows.Phase, version int, second int) time.Duration {
		now := workflows.Progress{Phase: phase, Version: version, Cycles: 10}
		p.see(now, at.Add(time.Duration(second)*time.Second))
		return p.left(now, at.Add(time.Duration(second)*time.Second))
	}
	require.Zero(t, see(workflows.PhaseSupervised, -1, 0))
	require.Zero(t, see(workflows.PhaseEvaluate, 0, 50), "the first evaluation is no part of a cycle")
	require.Zero(t, see(workflows.PhaseRollout, 0, 100))
	require.Equal(t, 36*time.Second, see(workflows.PhaseRollout, 1, 104))
	require.Equal(t, 35*time.Second, see(workflows.PhaseScore, 1, 105))
	require.Equal(t, 32*time.Second, see(workflows.PhaseUpdate, 1, 200), "a slow cycle counts once it is over")
	require.Equal(t, 200*time.Second/9, see(workflows.PhaseUpdate, 9, 300))
	require.Equal(t, time.Second, see(workflows.PhaseUpdate, 9, 400), "it is late, and not there")
	require.Zero(t, see(workflows.PhaseFinal, 10, 301))
}

func TestDurationsAndRatesAreShort(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"4.8 s": 4800 * time.Millisecond, "42 s": 42 * time.Second, "5m20s": 320 * time.Second, "3h04m": 184*time.Minute + 59*time.Second,
	} {
		require.Equal(t, want, duration(d))
	}
	for want, rate := range map[string]float64{"6.6": 6.6, "0.5": 0.5, "240": 240.4, "1234": 1234, "15k": 15000} {
		require.Equal(t, want, short(rate))
	}
}

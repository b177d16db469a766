package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// seen is a moment with everything in it.
func seen() sight {
	now := time.Date(2026, 11, 22, 14, 2, 11, 0, time.UTC)
	last := cycle{Number: 37, Cycles: 90, Reward: 0.412, Right: 0.31, SampleRate: 240.5, TrainRate: 5310, Seconds: 6.4}
	return sight{
		Time: now,
		Runs: []runSummary{
			{Name: "demo-1", Status: "running", Version: 37, Cycles: 90, Last: &last},
			{Name: "fresh", Status: "running", Version: -1, Cycles: 4},
			{Name: "old", Status: "succeeded", Version: 90, Cycles: 90, Last: &last},
		},
		Live: map[string]*workflows.Status{
			"demo-1": {
				Progress: workflows.Progress{Phase: workflows.PhaseRollout, ShardsDone: 2, Shards: 3},
				Activities: []workflows.Activity{
					{
						Name: "RolloutShard", Attempt: 2, Failure: "worker is stopping", Beat: now.Add(-1200 * time.Millisecond),
						Heartbeat: activities.Heartbeat{Phase: "sample", Done: 120, Total: 256, Unit: "trajectories", Rate: 85},
					},
				},
			},
			"fresh": {
				Progress:   workflows.Progress{Phase: workflows.PhaseSupervised},
				Activities: []workflows.Activity{{Name: "SupervisedStart", Attempt: 1}},
			},
		},
		Queues: []workflows.Queue{
			{Name: "hone", Kind: "workflow", Workers: []workflows.Worker{{Identity: "hone 7@a", Seen: now.Add(-3 * time.Second)}}},
			{
				Name: "hone-rollout", Kind: "activity", Backlog: 12, Age: 4100 * time.Millisecond, Added: 1.25, Taken: 1, Workers: []workflows.Worker{
					{Identity: "hone 7@a", Seen: now.Add(-time.Second)}, {Identity: "hone 9@b", Seen: now.Add(time.Second)},
				},
			},
		},
	}
}

func TestTopShowsRunsQueuesAndWorkers(t *testing.T) {
	t.Parallel()
	want := `
RUN               status  cycle  reward  right  sampled/s  trained tokens/s  s/cycle
demo-1       rollout 2/3  37/90   0.412    31%        240              5310      6.4
fresh   supervised start    0/4       -      -          -                 -        -
old            succeeded  90/90   0.412    31%        240              5310      6.4

demo-1  RolloutShard: sample 120/256 trajectories, 85/s (1.2 s ago), attempt 2: worker is stopping
fresh  SupervisedStart: waiting for a worker

QUEUE             kind  waiting  oldest  added/s  taken/s  workers
hone          workflow        0       -        0        0        1
hone-rollout  activity       12   4.1 s      1.3        1        2

WORKER        asked             queues
hone 7@a  1.0 s ago  hone hone-rollout
hone 9@b  0.0 s ago       hone-rollout`
	lines := seen().lines()
	require.Equal(t, "hone top  "+seen().Time.Local().Format("15:04:05")+"  3 runs, 2 live", lines[0])
	require.Equal(t, want, "\n"+strings.Join(lines[2:], "\n"))
}

func TestTopWithoutTemporalSaysSo(t *testing.T) {
	t.Parallel()
	lines := sight{Faults: []string{"no Temporal serves here\nat all"}}.lines()
	require.Equal(t, []string{"no Temporal serves here", "at all", ""}, lines[1:4])
	require.True(t, strings.HasPrefix(lines[4], "RUN"))
	require.Len(t, lines, 5)
}

func TestOlderRunsAreCounted(t *testing.T) {
	t.Parallel()
	var s sight
	for range topRuns + 3 {
		s.Runs = append(s.Runs, runSummary{Name: "r"})
	}
	lines := s.lines()
	require.Equal(t, "… 3 older ones", lines[len(lines)-1])
}

func TestAFrameFitsItsTerminal(t *testing.T) {
	t.Parallel()
	lines := []string{"first line", "größer", "third", "fourth"}
	require.Equal(t, "\x1b[Hfirst line\x1b[K\r\ngrößer\x1b[K\r\nthird\x1b[K\r\nfourth\x1b[K\x1b[J", frame(lines, 80, 24))
	require.Equal(t, "\x1b[Hfirs…\x1b[K\r\ngröß…\x1b[K\r\n… 2 …\x1b[K\x1b[J", frame(lines, 5, 3), "narrow and low")
	require.Equal(t, []string{"first line", "größer", "third", "fourth"}, lines)
	for width := 1; width < 12; width++ {
		for row := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(frame(lines, width, 4), "\x1b[H"), "\x1b[J"), "\r\n") {
			require.LessOrEqual(t, len([]rune(strings.TrimSuffix(row, "\x1b[K"))), width)
		}
	}
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hone-rl/hone/workflows"
)

// topRuns is how many runs are shown that nobody works on.
const topRuns = 8

// lines are the sight for a person, the most important to the left and at the top.
func (s sight) lines() []string {
	out := []string{fmt.Sprintf("hone top  %s  %s, %d live", s.Time.Local().Format("15:04:05"), plural(len(s.Runs), "run"), len(s.Live))}
	for _, fault := range s.Faults {
		out = append(out, strings.Split(fault, "\n")...)
	}
	out = append(out, "")
	out = append(out, table(s.runs())...)
	if acts := s.activities(); len(acts) > 0 {
		out = append(append(out, ""), acts...)
	}
	if len(s.Queues) > 0 {
		out = append(append(out, ""), table(s.queues())...)
		out = append(append(out, ""), table(s.workers())...)
	}
	return out
}

// table are rows with aligned columns.
func table(rows [][]string) []string {
	var b strings.Builder
	writeTable(&b, rows)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func (s sight) runs() [][]string {
	rows := [][]string{{"RUN", "status", "cycle", "reward", "right", "sampled/s", "trained tokens/s", "s/cycle"}}
	idle := 0
	for _, r := range s.Runs {
		live := s.Live[r.Name]
		if live == nil {
			if idle++; idle > topRuns {
				continue
			}
		}
		row := []string{r.Name, r.Status, fmt.Sprintf("%d/%d", max(r.Version, 0), r.Cycles), "-", "-", "-", "-", "-"}
		if live != nil {
			row[1] = phaseName(live.Progress.Phase)
			if live.Progress.Phase == workflows.PhaseRollout {
				row[1] += fmt.Sprintf(" %d/%d", live.Progress.ShardsDone, live.Progress.Shards)
			}
		}
		if c := r.Last; c != nil {
			row[3], row[4] = fmt.Sprintf("%.3f", c.Reward), fmt.Sprintf("%.0f%%", 100*c.Right)
			row[5], row[6], row[7] = short(c.SampleRate), short(c.TrainRate), fmt.Sprintf("%.1f", c.Seconds)
		}
		rows = append(rows, row)
	}
	if idle > topRuns {
		rows = append(rows, []string{fmt.Sprintf("… %d older ones", idle-topRuns)})
	}
	return rows
}

// activities say what is being done for each run, and how long ago that was heard.
func (s sight) activities() []string {
	var out []string
	for _, run := range slices.Sorted(maps.Keys(s.Live)) {
		for _, act := range s.Live[run].Activities {
			beat := act.Heartbeat
			what := "waiting for a worker"
			if beat.Phase != "" {
				what = moment{beat: &beat}.describe()
			}
			line := fmt.Sprintf("%s  %s: %s", run, act.Name, what)
			if !act.Beat.IsZero() {
				line += fmt.Sprintf(" (%s ago)", duration(max(0, s.Time.Sub(act.Beat))))
			}
			if act.Attempt > 1 {
				line += fmt.Sprintf(", attempt %d: %s", act.Attempt, act.Failure)
			}
			out = append(out, line)
		}
	}
	return out
}

func (s sight) queues() [][]string {
	rows := [][]string{{"QUEUE", "kind", "waiting", "oldest", "added/s", "taken/s", "workers"}}
	for _, q := range s.Queues {
		oldest := "-"
		if q.Backlog > 0 {
			oldest = duration(q.Age)
		}
		rows = append(rows, []string{
			q.Name, q.Kind, fmt.Sprint(q.Backlog), oldest, short(q.Added), short(q.Taken), fmt.Sprint(len(q.Workers)),
		})
	}
	return rows
}

// workers are the processes with their queues, by name.
func (s sight) workers() [][]string {
	seen, queues := make(map[string]time.Time), make(map[string][]string)
	for _, q := range s.Queues {
		for _, w := range q.Workers {
			if w.Seen.After(seen[w.Identity]) {
				seen[w.Identity] = w.Seen
			}
			if !slices.Contains(queues[w.Identity], q.Name) {
				queues[w.Identity] = append(queues[w.Identity], q.Name)
			}
		}
	}
	rows := [][]string{{"WORKER", "asked", "queues"}}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		rows = append(rows, []string{name, duration(max(0, s.Time.Sub(seen[name]))) + " ago", strings.Join(queues[name], " ")})
	}
	if len(rows) == 1 {
		rows = append(rows, []string{"none", "", ""})
	}
	return rows
}

package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
)

// Inspection looks for signs that a run earns reward without doing what it is meant to.
type Inspection struct {
	Trajectories int `json:"trajectories"`
	// Early and Late are the first and the last third of the iterations, or halves of fewer than three.
	Early Span `json:"early"`
	Late  Span `json:"late"`
	// Signs are what was found, the gravest kind first; none is a good sign.
	Signs []Sign `json:"signs"`
	// Paid are wrong answers that earned as much as a right one in the same iteration, the dearest first.
	Paid []Row `json:"paid"`
}

// Span is the means over a part of a run.
type Span struct {
	From         int `json:"from"`
	To           int `json:"to"`
	Trajectories int `json:"trajectories"`
	// Right is the share of right answers, and so on: shares in [0, 1], means a trajectory.
	Right  float64 `json:"right"`
	Reward float64 `json:"reward"`
	Tokens float64 `json:"tokens"`
	Steps  float64 `json:"steps"`
	// Duplicates is the share of completions that another sample of their problem has word for word.
	Duplicates float64 `json:"duplicates"`
	// Bare is the share of completions that answer and do nothing before.
	Bare float64 `json:"bare"`
	// Idle is the share of steps that are good and lead to a state in which the completion had been before.
	Idle   float64              `json:"idle"`
	Layers []storage.LayerTotal `json:"layers"`
}

// Sign is one suspicion.
type Sign struct {
	// Name is fixed: wrong-and-paid, layer-without-accuracy, length-drift, duplicates, bare-answers or idle-steps.
	Name string `json:"name"`
	// Reason says what was seen, with its numbers.
	Reason string `json:"reason"`
}

// The thresholds of signs, between the first and the last part of a run.
const (
	lengthFactor  = 1.5  // of tokens a completion
	shareRise     = 0.10 // of duplicates, bare answers and idle steps
	layerRise     = 0.01 // of a layer's mean, while accuracy does not rise by accuracyRise
	accuracyRise  = 0.005
	mostPaidShown = 10
)

// tally sums up a part of a run.
type tally struct {
	n, right, tokens, steps, duplicates, bare, idle int
	reward                                          float64
	layers                                          []storage.LayerTotal
}

// Inspect reads a run's live scoring, an iteration at a time.
func Inspect(ctx context.Context, store Store, run hone.RunID, group int, tk task.Task) (Inspection, error) {
	if group < 1 {
		return Inspection{}, fmt.Errorf("inspect: group of %d: want 1 or more: %w", group, hone.ErrInvalid)
	}
	iterations, err := store.ScoredIterations(ctx, run, 0, -1)
	if err != nil || len(iterations) == 0 {
		return Inspection{}, errors.Join(err)
	}
	part := max(1, len(iterations)/3)
	if len(iterations) < 3 {
		part = max(1, len(iterations)/2)
	}
	var out Inspection
	var early, late tally
	wrong := 0
	for i, iteration := range iterations {
		judged, err := store.LoadJudged(ctx, storage.Selection{Run: run}, iteration, false)
		if err != nil {
			return out, err
		}
		out.Trajectories += len(judged)
		wrong += out.pay(judged)
		if i < part {
			early.add(judged, group, tk)
		}
		if i >= len(iterations)-part {
			late.add(judged, group, tk)
		}
	}
	out.Early, out.Late = early.span(), late.span()
	out.Early.From, out.Early.To = iterations[0], iterations[part-1]
	out.Late.From, out.Late.To = iterations[len(iterations)-part], iterations[len(iterations)-1]
	out.sign(wrong)
	return out, nil
}

// pay notes wrong answers that earned as much as the least that a right one did, and counts them.
func (r *Inspection) pay(judged []storage.Judged) (count int) {
	least, found := 0.0, false
	for _, j := range judged {
		if j.Outcome == hone.OutcomeRight && (!found || j.Total < least) {
			least, found = j.Total, true
		}
	}
	for _, j := range judged {
		if found && j.Outcome == hone.OutcomeWrong && j.Total >= least {
			count++
			r.Paid = append(r.Paid, (&pair{Judged: j, after: Side{Outcome: j.Outcome, Total: j.Total, Layers: j.Layers}}).row())
		}
	}
	slices.SortStableFunc(r.Paid, func(a, b Row) int { return cmp.Compare(b.After.Total, a.After.Total) })
	r.Paid = slices.Clone(r.Paid[:min(len(r.Paid), mostPaidShown)])
	return count
}

func (t *tally) add(judged []storage.Judged, group int, tk task.Task) {
	texts := make(map[string]int)
	key := func(j storage.Judged) string {
		return fmt.Sprintf("%d\n%s", j.Trajectory.ID.Sample/group, j.Trajectory.Text)
	}
	for _, j := range judged {
		texts[key(j)]++
	}
	for _, j := range judged {
		t.n++
		t.tokens += len(j.Trajectory.Tokens)
		t.reward += j.Total
		if j.Outcome == hone.OutcomeRight {
			t.right++
		}
		if texts[key(j)] > 1 {
			t.duplicates++
		}
		for i, l := range j.Layers {
			if i == len(t.layers) {
				t.layers = append(t.layers, storage.LayerTotal{Layer: l.Layer})
			}
			t.layers[i].Total += l.Total
		}
		checks := tk.Check(j.Trajectory.Problem, j.Trajectory.Text)
		t.steps += len(checks)
		if len(checks) > 0 && checks[0].Kind == task.StepAnswer {
			t.bare++
		}
		seen := map[string]bool{}
		for _, c := range checks {
			if c.Good() && c.Kind != task.StepAnswer && seen[c.State] {
				t.idle++
			}
			seen[c.State] = true
		}
	}
}

func (t *tally) span() Span {
	n, steps := float64(max(t.n, 1)), float64(max(t.steps, 1))
	s := Span{
		Trajectories: t.n, Right: float64(t.right) / n, Reward: t.reward / n, Tokens: float64(t.tokens) / n, Steps: float64(t.steps) / n,
		Duplicates: float64(t.duplicates) / n, Bare: float64(t.bare) / n, Idle: float64(t.idle) / steps,
	}
	for _, l := range t.layers {
		s.Layers = append(s.Layers, storage.LayerTotal{Layer: l.Layer, Total: l.Total / n})
	}
	return s
}

// sign compares the two parts.
func (r *Inspection) sign(wrong int) {
	add := func(name, format string, args ...any) {
		r.Signs = append(r.Signs, Sign{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	a, b := r.Early, r.Late
	if wrong > 0 {
		add("wrong-and-paid", "%d wrong answers earned as much as a right one of their iteration", wrong)
	}
	if b.Right < a.Right+accuracyRise {
		for i, l := range b.Layers {
			if i < len(a.Layers) && a.Layers[i].Layer == l.Layer && l.Total > a.Layers[i].Total+layerRise {
				add("layer-without-accuracy", "layer %s went from %+.4f to %+.4f while %.1f%% right became %.1f%%",
					l.Layer, a.Layers[i].Total, l.Total, 100*a.Right, 100*b.Right)
			}
		}
	}
	if b.Tokens > lengthFactor*a.Tokens || a.Tokens > lengthFactor*b.Tokens {
		add("length-drift", "completions went from %.1f tokens to %.1f", a.Tokens, b.Tokens)
	}
	for _, s := range []struct {
		name, what  string
		early, late float64
	}{
		{"duplicates", "completions that repeat another of their problem", a.Duplicates, b.Duplicates},
		{"bare-answers", "completions that answer without a step", a.Bare, b.Bare},
		{"idle-steps", "steps that are true and lead nowhere new", a.Idle, b.Idle},
	} {
		if s.late > s.early+shareRise {
			add(s.name, "%s went from %.1f%% to %.1f%%", s.what, 100*s.early, 100*s.late)
		}
	}
}

// WriteText writes the inspection of a run for a person.
func (r Inspection) WriteText(w io.Writer, run string) {
	fmt.Fprintf(w, "%d trajectories; iterations %d to %d against %d to %d\n\n",
		r.Trajectories, r.Early.From, r.Early.To, r.Late.From, r.Late.To)
	line := func(name, format string, a, b float64) {
		fmt.Fprintf(w, "%-14s  %10s  %10s\n", name, fmt.Sprintf(format, a), fmt.Sprintf(format, b))
	}
	fmt.Fprintf(w, "%-14s  %10s  %10s\n", "", "first", "last")
	line("right", "%.1f%%", 100*r.Early.Right, 100*r.Late.Right)
	line("reward", "%+.4f", r.Early.Reward, r.Late.Reward)
	for i, l := range r.Late.Layers {
		if i < len(r.Early.Layers) {
			line("  "+l.Layer, "%+.4f", r.Early.Layers[i].Total, l.Total)
		}
	}
	line("tokens", "%.1f", r.Early.Tokens, r.Late.Tokens)
	line("steps", "%.1f", r.Early.Steps, r.Late.Steps)
	line("duplicates", "%.1f%%", 100*r.Early.Duplicates, 100*r.Late.Duplicates)
	line("bare answers", "%.1f%%", 100*r.Early.Bare, 100*r.Late.Bare)
	line("idle steps", "%.1f%%", 100*r.Early.Idle, 100*r.Late.Idle)
	fmt.Fprintln(w)
	if len(r.Signs) == 0 {
		fmt.Fprintln(w, "nothing suspicious")
	}
	for _, s := range r.Signs {
		fmt.Fprintf(w, "%s: %s\n", s.Name, s.Reason)
	}
	for _, p := range r.Paid {
		fmt.Fprintf(w, "  %s, %q: %.4f, %s\n", called(run, p.ID), p.Problem, p.After.Total, p.After.Outcome)
	}
}

package replay

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hone-rl/hone"
)

// Names are what a text calls the run and the two rewards.
type Names struct{ Run, Before, After string }

// called is what a person calls a trajectory, and other commands take.
func called(run string, id hone.TrajectoryID) string {
	return fmt.Sprintf("%s/%d/%d", run, id.Iteration, id.Sample)
}

// WriteText writes a report for a person.
func (r Report) WriteText(w io.Writer, n Names) {
	fmt.Fprintf(w, "%d trajectories, %d changed, %d with another outcome\n", r.Trajectories, r.Changed, r.Outcomes)
	if len(r.Kept) > 0 {
		fmt.Fprintf(w, "kept as they were stored, not judged again: %s\n", strings.Join(r.Kept, ", "))
	}
	if r.Trajectories == 0 {
		return
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")+"\t") }
	row("layer", n.Before, n.After, "change", "changed in")
	for _, l := range r.Layers {
		cells := []string{l.Layer, "-", "-", "", ""}
		if l.InBefore {
			cells[1] = fmt.Sprintf("%+.4f", l.Before)
		}
		if l.InAfter {
			cells[2], cells[4] = fmt.Sprintf("%+.4f", l.After), fmt.Sprint(l.Changed)
		}
		cells[3] = fmt.Sprintf("%+.4f", l.After-l.Before)
		row(cells...)
	}
	row("total", fmt.Sprintf("%+.4f", r.Before.Mean), fmt.Sprintf("%+.4f", r.After.Mean), fmt.Sprintf("%+.4f", r.After.Mean-r.Before.Mean),
		fmt.Sprint(r.Changed))
	row("deviation", fmt.Sprintf("%.4f", r.Before.Deviation), fmt.Sprintf("%.4f", r.After.Deviation),
		fmt.Sprintf("%+.4f", r.After.Deviation-r.Before.Deviation), "")
	table.Flush() //nolint:errcheck // there is nobody to tell that the terminal is gone
	r.plot(w, n)
	fmt.Fprintf(w, "\nin %d problems with several samples: %d samples change the sign of their advantage, %d their rank\n",
		r.Groups, r.SignFlips, r.RankFlips)
	if r.Ranked > 0 {
		fmt.Fprintf(w, "rank correlation within a problem (Kendall's tau-b, mean of %d): %.4f\n", r.Ranked, r.RankCorrelation)
	}
	fmt.Fprintf(w, "mean total, after less before: %s\n", r.Totals)
	if r.Agreement.N > 0 {
		fmt.Fprintf(w, "rank correlation with truth: %.4f, then %.4f; difference %s\n", r.AgreesBefore, r.AgreesAfter, r.Agreement)
	}
	for i, c := range r.Largest {
		fmt.Fprintf(w, "\n%d. %s, %q: %.4f, then %.4f (%+.4f), %s\n", i+1, called(n.Run, c.ID), c.Problem, c.Before.Total, c.After.Total,
			c.After.Total-c.Before.Total, c.After.Outcome)
		c.sideBySide(w, n)
	}
}

// String is a test on a line.
func (t Test) String() string {
	return fmt.Sprintf("%+.5f ± %.5f over %d problems, p = %.2g", t.Mean, t.Error, t.N, t.P)
}

// plot draws both distributions of totals.
func (r Report) plot(w io.Writer, n Names) {
	most := 1
	counts := make(map[string][2]int)
	var lows []float64
	for side, d := range []Distribution{r.Before, r.After} {
		for _, b := range d.Buckets {
			key := fmt.Sprintf("%.1f", b.Low)
			c, known := counts[key]
			if !known {
				lows = append(lows, b.Low)
			}
			c[side] = b.Count
			counts[key] = c
			most = max(most, b.Count)
		}
	}
	slices.Sort(lows)
	const wide = 30
	fmt.Fprintf(w, "\n%7s  %-*s  %s\n", "total", wide+8, n.Before, n.After)
	for _, low := range lows {
		c := counts[fmt.Sprintf("%.1f", low)]
		bar := func(count int) string {
			return strings.Repeat("█", (count*wide+most-1)/most) + fmt.Sprintf(" %d", count)
		}
		left := bar(c[0])
		fmt.Fprintf(w, "%7.1f  %s%s  %s\n", low, left, strings.Repeat(" ", max(0, wide+8-len([]rune(left)))), bar(c[1]))
	}
}

// sideBySide shows each step with what the layers of both sides gave it and why, where they differ.
func (c Change) sideBySide(w io.Writer, n Names) {
	for i, text := range c.Steps {
		fmt.Fprintf(w, "   %s\n", clip(strings.TrimRight(text, "\n")))
		before, after := said(c.BeforeBreakdown, i), said(c.AfterBreakdown, i)
		if slices.Equal(before, after) {
			continue
		}
		for _, side := range []struct {
			name  string
			lines []string
		}{{n.Before, before}, {n.After, after}} {
			for _, line := range side.lines {
				fmt.Fprintf(w, "      %-8s %s\n", side.name, line)
			}
		}
	}
}

// said is what the layers gave a step, without those that gave nothing.
func said(b *hone.Breakdown, step int) []string {
	if b == nil {
		return nil
	}
	var out []string
	for _, l := range b.Layers {
		for _, t := range l.Terms {
			if v := l.Weight * t.Score; t.Step == step && v != 0 {
				out = append(out, fmt.Sprintf("%s %+.4f  %s", l.Layer, v, clip(t.Reason)))
			}
		}
	}
	return out
}

// clip shows text that may be long, on one line.
func clip(s string) string {
	const most = 100
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

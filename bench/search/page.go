package main

import (
	"cmp"
	_ "embed" // for what is written by hand
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// comparison is the measurements of one split of a task, with or without the verifier and a process-value model.
type comparison struct {
	task     string
	split    string
	valued   bool
	verified bool
	records  []record
}

// name is the comparison in a file's name.
func (c comparison) name() string {
	name := c.split
	if c.task != firstTask {
		name = c.task + "-" + name
	}
	if c.valued {
		name += "-valued"
	}
	if c.verified {
		name += "-verified"
	}
	return name
}

// firstTask is the task whose splits are named without it.
const firstTask = "game24"

// has tells that a record is of the comparison's problems, and was guided alike if it was guided at all.
func (c comparison) has(r record) bool {
	m, _ := methodOf(r.Method)
	alike := r.Verified == c.verified && (r.Value != "") == c.valued
	return r.Split == c.split && cmp.Or(r.Task, firstTask) == c.task && (alike || !m.judged)
}

// compare groups records. Greedy decoding and the majority ask no verifier and go by no values, and stand in all tables of a split; a
// table of them alone there is only where no other is.
func compare(records []record) []comparison {
	var out []comparison
	for _, judged := range []bool{true, false} {
		for _, r := range records {
			m, _ := methodOf(r.Method)
			if m.judged == judged && !slices.ContainsFunc(out, func(c comparison) bool { return c.has(r) }) {
				out = append(out, comparison{task: cmp.Or(r.Task, firstTask), split: r.Split, valued: r.Value != "", verified: r.Verified})
			}
		}
	}
	slices.SortFunc(out, func(a, b comparison) int { return strings.Compare(a.name(), b.name()) })
	for i := range out {
		for _, r := range records {
			if out[i].has(r) {
				out[i].records = append(out[i].records, r)
			}
		}
	}
	return slices.DeleteFunc(out, func(c comparison) bool {
		return !slices.ContainsFunc(c.records, func(r record) bool { return r.Budget > 0 })
	})
}

// budgets are those measured, from the least.
func (c comparison) budgets() []int {
	var out []int
	for _, r := range c.records {
		if r.Budget > 0 && !slices.Contains(out, r.Budget) {
			out = append(out, r.Budget)
		}
	}
	slices.Sort(out)
	return out
}

// of are the records of a method within a budget; a method without budgets has them in each.
func (c comparison) of(m method, budget int) []record {
	var out []record
	for _, r := range c.records {
		if r.Method == m.name && (r.Budget == budget || len(m.flags) == 0) {
			out = append(out, r)
		}
	}
	return out
}

// meanOf is the mean and the standard deviation (n - 1) of f over records.
func meanOf(records []record, f func(record) float64) (mean, deviation float64) {
	for _, r := range records {
		mean += f(r) / float64(len(records))
	}
	for _, r := range records {
		deviation += (f(r) - mean) * (f(r) - mean)
	}
	if len(records) > 1 {
		return mean, math.Sqrt(deviation / float64(len(records)-1))
	}
	return mean, 0
}

// perSolved are the tokens of all problems over the number solved.
func perSolved(records []record) string {
	tokens, solved := 0.0, 0
	for _, r := range records {
		tokens += r.Tokens * float64(r.Problems)
		solved += r.Right
	}
	if solved == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", tokens/float64(solved))
}

// text is the page's section on search in the text, which is written by hand: it compares policies, not ways.
//
//go:embed text.md
var text string

// write writes the page and its pictures to a folder, which it makes.
func write(dir string, records []record) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var b strings.Builder
	b.WriteString(`# Ways to spend generated tokens

Written by ` + "`make bench-search`" + `. The same policies answer the same problems by every way, within the same number of generated
tokens a problem, those of dropped candidates included. Cells are the share of right answers in percent, mean ± standard deviation
(n - 1) over runs; then the tokens generated for each problem solved; then seconds a problem, all problems of a split answered
together. Greedy decoding has one length and takes no budget.

In tables named verified every way but greedy decoding and the majority has the same verifier, which is asked about finished answers
alone and says right or wrong; a problem is done at the first right one, and all tokens written until then count. So best-of-n is right
where any of its samples is. In the other tables no verifier takes part, and the value head chooses among the answers; in tables named
valued it is a process-value model of the policy's (hone value train), for all ways the same. No way is told what can still be solved: a
search knows of dead ends what its own lines came to.
`)
	for _, c := range compare(records) {
		if err := c.draw(filepath.Join(dir, "search-"+c.name()+".png")); err != nil {
			return err
		}
		c.table(&b)
	}
	b.WriteString(text)
	if err := os.WriteFile(filepath.Join(dir, "search.md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// table writes a comparison as a table.
func (c comparison) table(b *strings.Builder) {
	budgets := c.budgets()
	fmt.Fprintf(b, "\n## %s\n\n![accuracy over budgets](search-%s.png)\n\n| method |", c.name(), c.name())
	for _, budget := range budgets {
		fmt.Fprintf(b, " %d tokens |", budget)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(budgets)) + "\n")
	for _, m := range methods() {
		row, measured := []string{"", m.title}, false
		for _, budget := range budgets {
			records := c.of(m, budget)
			if len(records) == 0 {
				row = append(row, "-")
				continue
			}
			measured = true
			mean, deviation := meanOf(records, record.accuracy)
			seconds, _ := meanOf(records, func(r record) float64 { return r.Seconds / float64(r.Problems) })
			row = append(row, fmt.Sprintf("%.1f ± %.1f; %s; %.3f s", 100*mean, 100*deviation, perSolved(records), seconds))
		}
		if measured {
			b.WriteString(strings.TrimSpace(strings.Join(append(row, ""), " | ")) + "\n")
		}
	}
	var runs []string
	problems := 0
	for _, r := range c.records {
		if name := fmt.Sprintf("%s version %d", r.Run, r.Version); !slices.Contains(runs, name) {
			runs = append(runs, name)
		}
		problems = max(problems, r.Problems)
	}
	fmt.Fprintf(b, "\n%d problems; runs: %s.\n", problems, strings.Join(runs, ", "))
}

// draw writes accuracy over budgets as PNG. Colours are those of Okabe and Ito 2008, "Color Universal Design".
func (c comparison) draw(path string) error {
	palette := []color.NRGBA{
		{0, 0, 0, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {213, 94, 0, 255}, {0, 114, 178, 255},
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.name(), "generated tokens a problem, at most", "right, %"
	var ticks plot.ConstantTicks
	for _, budget := range c.budgets() {
		ticks = append(ticks, plot.Tick{Value: float64(budget), Label: strconv.Itoa(budget)})
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	p.Y.Min = 0 // what is low is at small budgets: there is room for the legend below the ends of the lines
	p.Add(plotter.NewGrid())
	for i, m := range methods() {
		if strings.HasPrefix(m.name, "puct_") {
			continue // variants are for the table
		}
		var points plotter.XYs
		for _, budget := range c.budgets() {
			if records := c.of(m, budget); len(records) > 0 {
				mean, _ := meanOf(records, record.accuracy)
				points = append(points, plotter.XY{X: float64(budget), Y: 100 * mean})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("line of %d points: %w", len(points), err)
		}
		line.Color, line.Width, dots.Color = palette[i%len(palette)], vg.Points(1.5), palette[i%len(palette)]
		p.Add(line, dots)
		p.Legend.Add(m.title, line)
	}
	if err := p.Save(20*vg.Centimeter, 12*vg.Centimeter, path); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return nil
}

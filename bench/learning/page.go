package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// write writes the page and its curves.
func write(o options, records []record, log io.Writer) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	var comparisons []comparison
	finished := 0
	for _, t := range tasksAll() {
		c := compare(t, records)
		if len(c.entries)+len(c.unfinished) > 0 {
			comparisons = append(comparisons, c)
		}
		finished += len(c.entries)
		if len(c.entries) == 0 {
			continue
		}
		path := filepath.Join(o.out, c.picture())
		if err := c.draw(path); err != nil {
			return fmt.Errorf("curves of %s: %w", t.name, err)
		}
		fmt.Fprintln(log, "wrote", path)
	}
	if finished == 0 {
		fmt.Fprintf(log, "no run is finished; %d are under way\n", len(records))
		return nil
	}
	path := filepath.Join(o.out, "learning.md")
	if err := os.WriteFile(path, []byte(page(comparisons, o.machine)), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(log, "wrote", path)
	return nil
}

// picture is the name of the task's curves.
func (c comparison) picture() string { return "learning-" + c.task.name + ".png" }

// page is the whole page. It is a function of the records and of what is said about the machine.
func page(comparisons []comparison, machine string) string {
	var b strings.Builder
	b.WriteString(`# Ways to learn, at equal generated tokens

Written by ` + "`make bench-learning`" + ` (` + "`bench/learning`" + `); not edited.

All runs of a task have the same policy, supervised start, problems, reward, and number of completions a cycle (64 problems by
16 samples); those of one seed begin with the same weights. Search is off, so that nothing but sampled completions is generated, but in
the methods named for it: they sample three quarters of the problems and search as many others by a tree that writes nothing twice, within
400 tokens each and up to the first right answer, and imitate the right lines; all that the decoder writes for a search counts. The methods
of the policy gradient have the same update around their advantages: clipped ratio, token mean, one epoch of four steps, groups that all
earned the same left out, entropy bonus and KL in the reward as in the preset demo; GAE alone has a value head to train.
Rejection sampling imitates up to four distinct right completions of a problem, twice.

**What equal means.** A completion costs what its tokens cost, so accuracies are compared at one number of generated tokens: the largest
that every run of the table has reached, on the line between the evaluations before and after. Supervised only generates nothing to
learn from: it gets one further demonstration in place of each completion (1,024 a cycle, in the styles of the start, each seen once), and
its tokens are those of the demonstrations. It trains on every one of them, the others only on what their rule picks. *Last* is
the accuracy after the last cycle, whatever it cost.

**What it can't say.** All methods have the hyperparameters that were tuned for GAE
([0011](../adr/0011-small-policies.md)); none was tuned for another, so the table is how they do under one setting, not at their best. The
learning rate is laid over the cycles, so a longer comparison would be another one.

Accuracies are greedy on held-out problems, in percent; mean ± standard deviation over the seeds (n - 1). *Against PPO (GAE)* is the
mean difference at equal tokens, seed by seed, ± half its 95 % confidence interval (Student's t), each for itself and not corrected for
their number. Where that holds 0, these seeds don't tell the two apart.

`)
	if machine != "" {
		b.WriteString("Trained on " + machine + ".\n\n")
	}
	for _, c := range comparisons {
		c.section(&b)
	}
	return b.String()
}

func (c comparison) section(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", c.task.title)
	defer c.rest(b)
	if len(c.entries) == 0 {
		b.WriteString("No run is finished, so there is nothing to compare.\n\n")
		return
	}
	fmt.Fprintf(b, "![held-out accuracy over tokens](%s)\n\n", c.picture())
	fmt.Fprintf(b, "| method | start | at %s tokens | by seed | against PPO (GAE) | last | tokens, millions | trained on, of them | steps |\n",
		millions(c.budget))
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	reference := c.of(methodPPO)
	var apart, alike []string
	for _, e := range c.entries {
		at := e.values(func(r record) float64 { return r.at(c.budget) })
		bySeed := make([]string, len(at))
		for i, v := range at {
			bySeed[i] = fmt.Sprintf("%d: %.1f", e.runs[i].Seed, 100*v)
		}
		first := e.values(func(r record) float64 { return r.Points[0].accuracy() })
		last := e.values(func(r record) float64 { return r.last().accuracy() })
		tokens := e.values(func(r record) float64 { return r.last().Tokens })
		trained := e.values(func(r record) float64 { return r.trained() / r.last().Tokens })
		steps := e.values(func(r record) float64 { return r.steps() })
		meanSteps, _ := meanStd(steps)
		meanTrained, _ := meanStd(trained)
		against := ""
		if d := c.differences(e, reference); e.method.name != methodPPO && len(d) > 1 {
			mean, half := interval(d)
			against = fmt.Sprintf("%+.1f ± %.1f", 100*mean, 100*half)
			if math.Abs(mean) > half {
				apart = append(apart, e.method.title)
			} else {
				alike = append(alike, e.method.title)
			}
		}
		fmt.Fprintf(b, "| %s | %s | **%s** | %s | %s | %s | %s | %.0f %% | %.0f |\n", e.method.title, spread(first, 100), spread(at, 100),
			strings.Join(bySeed, ", "), against, spread(last, 100), spread(tokens, 1e-6), 100*meanTrained, meanSteps)
	}
	if len(apart)+len(alike) > 0 {
		fmt.Fprintf(b, "\nBy these seeds, different from PPO (GAE): %s. Not told apart from it: %s.\n", listed(apart), listed(alike))
	}
	c.searches(b)
	problems, cycles, commits := c.facts()
	fmt.Fprintf(b, "\n%s held-out problems, %s cycles, commit %s.", strings.Join(problems, " or "), strings.Join(cycles, " or "),
		strings.Join(commits, " and "))
	b.WriteString("\n\n")
}

// searches sets methods with search against the same without.
func (c comparison) searches(b *strings.Builder) {
	for _, e := range c.entries {
		without := c.of(e.method.without)
		if d := c.differences(e, without); len(d) > 1 {
			mean, half := interval(d)
			says := "these seeds don't tell the two apart"
			switch {
			case mean > half:
				says = "search is worth its tokens"
			case mean < -half:
				says = "its tokens are better spent on samples"
			}
			fmt.Fprintf(b, "\n%s against %s at equal tokens: %+.1f ± %.1f, so %s.\n", e.method.title, without.method.title, 100*mean, 100*half, says)
		}
	}
}

// rest names the runs that are not finished.
func (c comparison) rest(b *strings.Builder) {
	if len(c.unfinished) == 0 {
		return
	}
	names := make([]string, len(c.unfinished))
	for i, r := range c.unfinished {
		names[i] = fmt.Sprintf("%s (%d of %d cycles)", r.Run, r.Version, r.Cycles)
		if r.Version < 0 {
			names[i] = fmt.Sprintf("%s (in its supervised start, %d cycles to come)", r.Run, r.Cycles)
		}
	}
	fmt.Fprintf(b, "Interrupted, and in no row: %s.\n\n", listed(names))
}

// listed is words with commas.
func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// facts are what the runs should agree on, each value once.
func (c comparison) facts() (problems, cycles, commits []string) {
	add := func(list *[]string, value any) {
		if text := fmt.Sprint(value); !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	for _, e := range c.entries {
		for _, r := range e.runs {
			add(&problems, r.last().Problems)
			add(&cycles, r.Cycles)
			add(&commits, "`"+r.Commit[:min(len(r.Commit), 7)]+"`")
		}
	}
	return problems, cycles, commits
}

// trained is the number of tokens trained on, each once a cycle.
func (r record) trained() float64 {
	sum := 0.0
	for _, c := range r.Curve {
		sum += c.Trained + c.Imitated
	}
	return sum
}

// steps is the number of the optimiser's.
func (r record) steps() float64 {
	sum := 0.0
	for _, c := range r.Curve {
		sum += c.Steps
	}
	return sum
}

// millions is a number of tokens in words.
func millions(tokens float64) string { return fmt.Sprintf("%.2f million", tokens/1e6) }

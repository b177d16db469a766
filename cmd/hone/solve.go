package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task/game24"
)

// solveFlags are what hone solve is told.
type solveFlags struct {
	run     string
	version int
	lines   int
	yao     string
	spendFlags
}

func (a *app) solveCommand() *cobra.Command {
	var f solveFlags
	cmd := &cobra.Command{
		Use:   `solve "4 5 6 10"`,
		Short: "Let a policy answer one puzzle, and say what each step is worth",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			puzzle := strings.Join(args, " ")
			if err := f.check(); err != nil {
				return err
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, s *servers, store *storage.Store) error {
				return a.solve(ctx, s, store, puzzle, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "name of the run (default: the newest)")
	flags.IntVar(&f.version, "version", -1, "policy version; 0 is the supervised start (default: the newest)")
	f.add(cmd, "search over steps, guided by the policy and its value head, and print the tree's best lines; or, with --budget,\n"+
		"--search=WAY, one of "+ways())
	flags.Lookup("search").NoOptDefVal = string(rollout.ModeSearch)
	flags.IntVar(&f.lines, "lines", 5, "number of lines of the tree to print")
	flags.StringVar(&f.yao, "yao", "", "24.csv that the run was trained with")
	return cmd
}

// solved is an answer with its reward.
type solved struct {
	Run       string         `json:"run"`
	Version   int            `json:"version"`
	Problem   hone.Problem   `json:"problem"`
	Mode      rollout.Mode   `json:"mode"`
	Text      string         `json:"text"`
	Steps     []solvedStep   `json:"steps"`
	Outcome   hone.Outcome   `json:"outcome"`
	Reason    string         `json:"reason"`
	Reward    float64        `json:"reward"`
	Breakdown hone.Breakdown `json:"breakdown"`
	Lines     []rollout.Line `json:"lines,omitempty"`
	Work      rollout.Work   `json:"work"`
	// Budget is the most tokens that might be generated; 0 where there was no bound.
	Budget int `json:"budget,omitempty"`
}

// solvedStep is one step with what it earned.
type solvedStep struct {
	Text   string  `json:"text"`
	Reward float64 `json:"reward"`
}

func (a *app) solve(ctx context.Context, s *servers, store *storage.Store, puzzle string, f solveFlags) (err error) {
	l, err := a.load(ctx, s, store, f.run, f.yao)
	if err != nil {
		return err
	}
	if err := l.checkPuzzle(puzzle); err != nil {
		return err
	}
	version, err := l.version(ctx, store, f.version)
	if err != nil {
		return err
	}
	if f.verified && f.search == "" {
		f.search = string(rollout.ModeSearch)
	}
	how := activities.Spending{Way: rollout.ModeGreedy}
	if f.search != "" {
		if how, err = f.mode(); err != nil {
			return err
		}
	}
	model, err := l.activities.Model(ctx, l.run.ID, version, how.Value)
	if err != nil {
		return err
	}
	problem, err := model.Task.Problem(puzzle)
	if err != nil {
		return err
	}
	in := rollout.SolveInput{
		Origin: model.Origin, Problem: problem, Mode: how.Way, Budget: how.Budget, Leaves: how.Leaves, Unshared: how.Unshared,
		Lines: max(f.lines, 0),
	}
	if f.verified {
		in.Judge = model.Judge
	}
	unit := "tokens"
	if in.Budget == 0 {
		unit = "simulations"
	}
	in.Progress = l.progress("solve by "+string(in.Mode), unit)
	found, err := model.Roller.Solve(ctx, in)
	l.unwatch()
	if err != nil {
		return err
	}
	out, err := judge(ctx, model, found)
	if err != nil {
		return err
	}
	out.Run, out.Version, out.Mode, out.Budget = l.run.Name, version, in.Mode, in.Budget
	if a.json {
		return a.writeJSON(out)
	}
	a.writeSolved(out)
	return nil
}

// checkPuzzle refuses what the task's own parser would take and a person hardly meant.
func (l *loaded) checkPuzzle(puzzle string) error {
	numbers := strings.FieldsFunc(puzzle, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	if l.job.Task == game24.Name && len(numbers) != 4 {
		return fmt.Errorf("puzzle %q has %d numbers: want four, such as \"4 5 6 10\": %w", puzzle, len(numbers), hone.ErrInvalid)
	}
	return nil
}

// judge scores a solution as training would.
func judge(ctx context.Context, model *activities.Model, found rollout.Solution) (solved, error) {
	t := found.Trajectory
	breakdown, err := model.Stack.Score(ctx, t.Problem, t)
	if err != nil {
		return solved{}, err
	}
	out := solved{
		Problem: t.Problem, Text: t.Text, Outcome: found.Verdict.Outcome, Reason: found.Verdict.Reason,
		Reward: breakdown.Total(), Breakdown: breakdown, Lines: found.Lines, Work: found.Work,
	}
	rewards := breakdown.StepRewards()
	for i, step := range t.Steps {
		out.Steps = append(out.Steps, solvedStep{Text: step.Text, Reward: rewards[i]})
	}
	return out, nil
}

func (a *app) writeSolved(s solved) {
	fmt.Fprintf(a.stdout, "%s  (%s, version %d)\n\n", strings.TrimSpace(s.Problem.Prompt), s.Run, s.Version)
	rows := [][]string{{"", "reward"}}
	for _, step := range s.Steps {
		rows = append(rows, []string{strings.TrimRight(step.Text, "\n"), fmt.Sprintf("%+.4f", step.Reward)})
	}
	rows = append(rows, []string{"", fmt.Sprintf("%+.4f", s.Reward)})
	writeTable(a.stdout, rows)
	fmt.Fprintln(a.stdout)
	for _, layer := range s.Breakdown.Layers {
		fmt.Fprintf(a.stdout, "%s %+.4f\n", layer.Layer, layer.Total())
		for _, term := range layer.Terms {
			if term.Score != 0 {
				fmt.Fprintf(a.stdout, "  step %d: %+.4f  %s\n", term.Step+1, layer.Weight*term.Score, term.Reason)
			}
		}
	}
	fmt.Fprintf(a.stdout, "\n%s: %s\n", s.Outcome, s.Reason)
	if s.Budget > 0 {
		fmt.Fprintf(a.stdout, "%s: %s\n", s.Mode, s.spent())
	}
	if len(s.Lines) > 0 {
		a.writeLines(s)
	}
}

// spent says what became of the budget.
func (s solved) spent() string {
	text := fmt.Sprintf("%d of %d tokens were generated", s.Work.Generated, s.Budget)
	if strings.TrimSpace(s.Text) == "" {
		return text + ", which was not enough for a step: give --budget more"
	}
	return text
}

// writeLines shows the best line from each first step that the search tried.
func (a *app) writeLines(s solved) {
	fmt.Fprintf(a.stdout, "\nsearched with %d simulations, %d tokens; the best line of each first step:\n",
		s.Work.Simulations, s.Work.Generated)
	for i, line := range s.Lines {
		fmt.Fprintf(a.stdout, "\n%d.\n", i+1)
		rows := [][]string{{"", "visits", "Q", "prior"}}
		for _, move := range line {
			rows = append(rows, []string{
				strings.TrimRight(move.Step, "\n"), fmt.Sprint(move.Visits), fmt.Sprintf("%.3f", move.Q), fmt.Sprintf("%.3f", move.Prior),
			})
		}
		writeTable(a.stdout, rows)
	}
}

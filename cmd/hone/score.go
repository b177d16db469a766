package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/task"
)

// scoreFlags are what hone score is told.
type scoreFlags struct {
	task, reward string
}

func (a *app) scoreCommand() *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score FILE.jsonl",
		Short: "Score completions from anywhere, layer by layer",
		Long: `score reads samples, one JSON object a line, and writes each with what a reward stack finds. It needs no database.

A line holds "problem" (a puzzle, or the question), "completion", and for tasks in words "reference", the right answer; for programs
"tests", a list like [{"stdin": "1 2", "stdout": "3"}, {"assert": "assert add(1, 2) == 3"}], in which "visible": true marks what was shown
to the policy. With "step_tokens" it says how many tokens each step took; without, a step counts as one. With "wall_seconds" and
"memory_bytes" it says what the answer took, for the layer resources. Other fields are passed through.

A line out has "outcome", "reward" (the total) and "breakdown" (layers, each with its terms and reasons) besides, or "error" and "line"
where the line in could not be scored; the others are scored all the same, and the exit code is 1. "-" reads standard input.

Tasks: ` + strings.Join(taskNames(), ", ") + ".",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.score(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.task, "task", "", "the task that the problems are of (required)")
	flags.StringVar(&f.reward, "reward", "", "reward stack (YAML), as under reward: in a configuration (default: the default stack)")
	return cmd
}

// readStack is the reward configuration in a file, laid over the default; no file is the default.
func readStack(path string) (stack.Config, error) {
	cfg := stack.DefaultConfig()
	if path == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("--reward: %w", err)
	}
	if err := (layer{name: path, text: text}).decode(&cfg); err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

func (a *app) score(ctx context.Context, path string, f scoreFlags) (err error) {
	if f.task == "" {
		return fmt.Errorf("--task: want one of %s: %w", strings.Join(taskNames(), ", "), hone.ErrInvalid)
	}
	cfg, err := readStack(f.reward)
	if err != nil {
		return err
	}
	tk, err := openTask(f.task)
	if err != nil {
		return err
	}
	rewards, err := stack.NewWith(cfg, tk, func(c preference.Config) (preference.Scorer, error) { return openRewardModel(ctx, c) })
	if err != nil {
		return err
	}
	in := io.Reader(os.Stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	out := bufio.NewWriter(a.stdout)
	s := scorer{task: tk, stack: rewards}
	err = s.run(ctx, bufio.NewReader(in), out)
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if s.bad > 0 {
		return fmt.Errorf("%d of %d lines could not be scored, the first is line %d; each has an \"error\": %w",
			s.bad, s.lines, s.firstBad, hone.ErrInvalid)
	}
	return nil
}

// openRewardModel opens the kernels only where a layer asks a model.
func openRewardModel(ctx context.Context, cfg preference.Config) (preference.Scorer, error) {
	kernels, err := kernel.Open()
	if err != nil {
		return nil, fmt.Errorf("kernels: %w", err)
	}
	return activities.RewardModels(ctx, kernels, nil)(cfg)
}

// scorer scores lines, many at a time, and keeps their order.
type scorer struct {
	task  task.Task
	stack *reward.Stack

	lines, bad, firstBad int
}

// sample is one line.
type sample struct {
	number int
	text   []byte
	// fields are the line's, as they were written.
	fields    map[string]json.RawMessage
	problem   hone.Problem
	breakdown hone.Breakdown
	err       error
}

// run scores all lines in batches. Where a layer is normalised over the samples of a problem, all lines are one batch.
func (s *scorer) run(ctx context.Context, in *bufio.Reader, out io.Writer) error {
	const batch = 4096
	for {
		var samples []*sample
		var end error
		for (len(samples) < batch || s.stack.Grouped()) && end == nil {
			var line []byte
			line, end = in.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) == 0 && end != nil {
				break
			}
			s.lines++
			samples = append(samples, &sample{number: s.lines, text: line})
		}
		if end != nil && !errors.Is(end, io.EOF) {
			return fmt.Errorf("line %d: %w", s.lines, end)
		}
		if err := s.batch(ctx, samples); err != nil {
			return err
		}
		for _, one := range samples {
			if one.err != nil {
				s.bad++
				if s.firstBad == 0 {
					s.firstBad = one.number
				}
			}
			if err := one.write(out); err != nil {
				return err
			}
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
	}
}

// batch scores the samples.
func (s *scorer) batch(ctx context.Context, samples []*sample) error {
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(samples); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				samples[i].err = s.score(ctx, samples[i])
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if !s.stack.Grouped() {
		return nil
	}
	byProblem := make(map[string][]hone.Breakdown)
	for _, one := range samples {
		if one.err == nil {
			byProblem[one.problem.ID()] = append(byProblem[one.problem.ID()], one.breakdown)
		}
	}
	for _, group := range byProblem {
		s.stack.NormaliseGroup(group) // their layers are shared with the samples'
	}
	return nil
}

// score reads a line and judges it.
func (s *scorer) score(ctx context.Context, one *sample) error {
	if err := json.Unmarshal(one.text, &one.fields); err != nil || one.fields == nil {
		return fmt.Errorf("want a JSON object: %w: %w", errors.Join(err), hone.ErrInvalid)
	}
	text, err := one.texts()
	if err != nil {
		return err
	}
	for _, name := range []string{"problem", "completion"} {
		if _, ok := text[name]; !ok {
			return fmt.Errorf("field %q is missing: %w", name, hone.ErrInvalid)
		}
	}
	reference, given := text["reference"]
	poser, words := s.task.(task.Poser)
	if words && given {
		one.problem, err = poser.Pose(text["problem"], reference)
	} else {
		one.problem, err = s.task.Problem(text["problem"])
	}
	switch {
	case err != nil && words && !given:
		return fmt.Errorf("field \"reference\" is missing: task %s compares with it: %w", s.task.Name(), hone.ErrInvalid)
	case err != nil:
		return err
	}
	traj, err := s.trajectory(one, text["completion"])
	if err != nil {
		return err
	}
	used, err := one.usage()
	if err != nil {
		return err
	}
	one.breakdown, err = s.stack.Score(reward.WithUsage(ctx, used), one.problem, traj)
	return err
}

// texts are the fields that say what to score; a reference may be a number, and the tests of a program are one.
func (one *sample) texts() (map[string]string, error) {
	text := make(map[string]string)
	for _, name := range []string{"problem", "completion", "reference"} {
		raw, ok := one.fields[name]
		if !ok {
			continue
		}
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			var number json.Number // a reference may be 72
			if name != "reference" || json.Unmarshal(raw, &number) != nil {
				return nil, fmt.Errorf("field %q is %s, want text: %w", name, raw, hone.ErrInvalid)
			}
			value = number.String()
		}
		text[name] = value
	}
	if raw, ok := one.fields["tests"]; ok {
		if _, also := text["reference"]; !also && bytes.HasPrefix(raw, []byte("[")) {
			text["reference"] = string(raw)
		}
	}
	return text, nil
}

// usage is what the line says that the answer took.
func (one *sample) usage() (used reward.Usage, err error) {
	for _, name := range []string{"wall_seconds", "memory_bytes"} {
		raw, ok := one.fields[name]
		if !ok {
			continue
		}
		var value float64
		if json.Unmarshal(raw, &value) != nil || !(value >= 0 && value < 1<<53) {
			return used, fmt.Errorf("field %q is %s, want a number of at least 0: %w", name, raw, hone.ErrInvalid)
		}
		if name == "memory_bytes" {
			used.Memory = int64(value)
			continue
		}
		used.Wall = time.Duration(min(value*float64(time.Second), math.MaxInt64/2))
	}
	return used, nil
}

// trajectory is the completion in steps, a token each unless the line says how many.
func (s *scorer) trajectory(one *sample, completion string) (hone.Trajectory, error) {
	traj := hone.Trajectory{
		ID: hone.TrajectoryID{Sample: one.number}, Problem: one.problem, Source: hone.SourceSample, Finish: hone.FinishStop, Text: completion,
	}
	steps := s.task.Steps(completion)
	var tokens []int
	if raw, ok := one.fields["step_tokens"]; ok {
		if err := json.Unmarshal(raw, &tokens); err != nil {
			return traj, fmt.Errorf("field \"step_tokens\" is %s, want a list of integers: %w", raw, hone.ErrInvalid)
		}
		if len(tokens) == len(steps)+1 { // the last holds the end of the sequence alone
			steps = append(steps, "")
		}
		if len(tokens) != len(steps) {
			return traj, fmt.Errorf("field \"step_tokens\" has %d numbers, the completion %d steps: %w", len(tokens), len(steps), hone.ErrInvalid)
		}
	}
	at := 0
	for i, text := range steps {
		n := 1
		if tokens != nil {
			n = tokens[i]
		}
		if n < 0 || n > 1<<30 {
			return traj, fmt.Errorf("field \"step_tokens\": %d tokens of step %d: want 0 or more: %w", n, i+1, hone.ErrInvalid)
		}
		traj.Steps = append(traj.Steps, hone.Step{Text: text, From: at, To: at + n})
		at += n
	}
	return traj, nil
}

// write is the line out: the fields of the line in, and what was found.
func (one *sample) write(out io.Writer) error {
	fields := make(map[string]any, len(one.fields)+3)
	for name, value := range one.fields {
		fields[name] = value
	}
	if one.err != nil {
		fields["line"], fields["error"] = one.number, describe(one.err)
	} else {
		fields["outcome"], fields["reward"], fields["breakdown"] = one.breakdown.Outcome, one.breakdown.Total(), one.breakdown
	}
	line, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("line %d: %w", one.number, err)
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

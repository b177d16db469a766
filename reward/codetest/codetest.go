// Package codetest is the layer that runs the program which a completion gives as its answer against the problem's tests, in a sandbox
// (package sandbox): without a network, with few files, under limits of time, memory, processes and output.
//
// A program is right where it passes every test, and wrong where it fails one, ends with an error, or spends its processor time, memory
// or output: those are its own doing. Where time passes without work done (the program waits, or the machine has no time for it) the
// outcome is a timeout, which is no judgement. A sandbox that can't be had is [hone.ErrUnavailable]; no program is run without one unless
// the configuration says so.
//
// The verdict is the layer's, since a task runs nothing; layers after it in the stack read it as the task's, and what the program took. A
// program can't see what it should print. Assertions run in its own process, after it: one that ends early is found out by a token that
// is missing, but one that searches its interpreter's memory, or returns objects that equal everything, is not. Prefer tests by input and
// output.
package codetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/codetest/sandbox"
	"github.com/hone-rl/hone/task"
)

// Name is the layer's name.
const Name = "codetest"

// Layer runs programs. It is safe for concurrent use; each judgement is a process of its own.
//
// Differs from other layers: a program that draws numbers or reads a clock may pass today and fail tomorrow.
type Layer struct {
	cfg  Config
	task task.Tester
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer for the task, which must be a [task.Tester]; nil is one for which faults of the configuration alone are wanted.
func New(cfg Config, t task.Task) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("codetest configuration: %w", err)
	}
	l := &Layer{cfg: cfg.filled()}
	if t == nil {
		return l, nil
	}
	tester, ok := t.(task.Tester)
	if !ok {
		return nil, fmt.Errorf("codetest: answers of task %s are no programs: %w", t.Name(), hone.ErrInvalid)
	}
	l.task = tester
	return l, nil
}

// Name is "codetest".
func (l *Layer) Name() string { return Name }

// Judge gives the outcome, and one term in [0, 1] on the step that ends the program, or on the last where there is none.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	checks, _, err := reward.Checks(ctx, l.task, p, traj)
	if err != nil {
		return reward.Judgement{}, err
	}
	verdict, score, err := l.verdict(ctx, p, traj.Text)
	if err != nil {
		return reward.Judgement{}, fmt.Errorf("run the program: %w", err)
	}
	reward.Decide(ctx, l.task, verdict)
	j := reward.Judgement{Outcome: verdict.Outcome}
	if at, _ := reward.AnswerStep(checks); at >= 0 {
		j.Terms = []hone.Term{{Step: at, Score: score, Reason: verdict.Reason}}
	}
	return j, nil
}

// verdict runs the program.
func (l *Layer) verdict(ctx context.Context, p hone.Problem, completion string) (v task.Verdict, score float64, err error) {
	text, ok := l.task.Program(completion)
	if v = l.task.Verify(p, completion); !ok || v.Outcome == hone.OutcomeUnparsable { // no program, or a problem of another task
		return v, 0, nil
	}
	tests, err := l.task.Tests(p)
	if err != nil {
		return v, 0, err
	}
	token := rand.Text() // which the program must not guess; it is in no result
	cases := make([]sandbox.Case, len(tests))
	for i, t := range tests {
		cases[i] = sandbox.Case{Command: l.cfg.Command, Stdin: t.Stdin}
		if t.Assert != "" {
			done := strings.ReplaceAll(l.cfg.Done, "{token}", token)
			cases[i] = sandbox.Case{Command: l.cfg.AssertCommand, Stdin: text + "\n" + t.Assert + "\n" + done + "\n"}
		}
	}
	results, err := sandbox.Run(ctx, l.cfg.program(text), cases)
	if err != nil {
		return v, 0, err
	}
	var used reward.Usage
	for _, r := range results {
		used.Wall += r.Wall
		used.Memory = max(used.Memory, r.Peak)
	}
	reward.Measured(ctx, used)
	c := l.count(tests, results, token)
	v = c.verdict()
	if l.cfg.Unsandboxed {
		v.Reason += "; run without a sandbox"
	}
	if v.Outcome == hone.OutcomeRight {
		return v, 1, nil
	}
	if v.Outcome == hone.OutcomeWrong {
		score = l.cfg.Partial * float64(c.visible+c.hidden) / float64(len(tests))
	}
	return v, score, nil
}

package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/gate"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// Judge compares what was trained with the policy that the service uses, on the same problems, and publishes it if it is better beyond
// noise. What was found is recorded with the service; asking again under the same request finds the same record.
func (a *Activities) Judge(ctx context.Context, in JudgeInput) (out JudgeOutput, err error) {
	err = beating(ctx, "judge", func(ctx context.Context, _ *pulse) error {
		out, err = a.judge(ctx, in)
		return err
	})
	return out, err
}

func (a *Activities) judge(ctx context.Context, in JudgeInput) (out JudgeOutput, err error) {
	if !(in.Alpha > 0 && in.Alpha < 1) {
		return out, fmt.Errorf("alpha %v: want a number between 0 and 1: %w", in.Alpha, hone.ErrInvalid)
	}
	old, err := a.answered(ctx, in, 0)
	if err != nil {
		return out, err
	}
	now, err := a.answered(ctx, in, in.Version)
	if err != nil {
		return out, err
	}
	for i := range min(len(old.problems), len(now.problems)) {
		if old.problems[i] != now.problems[i] {
			return out, fmt.Errorf("answer %d is to %s, and to %s before: want the same problems: %w",
				i, now.problems[i], old.problems[i], hone.ErrCorrupt)
		}
	}
	if out.Pairs, err = gate.Pair(old.right, now.right); err != nil {
		return out, err
	}
	out.P = out.Pairs.Test()
	use, err := a.deps.Store.InService(ctx, in.Service)
	if err != nil {
		return out, err
	}
	found := fmt.Sprintf("of %d problems it alone has %d right, and the one in service alone %d: p = %.4f",
		out.Pairs.Problems(), out.Pairs.Wins, out.Pairs.Losses, out.P)
	state := storage.Refused
	switch {
	case use.Run != in.Survey.Parent || use.Version != in.Survey.Version:
		out.Reason = "another policy was published meanwhile"
	case out.P > in.Alpha:
		out.Reason = fmt.Sprintf("%s, want at most %g", found, in.Alpha)
	default:
		state, out.Reason = storage.Published, found
	}
	details, err := json.Marshal(struct {
		Found
		gate.Pairs

		P     float64    `json:"p"`
		Alpha float64    `json:"alpha"`
		Split hone.Split `json:"split"`
		Mode  Mode       `json:"mode"`
	}{in.Survey.Found, out.Pairs, out.P, in.Alpha, in.Split, in.Mode})
	if err != nil {
		return out, fmt.Errorf("encode judgement: %w", err)
	}
	saved, err := a.deps.Store.SavePublication(ctx, storage.Publication{
		Service: in.Service, Request: in.Request, State: state, Reason: out.Reason, Run: in.Run, Version: in.Version,
		Problems: blob.Digest(in.Survey.Fresh), Details: details,
	}, in.Keep)
	out.Number, out.Reason = saved.Number, saved.Reason
	// A retired one was published, and newer ones since.
	out.Published = saved.State == storage.Published || saved.State == storage.Retired
	return out, err
}

// answers are which problems a version had right.
type answers struct {
	problems []string
	right    []bool
}

func (a *Activities) answered(ctx context.Context, in JudgeInput, version int) (out answers, err error) {
	stored, err := a.deps.Store.Answers(ctx, storage.EvaluationKey{
		Run: in.Run, Version: version, Split: in.Split, Mode: string(in.Mode), Limit: in.Limit,
	})
	for _, one := range stored {
		out.problems = append(out.problems, one.Problem.ID())
		out.right = append(out.right, one.Outcome == hone.OutcomeRight)
	}
	return out, err
}

package activities

import (
	"context"
	"errors"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/task"
)

// Evaluate measures a version's accuracy, or returns what was measured before.
func (a *Activities) Evaluate(ctx context.Context, in EvaluateInput) (out Evaluation, err error) {
	err = beating(ctx, "evaluate", func(ctx context.Context, p *pulse) error {
		key := storage.EvaluationKey{Run: in.Run, Version: in.Version, Split: in.Split, Mode: string(in.Mode), Limit: in.Limit}
		summary, err := a.deps.Store.Evaluation(ctx, key)
		if errors.Is(err, hone.ErrNotFound) {
			if err = a.evaluate(ctx, key, p); err == nil {
				summary, err = a.deps.Store.Evaluation(ctx, key)
			}
		}
		if err != nil {
			return err
		}
		out = Evaluation{
			Version: in.Version, Split: in.Split, Mode: in.Mode, Problems: summary.Problems, Seconds: p.seconds(),
			Outcomes: Outcomes{
				Right: summary.Outcomes[hone.OutcomeRight], Wrong: summary.Outcomes[hone.OutcomeWrong],
				Unparsable: summary.Outcomes[hone.OutcomeUnparsable], Timeout: summary.Outcomes[hone.OutcomeTimeout],
				Crashed: summary.Outcomes[hone.OutcomeCrashed],
			},
		}
		if summary.Problems > 0 {
			out.Tokens = float64(summary.Tokens) / float64(summary.Problems)
		}
		return nil
	})
	return out, err
}

// evaluate answers the problems and stores the answers. In every mode that isn't verified the verifier that reports the accuracy
// takes no part in finding them.
func (a *Activities) evaluate(ctx context.Context, key storage.EvaluationKey, p *pulse) error {
	s, err := a.session(ctx, key.Run)
	if err != nil {
		return err
	}
	problems, err := s.subset(key.Split, key.Limit)
	if err != nil {
		return err
	}
	how, err := ParseMode(Mode(key.Mode))
	if err != nil {
		return err
	}
	roller, err := s.rollerOf(ctx, key.Version, s.job.sampling(key.Version), how.Value)
	if err != nil {
		return err
	}
	ask := rollout.EvaluateInput{
		Problems: problems, Mode: how.Way, Seed: s.job.Seed, Progress: p.at,
		Budget: how.Budget, Leaves: how.Leaves, Unshared: how.Unshared,
	}
	if how.Verified {
		ask.Judge = s.judge
	}
	unit := "tokens"
	switch how.Way {
	case rollout.ModeGreedy:
		unit = "problems"
	case rollout.ModeSearch:
		unit = "simulations"
	default:
	}
	p.phase("evaluate "+key.Mode+" on "+string(key.Split), unit)
	p.watch = a.deps.Watch
	result, err := roller.Evaluate(ctx, ask)
	if err != nil {
		return err
	}
	answers := make([]storage.Answer, len(result.Answers))
	for i, one := range result.Answers {
		answers[i] = storage.Answer{
			Problem: one.Problem, Outcome: one.Verdict.Outcome, Reason: one.Verdict.Reason,
			Tokens: one.Generated, Completion: one.Completion,
		}
	}
	return a.deps.Store.SaveEvaluation(ctx, key, answers)
}

// Model is a published policy, ready to answer.
type Model struct {
	Job   Job
	Task  task.Task
	Stack *reward.Stack
	// Version is the policy's number, Weights the digest of its file.
	Version int
	Weights blob.Digest
	Roller  *rollout.Roller
	// Origin is what its answers are attributed to: no iteration of the run.
	Origin rollout.Origin
	// Judge is the verifier as a search sees it during training.
	Judge rollout.JudgeFunc
}

// Model loads a version of a run's policy; -1 means the head. It goes by the values of a stored process-value model; "" is the policy's own
// value head.
func (a *Activities) Model(ctx context.Context, run hone.RunID, version int, values blob.Digest) (*Model, error) {
	s, err := a.session(ctx, run)
	if err != nil {
		return nil, err
	}
	if version < 0 {
		head, err := a.deps.Store.Head(ctx, run)
		if err != nil {
			return nil, err
		}
		version = head.Number
	}
	stored, err := a.deps.Store.Version(ctx, run, version)
	if err != nil {
		return nil, err
	}
	roller, err := s.rollerOf(ctx, version, s.job.sampling(version), values)
	if err != nil {
		return nil, err
	}
	return &Model{
		Job: s.job, Task: s.task, Stack: s.stack, Version: version, Weights: stored.Weights, Roller: roller,
		Origin: s.origin(0, version), Judge: s.judge,
	}, nil
}

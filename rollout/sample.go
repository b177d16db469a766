package rollout

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
)

// SampleInput asks for samples of the policy.
type SampleInput struct {
	Origin
	Slots []Slot
	// Progress counts trajectories.
	Progress ProgressFunc
}

// Sample draws Config.Group completions for each slot. Trajectories are in the order of slots, a slot's samples next to each
// other; sample m of a slot has ID.Sample = Index*Group + m, and its stream is
//
//	hone.Seed(run seed, "sample", iteration, problem id, ID.Sample)
//
// Log-probabilities are at the sampling temperature. It returns all trajectories or none: a prompt that the tokenizer can't write
// is [hone.ErrInvalid]; the decoder's error and the context's are wrapped.
func (r *Roller) Sample(ctx context.Context, in SampleInput) ([]hone.Trajectory, error) {
	prompts, err := r.prompts(in.Slots)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	drafts := make([]draft, 0, len(in.Slots)*r.cfg.Group)
	for i, s := range in.Slots {
		for m := range r.cfg.Group {
			sample := s.Index*r.cfg.Group + m
			drafts = append(drafts, draft{
				origin: in.Origin, problem: s.Problem, prompt: prompts[i], sample: sample,
				seed: hone.Seed(in.Seed, "sample", in.Iteration, s.Problem.ID(), sample),
			})
		}
	}
	out, err := r.draw(ctx, drafts, in.Progress)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return out, nil
}

// Regenerate draws sampled trajectories again, from what they hold: problem, seed and identity. The decoder must hold the policy
// version that they name. Given all that one call of [Roller.Sample] returned, it returns the same, bit for bit, on the same
// machine and kernels. Given some of them, it does so where the kernels' result for a row does not depend on the rows beside it;
// otherwise the last bits of log-probabilities and values may differ, and a token whose draw falls within such a bit. Trajectories
// of a search are [hone.ErrInvalid]: searching again makes them again.
func (r *Roller) Regenerate(ctx context.Context, trajectories []hone.Trajectory) ([]hone.Trajectory, error) {
	drafts := make([]draft, len(trajectories))
	for i, t := range trajectories {
		if t.Source != hone.SourceSample {
			return nil, fmt.Errorf("regenerate %s: source is %q, want %q: %w", t.ID, t.Source, hone.SourceSample, hone.ErrInvalid)
		}
		prompt, err := r.prompt(t.Problem)
		if err != nil {
			return nil, fmt.Errorf("regenerate %s: %w", t.ID, err)
		}
		drafts[i] = draft{
			origin:  Origin{Run: t.ID.Run, Iteration: t.ID.Iteration, Behaviour: t.Behaviour, Fingerprint: t.Fingerprint},
			problem: t.Problem, prompt: prompt, sample: t.ID.Sample, seed: t.Seed,
		}
	}
	out, err := r.draw(ctx, drafts, nil)
	if err != nil {
		return nil, fmt.Errorf("regenerate: %w", err)
	}
	return out, nil
}

// draft is a trajectory before its first token.
type draft struct {
	origin  Origin
	problem hone.Problem
	prompt  []hone.TokenID
	sample  int
	seed    uint64
}

// draw completes drafts, whole groups at a time.
func (r *Roller) draw(ctx context.Context, drafts []draft, progress ProgressFunc) ([]hone.Trajectory, error) {
	size := max(r.cfg.Batch/r.cfg.Group, 1) * r.cfg.Group
	out := make([]hone.Trajectory, 0, len(drafts))
	for lo := 0; lo < len(drafts); lo += size {
		batch := drafts[lo:min(lo+size, len(drafts))]
		requests := make([]decode.Request, len(batch))
		for i, d := range batch {
			requests[i] = decode.Request{Prompt: d.prompt, Seed: d.seed, MaxTokens: r.cfg.MaxTokens, Sampling: r.cfg.Sampling}
		}
		results, err := r.generate(ctx, requests)
		if err != nil {
			return nil, err
		}
		for i, d := range batch {
			t, err := r.sampled(d, results[i])
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		progress.report(len(out), len(drafts))
	}
	return out, nil
}

func (r *Roller) sampled(d draft, result decode.Result) (hone.Trajectory, error) {
	t, err := r.trajectory(d.origin, d.problem, d.prompt, result.Tokens)
	if err != nil {
		return hone.Trajectory{}, err
	}
	t.ID.Sample, t.Seed, t.Source = d.sample, d.seed, hone.SourceSample
	t.Logp, t.Values = result.Logp, result.Values
	t.Finish, t.Bootstrap = result.Finish, result.Bootstrap
	return t, nil
}

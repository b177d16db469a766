package activities

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/dpo"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/rewardmodel"
	rewardpreference "github.com/hone-rl/hone/reward/preference" // this package has a preference of its own
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// RewardModels reads the reward models that stacks ask, from blobs or from files, to run on these kernels. Where blobs is nil there are
// files alone.
func RewardModels(ctx context.Context, set *kernel.Set, blobs blob.Store) rewardpreference.Open {
	return func(cfg rewardpreference.Config) (rewardpreference.Scorer, error) {
		if digest, stored := strings.CutPrefix(cfg.Model, rewardpreference.Stored); stored {
			if blobs == nil {
				return nil, fmt.Errorf("there is no store of weights here, want the model's file: %w", hone.ErrInvalid)
			}
			return loadBlob(ctx, blobs, blob.Digest(digest), func(r io.Reader) (*rewardmodel.Scorer, error) {
				return rewardmodel.Load(r, set)
			})
		}
		file, err := os.Open(cfg.Model)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, hone.ErrNotFound)
		}
		defer file.Close()
		return rewardmodel.Load(file, set)
	}
}

// Params are the weights of a version of the run's policy.
func (i Inspector) Params(ctx context.Context, run hone.RunID, version int) (*policy.Params, error) {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return nil, err
	}
	return s.loaded(ctx, version)
}

// Preferences are pairs of a right and a wrong completion that a run stored, as its live scoring has them: up to perProblem of each
// problem of an iteration, in their order; see [dpo.PairSamples]. Texts are read as a reward model reads them, and each is given the
// pairs of an iteration at a time.
func (i Inspector) Preferences(
	ctx context.Context, run hone.RunID, perProblem int, each func(iteration int, pairs []dpo.Pair) error,
) error {
	s, err := i.activities.session(ctx, run)
	if err != nil {
		return err
	}
	iterations, err := s.deps.Store.ScoredIterations(ctx, run, 0, -1)
	if err != nil {
		return err
	}
	for _, iteration := range iterations {
		trajectories, err := s.deps.Store.LoadIteration(ctx, run, iteration)
		if err != nil {
			return err
		}
		scores, err := s.deps.Store.LoadScoring(ctx, run, iteration, storage.LiveScoring)
		if err != nil {
			return err
		}
		bySample := make(map[int]hone.Breakdown, len(scores))
		for _, one := range scores {
			bySample[one.Sample] = one.Breakdown
		}
		var scored []hone.Scored
		for _, t := range trajectories {
			b, ok := bySample[t.ID.Sample]
			if !ok || t.Finish != hone.FinishStop {
				continue
			}
			if t.Prompt, t.Tokens, err = rewardmodel.Encode(s.token, t.Problem.Prompt, t.Text, true); err != nil {
				return fmt.Errorf("trajectory %s: %w", t.ID, err)
			}
			scored = append(scored, hone.Scored{Trajectory: t, Breakdown: b})
		}
		if err := each(iteration, dpo.PairSamples(scored, perProblem)); err != nil {
			return err
		}
	}
	return nil
}

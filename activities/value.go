package activities

import (
	"context"
	"fmt"
	"io"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/valuemodel"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
)

// Study says what a process-value model learns from: training problems of a run, as a version of its policy goes about them.
type Study struct {
	Run     hone.RunID `json:"run"`
	Version int        `json:"version"`
	// Round tells studies of the same problems apart: each has streams of its own.
	Round int `json:"round"`
	// Problems are places in a deal of the run's training problems, none twice, in [0, their number).
	Problems []int `json:"problems"`
	// Samples is the size of a problem's group of samples, >= 1, and Budget the most tokens of its search.
	Samples int `json:"samples"`
	Budget  int `json:"budget"`
	// Model is the stored model that leads the search, of an earlier round; "" leaves that to the verifier.
	Model blob.Digest `json:"model,omitempty"`
}

// Study makes examples of problems, in their order. They are training problems, whatever is asked for.
func (i Inspector) Study(ctx context.Context, in Study, progress rollout.ProgressFunc) ([]rollout.Studied, error) {
	s, err := i.activities.session(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	cfg := s.job.sampling(in.Version)
	cfg.Group = in.Samples
	roller, err := s.rollerOf(ctx, in.Version, cfg, in.Model)
	if err != nil {
		return nil, err
	}
	slots := make([]rollout.Slot, len(in.Problems))
	for k, at := range in.Problems {
		if at < 0 || at >= len(s.train) {
			return nil, fmt.Errorf("study of problem %d: the run has %d training problems: %w", at, len(s.train), hone.ErrInvalid)
		}
		slots[k] = rollout.Slot{Problem: s.problem("value", at), Index: at}
	}
	origin := s.origin(in.Round, in.Version)
	origin.Seed = hone.Seed(s.job.Seed, "value")
	return roller.Study(ctx, rollout.StudyInput{
		Origin: origin, Slots: slots, Judge: s.judge, Budget: in.Budget, Progress: progress,
	})
}

// loadValueModel reads a process-value model from the blob store, verified.
func loadValueModel(ctx context.Context, blobs blob.Store, digest blob.Digest, set *kernel.Set) (*valuemodel.Model, error) {
	model, err := loadBlob(ctx, blobs, digest, func(r io.Reader) (*valuemodel.Model, error) { return valuemodel.Load(r, set) })
	if err != nil {
		return nil, fmt.Errorf("value model: %w", err)
	}
	return model, nil
}

package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/valuemodel"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
)

// ValueConfig is how a process-value model is made of what a policy does.
type ValueConfig struct {
	// Rounds is how often problems are studied and the model trained, >= 1. The verifier leads the first round's searches, and the model
	// before each later one's: there it meets the texts that it takes for right and that aren't.
	Rounds int `json:"rounds"`
	// Problems is the number of problems that a round learns from, >= 1.
	Problems int `json:"problems"`
	// HeldOut is the number of problems, >= 1, that no round learns from: they calibrate the last.
	HeldOut int `json:"held_out"`
	// Samples is the size of a problem's group of samples, >= 1, and Budget the most tokens of its search, >= 1.
	Samples int `json:"samples"`
	Budget  int `json:"budget"`
	// Seed decides the order of learning.
	Seed  uint64            `json:"seed"`
	Train valuemodel.Config `json:"train"`
}

// DefaultValueConfig takes minutes of one core with a policy of a million parameters.
func DefaultValueConfig() ValueConfig {
	return ValueConfig{Rounds: 2, Problems: 1200, HeldOut: 150, Samples: 4, Budget: 368, Seed: 1, Train: valuemodel.DefaultConfig()}
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c ValueConfig) Validate() error {
	errs := []error{c.Train.Validate()}
	for _, n := range []struct {
		name  string
		value int
	}{{"rounds", c.Rounds}, {"problems", c.Problems}, {"held_out", c.HeldOut}, {"samples", c.Samples}, {"budget", c.Budget}} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("value model: %s is %d, must be at least 1: %w", n.name, n.value, hone.ErrInvalid))
		}
	}
	return errors.Join(errs...)
}

// ValueInput asks for a model.
type ValueInput struct {
	Run     hone.RunID
	Version int
	Config  ValueConfig
	// Stages keep what is done.
	Stages Stages
	// Progress makes what hears of a phase; nil for nobody.
	Progress func(phase, unit string) rollout.ProgressFunc
}

// Stages are what is kept of a long computation, by names that it gives, so that it goes on where it was. Content that was saved is whole.
type Stages interface {
	// Load is what was saved, or [hone.ErrNotFound].
	Load(name string) ([]byte, error)
	Save(name string, content []byte) error
}

// ValueRound is what one round came to.
type ValueRound struct {
	// Model is the stored model.
	Model blob.Digest `json:"model"`
	// Generated is the number of tokens that its study wrote.
	Generated int              `json:"generated"`
	Stats     valuemodel.Stats `json:"stats"`
}

// studyShard is how many problems are studied before they are kept.
const studyShard = 100

// TrainValue makes a process-value model of training problems alone, round by round, and stores it. A round's model goes on from that of
// the round before, the first one's from the policy. The same input gives the same bytes, however often it is interrupted. A run with fewer
// training problems than a round and those held out together is [hone.ErrInvalid].
func (i Inspector) TrainValue(ctx context.Context, in ValueInput) ([]ValueRound, error) {
	if err := in.Config.Validate(); err != nil {
		return nil, err
	}
	s, err := i.activities.session(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	if has, most := len(s.train), in.Config.Problems+in.Config.HeldOut; has < most {
		return nil, fmt.Errorf("value model of %d problems and %d held out: the run has %d training problems: want no more than that: %w",
			in.Config.Problems, in.Config.HeldOut, has, hone.ErrInvalid)
	}
	var rounds []ValueRound
	for n := range in.Config.Rounds {
		t := valueRound{Inspector: i, session: s, in: in, number: n}
		if n > 0 {
			t.before = rounds[n-1].Model
		}
		var one ValueRound
		if err := staged(in.Stages, fmt.Sprintf("round-%d", n), &one, func() error { return t.run(ctx, &one) }); err != nil {
			return rounds, fmt.Errorf("round %d: %w", n, err)
		}
		rounds = append(rounds, one)
	}
	return rounds, nil
}

// staged is what was kept under a name, or made now and kept.
func staged[T any](at Stages, name string, out *T, work func() error) error {
	content, err := at.Load(name)
	switch {
	case err == nil:
		if err := json.Unmarshal(content, out); err != nil {
			return fmt.Errorf("stage %s: %w: %w", name, err, hone.ErrCorrupt)
		}
		return nil
	case !errors.Is(err, hone.ErrNotFound):
		return err
	}
	if err := work(); err != nil {
		return err
	}
	if content, err = json.Marshal(out); err != nil {
		return fmt.Errorf("stage %s: %w", name, err)
	}
	return at.Save(name, content)
}

// valueRound is one under way.
type valueRound struct {
	Inspector
	session *session
	in      ValueInput
	number  int
	// before is the model of the round before; "" for the first.
	before blob.Digest
}

// problems are places in the deal: the first are held out in all rounds, and each round learns from the next.
func (t *valueRound) problems() (learned, heldOut []int) {
	c := t.in.Config
	for k := range c.HeldOut {
		heldOut = append(heldOut, k)
	}
	for k := range c.Problems {
		learned = append(learned, c.HeldOut+(t.number*c.Problems+k)%(len(t.session.train)-c.HeldOut))
	}
	return learned, heldOut
}

// run studies, learns and stores.
func (t *valueRound) run(ctx context.Context, out *ValueRound) error {
	learned, heldOut := t.problems()
	fit := valuemodel.Input{
		Set: t.session.deps.Kernels, Config: t.in.Config.Train, Seed: hone.Seed(t.in.Config.Seed, "round", t.number),
		Progress: t.progress("learn values", "steps"),
	}
	var err error
	if fit.Examples, err = t.study(ctx, "learned", learned, &out.Generated); err != nil {
		return err
	}
	if fit.HeldOut, err = t.study(ctx, "held-out", heldOut, &out.Generated); err != nil {
		return err
	}
	if fit.Params, err = t.start(ctx); err != nil {
		return err
	}
	if out.Stats, err = valuemodel.Train(ctx, fit); err != nil {
		return err
	}
	out.Model, _, err = t.session.deps.Blobs.Put(ctx, func(w io.Writer) error {
		return valuemodel.Save(w, fit.Params, t.session.token, out.Stats.Calibrated, out.Stats.CalibratedEnds)
	})
	if err != nil {
		return fmt.Errorf("store the value model: %w", err)
	}
	return nil
}

// start is what the round goes on from, for it alone.
func (t *valueRound) start(ctx context.Context) (*policy.Params, error) {
	if t.before == "" {
		return t.session.loaded(ctx, t.in.Version)
	}
	return loadWeights(ctx, t.session.deps.Blobs, t.before)
}

// study makes examples of problems, a shard at a time.
func (t *valueRound) study(ctx context.Context, name string, problems []int, generated *int) ([]valuemodel.Example, error) {
	progress := t.progress(fmt.Sprintf("round %d, study %s problems", t.number, name), "problems")
	var out []valuemodel.Example
	for lo := 0; lo < len(problems); lo += studyShard {
		hi := min(lo+studyShard, len(problems))
		var done []rollout.Studied
		err := staged(t.in.Stages, fmt.Sprintf("round-%d-%s-%d", t.number, name, lo), &done, func() (err error) {
			done, err = t.Study(ctx, Study{
				Run: t.in.Run, Version: t.in.Version, Round: t.number, Problems: problems[lo:hi],
				Samples: t.in.Config.Samples, Budget: t.in.Config.Budget, Model: t.before,
			}, nil)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, one := range done {
			out = append(out, one.Examples...)
			*generated += one.Generated
		}
		if progress != nil {
			progress(hi, len(problems))
		}
	}
	return out, nil
}

func (t *valueRound) progress(phase, unit string) func(done, total int) {
	if t.in.Progress == nil {
		return nil
	}
	return t.in.Progress(phase, unit)
}

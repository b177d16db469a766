package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/sft"
	"github.com/hone-rl/hone/policy/weights"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
)

// leaseTime is how long a trainer may work before another may take over without having been heard of.
const leaseTime = 10 * time.Minute

// state is what moves with a version beside weights and optimiser.
type state struct {
	// Beta is the coefficient of the divergence that the next update starts with.
	Beta float64 `json:"beta"`
	// EntropyCoef is the coefficient of the entropy that the next update starts with, where it is steered to a target.
	EntropyCoef float64 `json:"entropy_coef,omitempty"`
	// Prompts is how many problems have been dealt so far: the data cursor.
	Prompts int `json:"prompts"`
}

// firstState moves with version 0.
func (j Job) firstState() state {
	first := state{Beta: j.PPO.KLCoef}
	if j.PPO.EntropyTarget > 0 {
		first.EntropyCoef = j.PPO.EntropyCoef
	}
	return first
}

// SupervisedStart trains and publishes version 0, or takes it from the run that this one goes on from.
func (a *Activities) SupervisedStart(ctx context.Context, in SupervisedStartInput) (out SupervisedStartOutput, err error) {
	err = beating(ctx, "supervised start", func(ctx context.Context, p *pulse) error {
		s, err := a.session(ctx, in.Run)
		if err != nil {
			return err
		}
		head, err := a.deps.Store.Head(ctx, in.Run)
		if err != nil {
			return err
		}
		if head.Number < 0 {
			begin := s.start
			if f := s.job.FromScoring; f.Run != "" && f.Version >= 0 {
				begin = s.goOn
			}
			if err := begin(ctx, p); err != nil {
				return err
			}
		}
		out, err = s.startOutput(ctx)
		out.Seconds = p.seconds()
		return err
	})
	return out, err
}

// start trains version 0 and publishes it.
func (s *session) start(ctx context.Context, p *pulse) error {
	fence, err := s.deps.Store.AcquireLease(ctx, s.run, s.holder(), leaseTime)
	if err != nil {
		return err
	}
	p.phase("write traces", "traces")
	examples, err := s.demonstrations(ctx, 0, s.job.Start.Traces, p)
	if err != nil {
		return err
	}
	params, err := policy.Init(s.shape, hone.Seed(s.job.Seed, "init"))
	if err != nil {
		return err
	}
	p.phase("imitate traces", "steps")
	fitted, err := sft.Fit(ctx, sft.Input{
		Params: params, Set: s.deps.Kernels, Config: s.job.Start.SFT, Examples: examples, Seed: hone.Seed(s.job.Seed, "sft"),
		Progress: func(at sft.Progress) { p.at(at.Step, at.Steps) },
	})
	if err != nil {
		return err
	}
	optimiser, err := policy.NewAdamW(params, s.algorithm.adamW())
	if err != nil {
		return err
	}
	p.phase("store version 0", "")
	version, err := s.store(ctx, params, optimiser, s.job.firstState())
	if err != nil {
		return err
	}
	metrics := map[string]float64{
		"sft_examples": float64(len(examples)), "sft_steps": float64(fitted.Steps), "sft_tokens": float64(fitted.Tokens),
		"sft_loss": fitted.LastEpochLoss, "sft_loss_first": fitted.FirstLoss, "sft_grad_norm_max": fitted.GradNormMax,
		"seconds_start": p.seconds(),
	}
	for name, value := range fitted.Usage.Metrics() {
		metrics["sft_"+name] = value
	}
	return s.deps.Store.PublishFirst(ctx, s.run, fence, storage.First{Version: version, Metrics: metrics})
}

// startOutput is what is stored of the supervised start.
func (s *session) startOutput(ctx context.Context) (SupervisedStartOutput, error) {
	version, err := s.deps.Store.Version(ctx, s.run, 0)
	if err != nil {
		return SupervisedStartOutput{}, err
	}
	m, err := s.deps.Store.IterationMetrics(ctx, s.run, -1)
	if err != nil {
		return SupervisedStartOutput{}, err
	}
	return SupervisedStartOutput{
		Manifest: string(version.Manifest()), Examples: int(m["sft_examples"]), Steps: int(m["sft_steps"]), Loss: finite(m["sft_loss"]),
	}, nil
}

// mostDraws bounds how often a demonstration is drawn until one fits the context.
const mostDraws = 64

// demonstrations are n traces to imitate from the given one on, each of a random training problem in a random style. One that is longer
// than the context is drawn again.
func (s *session) demonstrations(ctx context.Context, from, n int, p *pulse) ([]sft.Example, error) {
	examples := make([]sft.Example, n)
	for i := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seed := hone.Seed(s.job.Seed, "demonstration", from+i)
		for drawn, fits := 0, false; !fits; drawn++ {
			switch {
			case drawn == mostDraws:
				e := examples[i]
				return nil, fmt.Errorf("demonstration %d: %d in a row are longer than policy.context %d, the last of %d tokens: raise it, or "+
					"ask for shorter ones: %w", from+i, drawn, s.shape.Context, len(e.Prompt)+len(e.Completion), hone.ErrInvalid)
			case drawn > 0:
				seed = hone.Seed(seed, "drawn again", drawn)
			}
			var err error
			if examples[i], err = s.demonstration(hone.Rand(seed)); err != nil {
				return nil, err
			}
			fits = len(examples[i].Prompt)+len(examples[i].Completion) <= s.shape.Context
		}
		p.at(i+1, len(examples))
	}
	return examples, nil
}

// demonstration is one trace to imitate, of a random training problem in a random style.
func (s *session) demonstration(rng *rand.Rand) (sft.Example, error) {
	c, problem, style := s.job.Start, s.train[rng.IntN(len(s.train))], task.StyleSolve
	switch at := rng.Float64() * c.shares(); {
	case at < c.Walk:
		style = task.StyleWalk
	case at < c.Walk+c.Retry:
		style = task.StyleRetry
	case at < c.Walk+c.Retry+c.Search:
		style = task.StyleSearch
	}
	text, err := s.task.Demonstrate(problem, rng, style)
	if err != nil {
		return sft.Example{}, fmt.Errorf("demonstrate %s: %w", problem.ID(), err)
	}
	prompt, err := s.token.Encode(problem.Prompt)
	if err != nil {
		return sft.Example{}, fmt.Errorf("prompt of %s: %w", problem.ID(), err)
	}
	completion, err := s.token.Encode(text)
	if err != nil {
		return sft.Example{}, fmt.Errorf("demonstration of %s: %w", problem.ID(), err)
	}
	return sft.Example{Prompt: prompt, Completion: append(completion, s.token.EOS())}, nil
}

// holder is the name under which this run is trained. It is the same in every process: whoever comes last has the newest fence,
// and the one before can no longer commit.
func (s *session) holder() string { return "learner/" + string(s.run) }

// store puts a version's parts where they last, before anything names them.
func (s *session) store(ctx context.Context, params *policy.Params, optimiser *policy.AdamW, st state) (v storage.Version, err error) {
	if v.Weights, _, err = s.deps.Blobs.Put(ctx, func(w io.Writer) error { return weights.Save(w, params, nil) }); err != nil {
		return v, fmt.Errorf("store weights: %w", err)
	}
	if v.Optimiser, _, err = s.deps.Blobs.Put(ctx, func(w io.Writer) error {
		return weights.SaveState(w, optimiser.State(), nil)
	}); err != nil {
		return v, fmt.Errorf("store optimiser: %w", err)
	}
	if v.State, err = json.Marshal(st); err != nil {
		return v, fmt.Errorf("encode state: %w", err)
	}
	return v, nil
}

package activities

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/policy/sft"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/countdown"
	"github.com/hone-rl/hone/task/game24"
)

// Job is everything that a run is a function of: the same job gives the same bytes. It is stored with the run, and a run is never
// continued under another one.
type Job struct {
	// Seed is where all of the run's random streams start.
	Seed uint64 `json:"seed" yaml:"seed"`
	// Task names the problems: "game24" or "countdown".
	Task string `json:"task" yaml:"task"`
	// Game24 and Countdown shape the task of that name.
	Game24    game24.Config    `json:"game24" yaml:"game24"`
	Countdown countdown.Config `json:"countdown" yaml:"countdown"`
	// Problems is the digest of a stored list of problems to train on, which hone schedule makes; "" means the task's own.
	Problems string `json:"problems,omitempty" yaml:"problems"`
	// Policy is the shape of the policy. A vocabulary of 0 means the tokenizer's.
	Policy policy.Config `json:"policy" yaml:"policy"`
	// Start is the supervised start.
	Start StartConfig `json:"start" yaml:"start"`
	// Cycles is the number of updates that the learning-rate schedule is laid over, >= 1; a run may be extended beyond it.
	Cycles int `json:"cycles" yaml:"cycles"`
	// Prompts is the number of problems sampled in a cycle, >= 1, each rollout.Config.Group times.
	Prompts int `json:"prompts" yaml:"prompts"`
	// Searched is the number of further problems of a cycle that are solved by tree search, >= 0.
	Searched int            `json:"searched" yaml:"searched"`
	Rollout  rollout.Config `json:"rollout" yaml:"rollout"`
	Reward   stack.Config   `json:"reward" yaml:"reward"`
	// Algorithm is how a cycle's trajectories change the policy; it reads the part of the job of its own name alone.
	Algorithm Algorithm `json:"algorithm,omitempty" yaml:"algorithm"`
	// Temperature is how the temperature of sampling changes over the cycles, from the rollout's own.
	Temperature policy.Curve     `json:"temperature,omitzero" yaml:"temperature"`
	PPO         ppo.Config       `json:"ppo" yaml:"ppo"`
	Rejection   RejectionConfig  `json:"rejection,omitzero" yaml:"rejection"`
	DPO         DPOConfig        `json:"dpo,omitzero" yaml:"dpo"`
	Supervised  SupervisedConfig `json:"supervised,omitzero" yaml:"supervised"`
	// FromScoring is a beginning on trajectories that another run stored.
	FromScoring FromScoring `json:"from_scoring,omitzero" yaml:"from_scoring"`
}

// StartConfig is the supervised start: traces of true steps that teach the format and the arithmetic, not the game.
type StartConfig struct {
	// Traces is the number of demonstrations, >= 1.
	Traces int `json:"traces" yaml:"traces"`
	// Solve, Walk, Retry and Search are the shares of the styles of that name, >= 0, in any unit; not all are 0.
	Solve  float64 `json:"solve" yaml:"solve"`
	Walk   float64 `json:"walk" yaml:"walk"`
	Retry  float64 `json:"retry" yaml:"retry"`
	Search float64 `json:"search,omitempty" yaml:"search"`
	// SFT is how they are imitated.
	SFT sft.Config `json:"sft" yaml:"sft"`
}

// shares is the sum of the styles' shares.
func (s StartConfig) shares() float64 { return s.Solve + s.Walk + s.Retry + s.Search }

// Tokenizer is the name of the tokenizer that the arithmetic tasks are read and written with.
const Tokenizer = "arithmetic-v1"

// DefaultJob trains a million parameters on Game of 24.
func DefaultJob() Job {
	shape := policy.DefaultConfig()
	shape.Vocab = 0
	return Job{
		Seed: 1, Task: game24.Name,
		Game24: game24.DefaultConfig(), Countdown: countdown.DefaultConfig(),
		Policy: shape,
		Start:  StartConfig{Traces: 5000, Solve: 0.2, Walk: 0.8, SFT: sft.DefaultConfig()},
		Cycles: 80, Prompts: 64, Searched: 8,
		Rollout: rollout.DefaultConfig(), Reward: stack.DefaultConfig(),
		Algorithm: AlgorithmPPO, PPO: ppo.DefaultConfig(), Rejection: DefaultRejectionConfig(), DPO: DefaultDPOConfig(),
		Supervised: DefaultSupervisedConfig(),
	}
}

// Validate joins all faults of the job; each wraps [hone.ErrInvalid] or [hone.ErrNotFound].
func (j Job) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if !slices.Contains([]string{game24.Name, countdown.Name}, j.Task) {
		fault("task %q: want %q or %q", j.Task, game24.Name, countdown.Name)
	}
	for _, n := range []struct {
		name         string
		value, least int
	}{{"cycles", j.Cycles, 1}, {"prompts", j.Prompts, 1}, {"searched", j.Searched, 0}, {"start: traces", j.Start.Traces, 1}} {
		if n.value < n.least {
			fault("%s %d: want at least %d", n.name, n.value, n.least)
		}
	}
	s := j.Start
	if total := s.shares(); !(min(s.Solve, s.Walk, s.Retry, s.Search) >= 0 && total > 0) || math.IsInf(total, 0) {
		fault("start: solve %v, walk %v, retry %v, search %v: want finite shares of at least 0, not all 0", s.Solve, s.Walk, s.Retry, s.Search)
	}
	if s.SFT.ConstraintCoef > 0 {
		faults = append(faults, errNothingForbidden("start: sft.constraint_coef", s.SFT))
	}
	if j.Rollout.TopUp > 1 && (cmp.Or(j.Algorithm, AlgorithmPPO) != AlgorithmPPO || j.PPO.GroupSpread == 0) {
		fault("rollout: top_up %v makes up for groups that ppo.group_spread leaves out, and with algorithm %s and ppo.group_spread %v "+
			"none is: want 1", j.Rollout.TopUp, cmp.Or(j.Algorithm, AlgorithmPPO), j.PPO.GroupSpread)
	}
	if j.Rollout.Precision == decode.BF16 && cmp.Or(j.Algorithm, AlgorithmPPO) == AlgorithmPPO && j.PPO.Importance.Truncate == 0 {
		fault("rollout: precision bf16 samples from another policy than ppo trains: ppo.importance.truncate is 0, want 1 or more, such as 2")
	}
	if k := j.Rollout.Staleness; k > j.PPO.Importance.MaxStaleness && cmp.Or(j.Algorithm, AlgorithmPPO) == AlgorithmPPO {
		fault("rollout: staleness %d: ppo.importance.max_staleness is %d, so that nothing that was sampled would be learned from: "+
			"want at least as much",
			k, j.PPO.Importance.MaxStaleness)
	}
	if j.Rollout.Staleness > 0 && j.FromScoring.Run != "" {
		fault("rollout: staleness %d: a run that begins on what another one sampled learns from it in turn: want 0", j.Rollout.Staleness)
	}
	if j.Problems != "" {
		if err := blob.Digest(j.Problems).Validate(); err != nil {
			faults = append(faults, fmt.Errorf("problems: %w", err))
		}
	}
	shape, err := j.shape()
	if err != nil {
		faults = append(faults, err)
	}
	algorithm, err := j.algorithm()
	if err == nil {
		err = algorithm.validate()
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", cmp.Or(j.Algorithm, AlgorithmPPO), err))
	}
	for _, part := range []struct {
		name string
		err  error
	}{
		{"game24", j.Game24.Validate()},
		{"countdown", j.Countdown.Validate()},
		{"policy", shape.Validate()},
		{"start", s.SFT.Validate()},
		{"rollout", j.Rollout.Validate()},
		{"temperature", j.coolest()},
		{"reward", j.Reward.Validate()},
		{"from_scoring", j.FromScoring.validate(j)},
	} {
		if part.err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", part.name, part.err))
		}
	}
	return errors.Join(faults...)
}

// coolest reports a temperature that goes nowhere, or to 0, at which all samples are one.
func (j Job) coolest() error {
	c := j.Temperature
	if (c.Shape == policy.ShapeLinear || c.Shape == policy.ShapeCosine) && c.To == 0 {
		return fmt.Errorf("to is 0: want a number above 0: %w", hone.ErrInvalid)
	}
	return c.Validate()
}

// fingerprint names what the job samples with on these kernels.
func (j Job) fingerprint(kernels *kernel.Set) string {
	return j.Rollout.Precision.Fingerprint(kernels.Fingerprint())
}

// sampling is how the rollouts of a cycle are made.
func (j Job) sampling(cycle int) rollout.Config {
	c := j.Rollout
	c.Sampling.Temperature = j.Temperature.At(c.Sampling.Temperature, cycle, j.Cycles)
	return c
}

// shape is the policy's, with the tokenizer's vocabulary filled in.
func (j Job) shape() (policy.Config, error) {
	tok, err := token.Open(Tokenizer)
	if err != nil {
		return policy.Config{}, err
	}
	shape := j.Policy
	if shape.Vocab == 0 {
		shape.Vocab = tok.Vocab()
	}
	if shape.Vocab != tok.Vocab() {
		return shape, fmt.Errorf("policy: vocab %d: tokenizer %s has %d; leave it at 0: %w", shape.Vocab, Tokenizer, tok.Vocab(), hone.ErrInvalid)
	}
	return shape, nil
}

// newTask builds the job's task. yao is the list of puzzles that are kept for evaluation beside the held-out ones where the job has none;
// it may be empty.
func (j Job) newTask(yao [][]int) (problems, error) {
	switch j.Task {
	case game24.Name:
		cfg := j.Game24
		if len(cfg.Yao) == 0 {
			cfg.Yao = yao
		}
		return game24.New(cfg)
	case countdown.Name:
		return countdown.New(j.Countdown)
	}
	return nil, fmt.Errorf("task %q: want %q or %q: %w", j.Task, game24.Name, countdown.Name, hone.ErrInvalid)
}

// problems is a task that can also be demonstrated.
type problems interface {
	task.Task
	task.Demonstrator
}

// decodeJob reads a stored job strictly: a field that this binary doesn't know would be ignored in silence otherwise.
func decodeJob(raw json.RawMessage) (Job, error) {
	var job Job
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&job); err != nil {
		return job, fmt.Errorf("configuration of the run: %w: %w", err, hone.ErrInvalid)
	}
	return job, job.Validate()
}

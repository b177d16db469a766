package policy

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

// AdamWConfig are the numbers of the optimiser that stay the same over a run.
type AdamWConfig struct {
	// Beta1 and Beta2 are the decay rates of the means of the gradient and of its square, in [0, 1).
	Beta1 float64 `json:"beta1" yaml:"beta1"`
	Beta2 float64 `json:"beta2" yaml:"beta2"`
	// Eps is added to the root of the corrected mean square, > 0.
	Eps float64 `json:"eps" yaml:"eps"`
	// WeightDecay times the learning rate is the part of itself that each weight of a matrix loses in a step, >= 0. Norms, biases and the
	// value head, which are vectors, don't decay.
	WeightDecay float64 `json:"weight_decay" yaml:"weight_decay"`
	// ClipNorm is the largest Euclidean norm of all gradients together; larger ones are scaled down to it. 0 clips nothing.
	ClipNorm float64 `json:"clip_norm" yaml:"clip_norm"`
}

// DefaultAdamWConfig is usual for language models: Touvron et al. 2023, arXiv:2302.13971, sec. 2.3, with a smaller weight decay and
// the Eps of PPO implementations.
func DefaultAdamWConfig() AdamWConfig {
	return AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.01, ClipNorm: 1}
}

// Validate joins all faults; each wraps hone.ErrInvalid and prints the value.
func (c AdamWConfig) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("adamw config: "+format+": %w", append(args, hone.ErrInvalid)...))
	}
	if !(c.Beta1 >= 0 && c.Beta1 < 1) {
		fault("beta1 is %g, must be at least 0 and below 1", c.Beta1)
	}
	if !(c.Beta2 >= 0 && c.Beta2 < 1) {
		fault("beta2 is %g, must be at least 0 and below 1", c.Beta2)
	}
	if !(c.Eps > 0) || math.IsInf(c.Eps, 0) {
		fault("eps is %g, must be more than 0", c.Eps)
	}
	if !(c.WeightDecay >= 0) || math.IsInf(c.WeightDecay, 0) {
		fault("weight_decay is %g, must be at least 0", c.WeightDecay)
	}
	if !(c.ClipNorm >= 0) || math.IsInf(c.ClipNorm, 0) {
		fault("clip_norm is %g, must be at least 0", c.ClipNorm)
	}
	return errors.Join(faults...)
}

// AdamWState is what an AdamW knows beside its configuration: the part of a checkpoint that makes training go on exactly.
type AdamWState struct {
	// M and V are the running means of the gradient and of its square, in the shape of the policy.
	M, V *Params
	// Step is the number of steps taken.
	Step int
}

// AdamW is the optimiser of Loshchilov and Hutter 2019, arXiv:1711.05101, alg. 2, with a clip of the global norm before it.
type AdamW struct {
	config AdamWConfig
	state  AdamWState
}

// NewAdamW starts with zero moments for policies of the shape of params.
func NewAdamW(params *Params, config AdamWConfig) (*AdamW, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &AdamW{config: config, state: AdamWState{M: newParams(params.config), V: newParams(params.config)}}, nil
}

// State is the optimiser's own: it changes with the next Step; Clone what must not.
func (a *AdamW) State() AdamWState { return a.state }

// Restore goes on from a state, which it copies. A state of another shape or with a negative step is hone.ErrInvalid.
func (a *AdamW) Restore(s AdamWState) error {
	if s.M == nil || s.V == nil || s.M.config != a.state.M.config || s.V.config != a.state.M.config {
		return fmt.Errorf("restore optimiser: moments are not of the policy's shape: %w", hone.ErrInvalid)
	}
	if s.Step < 0 {
		return fmt.Errorf("restore optimiser: step is %d, must be at least 0: %w", s.Step, hone.ErrInvalid)
	}
	a.state = AdamWState{M: s.M.Clone(), V: s.V.Clone(), Step: s.Step}
	return nil
}

// Step moves params against grads by the learning rate, and returns the norm of grads before clipping. A gradient that is NaN or infinite
// is hone.ErrNonFinite, naming the tensor; then neither params nor the optimiser has changed, and the step does not count. Shapes that
// differ from the optimiser's are hone.ErrInvalid.
func (a *AdamW) Step(set *kernel.Set, params, grads *Params, learningRate float64) (gradNorm float64, err error) {
	if params.config != a.state.M.config || grads.config != a.state.M.config {
		return 0, fmt.Errorf("adamw step: policy or gradients are not of the optimiser's shape: %w", hone.ErrInvalid)
	}
	if !(learningRate >= 0) || math.IsInf(learningRate, 0) {
		return 0, fmt.Errorf("adamw step: learning rate is %g, must be at least 0: %w", learningRate, hone.ErrInvalid)
	}
	norm := math.Sqrt(set.SquaredNorm(grads.flat))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		if name, index, found := grads.firstNonFinite(); found {
			return norm, fmt.Errorf("adamw step %d: gradient of %s at %d: %w", a.state.Step+1, name, index, hone.ErrNonFinite)
		}
		return norm, fmt.Errorf("adamw step %d: norm of the gradients is %v: %w", a.state.Step+1, norm, hone.ErrNonFinite)
	}
	a.state.Step++
	update := a.update(norm, learningRate)
	// Tensors lie one after the other: neighbours that decay alike are done together.
	for from, i := 0, 0; i < len(params.tensors); {
		vector := len(params.tensors[i].Shape) == 1
		to := from
		for ; i < len(params.tensors) && (len(params.tensors[i].Shape) == 1) == vector; i++ {
			to += len(params.tensors[i].Data)
		}
		u := update
		if vector {
			u.Decay = 0
		}
		set.Update(u, params.flat[from:to], grads.flat[from:to], kernel.Moments{M: a.state.M.flat[from:to], V: a.state.V.flat[from:to]})
		from = to
	}
	return norm, nil
}

func (a *AdamW) update(norm, learningRate float64) kernel.AdamW {
	c, t := a.config, float64(a.state.Step)
	scale := 1.0
	if c.ClipNorm > 0 && norm > c.ClipNorm {
		scale = c.ClipNorm / norm
	}
	return kernel.AdamW{
		Rate: float32(learningRate), Decay: float32(c.WeightDecay), Beta1: float32(c.Beta1), Beta2: float32(c.Beta2), Eps: float32(c.Eps),
		Correction1: float32(1 - math.Pow(c.Beta1, t)), Correction2: float32(1 - math.Pow(c.Beta2, t)), GradScale: float32(scale),
	}
}

package ppo

import (
	"errors"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Schedules change settings of [Config] over the cycles of a run, each from its value there to its curve's. A curve without a shape
// leaves a setting as it is. What a cycle is trained with is a function of its number, so a resumed run goes on exactly.
type Schedules struct {
	// LearningRate is what follows the warm-up. Without a shape it falls along a cosine to a tenth.
	LearningRate policy.Curve `yaml:"learning_rate" json:"learning_rate"`
	KLTarget     policy.Curve `yaml:"kl_target" json:"kl_target"`
	// Entropy changes the target where there is one, and the coefficient where there is none.
	Entropy  policy.Curve `yaml:"entropy" json:"entropy"`
	ClipLow  policy.Curve `yaml:"clip_low" json:"clip_low"`
	ClipHigh policy.Curve `yaml:"clip_high" json:"clip_high"`
}

// validate reports curves out of range, and curves whose end the configuration itself would refuse.
func (s Schedules) validate(c Config) error {
	var errs []error
	for _, x := range []struct {
		name  string
		curve policy.Curve
	}{
		{"learning_rate", s.LearningRate},
		{"kl_target", s.KLTarget},
		{"entropy", s.Entropy},
		{"clip_low", s.ClipLow},
		{"clip_high", s.ClipHigh},
	} {
		if err := x.curve.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("ppo: schedules.%s: %w", x.name, err))
		}
	}
	refuse := func(curve policy.Curve, name, rule string, ok bool) {
		if (curve.Shape == policy.ShapeLinear || curve.Shape == policy.ShapeCosine) && !ok {
			errs = append(errs, fmt.Errorf("ppo: schedules.%s.to is %v, must be %s: %w", name, curve.To, rule, hone.ErrInvalid))
		}
	}
	refuse(s.LearningRate, "learning_rate", fmt.Sprintf("in [0, %v], the rate's peak", c.LearningRate), s.LearningRate.To <= c.LearningRate)
	refuse(s.KLTarget, "kl_target", "above 0, as kl_target is", (c.KLTarget > 0) == (s.KLTarget.To > 0))
	refuse(s.Entropy, "entropy", "above 0 where there is an entropy_target", c.EntropyTarget == 0 || s.Entropy.To > 0)
	refuse(s.ClipLow, "clip_low", "in (0, 1]", s.ClipLow.To > 0 && s.ClipLow.To <= 1)
	refuse(s.ClipHigh, "clip_high", "above 0", s.ClipHigh.To > 0)
	return errors.Join(errs...)
}

// At is the configuration of a cycle, counted from 0, of a run of so many. The learning rate is [Config.Schedule]'s, which warms up.
func (c Config) At(cycle, cycles int) Config {
	s := c.Schedules
	c.KLTarget = s.KLTarget.At(c.KLTarget, cycle, cycles)
	if c.EntropyTarget > 0 {
		c.EntropyTarget = s.Entropy.At(c.EntropyTarget, cycle, cycles)
	} else {
		c.EntropyCoef = s.Entropy.At(c.EntropyCoef, cycle, cycles)
	}
	c.ClipLow = s.ClipLow.At(c.ClipLow, cycle, cycles)
	c.ClipHigh = s.ClipHigh.At(c.ClipHigh, cycle, cycles)
	return c
}

// Schedule is the learning rate over a run of the given number of updates, by the number of the update: all steps of one have the
// same. It rises over the warm-up and then goes as Schedules.LearningRate says. A warm-up longer than the run is cut to fit.
func (c Config) Schedule(updates int) policy.Schedule {
	s := policy.Schedule{Warmup: min(c.Warmup, max(updates-1, 0)), Total: updates, Peak: c.LearningRate, Floor: c.LearningRate / 10}
	if curve := c.Schedules.LearningRate; curve.Shape != "" {
		s.Shape, s.Floor = curve.Shape, curve.To
	}
	return s
}

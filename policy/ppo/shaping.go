package ppo

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Shaping changes what a trajectory earned before it is trained on. The unshaped reward is what is stored, logged as reward_mean and
// compared with group_spread. The zero value changes nothing.
//
// In this order: each reward is multiplied by Scale; Scale*Bias is added on the last token; what the whole is beyond Clip is taken
// off the last token; and then the penalties are. Penalties only take: multiplying a reward would help a negative one.
type Shaping struct {
	// Bias is added to a trajectory's reward.
	Bias float64 `yaml:"bias" json:"bias"`
	// Scale multiplies it, > 0; 0 is 1.
	Scale float64 `yaml:"scale" json:"scale"`
	// Clip bounds it to [-Clip, Clip], >= 0; 0 is off.
	Clip float64 `yaml:"clip" json:"clip"`
	// OverlongBuffer is the number of tokens before the limit over which a penalty rises from 0 to OverlongPenalty, >= 0; 0 is off.
	// Yu et al. 2025, arXiv:2503.14476, eq. 13.
	OverlongBuffer int `yaml:"overlong_buffer" json:"overlong_buffer"`
	// OverlongPenalty is what a trajectory at the limit loses, in reward, >= 0.
	OverlongPenalty float64 `yaml:"overlong_penalty" json:"overlong_penalty"`
	// MissingEOS is what a trajectory loses that did not end by itself, as the sampler says, in reward, >= 0.
	MissingEOS float64 `yaml:"missing_eos" json:"missing_eos"`
	// Whiten scales the tokens' rewards, charges included, to a deviation of 1 over the batch, without shifting their mean.
	Whiten bool `yaml:"whiten" json:"whiten"`
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (c Shaping) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("ppo: shaping.%s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	want(!math.IsNaN(c.Bias) && !math.IsInf(c.Bias, 0), "bias", c.Bias, "finite")
	want(atLeastZero(c.Scale), "scale", c.Scale, "at least 0")
	want(atLeastZero(c.Clip), "clip", c.Clip, "at least 0")
	want(c.OverlongBuffer >= 0, "overlong_buffer", c.OverlongBuffer, "at least 0")
	want(atLeastZero(c.OverlongPenalty), "overlong_penalty", c.OverlongPenalty, "at least 0")
	want((c.OverlongBuffer > 0) == (c.OverlongPenalty > 0), "overlong_penalty", c.OverlongPenalty,
		"above 0 with an overlong_buffer, and 0 without")
	want(atLeastZero(c.MissingEOS), "missing_eos", c.MissingEOS, "at least 0")
	return errors.Join(errs...)
}

// apply is the shaped rewards of a trajectory that earned task, [T], and ended so; limit is the most tokens it could have had.
func (c Shaping) apply(task []float64, finish hone.Finish, limit int) []float64 {
	out := append([]float64(nil), task...)
	last := len(out) - 1
	if c.Scale > 0 {
		for t := range out {
			out[t] *= c.Scale
		}
		out[last] += c.Scale * c.Bias
	} else {
		out[last] += c.Bias
	}
	if c.Clip > 0 {
		total := sum(out)
		out[last] += max(-c.Clip, min(c.Clip, total)) - total
	}
	if c.OverlongBuffer > 0 {
		out[last] += c.OverlongPenalty * overlong(len(out), limit, c.OverlongBuffer)
	}
	if c.MissingEOS > 0 && finish != hone.FinishStop {
		out[last] -= c.MissingEOS
	}
	return out
}

// overlong is 0 for a completion of up to limit-buffer tokens, -1 for one of limit tokens or more, and falls in a line between.
func overlong(tokens, limit, buffer int) float64 {
	return max(-1, min(0, float64(limit-buffer-tokens)/float64(buffer)))
}

package ppo

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hone-rl/hone"
)

// Guard says what a run must not come to. A limit of 0 is off, and so is the zero value. What it finds is a reason to stop and look,
// not a fault of the update: the run is paused after the cycle, and goes on when it is told to.
type Guard struct {
	// GradNorm is the norm of the gradient before clipping above which a step is counted in grad_norm_alarms. It pauses nothing.
	GradNorm float64 `yaml:"grad_norm" json:"grad_norm"`
	// EntropyFloor is the least mean entropy, in nats a token.
	EntropyFloor float64 `yaml:"entropy_floor" json:"entropy_floor"`
	// KLCeiling is the greatest mean divergence from the reference (kl_ref_k3), in nats a token.
	KLCeiling float64 `yaml:"kl_ceiling" json:"kl_ceiling"`
	// LengthMin and LengthMax are the least and the greatest mean length of sampled completions, in tokens.
	LengthMin float64 `yaml:"length_min" json:"length_min"`
	LengthMax float64 `yaml:"length_max" json:"length_max"`
	// DivergenceWindow is a number of cycles, at least 2: where over the later half of it the mean reward is higher than over
	// the earlier, and the accuracy lower by DivergenceDrop or more, rewards are earned by something else than right answers.
	DivergenceWindow int `yaml:"divergence_window" json:"divergence_window"`
	// DivergenceDrop is in (0, 1] with a window.
	DivergenceDrop float64 `yaml:"divergence_drop" json:"divergence_drop"`
}

// Health is what a [Guard] looks at of one cycle.
type Health struct {
	// Entropy and KL are in nats a token, KL being kl_ref_k3; Length is in tokens.
	Entropy, KL, Length float64
	// Reward is the mean over trajectories, Accuracy the share of right answers among the judged.
	Reward, Accuracy float64
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (g Guard) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("ppo: guard.%s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	for _, x := range []struct {
		name  string
		value float64
	}{
		{"grad_norm", g.GradNorm},
		{"entropy_floor", g.EntropyFloor},
		{"kl_ceiling", g.KLCeiling},
		{"length_min", g.LengthMin},
		{"length_max", g.LengthMax},
	} {
		want(x.value >= 0 && !math.IsInf(x.value, 0), x.name, x.value, "at least 0")
	}
	want(g.LengthMax == 0 || g.LengthMin < g.LengthMax, "length_min", g.LengthMin, fmt.Sprintf("below length_max, %v", g.LengthMax))
	want(g.DivergenceWindow == 0 || g.DivergenceWindow >= 2, "divergence_window", g.DivergenceWindow, "0 or at least 2")
	want(g.DivergenceDrop >= 0 && g.DivergenceDrop <= 1 && (g.DivergenceWindow > 0) == (g.DivergenceDrop > 0),
		"divergence_drop", g.DivergenceDrop, "in (0, 1] with a divergence_window, and 0 without")
	return errors.Join(errs...)
}

// Window is the number of newest cycles that [Guard.Alarm] looks at, and one before them.
func (g Guard) Window() int { return max(g.DivergenceWindow, 1) + 1 }

// Alarm says in words what the newest cycle of history came to that the guard rules out, or "". history is oldest first. A limit that
// the cycle before had crossed as well says nothing again, so that a run which was told to go on does.
func (g Guard) Alarm(history []Health) string {
	if len(history) == 0 {
		return ""
	}
	now := g.crossed(history)
	before := g.crossed(history[:len(history)-1])
	var reasons []string
	for i, reason := range now {
		if reason != "" && before[i] == "" {
			reasons = append(reasons, reason)
		}
	}
	return strings.Join(reasons, "; ")
}

// guardLimits is the number of limits that crossed looks at.
const guardLimits = 5

// crossed is, limit by limit, what the last of history came to; "" where the limit holds.
func (g Guard) crossed(history []Health) (reasons [guardLimits]string) {
	if len(history) == 0 {
		return reasons
	}
	h := history[len(history)-1]
	if g.EntropyFloor > 0 && h.Entropy < g.EntropyFloor {
		reasons[0] = fmt.Sprintf("entropy %.4g is below guard.entropy_floor %g", h.Entropy, g.EntropyFloor)
	}
	if g.KLCeiling > 0 && h.KL > g.KLCeiling {
		reasons[1] = fmt.Sprintf("divergence from the reference %.4g is above guard.kl_ceiling %g", h.KL, g.KLCeiling)
	}
	if g.LengthMin > 0 && h.Length < g.LengthMin {
		reasons[2] = fmt.Sprintf("mean length %.4g is below guard.length_min %g", h.Length, g.LengthMin)
	}
	if g.LengthMax > 0 && h.Length > g.LengthMax {
		reasons[3] = fmt.Sprintf("mean length %.4g is above guard.length_max %g", h.Length, g.LengthMax)
	}
	if w := g.DivergenceWindow; w > 0 && len(history) >= w {
		window := history[len(history)-w:]
		early, late := meanHealth(window[:w/2]), meanHealth(window[w-w/2:])
		if late.Reward > early.Reward && late.Accuracy <= early.Accuracy-g.DivergenceDrop {
			reasons[4] = fmt.Sprintf("over %d cycles the reward rose from %.4g to %.4g while the accuracy fell from %.3f to %.3f",
				w, early.Reward, late.Reward, early.Accuracy, late.Accuracy)
		}
	}
	return reasons
}

// meanHealth is the mean reward and accuracy of some cycles, at least one.
func meanHealth(cycles []Health) (mean Health) {
	n := float64(len(cycles))
	for _, h := range cycles {
		mean.Reward += h.Reward / n
		mean.Accuracy += h.Accuracy / n
	}
	return mean
}

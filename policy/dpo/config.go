package dpo

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
)

// Length says how the log-probabilities of a completion's tokens make up the completion's.
type Length string

// The treatments of length.
const (
	// LengthSum adds them up: the log-probability of the completion, as in the paper. A long completion then weighs more than a short
	// one, and lengthening what is chosen is one way to lower the loss.
	LengthSum Length = "sum"
	// LengthMean divides each sum by its number of tokens, the reference's likewise, so that length by itself earns nothing. Margins are then
	// per token, and beta has to be larger by about the length: Meng et al. 2024, arXiv:2405.14734, section 2.2.
	LengthMean Length = "mean"
)

// Config is everything an update can be told. The zero value is not valid; start from [DefaultConfig].
type Config struct {
	// Beta is the strength of the hold on the reference, > 0: the implicit reward of a completion is beta * log(pi/ref).
	Beta float64 `yaml:"beta" json:"beta"`
	// Smoothing is the assumed probability that a preference is the wrong way round, in [0, 0.5); above 0 no margin is ever large
	// enough to be worth everything. Mitchell 2023, "A note on DPO with noisy preferences".
	Smoothing float64 `yaml:"smoothing" json:"smoothing"`
	// Length is the treatment of length.
	Length Length `yaml:"length" json:"length"`
	// ChosenCoef weighs the cross-entropy of what is chosen, a token, >= 0. DPO widens the margin as well by making both ways unlikely;
	// this holds the better one up. Pang et al. 2024, arXiv:2404.19733, eq. 1.
	ChosenCoef float64 `yaml:"chosen_coef" json:"chosen_coef"`

	// Epochs is how many times an update goes through its pairs, >= 1.
	Epochs int `yaml:"epochs" json:"epochs"`
	// BatchPairs is the number of pairs of one step of the optimiser, >= 1.
	BatchPairs int `yaml:"batch_pairs" json:"batch_pairs"`
	// BatchTokens is the most tokens, prefixes included, that go through the graph at once, in [1, policy.MaxBatch]; each pair must
	// fit. It bounds memory and changes no result but by rounding.
	BatchTokens int `yaml:"batch_tokens" json:"batch_tokens"`
	// Checkpoint computes each layer twice to hold less memory, see policy.TrainerOptions.
	Checkpoint bool `yaml:"checkpoint" json:"checkpoint"`

	// LearningRate is the peak of the schedule, > 0.
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	// Warmup is the number of updates over which the rate rises to its peak, >= 0.
	Warmup int `yaml:"warmup" json:"warmup"`
	// ClipNorm is the largest norm of the gradient over all parameters, >= 0; 0 does not clip.
	ClipNorm float64 `yaml:"clip_norm" json:"clip_norm"`
}

// DefaultConfig has the paper's beta (arXiv:2305.18290, appendix B) and the cross-entropy of arXiv:2404.19733 at a tenth of its weight; the
// rest suits policies of a million parameters.
func DefaultConfig() Config {
	return Config{
		Beta: 0.1, Length: LengthSum, ChosenCoef: 0.1,
		Epochs: 1, BatchPairs: 32, BatchTokens: 2048, LearningRate: 1e-4, Warmup: 5, ClipNorm: 1,
	}
}

// Validate reports every value that is out of range, joined, each wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	want := func(ok bool, name string, value any, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("dpo: %s is %v, must be %s: %w", name, value, rule, hone.ErrInvalid))
		}
	}
	atLeastZero := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	want(positive(c.Beta), "beta", c.Beta, "above 0")
	want(c.Smoothing >= 0 && c.Smoothing < 0.5, "smoothing", c.Smoothing, "in [0, 0.5)")
	want(c.Length == LengthSum || c.Length == LengthMean, "length", c.Length, "sum or mean")
	want(atLeastZero(c.ChosenCoef), "chosen_coef", c.ChosenCoef, "at least 0")
	want(c.Epochs >= 1, "epochs", c.Epochs, "at least 1")
	want(c.BatchPairs >= 1, "batch_pairs", c.BatchPairs, "at least 1")
	want(c.BatchTokens >= 1 && c.BatchTokens <= policy.MaxBatch, "batch_tokens", c.BatchTokens,
		fmt.Sprintf("in [1, %d]", policy.MaxBatch))
	want(positive(c.LearningRate), "learning_rate", c.LearningRate, "above 0")
	want(c.Warmup >= 0, "warmup", c.Warmup, "at least 0")
	want(atLeastZero(c.ClipNorm), "clip_norm", c.ClipNorm, "at least 0")
	return errors.Join(errs...)
}

// AdamW is the optimiser that c describes. Weights do not decay: the reference holds the policy, not the origin.
func (c Config) AdamW() policy.AdamWConfig {
	a := policy.DefaultAdamWConfig()
	a.WeightDecay, a.ClipNorm = 0, c.ClipNorm
	return a
}

// Schedule is the learning rate over a run of the given number of updates. It rises over the warm-up and falls along a cosine to a
// tenth. A warm-up longer than the run is cut to fit.
func (c Config) Schedule(updates int) policy.Schedule {
	return policy.Schedule{Warmup: min(c.Warmup, max(updates-1, 0)), Total: updates, Peak: c.LearningRate, Floor: c.LearningRate / 10}
}

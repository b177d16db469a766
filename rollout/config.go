package rollout

import (
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// mostStaleness is the largest staleness that makes sense: what is older is another policy's.
const mostStaleness = 16

// Config says how trajectories are made.
type Config struct {
	// MaxTokens is the most tokens of a completion, end of sequence included, >= 1. A completion that reaches it is cut off.
	MaxTokens int `json:"max_tokens" yaml:"max_tokens"`
	// Group is the number of samples for each prompt, >= 1.
	Group int `json:"group" yaml:"group"`
	// TopUp is the most prompts that a cycle samples, in units of its prompts, in [1, 100]; 0 is 1, which samples no further ones. Above
	// 1 the groups that an update would leave out (those whose rewards are about the same) are made up for by further prompts.
	TopUp float64 `json:"top_up,omitempty" yaml:"top_up"`
	// Staleness is by how many versions the policy that samples a cycle may be behind the one that learns from it, in [0, 16]. At 0 every
	// cycle is sampled by the newest policy, after the update before it. At k cycle i is sampled by version max(0, i-k), while the updates
	// up to it go on; each cycle then has its problems at a fixed place of the deal, since how many the one before draws isn't known yet.
	Staleness int `json:"staleness,omitempty" yaml:"staleness"`
	// Batch is the most sequences handed to the decoder in one call, >= 1; the samples of one prompt stay together even where
	// they are more. It bounds memory and sets how often progress is reported.
	Batch int `json:"batch" yaml:"batch"`
	// Sampling is how samples are drawn; its temperature is above 0.
	Sampling decode.Sampling `json:"sampling" yaml:"sampling"`
	// Precision is what the decoder rounds weights, keys and values to: float32, which "" is too, or bf16.
	Precision decode.Precision `json:"precision,omitempty" yaml:"precision"`
	// Search is how trees are grown.
	Search SearchConfig `json:"search" yaml:"search"`
}

// SearchConfig says how trees over reasoning steps are grown.
type SearchConfig struct {
	// Tree is the search's own configuration. Its noise is for making trajectories; evaluation and solving go without.
	Tree mcts.Config `json:"tree" yaml:"tree"`
	// Candidates is the number of continuations sampled for an expansion, >= 1.
	Candidates int `json:"candidates" yaml:"candidates"`
	// Sampling is how candidates are drawn; its temperature is above 0, and priors are probabilities at that temperature. A policy
	// that is sure of its next step writes the same one every time; a temperature above 1 then widens the tree.
	Sampling decode.Sampling `json:"sampling" yaml:"sampling"`
	// StepTokens is the most tokens of one step, >= 1. A step that reaches it without ending is cut off, which ends its line.
	StepTokens int `json:"step_tokens" yaml:"step_tokens"`
	// ValueMin and ValueMax are the range of rewards that judges give; the value head is clamped to it. A line that was cut off
	// is worth ValueMin where there is no judge.
	ValueMin float64 `json:"value_min" yaml:"value_min"`
	ValueMax float64 `json:"value_max" yaml:"value_max"`
	// Rollout is the share, in [0, 1], that the end of the likeliest continuation has in a state's value, beside the value head: what a
	// judge says of it, or without one the value head at that end. Its tokens count, and its steps are the first candidates of the
	// states along it. 0 does without.
	Rollout float64 `json:"rollout" yaml:"rollout"`
	// LengthNormalised takes for a candidate's prior the geometric mean of its tokens' probabilities instead of their product, so
	// that a longer step isn't the less likely for its length.
	LengthNormalised bool `json:"length_normalised" yaml:"length_normalised"`
	// Prune masks the candidates that the task's check finds not good (not parsed, untrue or not allowed). It hands the search
	// knowledge that the policy may not have; without it the search sees the policy alone.
	Prune bool `json:"prune" yaml:"prune"`
	// Forks has steps written one at a time as the search asks for them, about the likeliest first, and none twice, instead of drawing
	// Candidates at random. It goes with the tree's offers, and not with LengthNormalised.
	Forks bool `json:"forks,omitempty" yaml:"forks"`
	// PriorTemperature is tau, above 0, of a fork's prior p^(1/tau), p being its step's probability; 0 is 1. Training makes policies surer
	// than they are right: above 1 a likely line that failed doesn't keep the others waiting for as long. It is for searches with Forks,
	// and for those that answer within a budget, where 0 is 8.
	PriorTemperature float64 `json:"prior_temperature,omitempty" yaml:"prior_temperature"`
	// Cache remembers how states were solved before, over the problems of a run.
	Cache CacheConfig `json:"cache,omitzero" yaml:"cache"`
}

// DefaultConfig samples 8 completions a prompt of up to 192 tokens at temperature 1, and searches with 32 simulations of 6
// candidates. A line of Game of 24 takes 10 to 20 tokens.
func DefaultConfig() Config {
	tree := mcts.DefaultConfig()
	tree.Simulations = 32
	return Config{
		MaxTokens: 192, Group: 8, Batch: 512,
		Sampling: decode.Sampling{Temperature: 1},
		Search: SearchConfig{
			Tree: tree, Candidates: 6, Sampling: decode.Sampling{Temperature: 1},
			StepTokens: 48, ValueMin: 0, ValueMax: 1,
		},
	}
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c Config) Validate() error {
	var topUp error
	if c.TopUp != 0 && !(c.TopUp >= 1 && c.TopUp <= 100) {
		topUp = fmt.Errorf("top_up %v: want a number in [1, 100], or 0 for 1: %w", c.TopUp, hone.ErrInvalid)
	}
	if c.Staleness < 0 || c.Staleness > mostStaleness {
		topUp = errors.Join(topUp, fmt.Errorf("staleness %d: want 0 to %d: %w", c.Staleness, mostStaleness, hone.ErrInvalid))
	}
	return errors.Join(
		atLeastOne("max_tokens", c.MaxTokens),
		atLeastOne("group", c.Group),
		topUp,
		atLeastOne("batch", c.Batch),
		validSampling("sampling", c.Sampling),
		c.Precision.Validate(),
		c.Search.Validate(),
	)
}

// Validate reports every field that is out of range, wrapping [hone.ErrInvalid].
func (c SearchConfig) Validate() error {
	faults := []error{
		c.Tree.Validate(),
		atLeastOne("search candidates", c.Candidates),
		validSampling("search sampling", c.Sampling),
		atLeastOne("search step_tokens", c.StepTokens),
	}
	if !(c.Rollout >= 0 && c.Rollout <= 1) {
		faults = append(faults, fmt.Errorf("search rollout %v: want a number in [0, 1]: %w", c.Rollout, hone.ErrInvalid))
	}
	if c.Forks != c.Tree.Offers || c.Forks && c.LengthNormalised {
		faults = append(faults, fmt.Errorf("search forks %v with tree offers %v and length_normalised %v: want forks and offers together, and "+
			"priors that are probabilities: %w", c.Forks, c.Tree.Offers, c.LengthNormalised, hone.ErrInvalid))
	}
	if c.Forks && c.Cache.Bytes > 0 {
		faults = append(faults, fmt.Errorf("search cache of %d bytes with forks: a search that writes nothing twice takes no remembered steps: "+
			"want 0: %w", c.Cache.Bytes, hone.ErrInvalid))
	}
	if t := c.PriorTemperature; !(t >= 0) || math.IsInf(t, 0) {
		faults = append(faults, fmt.Errorf("search prior_temperature %v: want a finite number above 0, or 0 for the usual: %w",
			t, hone.ErrInvalid))
	}
	faults = append(faults, c.Cache.Validate())
	if !(c.ValueMin < c.ValueMax) || math.IsInf(c.ValueMin, 0) || math.IsInf(c.ValueMax, 0) {
		faults = append(faults, fmt.Errorf("search value_min %v and value_max %v: want finite numbers, the first below the second: %w",
			c.ValueMin, c.ValueMax, hone.ErrInvalid))
	}
	return errors.Join(faults...)
}

// prior is that of a fork whose step has the log-probability.
func (c SearchConfig) prior(logp float64) float64 {
	logp = min(logp, 0)
	if c.PriorTemperature != 0 {
		logp /= c.PriorTemperature
	}
	return math.Exp(logp)
}

func atLeastOne(name string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s %d: want at least 1: %w", name, n, hone.ErrInvalid)
	}
	return nil
}

// validSampling also refuses the greedy temperature 0, at which all samples would be one.
func validSampling(name string, s decode.Sampling) error {
	if s.Temperature == 0 {
		return fmt.Errorf("%s temperature 0: want a number above 0: %w", name, hone.ErrInvalid)
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

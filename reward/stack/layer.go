package stack

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/codetest"
	"github.com/hone-rl/hone/reward/correctness"
	"github.com/hone-rl/hone/reward/efficiency"
	"github.com/hone-rl/hone/reward/expression"
	"github.com/hone-rl/hone/reward/format"
	"github.com/hone-rl/hone/reward/judge"
	"github.com/hone-rl/hone/reward/preference"
	"github.com/hone-rl/hone/reward/progress"
	"github.com/hone-rl/hone/reward/resources"
	"github.com/hone-rl/hone/reward/risk"
	"github.com/hone-rl/hone/reward/step"
	"github.com/hone-rl/hone/task"
)

// LayerConfig is one layer of a stack.
type LayerConfig struct {
	// Layer says which: correctness, step, efficiency, format, progress, risk, judge, preference, codetest, resources or
	// expression.
	Layer string `json:"layer" yaml:"layer"`
	// Name is what the breakdown calls an expression; every other layer has its own name.
	Name string `json:"name,omitempty" yaml:"name,omitempty"`
	// Weight multiplies its scores, >= 0.
	Weight float64 `json:"weight" yaml:"weight"`
	// When counts the layer only where the answer is "right", or only where it is "wrong".
	When reward.Gate `json:"when,omitempty" yaml:"when,omitempty"`
	// Clip holds the layer's total within bounds, before its weight.
	Clip *reward.Bounds `json:"clip,omitempty" yaml:"clip,omitempty"`
	// Normalise divides scores by the number of "steps", or by their deviation over the "group" of a problem's samples.
	Normalise reward.Normalise `json:"normalise,omitempty" yaml:"normalise,omitempty"`
	// Schedule is a factor of the weight over cycles.
	Schedule reward.Schedule `json:"schedule,omitempty" yaml:"schedule,omitempty"`

	// What follows is for the layer of that name, and is its default where nothing is said.
	Efficiency *efficiency.Config `json:"efficiency,omitempty" yaml:"efficiency,omitempty"`
	Risk       *risk.Config       `json:"risk,omitempty" yaml:"risk,omitempty"`
	Judge      *judge.Config      `json:"judge,omitempty" yaml:"judge,omitempty"`
	Preference *preference.Config `json:"preference,omitempty" yaml:"preference,omitempty"`
	Codetest   *codetest.Config   `json:"codetest,omitempty" yaml:"codetest,omitempty"`
	Resources  *resources.Config  `json:"resources,omitempty" yaml:"resources,omitempty"`
	Expression *expression.Config `json:"expression,omitempty" yaml:"expression,omitempty"`
}

// maker is what the stack knows of a kind of layer.
type maker struct {
	// bounds are those of the layer's total, before its weight; nil where there are none.
	bounds *reward.Bounds
	// gate is on by the layer's own rule.
	gate reward.Gate
	// options tells which options were given for it.
	options func(LayerConfig) bool
	// make builds the layer.
	make func(LayerConfig, parts) (reward.Layer, error)
}

// parts are what layers are made of, beside their configuration. The task is nil where faults of the configuration alone are wanted.
type parts struct {
	task task.Task
	open preference.Open
}

// makers are the layers there are, by name.
func makers() map[string]maker {
	none := func(LayerConfig) bool { return false }
	takes := &reward.Bounds{Low: -1, High: 0}
	return map[string]maker{
		correctness.Name: {bounds: &reward.Bounds{Low: 0, High: 1}, options: none, make: func(_ LayerConfig, p parts) (reward.Layer, error) {
			return correctness.New(p.task), nil
		}},
		step.Name: {bounds: takes, options: none, make: func(_ LayerConfig, p parts) (reward.Layer, error) {
			return step.New(p.task), nil
		}},
		format.Name: {bounds: takes, options: none, make: func(_ LayerConfig, p parts) (reward.Layer, error) {
			return format.New(p.task), nil
		}},
		// The sum of differences is the same for all samples of a problem.
		progress.Name: {bounds: &reward.Bounds{}, options: none, make: func(LayerConfig, parts) (reward.Layer, error) {
			return progress.New(), nil
		}},
		efficiency.Name: {
			bounds: takes, gate: reward.WhenRight, options: func(c LayerConfig) bool { return c.Efficiency != nil },
			make: func(c LayerConfig, p parts) (reward.Layer, error) {
				return efficiency.New(orDefault(c.Efficiency, efficiency.DefaultConfig()), p.task)
			},
		},
		risk.Name: {
			bounds: takes, options: func(c LayerConfig) bool { return c.Risk != nil },
			make: func(c LayerConfig, _ parts) (reward.Layer, error) {
				if c.Risk == nil {
					return nil, fmt.Errorf("risk: want rules: %w", hone.ErrInvalid)
				}
				return risk.New(*c.Risk)
			},
		},
		judge.Name: {
			bounds: &reward.Bounds{Low: 0, High: 1}, options: func(c LayerConfig) bool { return c.Judge != nil },
			make: func(c LayerConfig, _ parts) (reward.Layer, error) {
				if c.Judge == nil {
					return nil, fmt.Errorf("judge: want an endpoint: %w", hone.ErrInvalid)
				}
				return judge.New(*c.Judge, judge.Options{})
			},
		},
		preference.Name: {
			bounds: &reward.Bounds{Low: 0, High: 1}, options: func(c LayerConfig) bool { return c.Preference != nil },
			make: func(c LayerConfig, p parts) (reward.Layer, error) {
				cfg := orDefault(c.Preference, preference.Config{})
				if p.task == nil {
					return preference.Unopened{}, cfg.Validate()
				}
				return preference.New(cfg, p.open)
			},
		},
		codetest.Name: {
			bounds: &reward.Bounds{Low: 0, High: 1}, options: func(c LayerConfig) bool { return c.Codetest != nil },
			make: func(c LayerConfig, p parts) (reward.Layer, error) {
				return codetest.New(orDefault(c.Codetest, codetest.Config{}), p.task)
			},
		},
		resources.Name: {
			bounds: takes, gate: reward.WhenRight, options: func(c LayerConfig) bool { return c.Resources != nil },
			make: func(c LayerConfig, p parts) (reward.Layer, error) {
				return resources.New(orDefault(c.Resources, resources.DefaultConfig()), p.task)
			},
		},
		expression.Name: {
			options: func(c LayerConfig) bool { return c.Expression != nil },
			make: func(c LayerConfig, _ parts) (reward.Layer, error) {
				if c.Expression == nil {
					return nil, fmt.Errorf("expression: want a formula: %w", hone.ErrInvalid)
				}
				name := c.Name
				if name == "" {
					name = expression.Name
				}
				return expression.New(name, *c.Expression)
			},
		},
	}
}

// orDefault is what was configured, or the default.
func orDefault[T any](given *T, otherwise T) T {
	if given != nil {
		return *given
	}
	return otherwise
}

// names are those of all layers, in order.
func names(all map[string]maker) []string {
	out := make([]string, 0, len(all))
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// build is the layer with its weight.
func (c LayerConfig) build(p parts) (reward.Weighted, error) {
	all := makers()
	m, ok := all[c.Layer]
	if !ok {
		return reward.Weighted{}, fmt.Errorf("layer %q: want one of %s: %w", c.Layer, strings.Join(names(all), ", "), hone.ErrInvalid)
	}
	for _, name := range names(all) {
		if name != c.Layer && all[name].options(c) {
			return reward.Weighted{}, fmt.Errorf("layer %q has options of %s: %w", c.Layer, name, hone.ErrInvalid)
		}
	}
	if c.Name != "" && c.Layer != expression.Name {
		return reward.Weighted{}, fmt.Errorf("layer %q has the name %q: only an expression is named: %w", c.Layer, c.Name, hone.ErrInvalid)
	}
	layer, err := m.make(c, p)
	if err != nil {
		return reward.Weighted{}, err
	}
	w := reward.Weighted{Layer: layer, Weight: c.Weight, Gate: c.When, Clip: c.Clip, Normalise: c.Normalise, Schedule: c.Schedule}
	return w, w.Validate()
}

func newStack(layers []LayerConfig, p parts) (*reward.Stack, error) {
	weighted := make([]reward.Weighted, len(layers))
	for i, c := range layers {
		var err error
		if weighted[i], err = c.build(p); err != nil {
			return nil, err
		}
	}
	return reward.NewStack(weighted...)
}

// validateLayers reports every fault of the list.
func (c Config) validateLayers() error {
	var faults []error
	if c.Noise {
		faults = append(faults, fmt.Errorf("noise true: it replaces all layers, so a list of them says nothing: %w", hone.ErrInvalid))
	}
	seen := make(map[string]bool)
	paid := false
	for i, l := range c.Layers {
		w, err := l.build(parts{})
		if err != nil {
			faults = append(faults, fmt.Errorf("layers[%d]: %w", i, err))
			continue
		}
		if name := w.Layer.Name(); seen[name] {
			faults = append(faults, fmt.Errorf("layers[%d]: layer %q is twice in the stack: %w", i, name, hone.ErrInvalid))
		}
		if l.Layer == codetest.Name && i > 0 {
			faults = append(faults, fmt.Errorf("layers[%d]: codetest must come first: the others read its verdict: %w", i, hone.ErrInvalid))
		}
		seen[w.Layer.Name()] = true
		paid = paid || l.Weight > 0
	}
	if len(faults) == 0 && !paid {
		faults = append(faults, fmt.Errorf("layers: all weights are 0: nothing would be rewarded: %w", hone.ErrInvalid))
	}
	if len(faults) == 0 && !c.WrongMayWin {
		faults = append(faults, c.rightBeatsWrong())
	}
	return errors.Join(faults...)
}

// rightBeatsWrong holds the worst that a right answer can earn against the best that a wrong one can, at each knot of the schedules:
// between them both are straight.
func (c Config) rightBeatsWrong() error {
	cycles := []int{0}
	for _, l := range c.Layers {
		for _, k := range l.Schedule {
			cycles = append(cycles, k.Cycle)
		}
	}
	all := makers()
	for _, cycle := range cycles {
		right, wrong, pays := 0.0, 0.0, false
		for _, l := range c.Layers {
			weight := l.Weight * l.Schedule.At(cycle)
			if weight == 0 {
				continue
			}
			low, high, err := l.earns(all[l.Layer])
			if err != nil {
				return err
			}
			right, wrong = right+weight*low, wrong+weight*high
			pays = pays || l.Layer == correctness.Name || l.Layer == codetest.Name
		}
		if pays && right <= wrong {
			return fmt.Errorf("layers: at cycle %d a right answer may earn %.4g and a wrong one %.4g: correctness must outweigh the others, or "+
				"set wrong_may_win: %w", cycle, right, wrong, hone.ErrInvalid)
		}
	}
	return nil
}

// earns is the least that the layer can give to a right answer and the most that it can give to a wrong one, before its weight. An answer
// that is neither is not trained on.
func (c LayerConfig) earns(m maker) (right, wrong float64, err error) {
	b := m.bounds
	if c.Clip != nil {
		b = c.Clip
	}
	if b == nil || c.Normalise == reward.PerGroup {
		return 0, 0, fmt.Errorf("layers: what %s can earn has no bounds, so a wrong answer may beat a right one: give it a clip, or set "+
			"wrong_may_win: %w", c.Layer, hone.ErrInvalid)
	}
	if c.Clip == nil && c.Normalise == reward.AsScored && c.When != reward.WhenWrong {
		switch c.Layer {
		case correctness.Name:
			return 1, 0, nil
		case codetest.Name:
			return 1, orDefault(c.Codetest, codetest.Config{}).Partial, nil
		}
	}
	gate := c.When
	if gate == reward.Always {
		gate = m.gate
	}
	if gate != reward.WhenWrong {
		right = math.Min(b.Low, 0)
	}
	if gate != reward.WhenRight {
		wrong = math.Max(b.High, 0)
	}
	return right, wrong, nil
}

// Package expression is the layer of a formula over what the layers before it found, in the language of github.com/expr-lang/expr:
//
//	right && layer["step"] == 0 ? 0.2 : 0
//
// The formula knows outcome (text), right (true or false), layer (the weighted total of each layer before this one, by name), score (the
// same before weights), steps, tokens, characters, cut (true where the token limit ended it) and iteration. Its value is a number, and
// lands on the last step.
package expression

import (
	"context"
	"fmt"
	"math"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name where the configuration gives none.
const Name = "expression"

// Config is the formula.
type Config struct {
	// Formula is at most 1,000 nodes.
	Formula string `json:"formula" yaml:"formula"`
}

// environment is what a formula may read.
type environment struct {
	Outcome    string             `expr:"outcome"`
	Right      bool               `expr:"right"`
	Layer      map[string]float64 `expr:"layer"`
	Score      map[string]float64 `expr:"score"`
	Steps      int                `expr:"steps"`
	Tokens     int                `expr:"tokens"`
	Characters int                `expr:"characters"`
	Cut        bool               `expr:"cut"`
	Iteration  int                `expr:"iteration"`
}

// Layer computes a formula. It is safe for concurrent use.
type Layer struct {
	name    string
	formula string
	program *vm.Program
}

var _ reward.Follower = (*Layer)(nil)

// New compiles the formula. One that is no number, or names what it can't read, is [hone.ErrInvalid].
func New(name string, cfg Config) (*Layer, error) {
	const most = 1000
	program, err := expr.Compile(cfg.Formula, expr.Env(environment{}), expr.AsFloat64(), expr.MaxNodes(most),
		// The clock, and the orders of maps, would give the same trajectory another value.
		expr.DisableBuiltin("now"), expr.DisableBuiltin("keys"), expr.DisableBuiltin("values"), expr.DisableBuiltin("toPairs"))
	if err != nil {
		return nil, fmt.Errorf("formula of layer %q: %w: %w", name, err, hone.ErrInvalid)
	}
	return &Layer{name: name, formula: cfg.Formula, program: program}, nil
}

// Name is the name that the layer was made with.
func (l *Layer) Name() string { return l.name }

// Judge is Follow after no layers.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	return l.Follow(ctx, p, traj, hone.Breakdown{Steps: len(traj.Steps)})
}

// Follow computes the formula. One that fails (a division of integers by zero, a layer that isn't there being used as text) is an error; a
// value that isn't finite is [hone.ErrNonFinite].
func (l *Layer) Follow(_ context.Context, _ hone.Problem, traj hone.Trajectory, before hone.Breakdown) (reward.Judgement, error) {
	if len(traj.Steps) == 0 {
		return reward.Judgement{}, nil
	}
	env := environment{
		Outcome: string(before.Outcome), Right: before.Outcome == hone.OutcomeRight,
		Layer: make(map[string]float64, len(before.Layers)), Score: make(map[string]float64, len(before.Layers)),
		Steps: len(traj.Steps), Tokens: len(traj.Tokens), Characters: len(traj.Text), Cut: traj.Finish == hone.FinishLength,
		Iteration: traj.ID.Iteration,
	}
	for _, s := range before.Layers {
		env.Layer[s.Layer] = s.Total()
		env.Score[s.Layer] = hone.LayerScore{Weight: 1, Terms: s.Terms}.Total()
	}
	value, err := expr.Run(l.program, env)
	if err != nil {
		return reward.Judgement{}, fmt.Errorf("formula %s: %w: %w", l.formula, err, hone.ErrInvalid)
	}
	number, ok := value.(float64)
	if !ok || math.IsNaN(number) || math.IsInf(number, 0) {
		return reward.Judgement{}, fmt.Errorf("formula %s: value %v: %w", l.formula, value, hone.ErrNonFinite)
	}
	return reward.Judgement{Terms: []hone.Term{{Step: len(traj.Steps) - 1, Score: number, Reason: l.formula}}}, nil
}

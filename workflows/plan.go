package workflows

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// Plan is what of a run's configuration decides the order of its work. All else is the activities' business.
type Plan struct {
	// Cycles is the number of cycles of the whole run, >= 0. A run that has more already does no further ones.
	Cycles int `json:"cycles" yaml:"cycles"`
	// Shards is the number of activities that one cycle's rollout is divided into, in [1, 2000]. It is part of no result: the
	// trajectories are the same however they are divided.
	Shards int `json:"shards" yaml:"shards"`
	// ShardSeconds makes shards take about so long each, >= 0: a cycle is divided by what the one before took, into Parallel to 16 times as
	// many. The first has Shards, and so has every one at 0. Rounds after the first have at most as many as prompts.
	ShardSeconds float64 `json:"shard_seconds,omitempty" yaml:"shard_seconds"`
	// Parallel is how many shards or evaluations run at once, in [1, 1000].
	Parallel int `json:"parallel" yaml:"parallel"`
	// Reissue gives a shard to a second worker once it takes so many times what half of its round's shards have taken in the median, >= 1.5; 0
	// never does. It is part of no result.
	Reissue float64 `json:"reissue,omitempty" yaml:"reissue"`
	// EvalEvery is the number of cycles between evaluations during training; 0 means none.
	EvalEvery int `json:"eval_every" yaml:"eval_every"`
	// Start is measured on version 0, Every during training, Final on the result.
	Start []Measure `json:"start" yaml:"start"`
	Every []Measure `json:"every" yaml:"every"`
	Final []Measure `json:"final" yaml:"final"`
	// ContinueEvery is the number of cycles after which the workflow goes on as a new execution, >= 1, to keep its history
	// short; Temporal may ask for it sooner.
	ContinueEvery int `json:"continue_every" yaml:"continue_every"`
}

// Measure is one evaluation: which problems, and how they are answered.
type Measure struct {
	Split hone.Split      `json:"split" yaml:"split"`
	Mode  activities.Mode `json:"mode" yaml:"mode"`
	// Limit is the number of problems; 0 means the whole split.
	Limit int `json:"limit,omitempty" yaml:"limit"`
}

// DefaultPlan measures before and after on held-out problems, greedily and with search, with the accuracy on training problems
// beside it, and greedily on held-out ones in between.
func DefaultPlan() Plan {
	heldOut := Measure{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy}
	ends := []Measure{
		heldOut,
		{Split: hone.SplitHeldOut, Mode: activities.ModeSearch},
		{Split: hone.SplitTrain, Mode: activities.ModeGreedy, Limit: 200},
	}
	return Plan{
		Cycles: 20, Shards: 4, Parallel: 2, Reissue: 3,
		EvalEvery: 5, Start: ends, Every: []Measure{heldOut}, Final: ends,
		ContinueEvery: 50,
	}
}

// Validate joins all faults of the plan; every one wraps [hone.ErrInvalid].
func (p Plan) Validate() error {
	var faults []error
	atLeast := func(name string, value, least int) {
		if value < least {
			faults = append(faults, fmt.Errorf("plan: %s %d: want at least %d: %w", name, value, least, hone.ErrInvalid))
		}
	}
	atLeast("cycles", p.Cycles, 0)
	atLeast("shards", p.Shards, 1)
	atLeast("parallel", p.Parallel, 1)
	for _, n := range []struct {
		name        string
		value, most int
	}{{"shards", p.Shards, maxShards}, {"parallel", p.Parallel, maxParallel}} {
		if n.value > n.most {
			faults = append(faults, fmt.Errorf("plan: %s %d: want at most %d, which is what one workflow's history bears (doc/scale.md): %w",
				n.name, n.value, n.most, hone.ErrInvalid))
		}
	}
	if !(p.ShardSeconds >= 0) || math.IsInf(p.ShardSeconds, 0) {
		faults = append(faults, fmt.Errorf("plan: shard_seconds %v: want a finite number of at least 0: %w", p.ShardSeconds, hone.ErrInvalid))
	}
	if p.Reissue != 0 && !(p.Reissue >= 1.5 && p.Reissue <= 1000) {
		faults = append(faults, fmt.Errorf("plan: reissue %v: want 0 or a number in [1.5, 1000]: %w", p.Reissue, hone.ErrInvalid))
	}
	atLeast("eval_every", p.EvalEvery, 0)
	atLeast("continue_every", p.ContinueEvery, 1)
	for _, list := range []struct {
		name     string
		measures []Measure
	}{{"start", p.Start}, {"every", p.Every}, {"final", p.Final}} {
		for i, m := range list.measures {
			name := fmt.Sprintf("%s[%d]", list.name, i)
			if m.Split == "" {
				faults = append(faults, fmt.Errorf("plan: %s: split is empty: %w", name, hone.ErrInvalid))
			}
			if _, err := activities.ParseMode(m.Mode); err != nil {
				faults = append(faults, fmt.Errorf("plan: %s: %w", name, err))
			}
			atLeast(name+".limit", m.Limit, 0)
		}
	}
	return errors.Join(faults...)
}

// What one workflow bears: its history may have 51,200 events, of which a shard takes 6, and as many if it is issued again; and 2,000
// activities may be under way.
const (
	maxShards   = 2000
	maxParallel = 1000
)

// maxNameLength bounds a run's name, in bytes.
const maxNameLength = 100

// validateName accepts what is safe in a workflow id, a path and a shell.
func validateName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	strange := func(r rune) bool { return !strings.ContainsRune(letters+"._-", r) }
	if name == "" || len(name) > maxNameLength || !strings.Contains(letters, name[:1]) || strings.ContainsFunc(name, strange) {
		return fmt.Errorf("run name %q: want 1 to %d letters, digits, dots, dashes and underscores, the first a letter or digit: %w",
			name, maxNameLength, hone.ErrInvalid)
	}
	return nil
}

package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// Changeable are the settings of a job that may be others from a cycle on, by their paths; one that ends in a dot stands for all below it.
// They are those that each cycle reads anew. What shapes the policy, deals the problems, or says what a reward means stays what it is
// for a run's whole life.
func Changeable() []string {
	return []string{
		"dpo.loss.beta", "dpo.loss.chosen_coef", "dpo.loss.clip_norm", "dpo.loss.epochs", "dpo.loss.learning_rate", "dpo.loss.smoothing",
		"ppo.batch_tokens", "ppo.clip_high", "ppo.clip_low", "ppo.clip_norm", "ppo.dual_clip", "ppo.entropy_coef", "ppo.entropy_step",
		"ppo.entropy_target", "ppo.epochs", "ppo.gamma", "ppo.group_spread", "ppo.guard.", "ppo.imitation_coef", "ppo.importance.",
		"ppo.kl_coef", "ppo.kl_horizon", "ppo.kl_target", "ppo.lambda", "ppo.learning_rate", "ppo.minibatches", "ppo.schedules.",
		"ppo.shaping.", "ppo.target_kl", "ppo.value_clip", "ppo.value_coef",
		"rejection.keep", "rejection.sft.clip_norm", "rejection.sft.epochs", "rejection.sft.learning_rate",
		"rollout.sampling.",
		"supervised.sft.clip_norm", "supervised.sft.epochs", "supervised.sft.learning_rate",
		"temperature.",
	}
}

// changeable tells whether a setting may change.
func changeable(key string) bool {
	return slices.ContainsFunc(Changeable(), func(one string) bool {
		if strings.HasSuffix(one, ".") {
			return strings.HasPrefix(key, one) && key != one
		}
		return key == one
	})
}

// Change makes settings others from the first cycle on that nobody has begun. They are recorded, so that the run stays a function of
// its record. Settings that may not change, values that make no sense, and values that hold already are [hone.ErrInvalid].
func (a *Activities) Change(ctx context.Context, in ChangeInput) (out ChangeOutput, err error) {
	err = beating(ctx, "change settings", func(ctx context.Context, _ *pulse) error {
		run, err := a.deps.Store.Run(ctx, in.Run)
		if err != nil {
			return err
		}
		job, err := decodeJob(run.Config)
		if err != nil {
			return err
		}
		made, err := a.deps.Store.ChangeSettings(ctx, in.Run, in.Request, func(before []storage.Change) ([]storage.Change, error) {
			now, err := job.with(before)
			if err != nil {
				return nil, err
			}
			return now.changes(in.Set)
		})
		if err != nil {
			return err
		}
		for _, c := range made {
			out.Changes = append(out.Changes, Changed{Key: c.Key, Old: c.Old, New: c.New, Iteration: c.Iteration})
		}
		return nil
	})
	return out, err
}

// changes are those that make settings of the job others.
func (j Job) changes(set []Setting) ([]storage.Change, error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if len(set) == 0 {
		fault("no setting is given: want at least one of %s", strings.Join(Changeable(), ", "))
	}
	tree, err := j.tree()
	if err != nil {
		return nil, err
	}
	var out []storage.Change
	for i, s := range set {
		old, known := lookUp(tree, s.Key)
		switch {
		case slices.ContainsFunc(set[:i], func(o Setting) bool { return o.Key == s.Key }):
			fault("%s is given twice", s.Key)
		case !changeable(s.Key):
			fault("%s can't change within a run; a fork of the run may have another", s.Key)
		case known && equalJSON(old, s.Value):
			fault("%s is %s already", s.Key, s.Value)
		default:
			out = append(out, storage.Change{Key: s.Key, Old: old, New: s.Value})
		}
	}
	if len(faults) == 0 {
		_, err = j.with(out)
		faults = append(faults, err)
	}
	return out, errors.Join(faults...)
}

// with is the job under changes, in their order.
func (j Job) with(changes []storage.Change) (Job, error) {
	if len(changes) == 0 {
		return j, nil
	}
	tree, err := j.tree()
	if err != nil {
		return j, err
	}
	for _, c := range changes {
		at, names := tree, strings.Split(c.Key, ".")
		for _, name := range names[:len(names)-1] {
			below, ok := at[name].(map[string]any)
			if !ok {
				below = make(map[string]any)
				at[name] = below
			}
			at = below
		}
		at[names[len(names)-1]] = c.New
	}
	raw, err := json.Marshal(tree)
	if err != nil {
		return j, fmt.Errorf("encode changed configuration: %w: %w", err, hone.ErrInvalid)
	}
	return decodeJob(raw)
}

// tree is the job as JSON objects, its leaves as they are written.
func (j Job) tree() (map[string]any, error) {
	raw, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // seeds don't fit a float64
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	return tree, nil
}

// lookUp is the value at a path; null where a field that is 0 is left out.
func lookUp(tree map[string]any, key string) (value json.RawMessage, known bool) {
	var at any = tree
	for name := range strings.SplitSeq(key, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return json.RawMessage("null"), false
		}
		if at, known = object[name]; !known {
			return json.RawMessage("null"), false
		}
	}
	raw, err := json.Marshal(at)
	return raw, err == nil
}

func equalJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

package ppo

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
)

// Scored is a trajectory with its reward.
type Scored = hone.Scored

// Census says what became of the trajectories given to an update; its counts add up to their number.
type Census struct {
	// Sampled are trained on by the policy gradient.
	Sampled int `json:"sampled"`
	// Imitated are right answers found by search and trained on by cross-entropy.
	Imitated int `json:"imitated"`
	// Uniform were left out because their problem's samples earned about the same; see Config.GroupSpread.
	Uniform int `json:"uniform"`
	// Stale were left out because the policy that sampled them is too old; see Importance.MaxStaleness.
	Stale int `json:"stale"`
	// Unjudged were left out because the verifier timed out, crashed or could not read the answer: no judgement is no zero.
	Unjudged int `json:"unjudged"`
	// Failed were left out because the sampler failed.
	Failed int `json:"failed"`
	// Unwanted are search's lines that were left out because their answer is wrong or imitation is off.
	Unwanted int `json:"unwanted"`
}

// sample is one trajectory on its way through an update. Slices are [T].
type sample struct {
	trajectory *hone.Trajectory
	imitation  bool
	// ends is [S]: the index after the last token of each step.
	ends []int
	// branches is [S], or empty.
	branches []advantage.Branch
	// task is the reward of each step on its last token, before anything is charged for the divergence.
	task []float64
	// shaped is task after Config.Shaping, and rewards is what the advantages are made of: shaped, less the charge.
	shaped, rewards []float64
	// room is where more slices of it come from.
	room *room
	// logpSampler is what the sampler recorded. logpOld is what ratios are against: the same, or with Importance.Truncate the
	// log-probabilities under the policy that the update starts from.
	logpSampler, logpOld, logpRef, valuesOld []float64
	// importance is nil where nothing is weighed.
	importance []float64
	// weight is what each of its tokens counts for in the loss; 0 is 1.
	weight              float64
	advantages, returns []float64
	bootstrap           float64
}

// rows is the number of rows that the sample takes in a packed batch: one a token.
func (s *sample) rows() int { return len(s.trajectory.Prompt) + len(s.trajectory.Tokens) }

// gather picks the trajectories to train on, in the order of their ids whatever the order given, and takes their numbers.
//
// A trajectory whose parts disagree in length, and two of one id, are [hone.ErrInvalid]; a number that isn't finite is
// [hone.ErrNonFinite]. No trajectory to train on by the policy gradient is an error too: a batch that is masked altogether has
// no loss, not a loss of 0.
//
// version is that of the policy which learns: what an older one sampled is held against Importance.MaxStaleness, and what a newer one
// did is [hone.ErrInvalid].
func gather(scored []Scored, c Config, version int) (samples, imitations []*sample, census Census, err error) {
	r := newRoom(scored)
	samples = make([]*sample, 0, len(scored))
	order := make([]*Scored, len(scored))
	for i := range scored {
		order[i] = &scored[i]
	}
	slices.SortFunc(order, func(a, b *Scored) int { return compareIDs(a.Trajectory.ID, b.Trajectory.ID) })
	for i, s := range order {
		t, outcome := &s.Trajectory, s.Breakdown.Outcome
		if i > 0 && order[i-1].Trajectory.ID == t.ID {
			return nil, nil, census, fmt.Errorf("trajectory %v is there twice: %w", t.ID, hone.ErrInvalid)
		}
		search := t.Source == hone.SourceSearch && c.Advantage != advantage.Tree
		switch {
		case t.Finish == hone.FinishError:
			census.Failed++
			continue
		case !outcome.Judged():
			census.Unjudged++
			continue
		case search && (c.ImitationCoef == 0 || outcome != hone.OutcomeRight):
			census.Unwanted++
			continue
		}
		switch age := version - t.Behaviour; {
		case age < 0:
			return nil, nil, census, fmt.Errorf("trajectory %v was sampled by version %d, and version %d learns: %w",
				t.ID, t.Behaviour, version, hone.ErrInvalid)
		case age > c.Importance.MaxStaleness && !search:
			census.Stale++
			continue
		}
		made, err := newSample(r, s, c)
		if err != nil {
			return nil, nil, census, fmt.Errorf("trajectory %v: %w", t.ID, err)
		}
		if search {
			census.Imitated++
			imitations = append(imitations, made)
		} else {
			census.Sampled++
			samples = append(samples, made)
		}
	}
	samples, census.Uniform = spreadOut(samples, c.GroupSpread)
	census.Sampled -= census.Uniform
	if len(samples) == 0 {
		return nil, nil, census, fmt.Errorf("no sampled trajectory to train on among %d (%+v): %w", len(scored), census, hone.ErrInvalid)
	}
	return samples, imitations, census, nil
}

// compareIDs orders by run, iteration, sample.
func compareIDs(a, b hone.TrajectoryID) int {
	return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Iteration, b.Iteration), cmp.Compare(a.Sample, b.Sample))
}

// newSample checks a trajectory and widens its numbers. Search's lines need tokens alone.
func newSample(r *room, s *Scored, c Config) (*sample, error) {
	t := &s.Trajectory
	out := &r.samples.take(1)[0]
	*out = sample{trajectory: t, room: r, imitation: t.Source == hone.SourceSearch && c.Advantage != advantage.Tree}
	n := len(t.Tokens)
	if len(t.Prompt) == 0 || n == 0 {
		return nil, fmt.Errorf("%d prompt tokens and %d of completion, must be at least 1 each: %w", len(t.Prompt), n, hone.ErrInvalid)
	}
	if out.rows() > c.BatchTokens {
		return nil, fmt.Errorf("%d rows do not fit batch_tokens %d: %w", out.rows(), c.BatchTokens, hone.ErrInvalid)
	}
	if out.imitation {
		return out, nil
	}
	if len(t.Logp) != n || len(t.Values) != n {
		return nil, fmt.Errorf("%d tokens, %d logp, %d values: %w", n, len(t.Logp), len(t.Values), hone.ErrInvalid)
	}
	var err error
	if out.ends, out.task, err = stepRewards(r, s); err != nil {
		return nil, err
	}
	if out.logpSampler, err = widen(r, "logp", t.Logp); err != nil {
		return nil, err
	}
	out.logpOld = out.logpSampler
	switch c.Aggregation {
	case AggregateTokenMean:
	case AggregateSequenceMean:
		out.weight = 1 / float64(n)
	case AggregateSequenceSum:
		out.weight = 1 / float64(max(c.SequenceTokens, 1))
	}
	if out.valuesOld, err = widen(r, "value", t.Values); err != nil {
		return nil, err
	}
	if t.Finish == hone.FinishLength && c.Truncation == TruncationBootstrap {
		last, err := widen(r, "bootstrap", []float32{t.Bootstrap})
		if err != nil {
			return nil, err
		}
		out.bootstrap = last[0]
	}
	return out, nil
}

// stepRewards puts each step's reward, over all layers, on the step's last token, once. ends is [S], task [T].
func stepRewards(r *room, s *Scored) (ends []int, task []float64, err error) {
	t := &s.Trajectory
	if err := s.Breakdown.Validate(); err != nil {
		return nil, nil, err
	}
	if s.Breakdown.Steps != len(t.Steps) {
		return nil, nil, fmt.Errorf("%d steps, breakdown of %d: %w", len(t.Steps), s.Breakdown.Steps, hone.ErrInvalid)
	}
	task = r.floats.take(len(t.Tokens))
	ends = r.ints.take(len(t.Steps))
	at := 0
	for i, reward := range s.Breakdown.StepRewards() {
		step := t.Steps[i]
		if step.From != at || step.To <= at || step.To > len(t.Tokens) {
			return nil, nil, fmt.Errorf("step %d covers tokens [%d, %d), must start at %d and end by %d: %w",
				i, step.From, step.To, at, len(t.Tokens), hone.ErrInvalid)
		}
		at = step.To
		ends[i] = at
		task[at-1] += reward
	}
	if at != len(t.Tokens) {
		return nil, nil, fmt.Errorf("steps cover %d of %d tokens: %w", at, len(t.Tokens), hone.ErrInvalid)
	}
	return ends, task, nil
}

// widen is the values in float64. One that isn't finite is [hone.ErrNonFinite], by name and index.
func widen(r *room, name string, values []float32) ([]float64, error) {
	out := r.floats.take(len(values))
	for i, v := range values {
		out[i] = float64(v)
		if math.IsNaN(out[i]) || math.IsInf(out[i], 0) {
			return nil, fmt.Errorf("%s %d is %v: %w", name, i, v, hone.ErrNonFinite)
		}
	}
	return out, nil
}

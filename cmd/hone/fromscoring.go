package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/storage"
)

// importanceTruncation is the bound on weights of another policy's samples where nothing was said of it.
const importanceTruncation = 2

// scoringName reads RUN/SCORING.
func scoringName(text string) (run string, scoring int, err error) {
	at := strings.LastIndex(text, "/")
	if at > 0 {
		if n, err := strconv.Atoi(text[at+1:]); err == nil && n >= 0 {
			return text[:at], n, nil
		}
	}
	return "", 0, fmt.Errorf("--from-scoring %q: want a run's name and a scoring, such as demo-1/1: %w", text, hone.ErrInvalid)
}

// lenderLayer is what --from-scoring says by itself.
func lenderLayer(run string, scoring int) layer {
	return layer{name: "--from-scoring", text: fmt.Appendf(nil, "from_scoring: {run: %q, scoring: %d}\n", run, scoring), typed: true}
}

// lender is the run that a new one takes trajectories from.
type lender struct {
	run        storage.Run
	job        activities.Job
	iterations []int
	head       int
}

// borrow fills in what a new run from a scoring was not told: with no preset and no file the other run's settings under the scoring's
// reward, as many cycles as there are iterations; and in any case all iterations that the scoring has, the newest version to go on from,
// and the correction that samples of another policy need.
func (t *training) borrow(ctx context.Context, r *request) (lender, error) {
	l, err := t.findLender(ctx, r.scoring, r.lenderName)
	if err != nil {
		return l, err
	}
	first := activities.FromScoring{
		Run: l.run.Name, Scoring: r.scoring, From: l.iterations[0], To: l.iterations[len(l.iterations)-1], Version: -1,
		Lag: l.job.Rollout.Staleness,
	}
	base := defaultConfig()
	if !r.describes() {
		first.Version = l.head
		if base, err = t.lenderConfig(ctx, l, r.scoring); err != nil {
			return l, err
		}
	}
	base.FromScoring = first
	at := slices.IndexFunc(r.layers, func(one layer) bool { return one.name == lenderLayer("", 0).name })
	resolve := func() error {
		r.fresh = *base.clone()
		var faults []error
		for _, one := range r.layers {
			faults = append(faults, one.over(&r.fresh))
		}
		return errors.Join(faults...)
	}
	if err := resolve(); err != nil {
		return l, err
	}
	// What follows from the choice of iterations stands where --set can still say otherwise.
	correction := r.fresh.PPO.Importance
	if correction.Truncate == 0 {
		correction.Truncate = importanceTruncation
	}
	correction.MaxStaleness = max(correction.MaxStaleness, r.fresh.FromScoring.MostStale())
	text := fmt.Appendf(nil, "ppo: {importance: {truncate: %v, max_staleness: %d}}\n", correction.Truncate, correction.MaxStaleness)
	if !r.describes() {
		text = fmt.Appendf(text, "cycles: %d\n", max(1, r.fresh.FromScoring.Cycles()))
	}
	r.layers = slices.Insert(r.layers, at+1, layer{name: "--from-scoring's own", text: text, typed: true})
	if err := resolve(); err != nil {
		return l, err
	}
	r.complete()
	return l, r.validate()
}

// findLender finds the run, and what there is to take of it.
func (t *training) findLender(ctx context.Context, scoring int, name string) (l lender, err error) {
	if l.run, err = t.app.runOf(ctx, t.store, name); err != nil {
		return l, fmt.Errorf("--from-scoring: %w", err)
	}
	if l.job, err = storedJob(l.run.Config); err != nil {
		return l, fmt.Errorf("run %s: %w", l.run.Name, err)
	}
	head, err := t.store.Head(ctx, l.run.ID)
	if err != nil {
		return l, err
	}
	l.head = head.Number
	if l.iterations, err = t.store.IterationsOf(ctx, l.run.ID, scoring); err != nil {
		return l, err
	}
	if len(l.iterations) == 0 {
		return l, fmt.Errorf("--from-scoring: run %s has nothing under scoring %d; make one with: %s: %w", l.run.Name, scoring,
			t.app.propose("replay", l.run.Name, "--reward", "FILE", "--save"), hone.ErrNotFound)
	}
	return l, nil
}

// lenderConfig is the other run's configuration, under the reward of its scoring and with nothing said of how it began itself.
func (t *training) lenderConfig(ctx context.Context, l lender, scoring int) (config, error) {
	c := defaultConfig()
	if last := t.servers.data.lastConfig(l.run.Name); last != nil {
		c = *last
	}
	c.Job, c.Plan.Cycles = l.job, sameCycles
	c.FromScoring, c.Rollout.Staleness = activities.FromScoring{}, 0
	if scoring == storage.LiveScoring {
		return c, nil
	}
	raw, err := t.store.ScoringConfig(ctx, l.run.ID, scoring)
	if err != nil {
		return c, err
	}
	var saved struct {
		Reward json.RawMessage `json:"reward"`
	}
	if err := json.Unmarshal(raw, &saved); err != nil {
		return c, fmt.Errorf("scoring %d of run %s: %w: %w", scoring, l.run.Name, err, hone.ErrInvalid)
	}
	decoder := json.NewDecoder(bytes.NewReader(saved.Reward))
	decoder.DisallowUnknownFields()
	c.Reward = stack.Config{}
	if err := decoder.Decode(&c.Reward); err != nil {
		return c, fmt.Errorf("reward of scoring %d of run %s: %w: %w", scoring, l.run.Name, err, hone.ErrInvalid)
	}
	return c, nil
}

// introduceScoring says what the run begins with, and how old that is.
func (t *training) introduceScoring() {
	f := t.config.FromScoring
	if f.Run == "" {
		return
	}
	begins := fmt.Sprintf("going on from its version %d", f.Version)
	if f.Version < 0 {
		begins = "from a supervised start of its own"
	}
	least := f.MostStale()
	for cycle := range f.Cycles() {
		least = min(least, f.Staleness(cycle))
	}
	text := fmt.Sprintf("%d cycles take iterations %d to %d of run %s under its scoring %d, %s; the samples are %d to %d updates old",
		f.Cycles(), f.From, f.To, f.Run, f.Scoring, begins, least, f.MostStale())
	if c := t.config.PPO.Importance; t.config.Algorithm == activities.AlgorithmPPO || t.config.Algorithm == "" {
		text += fmt.Sprintf(", and each token is weighed by the ratio of the two policies, at most %v", c.Truncate)
	}
	t.view.note(text)
	if more := t.config.Plan.Cycles - f.Cycles(); more > 0 {
		t.view.note(fmt.Sprintf("%d cycles after these sample", more))
	}
}

package verify

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
)

// scoring reads an iteration's scoring: its digests, its sums, and for the live one what was made of it.
func (c *checker) scoring(ctx context.Context, cy *cycle, scoring int) error {
	number := cy.Iteration.Iteration
	batches := c.batches(storage.BatchScore, number, scoring)
	live := scoring == storage.LiveScoring
	where := fmt.Sprintf("%s, scoring %d", cy.where, scoring)
	ledger := 0
	for _, b := range batches {
		ledger += b.Rows
	}
	table := "replays"
	if live {
		table = "scores"
	}
	if rows := c.rows(table, number, scoring); rows != ledger {
		c.faultf(where, "%d scores are stored, and the ledger has %d", rows, ledger)
	}
	scored, err := c.Store.LoadScoring(ctx, c.Run, number, scoring)
	if err != nil {
		return c.damaged(where, err)
	}
	for _, s := range scored {
		if _, ok := cy.at[s.Sample]; !ok {
			c.faultf(where, "sample %d has a score and no trajectory", s.Sample)
		}
	}
	if live && len(scored) != len(cy.trajectories) {
		c.faultf(where, "%d trajectories have %d scores", len(cy.trajectories), len(scored))
	}
	if len(scored) == ledger {
		c.scoringDigests(where, batches, scored)
	}
	c.checked("scores", len(scored))
	if err := c.sums(ctx, where, scored, storage.ScoringKey{
		ShardKey: storage.ShardKey{Run: c.Run, Iteration: number}, Scoring: scoring,
	}); err != nil || !live {
		return err
	}
	digest, err := storage.ScoringDigest(storage.ScoringKey{}, scored)
	if err != nil {
		return c.damaged(where, err)
	}
	c.notef("scoring %d %s", number, digest)
	if err := c.metrics(ctx, cy, scored); err != nil {
		return err
	}
	return c.targets(ctx, cy, scored)
}

// scoringDigests makes the digests of the ledger's parts again, which follow each other in the order of samples.
func (c *checker) scoringDigests(where string, batches []storage.Batch, scored []storage.Scored) {
	for _, b := range batches {
		digest, err := storage.ScoringDigest(b.ScoringKey, scored[:b.Rows])
		if err != nil || digest != b.Digest {
			c.faultf(where, "its %d scores of round %d are not those that were stored with digest %.12s", b.Rows, b.Round, b.Digest)
		}
		scored = scored[b.Rows:]
	}
	c.checked("scorings", len(batches))
}

// sums holds the stored totals against the terms.
func (c *checker) sums(ctx context.Context, where string, scored []storage.Scored, key storage.ScoringKey) error {
	stored, err := c.Store.LoadSums(ctx, c.Run, key.Iteration, key.Scoring)
	if err != nil {
		return c.damaged(where, err)
	}
	if len(stored) != len(scored) {
		c.faultf(where, "%d totals of %d scores", len(stored), len(scored))
		return nil
	}
	for i, s := range stored {
		b := scored[i].Breakdown
		at := fmt.Sprintf("%s, sample %d", where, s.Sample)
		if total := b.Total(); s.Total != total {
			c.faultf(at, "its total is %v, and its layers sum to %v", s.Total, total)
		}
		if key.Scoring != storage.LiveScoring {
			continue
		}
		for j, l := range s.Layers { // there are as many: both were read from the same rows
			if total := b.Layers[j].Total(); l.Total != total {
				c.faultf(at, "layer %s: its total is %v, and its terms sum to %v", l.Layer, l.Total, total)
			}
			if step, ok := sameSteps(b.Layers[j], l.Steps, b.Steps); !ok {
				c.faultf(at, "layer %s: what it gives to step %d is not the sum of the step's terms", l.Layer, step)
			}
		}
	}
	return nil
}

// sameSteps tells whether a layer's terms add up to what is stored of each step, or the first step that differs.
func sameSteps(l hone.LayerScore, stored []float32, steps int) (int, bool) {
	sums := make([]float32, steps)
	for _, t := range l.Terms {
		if t.Step < 0 || t.Step >= steps {
			return t.Step, false
		}
		sums[t.Step] += float32(l.Weight * t.Score)
	}
	for i, sum := range sums {
		if i >= len(stored) || stored[i] != sum {
			return i, false
		}
	}
	return len(sums), len(sums) == len(stored)
}

// metrics holds the iteration's numbers that are counts and means of its scores against them.
func (c *checker) metrics(ctx context.Context, cy *cycle, scored []storage.Scored) error {
	stored, err := c.Store.IterationMetrics(ctx, c.Run, cy.Iteration.Iteration)
	if err != nil {
		return err
	}
	want := map[string]float64{"trajectories": float64(len(scored))}
	names := []string{"trajectories", "generated_tokens", "reward"}
	for _, o := range []hone.Outcome{
		hone.OutcomeRight, hone.OutcomeWrong, hone.OutcomeUnparsable, hone.OutcomeTimeout, hone.OutcomeCrashed,
	} {
		names = append(names, "outcome_"+string(o))
	}
	judged, sum := 0, 0.0
	for _, s := range scored {
		want["outcome_"+string(s.Breakdown.Outcome)]++
		if s.Breakdown.Outcome.Judged() {
			judged++
			sum += s.Breakdown.Total()
		}
	}
	if judged > 0 {
		want["reward"] = sum / float64(judged)
	}
	for _, t := range cy.trajectories {
		want["generated_tokens"] += float64(len(t.Tokens))
	}
	for _, name := range names {
		value, ok := stored[name]
		if ok && value != want[name] {
			c.faultf(cy.where, "metric %s is %v, and what is stored comes to %v", name, value, want[name])
		}
		if ok {
			c.checked("metrics", 1)
		}
	}
	return nil
}

// targets holds what was trained on against the trajectories and their totals.
func (c *checker) targets(ctx context.Context, cy *cycle, scored []storage.Scored) error {
	targets, err := c.Store.LoadTargets(ctx, c.Run, cy.Iteration.Iteration)
	if err != nil {
		return c.damaged(cy.where, err)
	}
	total := make(map[int]float64, len(scored))
	for _, s := range scored {
		total[s.Sample] = s.Breakdown.Total()
	}
	for _, t := range targets {
		where := fmt.Sprintf("%s, target of sample %d", cy.where, t.Sample)
		i, ok := cy.at[t.Sample]
		switch {
		case !ok:
			c.faultf(where, "there is no such trajectory")
		case len(t.Advantages) != len(cy.trajectories[i].Tokens):
			c.faultf(where, "%d advantages of %d tokens", len(t.Advantages), len(cy.trajectories[i].Tokens))
		case t.Reward != total[t.Sample]:
			c.faultf(where, "its reward is %v, and the trajectory's total %v", t.Reward, total[t.Sample])
		}
		for at, a := range t.Advantages {
			if bad(a) || bad(t.Returns[at]) {
				c.faultf(where, "token %d: advantage %v, return %v", at, a, t.Returns[at])
				break
			}
		}
		c.notef("target %d %v %x %x", t.Sample, t.Reward, bitsOf(t.Advantages), bitsOf(t.Returns))
	}
	c.checked("targets", len(targets))
	return nil
}

func bad(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }

func bitsOf(values []float32) []uint32 {
	out := make([]uint32, len(values))
	for i, v := range values {
		out[i] = math.Float32bits(v)
	}
	return out
}

// prompts are part of the record.
func (c *checker) prompts(ctx context.Context, cy *cycle) error {
	ends, err := c.Store.PromptEnds(ctx, c.Run, cy.Iteration.Iteration)
	if err != nil {
		return err
	}
	for _, p := range ends {
		c.notef("prompt %d %s %s %q", p.Slot, p.Problem.ID(), p.State, p.Reason)
	}
	return nil
}

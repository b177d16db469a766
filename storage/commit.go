package storage

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// PromptState is how a prompt of an iteration ended. Values are stored; append only.
type PromptState string

// The ends of a prompt.
const (
	// PromptTrained is a prompt some of whose trajectories were trained on.
	PromptTrained PromptState = "trained"
	// PromptDropped is a prompt left out on purpose.
	PromptDropped PromptState = "dropped"
	// PromptFailed is a prompt that no usable trajectory came from.
	PromptFailed PromptState = "failed"
)

// PromptEnd is one prompt's end.
type PromptEnd struct {
	// Slot is the prompt's index within the iteration, in [0, prompts).
	Slot    int
	Problem hone.Problem
	State   PromptState
	// Reason says why; only a trained prompt needs none.
	Reason string
}

// Target is what training made of one trajectory under the live scoring.
type Target struct {
	Sample int
	// Reward is the trajectory's total.
	Reward float64
	// Advantages and Returns are [T], of the trajectory's tokens.
	Advantages, Returns []float32
}

// Commit is one cycle, whole.
type Commit struct {
	Run       hone.RunID
	Iteration int
	// From is the version that the cycle started from; the cycle makes From+1.
	From int
	// Fence is that of the trainer's lease.
	Fence   int64
	Version Version
	// Prompts has one entry for every prompt that the iteration was started with or extended by.
	Prompts []PromptEnd
	Targets []Target
	// Metrics are added to those of the iteration. NaN and infinities are kept.
	Metrics map[string]float64
}

// CommitCycle makes the cycle's version the head and returns its number. Version, targets, metrics and the prompts' ends are
// stored in one transaction, or none of them.
//
// Repeating a cycle that was committed returns the same number and changes nothing: equal are iteration, weights, optimiser and
// state, while metrics may differ, since times do. [hone.ErrConflict]: another trainer has the lease, or published another
// version first. [hone.ErrInvalid]: the prompts are not those of the iteration.
func (s *Store) CommitCycle(ctx context.Context, c Commit) (version int, err error) {
	run, err := runKey(c.Run)
	if err != nil {
		return 0, err
	}
	if err := c.validate(); err != nil {
		return 0, fail(ctx, err, "commit iteration %d of run %s", c.Iteration, c.Run)
	}
	err = s.inTx(ctx, fault.Cycle, func(tx pgx.Tx) error {
		next := publication{run: c.Run, from: c.From, iteration: c.Iteration, fence: c.Fence, version: c.Version}
		repeated, err := next.publish(ctx, tx)
		if err != nil || repeated {
			return err
		}
		if err := c.finishIteration(ctx, tx); err != nil {
			return err
		}
		if err := c.copyPrompts(ctx, tx, run); err != nil {
			return err
		}
		if err := c.copyTargets(ctx, tx, run); err != nil {
			return err
		}
		if err := writeMetrics(ctx, tx, run, c.Iteration, c.Metrics); err != nil {
			return err
		}
		if c.From > 0 {
			return nil
		}
		_, err = tx.Exec(ctx, "SELECT analyze_run($1)", run)
		return err
	})
	if err != nil {
		return 0, fail(ctx, err, "commit iteration %d of run %s", c.Iteration, c.Run)
	}
	return c.From + 1, nil
}

func (c Commit) validate() error {
	if c.Iteration < 0 || c.From < 0 {
		return fmt.Errorf("iteration %d from version %d, want 0 or more: %w", c.Iteration, c.From, hone.ErrInvalid)
	}
	if err := c.Version.validate(); err != nil {
		return err
	}
	for _, p := range c.Prompts {
		if p.State != PromptTrained && p.Reason == "" {
			return fmt.Errorf("prompt %d (%s) is %s without a reason: %w", p.Slot, p.Problem.ID(), p.State, hone.ErrInvalid)
		}
		if err := checkText(fmt.Sprintf("reason of prompt %d", p.Slot), p.Reason); err != nil {
			return err
		}
	}
	for _, t := range c.Targets {
		if err := t.validate(); err != nil {
			return fmt.Errorf("target of sample %d: %w", t.Sample, err)
		}
	}
	return nil
}

func (t Target) validate() error {
	if len(t.Advantages) != len(t.Returns) {
		return fmt.Errorf("%d advantages and %d returns: %w", len(t.Advantages), len(t.Returns), hone.ErrInvalid)
	}
	if !finite(t.Reward) {
		return fmt.Errorf("reward %v: %w", t.Reward, hone.ErrNonFinite)
	}
	for i := range t.Advantages {
		if a, r := float64(t.Advantages[i]), float64(t.Returns[i]); !finite(a) || !finite(r) {
			return fmt.Errorf("token %d: advantage %v, return %v: %w", i, a, r, hone.ErrNonFinite)
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// finishIteration marks the iteration done if all its prompts have ended.
func (c Commit) finishIteration(ctx context.Context, tx pgx.Tx) error {
	var prompts int
	err := tx.QueryRow(ctx, `UPDATE iterations SET status = 'done', finished_at = now() WHERE run_id = $1 AND iteration = $2
		RETURNING prompts`, string(c.Run), c.Iteration).Scan(&prompts)
	if err != nil {
		return fmt.Errorf("iteration was not started: %w", err)
	}
	ended := make([]bool, prompts)
	for _, p := range c.Prompts {
		if p.Slot < 0 || p.Slot >= prompts || ended[p.Slot] {
			return fmt.Errorf("prompt %d of %d is out of range or ended twice: %w", p.Slot, prompts, hone.ErrInvalid)
		}
		ended[p.Slot] = true
	}
	for slot, ok := range ended {
		if !ok {
			return fmt.Errorf("prompt %d of %d has no end: %w", slot, prompts, hone.ErrInvalid)
		}
	}
	return nil
}

func (c Commit) copyPrompts(ctx context.Context, tx pgx.Tx, run pgtype.UUID) error {
	columns := []string{"run_id", "iteration", "slot", "task", "problem_key", "state", "reason"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"iteration_prompts"}, columns, pgx.CopyFromSlice(len(c.Prompts), func(i int) ([]any, error) {
		p := c.Prompts[i]
		return []any{run, c.Iteration, p.Slot, p.Problem.Task, p.Problem.Key, string(p.State), p.Reason}, nil
	}))
	return err
}

func (c Commit) copyTargets(ctx context.Context, tx pgx.Tx, run pgtype.UUID) error {
	columns := []string{"run_id", "iteration", "scoring_id", "sample", "reward", "n_tokens", "packed"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"targets"}, columns, pgx.CopyFromSlice(len(c.Targets), func(i int) ([]any, error) {
		t := c.Targets[i]
		return []any{run, c.Iteration, LiveScoring, t.Sample, t.Reward, len(t.Advantages), packFloats(t.Advantages, t.Returns)}, nil
	}))
	return err
}

// PromptCounts are how many prompts of the iteration ended in which state; empty until it is committed.
func (s *Store) PromptCounts(ctx context.Context, run hone.RunID, iteration int) (map[PromptState]int, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	counts := make(map[PromptState]int)
	rows, err := s.pool.Query(ctx, `SELECT state, count(*) FROM iteration_prompts WHERE run_id = $1 AND iteration = $2 GROUP BY state`,
		string(run), iteration)
	if err != nil {
		return nil, fail(ctx, err, "count prompts of iteration %d of run %s", iteration, run)
	}
	var state PromptState
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counts[state] = n
		return nil
	})
	return counts, fail(ctx, err, "count prompts of iteration %d of run %s", iteration, run)
}

// LoadTargets are the targets of an iteration in the order of samples.
func (s *Store) LoadTargets(ctx context.Context, run hone.RunID, iteration int) ([]Target, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT sample, reward, packed FROM targets
		WHERE run_id = $1 AND iteration = $2 AND scoring_id = $3 ORDER BY sample`, string(run), iteration, LiveScoring)
	if err != nil {
		return nil, fail(ctx, err, "load targets of iteration %d of run %s", iteration, run)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Target, err error) {
		var packed pgtype.DriverBytes
		if err := row.Scan(&t.Sample, &t.Reward, &packed); err != nil {
			return t, err
		}
		t.Advantages, t.Returns, err = unpackFloats(packed)
		return t, err
	})
	return all, fail(ctx, err, "load targets of iteration %d of run %s", iteration, run)
}

package storage

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Samples is a half-open range of the samples of an iteration.
type Samples struct {
	Run       hone.RunID
	Iteration int
	// From and To bound the samples; To <= 0 means all from From on.
	From, To int
}

func (r Samples) to() int {
	if r.To <= 0 {
		return 1 << 31 // beyond every sample
	}
	return r.To
}

// LoadIteration loads all trajectories of an iteration in the order of samples.
func (s *Store) LoadIteration(ctx context.Context, run hone.RunID, iteration int) ([]hone.Trajectory, error) {
	return s.LoadSamples(ctx, Samples{Run: run, Iteration: iteration})
}

// Trajectory loads one trajectory.
func (s *Store) Trajectory(ctx context.Context, id hone.TrajectoryID) (hone.Trajectory, error) {
	all, err := s.LoadSamples(ctx, Samples{Run: id.Run, Iteration: id.Iteration, From: id.Sample, To: id.Sample + 1})
	if err != nil {
		return hone.Trajectory{}, err
	}
	if len(all) == 0 {
		return hone.Trajectory{}, fmt.Errorf("trajectory %s: %w", id, hone.ErrNotFound)
	}
	return all[0], nil
}

// LoadSamples loads the trajectories of a range in the order of samples. Trajectories and steps are two ordered queries, put
// together here: a join would depend on the planner knowing a partition that has just been filled.
func (s *Store) LoadSamples(ctx context.Context, r Samples) ([]hone.Trajectory, error) {
	if _, err := runKey(r.Run); err != nil {
		return nil, err
	}
	var all []hone.Trajectory
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		all, err = loadTrajectories(ctx, tx, r)
		if err == nil && len(all) == 0 {
			err = present(ctx, tx, r.Run, r.Iteration)
		}
		if err != nil {
			return err
		}
		return loadSteps(ctx, tx, r, all)
	})
	return all, fail(ctx, err, "load iteration %d of run %s", r.Iteration, r.Run)
}

func loadTrajectories(ctx context.Context, tx pgx.Tx, r Samples) ([]hone.Trajectory, error) {
	rows, err := tx.Query(ctx, `SELECT sample, task, problem_key, behaviour, source, seed, fingerprint, finish, bootstrap,
			prompt, completion, prompt_ids, tokens
		FROM trajectories WHERE run_id = $1 AND iteration = $2 AND sample >= $3 AND sample < $4::bigint ORDER BY sample`,
		string(r.Run), r.Iteration, r.From, r.to())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (hone.Trajectory, error) {
		t := hone.Trajectory{ID: hone.TrajectoryID{Run: r.Run, Iteration: r.Iteration}}
		var seed int64
		var prompt, tokens pgtype.DriverBytes // decoded before the next row
		err := row.Scan(&t.ID.Sample, &t.Problem.Task, &t.Problem.Key, &t.Behaviour, &t.Source, &seed, &t.Fingerprint, &t.Finish,
			&t.Bootstrap, &t.Problem.Prompt, &t.Text, &prompt, &tokens)
		if err != nil {
			return t, err
		}
		t.Seed = uint64(seed)
		if t.Prompt, err = unpackIDs(prompt); err == nil {
			t.Tokens, t.Logp, t.Values, err = unpackTokens(tokens)
		}
		if err != nil {
			return t, fmt.Errorf("trajectory %s: %w", t.ID, err)
		}
		return t, nil
	})
}

// loadSteps puts the steps of the range into the trajectories, which are in the order of samples.
func loadSteps(ctx context.Context, tx pgx.Tx, r Samples, all []hone.Trajectory) error {
	rows, err := tx.Query(ctx, `SELECT sample, tok_from, tok_to, content FROM steps
		WHERE run_id = $1 AND iteration = $2 AND sample >= $3 AND sample < $4::bigint ORDER BY sample, step`,
		string(r.Run), r.Iteration, r.From, r.to())
	if err != nil {
		return err
	}
	var sample, at int
	var step hone.Step
	_, err = pgx.ForEachRow(rows, []any{&sample, &step.From, &step.To, &step.Text}, func() error {
		for at < len(all) && all[at].ID.Sample < sample {
			at++
		}
		if at == len(all) || all[at].ID.Sample != sample {
			return fmt.Errorf("steps of sample %d, which has no trajectory: %w", sample, hone.ErrCorrupt)
		}
		all[at].Steps = append(all[at].Steps, step)
		return nil
	})
	return err
}

// LoadTree loads the search tree whose best line became the trajectory.
func (s *Store) LoadTree(ctx context.Context, id hone.TrajectoryID) (Tree, error) {
	if _, err := runKey(id.Run); err != nil {
		return Tree{}, err
	}
	rows, err := s.pool.Query(ctx, `SELECT node, parent, depth, evaluated, visits, value_sum, q, raw, prior, reward, terminal, masked, action
		FROM search_nodes WHERE run_id = $1 AND iteration = $2 AND sample = $3 ORDER BY node`, string(id.Run), id.Iteration, id.Sample)
	if err != nil {
		return Tree{}, fail(ctx, err, "load tree %s", id)
	}
	nodes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Node])
	if err == nil && len(nodes) == 0 {
		err = hone.ErrNotFound
	}
	return Tree{Sample: id.Sample, Nodes: nodes}, fail(ctx, err, "load tree %s", id)
}

// Trees are the samples of an iteration that have a search tree, in order.
func (s *Store) Trees(ctx context.Context, run hone.RunID, iteration int) ([]int, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, "SELECT sample FROM search_nodes WHERE run_id = $1 AND iteration = $2 AND node = 0 ORDER BY sample",
		string(run), iteration)
	if err != nil {
		return nil, fail(ctx, err, "list trees of run %s, iteration %d", run, iteration)
	}
	samples, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return samples, fail(ctx, err, "list trees of run %s, iteration %d", run, iteration)
}

// ProblemKeys are the keys of a task's problems that a run has trajectories of, each once, sorted.
func (s *Store) ProblemKeys(ctx context.Context, run hone.RunID, task string) ([]string, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT problem_key COLLATE "C" FROM trajectories WHERE run_id = $1 AND task = $2 ORDER BY 1`,
		string(run), task)
	if err != nil {
		return nil, fail(ctx, err, "problems of run %s", run)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return keys, fail(ctx, err, "problems of run %s", run)
}

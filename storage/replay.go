package storage

import (
	"context"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/jackc/pgx/v5"
)

// Selection picks stored trajectories of a run; the zero value of each field picks all.
type Selection struct {
	Run hone.RunID
	// Problem is a key.
	Problem string
	// Outcome is the live scoring's.
	Outcome hone.Outcome
	// MinTokens and MaxTokens bound the length of completions; 0 is no bound.
	MinTokens, MaxTokens int
	// Text is part of the completion.
	Text string
	// Layer bounds the live total of a layer.
	Layer LayerRange
	// Where is a condition in SQL over the columns of trajectories (t) and scores (s). It runs in a transaction that can't write.
	Where string
}

// LayerRange is the totals of a layer, weighted, from Low to High; an empty name is no condition.
type LayerRange struct {
	Layer     string
	Low, High float64
}

// Whole tells that the selection picks every trajectory of the run.
func (s Selection) Whole() bool { return s == Selection{Run: s.Run} }

// condition is the selection in SQL, with its arguments from $3 on; $1 is the run and $2 the iteration.
func (s Selection) condition() (sql string, args []any) {
	var parts []string
	add := func(format string, values ...any) {
		places := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			places[i] = fmt.Sprintf("$%d", len(args)+2)
		}
		parts = append(parts, fmt.Sprintf(format, places...))
	}
	if s.Problem != "" {
		add("t.problem_key = %s", s.Problem)
	}
	if s.Outcome != "" {
		add("s.outcome = %s", string(s.Outcome))
	}
	if s.MinTokens > 0 {
		add("t.n_tokens >= %s", s.MinTokens)
	}
	if s.MaxTokens > 0 {
		add("t.n_tokens <= %s", s.MaxTokens)
	}
	if s.Text != "" {
		add("position(%s in t.completion) > 0", s.Text)
	}
	if s.Layer.Layer != "" {
		add(`EXISTS (SELECT FROM rewards r WHERE r.run_id = $1 AND r.iteration = $2 AND r.scoring_id = 0 AND r.sample = t.sample
			AND r.layer = %s AND r.total BETWEEN %s AND %s)`, s.Layer.Layer, s.Layer.Low, s.Layer.High)
	}
	if s.Where != "" {
		parts = append(parts, "("+s.Where+")")
	}
	return strings.Join(parts, " AND "), args
}

// Judged is a stored trajectory with what its live scoring came to.
type Judged struct {
	// Trajectory has everything but its prompt's tokens; unless values were asked for, its Tokens are zeros in their number, and Logp and
	// Values are nil. Its steps have no texts, which are the completion's.
	Trajectory hone.Trajectory
	Outcome    hone.Outcome
	Total      float64
	// Layers are the live layers' weighted totals, in the order of the stack.
	Layers []LayerTotal
}

// LayerTotal is one layer's weighted total.
type LayerTotal struct {
	Layer string  `json:"layer"`
	Total float64 `json:"total"`
}

// ScoredIterations are the iterations of a run from one to another (to < 0: the last) that have a live scoring, in order.
func (s *Store) ScoredIterations(ctx context.Context, run hone.RunID, from, to int) ([]int, error) {
	all, err := s.IterationsOf(ctx, run, LiveScoring)
	var out []int
	for _, i := range all {
		if i >= from && (to < 0 || i <= to) {
			out = append(out, i)
		}
	}
	return out, err
}

// IterationsOf are the iterations of a run that a scoring has, in order.
func (s *Store) IterationsOf(ctx context.Context, run hone.RunID, scoring int) ([]int, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT split_part(batch_key, '/', 3)::int AS iteration FROM ingest_batches
		WHERE run_id = $1 AND batch_key LIKE $2 ORDER BY iteration`, string(run), fmt.Sprintf("score/%d/%%", scoring))
	if err != nil {
		return nil, fail(ctx, err, "iterations of scoring %d of run %s", scoring, run)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return all, fail(ctx, err, "iterations of scoring %d of run %s", scoring, run)
}

// LoadJudged loads what the selection picks of an iteration, in the order of samples; values asks for tokens, log-probabilities and values.
func (s *Store) LoadJudged(ctx context.Context, sel Selection, iteration int, values bool) ([]Judged, error) {
	if _, err := runKey(sel.Run); err != nil {
		return nil, err
	}
	var all []Judged
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		l := judgedLoader{tx: tx, sel: sel, iteration: iteration, values: values}
		if err := l.trajectories(ctx); err != nil {
			return err
		}
		if err := l.scores(ctx); err != nil {
			return err
		}
		if err := l.steps(ctx); err != nil {
			return err
		}
		all = l.all
		return l.layers(ctx)
	})
	return all, fail(ctx, err, "load iteration %d of run %s", iteration, sel.Run)
}

// judgedLoader zips ordered queries, as LoadSamples does: no plan of a join can spoil it.
type judgedLoader struct {
	tx        pgx.Tx
	sel       Selection
	iteration int
	values    bool
	all       []Judged
	zeros     []hone.TokenID
}

func (l *judgedLoader) key() []any { return []any{string(l.sel.Run), l.iteration} }

func (l *judgedLoader) trajectories(ctx context.Context) error {
	packed := "''::bytea"
	if l.values {
		packed = "t.tokens"
	}
	sql := `SELECT t.sample, t.task, t.problem_key, t.behaviour, t.source, t.seed, t.fingerprint, t.finish, t.bootstrap, t.n_tokens,
		t.prompt, t.completion, ` + packed + ` FROM trajectories t`
	condition, args := l.sel.condition()
	if condition != "" {
		sql += " JOIN scores s ON s.run_id = t.run_id AND s.iteration = t.iteration AND s.sample = t.sample AND s.scoring_id = 0"
		condition = " AND " + condition
	}
	rows, err := l.tx.Query(ctx, sql+" WHERE t.run_id = $1 AND t.iteration = $2"+condition+" ORDER BY t.sample", append(l.key(), args...)...)
	if err != nil {
		return err
	}
	var j Judged
	var seed int64
	var n int
	var task, source, fingerprint, finish string
	var tokens []byte
	t := &j.Trajectory
	_, err = pgx.ForEachRow(rows, []any{
		&t.ID.Sample, &task, &t.Problem.Key, &t.Behaviour, &source, &seed, &fingerprint, &finish, &t.Bootstrap, &n,
		&t.Problem.Prompt, &t.Text, &tokens,
	}, func() error {
		t.ID.Run, t.ID.Iteration, t.Seed = l.sel.Run, l.iteration, uint64(seed)
		t.Problem.Task, t.Source, t.Fingerprint, t.Finish = task, hone.Source(source), fingerprint, hone.Finish(finish)
		if l.values {
			var err error
			if t.Tokens, t.Logp, t.Values, err = unpackTokens(tokens); err != nil {
				return fmt.Errorf("trajectory %s: %w", t.ID, err)
			}
		} else {
			if n > len(l.zeros) {
				l.zeros = make([]hone.TokenID, 2*n)
			}
			t.Tokens = l.zeros[:n:n]
		}
		l.all = append(l.all, j)
		return nil
	})
	return err
}

// zip goes through rows of samples in order, and hands f the trajectory of each that was picked.
func (l *judgedLoader) zip(ctx context.Context, sql string, sample *int, rest []any, f func(*Judged) error) error {
	rows, err := l.tx.Query(ctx, sql, l.key()...)
	if err != nil {
		return err
	}
	at := 0
	_, err = pgx.ForEachRow(rows, append([]any{sample}, rest...), func() error {
		for at < len(l.all) && l.all[at].Trajectory.ID.Sample < *sample {
			at++
		}
		if at == len(l.all) || l.all[at].Trajectory.ID.Sample != *sample {
			return nil // not picked
		}
		return f(&l.all[at])
	})
	return err
}

func (l *judgedLoader) scores(ctx context.Context) error {
	var sample int
	var outcome string
	var total float64
	found := 0
	err := l.zip(ctx, "SELECT sample, outcome, total FROM scores WHERE run_id = $1 AND iteration = $2 AND scoring_id = 0 ORDER BY sample",
		&sample, []any{&outcome, &total}, func(j *Judged) error {
			j.Outcome, j.Total = hone.Outcome(outcome), total
			found++
			return nil
		})
	if err == nil && found != len(l.all) {
		err = fmt.Errorf("%d trajectories have %d live scores: %w", len(l.all), found, hone.ErrCorrupt)
	}
	return err
}

func (l *judgedLoader) steps(ctx context.Context) error {
	var sample, from, to int
	return l.zip(ctx, "SELECT sample, tok_from, tok_to FROM steps WHERE run_id = $1 AND iteration = $2 ORDER BY sample, step",
		&sample, []any{&from, &to}, func(j *Judged) error {
			j.Trajectory.Steps = append(j.Trajectory.Steps, hone.Step{From: from, To: to})
			return nil
		})
}

func (l *judgedLoader) layers(ctx context.Context) error {
	var sample int
	var name string
	var total float64
	return l.zip(ctx, `SELECT sample, layer, total FROM rewards WHERE run_id = $1 AND iteration = $2 AND scoring_id = 0
		ORDER BY sample, position`, &sample, []any{&name, &total}, func(j *Judged) error {
		j.Layers = append(j.Layers, LayerTotal{Layer: name, Total: total})
		return nil
	})
}

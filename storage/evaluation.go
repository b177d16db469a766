package storage

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// EvaluationKey names a measurement of a policy version.
type EvaluationKey struct {
	Run     hone.RunID
	Version int
	Split   hone.Split
	// Mode is how the policy answered, such as "greedy".
	Mode string
	// Limit is how many problems of the split were asked, 0 for all.
	Limit int
}

// Answer is one problem's answer.
type Answer struct {
	Problem hone.Problem
	Outcome hone.Outcome
	// Reason says why, for a person.
	Reason string
	// Tokens is the length of the completion.
	Tokens int
	// Completion is the answer as written.
	Completion string
}

// Evaluation is the summary of a measurement.
type Evaluation struct {
	EvaluationKey
	Problems int
	// Outcomes counts the answers; they sum to Problems.
	Outcomes map[hone.Outcome]int
	// Tokens is the sum over answers.
	Tokens int64
	// Digest is that of the answers.
	Digest  blob.Digest
	Created time.Time
}

// Accuracy is the share of right answers, in [0, 1]; 0 for no problems.
func (e Evaluation) Accuracy() float64 {
	if e.Problems == 0 {
		return 0
	}
	return float64(e.Outcomes[hone.OutcomeRight]) / float64(e.Problems)
}

// SaveEvaluation stores a measurement once: repeating it does nothing, other answers under the same key are [hone.ErrConflict].
func (s *Store) SaveEvaluation(ctx context.Context, key EvaluationKey, answers []Answer) error {
	run, err := runKey(key.Run)
	if err != nil {
		return err
	}
	tokens := 0
	for i, a := range answers {
		for _, text := range []struct{ what, text string }{
			{"task", a.Problem.Task}, {"problem key", a.Problem.Key}, {"reason", a.Reason}, {"completion", a.Completion},
		} {
			if err := checkText(fmt.Sprintf("%s of answer %d", text.what, i), text.text); err != nil {
				return fail(ctx, err, "save evaluation %+v", key)
			}
		}
		tokens += a.Tokens
	}
	digest := digestAnswers(answers)
	err = s.inTx(ctx, fault.Evaluation, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO evaluations (run_id, version, split, mode, problem_limit, problems, tokens, digest)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			run, key.Version, string(key.Split), key.Mode, key.Limit, len(answers), tokens, digest)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return compareEvaluation(ctx, tx, key, digest)
		}
		return copyAnswers(ctx, tx, run, key, answers)
	})
	return fail(ctx, err, "save evaluation %+v", key)
}

// AnswersDigest is what is stored as the digest of answers.
func AnswersDigest(answers []Answer) blob.Digest { return blob.FromBytes(digestAnswers(answers)) }

func digestAnswers(answers []Answer) []byte {
	d := newDigester()
	for _, a := range answers {
		d.texts(a.Problem.ID(), string(a.Outcome), a.Reason, a.Completion)
		d.ints(a.Tokens)
	}
	return d.sum()
}

func compareEvaluation(ctx context.Context, tx pgx.Tx, key EvaluationKey, digest []byte) error {
	var stored []byte
	err := tx.QueryRow(ctx, "SELECT digest FROM evaluations "+whereEvaluation, key.args()...).Scan(&stored)
	if err == nil && !bytes.Equal(stored, digest) {
		err = fmt.Errorf("it is stored with other answers: %w", hone.ErrConflict)
	}
	return err
}

const whereEvaluation = "WHERE run_id = $1 AND version = $2 AND split = $3 AND mode = $4 AND problem_limit = $5"

func (k EvaluationKey) args() []any {
	return []any{string(k.Run), k.Version, string(k.Split), k.Mode, k.Limit}
}

func copyAnswers(ctx context.Context, tx pgx.Tx, run pgtype.UUID, key EvaluationKey, answers []Answer) error {
	columns := []string{
		"run_id", "version", "split", "mode", "problem_limit", "position",
		"task", "problem_key", "outcome", "reason", "tokens", "completion",
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"evaluation_answers"}, columns, pgx.CopyFromSlice(len(answers), func(i int) ([]any, error) {
		a := answers[i]
		return []any{
			run, key.Version, string(key.Split), key.Mode, key.Limit, i,
			a.Problem.Task, a.Problem.Key, string(a.Outcome), a.Reason, a.Tokens, a.Completion,
		}, nil
	}))
	return err
}

// Evaluations are the summaries of all measurements of a run, by version, split, mode and limit.
func (s *Store) Evaluations(ctx context.Context, run hone.RunID) ([]Evaluation, error) {
	if _, err := runKey(run); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT e.version, e.split, e.mode, e.problem_limit, e.problems, e.tokens, e.digest, e.created_at,
			a.outcomes, a.counts
		FROM evaluations e
		LEFT JOIN LATERAL (
			SELECT array_agg(outcome ORDER BY outcome) AS outcomes, array_agg(n ORDER BY outcome) AS counts FROM (
				SELECT outcome, count(*) AS n FROM evaluation_answers
				WHERE (run_id, version, split, mode, problem_limit) = (e.run_id, e.version, e.split, e.mode, e.problem_limit)
				GROUP BY outcome) o) a ON true
		WHERE e.run_id = $1 ORDER BY e.version, e.split, e.mode, e.problem_limit`, string(run))
	if err != nil {
		return nil, fail(ctx, err, "evaluations of run %s", run)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Evaluation, error) {
		e := Evaluation{EvaluationKey: EvaluationKey{Run: run}, Outcomes: make(map[hone.Outcome]int)}
		var outcomes []hone.Outcome
		var counts []int
		var digest []byte
		err := row.Scan(&e.Version, &e.Split, &e.Mode, &e.Limit, &e.Problems, &e.Tokens, &digest, &e.Created, &outcomes, &counts)
		e.Digest = blob.FromBytes(digest)
		for i, o := range outcomes {
			e.Outcomes[o] = counts[i]
		}
		return e, err
	})
	return all, fail(ctx, err, "evaluations of run %s", run)
}

// Evaluation is the summary of one measurement.
func (s *Store) Evaluation(ctx context.Context, key EvaluationKey) (Evaluation, error) {
	all, err := s.Evaluations(ctx, key.Run)
	if err != nil {
		return Evaluation{}, err
	}
	for _, e := range all {
		if e.EvaluationKey == key {
			return e, nil
		}
	}
	return Evaluation{}, fmt.Errorf("evaluation %+v: %w", key, hone.ErrNotFound)
}

// Answers are the answers of one measurement in the order they were given. Their problems have no prompt: the task has it.
func (s *Store) Answers(ctx context.Context, key EvaluationKey) ([]Answer, error) {
	if _, err := runKey(key.Run); err != nil {
		return nil, err
	}
	var exists bool
	err := s.pool.QueryRow(ctx, "SELECT true FROM evaluations "+whereEvaluation, key.args()...).Scan(&exists)
	if err != nil {
		return nil, fail(ctx, err, "answers of evaluation %+v", key)
	}
	rows, err := s.pool.Query(ctx, "SELECT task, problem_key, outcome, reason, tokens, completion FROM evaluation_answers "+
		whereEvaluation+" ORDER BY position", key.args()...)
	if err != nil {
		return nil, fail(ctx, err, "answers of evaluation %+v", key)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Answer, err error) {
		err = row.Scan(&a.Problem.Task, &a.Problem.Key, &a.Outcome, &a.Reason, &a.Tokens, &a.Completion)
		return a, err
	})
	return all, fail(ctx, err, "answers of evaluation %+v", key)
}

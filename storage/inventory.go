package storage

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/jackc/pgx/v5"
)

// Inventory is what the record says that a run holds, read at one instant: names, numbers and digests, without the content.
type Inventory struct {
	Run  Run
	Head Head
	// Versions are in the order of their numbers.
	Versions []Numbered
	// Iterations are in order.
	Iterations []Standing
	// Batches are the entries of the ledger, by kind, iteration, scoring, round and shard.
	Batches []Batch
	// Rows are how many rows there are, by table, iteration and scoring; parts without rows are left out.
	Rows []Rows
	// Scorings are the numbers of the scorings that were added, in order.
	Scorings []int
}

// Numbered is a published version, the iteration that made it, and the version whose content it has again; -1 for none.
type Numbered struct {
	Number, Iteration, Restores int
	Version
	// Lost is what retention took from it.
	Lost Dropped
}

// IterationStatus is how far an iteration is. Values are stored; append only.
type IterationStatus string

// The statuses of an iteration.
const (
	IterationOpen IterationStatus = "open"
	IterationDone IterationStatus = "done"
	// IterationAbandoned was sampled, and then its run went back before it was trained on.
	IterationAbandoned IterationStatus = "abandoned"
)

// Standing is an iteration and how far it is.
type Standing struct {
	Iteration
	Status IterationStatus
	// Ended is how many prompts have an end, and LastSlot is the largest slot of one, -1 for none.
	Ended, LastSlot int
	// Dropped tells that retention took its trajectories and all that was made of them.
	Dropped bool
}

// BatchKind is what a batch of the ledger holds.
type BatchKind string

// The kinds of batches. Values are stored; append only.
const (
	BatchRollout BatchKind = "rollout"
	BatchScore   BatchKind = "score"
	// BatchDivision says how many shards a round of an iteration has, and holds nothing.
	BatchDivision BatchKind = "division"
)

// Batch is one entry of the exactly-once ledger.
type Batch struct {
	Kind BatchKind
	// ScoringKey is the part that the batch is; Scoring is 0 for a rollout.
	ScoringKey
	Digest blob.Digest
	// Rows are trajectories or scores; of a division the shards.
	Rows int
}

// Rows counts the rows of a bulk table, and of table replays the trajectories. Scoring is 0 where the table knows none.
type Rows struct {
	Table              string
	Iteration, Scoring int
	Rows               int
}

// Inventory reads what the run holds. A key of the ledger that is none of this program's is [hone.ErrCorrupt].
func (s *Store) Inventory(ctx context.Context, run hone.RunID) (Inventory, error) {
	if _, err := runKey(run); err != nil {
		return Inventory{}, err
	}
	var inv Inventory
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		r := inventoryReader{tx: tx, run: run, to: &inv}
		for _, read := range []func(context.Context) error{r.head, r.versions, r.iterations, r.batches, r.rows, r.scorings} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return inv, fail(ctx, err, "inventory of run %s", run)
}

type inventoryReader struct {
	tx  pgx.Tx
	run hone.RunID
	to  *Inventory
}

func (r inventoryReader) head(ctx context.Context) (err error) {
	if err := scanRun(r.tx.QueryRow(ctx, "SELECT "+runColumns+" FROM runs r WHERE run_id = $1", string(r.run)), &r.to.Run); err != nil {
		return err
	}
	r.to.Head, err = readHead(ctx, r.tx, r.run, "")
	return err
}

func (r inventoryReader) versions(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `SELECT version, coalesce(iteration, -1), coalesce(restores, -1), weights, optimiser, state,
			coalesce(weights_dropped, 'epoch'), coalesce(optimiser_dropped, 'epoch')
		FROM policy_versions WHERE run_id = $1 ORDER BY version`, string(r.run))
	if err != nil {
		return err
	}
	r.to.Versions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v Numbered, err error) {
		var weights, optimiser []byte
		err = row.Scan(&v.Number, &v.Iteration, &v.Restores, &weights, &optimiser, &v.State, &v.Lost.Weights, &v.Lost.Optimiser)
		v.Lost = v.Lost.orNothing()
		v.Weights, v.Optimiser = blob.FromBytes(weights), blob.FromBytes(optimiser)
		return v, err
	})
	return err
}

func (r inventoryReader) iterations(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `SELECT i.iteration, i.behaviour, i.prompts, i.status, coalesce(p.ended, 0), coalesce(p.last, -1),
			i.dropped IS NOT NULL
		FROM iterations i
		LEFT JOIN (SELECT iteration, count(*) AS ended, max(slot) AS last FROM iteration_prompts WHERE run_id = $1 GROUP BY iteration) p
			USING (iteration)
		WHERE i.run_id = $1 ORDER BY i.iteration`, string(r.run))
	if err != nil {
		return err
	}
	r.to.Iterations, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Standing, error) {
		s := Standing{Iteration: Iteration{Run: r.run}}
		err := row.Scan(&s.Iteration.Iteration, &s.Behaviour, &s.Prompts, &s.Status, &s.Ended, &s.LastSlot, &s.Dropped)
		return s, err
	})
	return err
}

func (r inventoryReader) batches(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `SELECT batch_key, digest, row_count FROM ingest_batches WHERE run_id = $1`, string(r.run))
	if err != nil {
		return err
	}
	var key string
	var digest []byte
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &digest, &n}, func() error {
		b, err := parseBatch(r.run, key)
		if err != nil {
			return err
		}
		b.Digest, b.Rows = blob.FromBytes(digest), n
		r.to.Batches = append(r.to.Batches, b)
		return nil
	})
	slices.SortFunc(r.to.Batches, func(a, b Batch) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Iteration, b.Iteration), cmp.Compare(a.Scoring, b.Scoring),
			cmp.Compare(a.Round, b.Round), cmp.Compare(a.Shard, b.Shard))
	})
	return err
}

// bulk are the tables with a partition a run: which scoring a row is of, and how many rows it stands for.
var bulk = []struct{ name, scoring, rows string }{ //nolint:gochecknoglobals // a table
	{"trajectories", "0", "count(*)"},
	{"steps", "0", "count(*)"},
	{"search_nodes", "0", "count(*)"},
	{"scores", "scoring_id", "count(*)"},
	{"rewards", "scoring_id", "count(*)"},
	{"targets", "scoring_id", "count(*)"},
	{"replays", "scoring_id", "sum(cardinality(samples))"},
}

func (r inventoryReader) rows(ctx context.Context) error {
	for _, t := range bulk {
		rows, err := r.tx.Query(ctx, fmt.Sprintf("SELECT iteration, %s, %s FROM %s WHERE run_id = $1 GROUP BY 1, 2 ORDER BY 1, 2",
			t.scoring, t.rows, t.name), string(r.run))
		if err != nil {
			return err
		}
		found := Rows{Table: t.name}
		_, err = pgx.ForEachRow(rows, []any{&found.Iteration, &found.Scoring, &found.Rows}, func() error {
			r.to.Rows = append(r.to.Rows, found)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r inventoryReader) scorings(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, "SELECT scoring_id FROM scorings WHERE run_id = $1 ORDER BY scoring_id", string(r.run))
	if err != nil {
		return err
	}
	r.to.Scorings, err = pgx.CollectRows(rows, pgx.RowTo[int])
	return err
}

// parseBatch reads what [ShardKey] and [ScoringKey] write.
func parseBatch(run hone.RunID, key string) (Batch, error) {
	kind, rest, _ := strings.Cut(key, "/")
	var numbers []int
	for word := range strings.SplitSeq(rest, "/") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return Batch{}, fmt.Errorf("batch %q of the ledger: %q is no number: %w", key, word, hone.ErrCorrupt)
		}
		numbers = append(numbers, n)
	}
	b := Batch{Kind: BatchKind(kind), ScoringKey: ScoringKey{ShardKey: ShardKey{Run: run}}}
	if b.Kind == BatchScore && len(numbers) > 0 {
		b.Scoring, numbers = numbers[0], numbers[1:]
	}
	if len(numbers) == 3 {
		b.Round = numbers[2]
	}
	if (b.Kind != BatchRollout && b.Kind != BatchScore && b.Kind != BatchDivision) || len(numbers) < 2 || len(numbers) > 3 {
		return Batch{}, fmt.Errorf("batch %q of the ledger is of no kind that this program writes: %w", key, hone.ErrCorrupt)
	}
	b.Iteration, b.Shard = numbers[0], numbers[1]
	return b, nil
}

// Digest is what the ledger says of the shard when it is stored. Content that can't be stored is [hone.ErrInvalid].
func (s Shard) Digest() (blob.Digest, error) {
	w := shardWriter{shard: s}
	if err := w.pack(); err != nil {
		return "", fmt.Errorf("shard %s: %w", s.Key, err)
	}
	return blob.FromBytes(w.digest()), nil
}

// ScoringDigest is what the ledger says of that part of a scoring when it is stored.
func ScoringDigest(key ScoringKey, scored []Scored) (blob.Digest, error) {
	w := scoringWriter{key: key, scored: scored}
	if err := w.prepare(); err != nil {
		return "", fmt.Errorf("scoring %d of shard %s: %w", key.Scoring, key.ShardKey, err)
	}
	return blob.FromBytes(w.digest()), nil
}

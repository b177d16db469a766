package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// Status is where a run stands. Values are stored; append only.
type Status string

// The statuses of a run.
const (
	StatusPending   Status = "pending"
	StatusRunning   Status = "running"
	StatusPaused    Status = "paused"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
)

// Final tells whether the run has ended, though it may be taken up again.
func (s Status) Final() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusCancelled
}

// NewRun is what a run is created with and can't change.
type NewRun struct {
	// Name is unique among all runs, not empty.
	Name string
	// Config is the resolved configuration, a JSON object.
	Config json.RawMessage
	// Seed is what every random stream of the run derives from.
	Seed uint64
	// Dataset is the digest of the problems trained on; empty if there is none.
	Dataset string
	// Commit and Fingerprint name the program and the kernels that created the run. They are kept for the record: a run may be
	// taken up by others.
	Commit, Fingerprint string
}

// Run is a stored run.
type Run struct {
	ID hone.RunID
	NewRun
	Status Status
	// Error says why a run that failed did.
	Error   string
	Created time.Time
	// Finished is zero unless Status is final.
	Finished time.Time
	// Parent is the run that this one was forked from, at ParentVersion; "" for none. Cycles before FirstCycle are the parent's.
	Parent        hone.RunID
	ParentVersion int
	FirstCycle    int
}

// Progress is a run with how far it is.
type Progress struct {
	Run
	// Version is the head: the newest policy version, -1 if there is none.
	Version int
	// Content is the version that first had what the head has: an older one where the run went back and has not trained since, else
	// Version.
	Content int
	// Iteration is the cycle that made Content, -1 if none did.
	Iteration int
	// Metrics are of that cycle, or of what came before the first.
	Metrics map[string]float64
}

// RunIDOf is the id that a run of that name has: the same name has the same id in every database.
func RunIDOf(name string) hone.RunID {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/hone-rl/hone/run"))
	return hone.RunID(uuid.NewSHA1(space, []byte(name)).String())
}

// CreateRun creates the run, or returns the one of that name if there is one and it was created with the same configuration,
// seed and dataset. Otherwise it is [hone.ErrConflict], and the error shows what differs.
func (s *Store) CreateRun(ctx context.Context, n NewRun) (Run, error) {
	if err := n.validate(); err != nil {
		return Run{}, err
	}
	id := RunIDOf(n.Name)
	err := s.inTx(ctx, fault.Run, func(tx pgx.Tx) error {
		_, err := insertRun(ctx, tx, id, n)
		return err
	})
	if err != nil {
		return Run{}, fail(ctx, err, "create run %s", n.Name)
	}
	r, err := s.RunNamed(ctx, n.Name)
	if err != nil {
		return Run{}, err
	}
	return r, n.matches(r.NewRun)
}

// insertRun makes a run without versions, unless there is one.
func insertRun(ctx context.Context, tx pgx.Tx, id hone.RunID, n NewRun) (made bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO runs (run_id, name, config, seed, "commit", fingerprint, dataset)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		string(id), n.Name, n.Config, int64(n.Seed), n.Commit, n.Fingerprint, n.Dataset)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO policy_heads (run_id) VALUES ($1)", string(id)); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO scorings (run_id, scoring_id, kind, config) VALUES ($1, $2, 'live', $3)",
		string(id), LiveScoring, n.Config); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, "SELECT open_run($1)", string(id))
	return true, err
}

func (n NewRun) validate() error {
	var config map[string]any
	if err := json.Unmarshal(n.Config, &config); err != nil {
		return fmt.Errorf("run %s: config is not a JSON object: %w: %w", n.Name, hone.ErrInvalid, err)
	}
	if n.Name == "" {
		return fmt.Errorf("run name is empty: %w", hone.ErrInvalid)
	}
	return errors.Join(checkText("run name", n.Name), checkText("run commit", n.Commit),
		checkText("run fingerprint", n.Fingerprint), checkText("run dataset", n.Dataset))
}

// matches reports what differs from the stored run.
func (n NewRun) matches(stored NewRun) error {
	differences, err := differ(stored.Config, n.Config)
	if err != nil {
		return fmt.Errorf("run %s: %w", n.Name, err)
	}
	if n.Seed != stored.Seed {
		differences = append(differences, fmt.Sprintf("seed: stored %d, given %d", stored.Seed, n.Seed))
	}
	if n.Dataset != stored.Dataset {
		differences = append(differences, fmt.Sprintf("dataset: stored %q, given %q", stored.Dataset, n.Dataset))
	}
	if len(differences) == 0 {
		return nil
	}
	return fmt.Errorf("run %s exists with other settings (%s); use them or another name: %w", n.Name, list(differences), hone.ErrConflict)
}

const runColumns = `r.run_id::text, r.name, r.config, r.seed, r."commit", r.fingerprint, r.dataset, r.status, r.error,
	r.created_at, r.finished_at, coalesce(r.parent::text, ''), coalesce(r.parent_version, 0), r.first_cycle`

// scanRun reads runColumns and then more.
func scanRun(row pgx.Row, r *Run, more ...any) error {
	var seed int64
	var finished *time.Time
	err := row.Scan(append([]any{
		&r.ID, &r.Name, &r.Config, &seed, &r.Commit, &r.Fingerprint, &r.Dataset, &r.Status, &r.Error,
		&r.Created, &finished, &r.Parent, &r.ParentVersion, &r.FirstCycle,
	}, more...)...)
	r.Seed = uint64(seed)
	if finished != nil {
		r.Finished = *finished
	}
	return err
}

// Run is the run with that id.
func (s *Store) Run(ctx context.Context, id hone.RunID) (r Run, err error) {
	if _, err := runKey(id); err != nil {
		return Run{}, err
	}
	err = scanRun(s.pool.QueryRow(ctx, "SELECT "+runColumns+" FROM runs r WHERE run_id = $1", string(id)), &r)
	return r, fail(ctx, err, "run %s", id)
}

// RunNamed is the run with that name.
func (s *Store) RunNamed(ctx context.Context, name string) (r Run, err error) {
	if err := checkText("run name", name); err != nil {
		return Run{}, err
	}
	err = scanRun(s.pool.QueryRow(ctx, "SELECT "+runColumns+" FROM runs r WHERE name = $1", name), &r)
	return r, fail(ctx, err, "run %q", name)
}

// readProgress selects runs, with the numbers of the cycle that made what the head has: one that the run went back from is passed over.
const readProgress = "SELECT " + runColumns + `,
		coalesce(h.version, -1), coalesce(c.version, -1), coalesce(c.iteration, -1), m.names, m.values
	FROM runs r
	JOIN policy_heads h USING (run_id)
	LEFT JOIN LATERAL (
		WITH RECURSIVE back AS (
			SELECT version, iteration, restores FROM policy_versions WHERE run_id = r.run_id AND version = h.version
			UNION ALL
			SELECT v.version, v.iteration, v.restores FROM policy_versions v JOIN back b ON v.version = b.restores WHERE v.run_id = r.run_id)
		SELECT version, iteration FROM back WHERE restores IS NULL) c ON true
	LEFT JOIN LATERAL (SELECT array_agg(name ORDER BY name) AS names, array_agg(value ORDER BY name) AS values
		FROM iteration_metrics WHERE run_id = r.run_id AND iteration = coalesce(c.iteration, -1)) m ON true `

func scanProgress(row pgx.CollectableRow) (p Progress, err error) {
	var names []string
	var values []float64
	err = scanRun(row, &p.Run, &p.Version, &p.Content, &p.Iteration, &names, &values)
	p.Metrics = make(map[string]float64, len(names))
	for i, name := range names {
		p.Metrics[name] = values[i]
	}
	return p, err
}

// Runs are all runs with their progress, the newest first.
func (s *Store) Runs(ctx context.Context) ([]Progress, error) {
	rows, err := s.pool.Query(ctx, readProgress+"ORDER BY r.created_at DESC, r.name")
	if err != nil {
		return nil, fail(ctx, err, "list runs")
	}
	all, err := pgx.CollectRows(rows, scanProgress)
	return all, fail(ctx, err, "list runs")
}

// Progress is one run with its progress.
func (s *Store) Progress(ctx context.Context, run hone.RunID) (p Progress, err error) {
	if _, err := runKey(run); err != nil {
		return Progress{}, err
	}
	rows, err := s.pool.Query(ctx, readProgress+"WHERE r.run_id = $1", string(run))
	if err == nil {
		p, err = pgx.CollectExactlyOneRow(rows, scanProgress)
	}
	return p, fail(ctx, err, "progress of run %s", run)
}

// SetStatus says where the run stands; reason is why, in words, and may be empty.
func (s *Store) SetStatus(ctx context.Context, id hone.RunID, status Status, reason string) error {
	if _, err := runKey(id); err != nil {
		return err
	}
	if err := checkText("reason", reason); err != nil {
		return err
	}
	tag, err := s.exec(ctx, fault.Status,
		`UPDATE runs SET status = $2, error = $3, finished_at = CASE WHEN $4 THEN now() END WHERE run_id = $1`,
		string(id), string(status), reason, status.Final())
	if err == nil && tag.RowsAffected() == 0 {
		err = hone.ErrNotFound
	}
	if err == nil && status == StatusRunning {
		_, err = s.pool.Exec(ctx, "SELECT open_run($1)", string(id)) // which retention may have closed
	}
	return fail(ctx, err, "set status of run %s to %s", id, status)
}

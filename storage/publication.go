package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/blob"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
)

// PublicationState is what became of an attempt to give a service a better policy. Values are stored; append only.
type PublicationState string

// The states of an attempt. A service uses its newest published one.
const (
	Published PublicationState = "published"
	// Refused is a policy that was no better than the one in service.
	Refused PublicationState = "refused"
	// Skipped is an attempt that trained nothing.
	Skipped PublicationState = "skipped"
	// Withdrawn was published and is not to be used: the one before it is again.
	Withdrawn PublicationState = "withdrawn"
	// Retired was published and is too old to be kept.
	Retired PublicationState = "retired"
)

// Publication is one attempt to give a service a better policy.
type Publication struct {
	Service string `json:"service"`
	// Number counts the service's attempts from 0.
	Number int `json:"number"`
	// Request names what made the attempt.
	Request string           `json:"request"`
	State   PublicationState `json:"state"`
	// Reason says why, in words; only a published one needs none.
	Reason string `json:"reason"`
	// Run and Version are the policy; Run is "" where nothing was trained.
	Run     hone.RunID `json:"run,omitempty"`
	Version int        `json:"version"`
	// Problems names the list of those that were new; "" for none.
	Problems blob.Digest `json:"problems,omitempty"`
	// Details is what was measured, a JSON object.
	Details json.RawMessage `json:"details"`
	Created time.Time       `json:"created"`
}

// SavePublication records an attempt and returns it with its number; one of the same request is returned as it is stored. Of the published
// ones the newest keep stay, keep >= 1, and older ones retire: their weights may be collected.
func (s *Store) SavePublication(ctx context.Context, p Publication, keep int) (saved Publication, err error) {
	if p.Service == "" || p.Request == "" || keep < 1 || !json.Valid(p.Details) {
		return p, fmt.Errorf("publication of service %q by request %q with details %q, %d to keep: want two names, JSON and 1 or more: %w",
			p.Service, p.Request, p.Details, keep, hone.ErrInvalid)
	}
	var problems []byte
	if p.Problems != "" {
		if problems, err = p.Problems.Bytes(); err != nil {
			return p, err
		}
	}
	var run *string
	var version *int
	if p.Run != "" {
		run, version = (*string)(&p.Run), &p.Version
	}
	err = s.inTx(ctx, fault.Publication, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, p.Service); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO publications (service, number, request, state, reason, run_id, version, problems, details)
			SELECT $1, coalesce(max(number) + 1, 0), $2, $3, $4, $5::uuid, $6::int, $7::bytea, $8::json FROM publications WHERE service = $1
			ON CONFLICT (service, request) DO NOTHING`,
			p.Service, p.Request, string(p.State), p.Reason, run, version, problems, string(p.Details))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE publications SET state = 'retired', reason = format('%s newer ones are kept', $2::int)
			WHERE service = $1 AND state = 'published' AND number NOT IN (
				SELECT number FROM publications WHERE service = $1 AND state = 'published' ORDER BY number DESC LIMIT $2)`,
			p.Service, keep); err != nil {
			return err
		}
		saved, err = readPublication(ctx, tx, "WHERE service = $1 AND request = $2", p.Service, p.Request)
		return err
	})
	return saved, fail(ctx, err, "save publication of service %s", p.Service)
}

// lockService keeps writers of one service apart.
func lockService(ctx context.Context, tx pgx.Tx, service string) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('publications:' || $1, 0))", service)
	return err
}

// Withdraw takes an attempt's policy, which a service uses, out of it, and returns the one that was published before, which it uses now.
// One that is withdrawn already stays so, and the service uses what it did: asking twice is asking once. An attempt that the service
// doesn't use, or the only one that it could, is [hone.ErrInvalid] and changes nothing.
func (s *Store) Withdraw(ctx context.Context, service string, attempt int, reason string) (now Publication, err error) {
	err = s.inTx(ctx, fault.Publication, func(tx pgx.Tx) error {
		if err := lockService(ctx, tx, service); err != nil {
			return err
		}
		which, err := readPublication(ctx, tx, "WHERE service = $1 AND number = $2", service, attempt)
		if err != nil {
			return err
		}
		published, err := readPublications(ctx, tx, "WHERE service = $1 AND state = 'published' ORDER BY number DESC LIMIT 2", service)
		switch {
		case err != nil:
			return err
		case which.State == Withdrawn && len(published) > 0:
			now = published[0]
			return nil
		case which.State != Published || published[0].Number != attempt:
			return fmt.Errorf("it is %s, and not what is in use: %w", which.State, hone.ErrInvalid)
		case len(published) < 2:
			return fmt.Errorf("it is the only published policy that is kept, and another is needed to go back to: %w", hone.ErrInvalid)
		}
		now = published[1]
		_, err = tx.Exec(ctx, "UPDATE publications SET state = 'withdrawn', reason = $3 WHERE service = $1 AND number = $2",
			service, attempt, reason)
		return err
	})
	return now, fail(ctx, err, "withdraw attempt %d of service %s", attempt, service)
}

// InService is the policy that a service uses: its newest published one.
func (s *Store) InService(ctx context.Context, service string) (Publication, error) {
	p, err := readPublication(ctx, s.pool, "WHERE service = $1 AND state = 'published' ORDER BY number DESC LIMIT 1", service)
	return p, fail(ctx, err, "policy of service %q", service)
}

// Publications are the attempts of a service, the newest first; "" means all services, by name.
func (s *Store) Publications(ctx context.Context, service string) ([]Publication, error) {
	all, err := readPublications(ctx, s.pool, "WHERE $1 IN ('', service) ORDER BY service, number DESC", service)
	return all, fail(ctx, err, "publications of service %q", service)
}

func readPublication(ctx context.Context, q querier, where string, args ...any) (Publication, error) {
	all, err := readPublications(ctx, q, where, args...)
	if err == nil && len(all) == 0 {
		err = hone.ErrNotFound
	}
	if err != nil {
		return Publication{}, err
	}
	return all[0], nil
}

func readPublications(ctx context.Context, q querier, where string, args ...any) ([]Publication, error) {
	rows, err := q.Query(ctx, `SELECT service, number, request, state, reason, coalesce(run_id::text, ''), coalesce(version, 0), problems,
		details, created_at FROM publications `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Publication, err error) {
		var problems []byte
		err = row.Scan(&p.Service, &p.Number, &p.Request, &p.State, &p.Reason, &p.Run, &p.Version, &problems, &p.Details, &p.Created)
		if problems != nil {
			p.Problems = blob.FromBytes(problems)
		}
		return p, err
	})
}

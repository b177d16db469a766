package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// Input is what to check.
type Input struct {
	Store *storage.Store
	Blobs blob.Store
	Run   hone.RunID
	// Progress hears of each iteration that was read; nil is nobody.
	Progress func(done, total int)
}

// Report is what was found.
type Report struct {
	// Run is the run's name, Status how it stands and Version its newest version, -1 for none.
	Run     string         `json:"run"`
	Status  storage.Status `json:"status"`
	Version int            `json:"version"`
	// Digest is that of all content of committed iterations and of the evaluations, in hex: two runs of one name that did the same
	// have the same, however they were divided and interrupted. Times, names of programs and replays are no part of it.
	Digest blob.Digest `json:"digest"`
	// Checked are how many things of each kind were.
	Checked []Checked `json:"checked"`
	// Faults are all that does not hold; empty for a record that is whole.
	Faults []Fault `json:"faults"`
}

// Checked counts things of a kind, named in the plural.
type Checked struct {
	What   string `json:"what"`
	Number int    `json:"number"`
}

// Fault is one thing that does not hold, in words.
type Fault struct {
	// Where is the thing, such as "iteration 3, shard 1".
	Where string `json:"where"`
	// What is wrong with it: what was found and what would be right.
	What string `json:"what"`
}

// Run checks a run. An error is that something couldn't be read at all; what doesn't hold is in the report.
func Run(ctx context.Context, in Input) (Report, error) {
	c := &checker{Input: in, record: sha256.New()}
	var err error
	if c.inv, err = in.Store.Inventory(ctx, in.Run); err != nil {
		return Report{}, err
	}
	c.report = Report{Run: c.inv.Run.Name, Status: c.inv.Run.Status, Version: c.inv.Head.Number, Faults: []Fault{}}
	c.chain()
	if err := c.blobs(ctx); err != nil {
		return Report{}, err
	}
	c.strays()
	for i, it := range c.inv.Iterations {
		if err := c.iteration(ctx, it); err != nil {
			return Report{}, err
		}
		if in.Progress != nil {
			in.Progress(i+1, len(c.inv.Iterations))
		}
	}
	if err := c.evaluations(ctx); err != nil {
		return Report{}, err
	}
	c.report.Digest = blob.FromBytes(c.record.Sum(nil))
	return c.report, nil
}

// checker is one check of a run.
type checker struct {
	Input

	inv    storage.Inventory
	report Report
	// record is the digest of the content so far.
	record hash.Hash
}

// faultf notes what does not hold.
func (c *checker) faultf(where, format string, args ...any) {
	c.report.Faults = append(c.report.Faults, Fault{Where: where, What: fmt.Sprintf(format, args...)})
}

// checked adds to the count of a kind.
func (c *checker) checked(what string, n int) {
	for i := range c.report.Checked {
		if c.report.Checked[i].What == what {
			c.report.Checked[i].Number += n
			return
		}
	}
	c.report.Checked = append(c.report.Checked, Checked{What: what, Number: n})
}

// notef makes content part of the record's digest.
func (c *checker) notef(format string, args ...any) { fmt.Fprintf(c.record, format+"\n", args...) }

// damaged notes an error that says that what is stored is damaged or gone, and passes on all others.
func (c *checker) damaged(where string, err error) error {
	if errors.Is(err, hone.ErrCorrupt) || errors.Is(err, hone.ErrNotFound) || errors.Is(err, hone.ErrInvalid) {
		c.faultf(where, "%v", err)
		return nil
	}
	return err
}

// rows is the number of rows of a table that an iteration and a scoring have.
func (c *checker) rows(table string, iteration, scoring int) int {
	for _, r := range c.inv.Rows {
		if r.Table == table && r.Iteration == iteration && r.Scoring == scoring {
			return r.Rows
		}
	}
	return 0
}

// batches are the ledger's entries of a kind, iteration and scoring, by round and shard.
func (c *checker) batches(kind storage.BatchKind, iteration, scoring int) []storage.Batch {
	var out []storage.Batch
	for _, b := range c.inv.Batches {
		if b.Kind == kind && b.Iteration == iteration && b.Scoring == scoring {
			out = append(out, b)
		}
	}
	return out
}

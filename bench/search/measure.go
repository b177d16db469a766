package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// method is one way to answer.
type method struct {
	name, title string
	// flags are those of hone eval; none is greedy decoding, which has no budget.
	flags []string
	// judged tells that a verifier could guide it.
	judged bool
}

// methods are all of them, in the order of the tables.
func methods() []method {
	search := func(way string, more ...string) []string { return append([]string{"--search", way}, more...) }
	out := []method{
		{name: "greedy", title: "greedy"},
		{name: "best_of", title: "best of n", flags: search("best_of"), judged: true},
		{name: "majority", title: "majority", flags: search("majority")},
		{name: "beam", title: "beam", flags: search("beam"), judged: true},
		{name: "lookahead", title: "lookahead", flags: search("lookahead"), judged: true},
		{name: "puct", title: "PUCT", flags: search("puct"), judged: true},
		{name: "gumbel", title: "Gumbel", flags: search("gumbel"), judged: true},
		{name: "puct_unshared", title: "PUCT, states not shared", flags: search("puct", "--unshared"), judged: true},
	}
	for _, leaves := range []string{"1", "4", "16", "64"} {
		out = append(out, method{
			name: "puct_leaves_" + leaves, title: "PUCT, leaves at once: " + leaves, flags: search("puct", "--leaves", leaves), judged: true,
		})
	}
	return out
}

func methodNames() []string {
	var out []string
	for _, m := range methods() {
		out = append(out, m.name)
	}
	return out
}

func methodOf(name string) (method, bool) {
	all := methods()
	i := slices.IndexFunc(all, func(m method) bool { return m.name == name })
	if i < 0 {
		return method{}, false
	}
	return all[i], true
}

// record is one measurement.
type record struct {
	Method   string `json:"method"`
	Budget   int    `json:"budget"`
	Verified bool   `json:"verified"`
	// Value is the process-value model that the way went by, "" for the policy's own value head.
	Value   string `json:"value,omitempty"`
	Run     string `json:"run"`
	Version int    `json:"version"`
	// Task is the problems', "" in records made before there was another than the Game of 24.
	Task     string `json:"task,omitempty"`
	Split    string `json:"split"`
	Problems int    `json:"problems"`
	Right    int    `json:"right"`
	// Tokens is the mean of those generated for a problem, Seconds the time for all problems together.
	Tokens  float64 `json:"tokens"`
	Seconds float64 `json:"seconds"`
}

func (r record) accuracy() float64 { return float64(r.Right) / float64(r.Problems) }

// cell names a measurement; a greedy one has budget 0 and no verifier. A way that no verifier could guide goes by no values either.
func (o options) cell(m method, budget int, run string) record {
	r := record{Method: m.name, Budget: budget, Verified: o.verified && m.judged, Run: run, Version: o.version, Split: o.split}
	if len(m.flags) == 0 {
		r.Budget = 0
	}
	if i := slices.Index(o.runs, run); m.judged && i < len(o.values) {
		r.Value = o.values[i]
	}
	return r
}

// path is the file of a cell. The number of problems is part of its name as it was asked for.
func (o options) path(r record) string {
	verified := ""
	if r.Verified {
		verified = "+verified"
	}
	if r.Value != "" {
		verified += "+value=" + r.Value[:min(len(r.Value), 12)]
	}
	version := "newest"
	if o.version >= 0 {
		version = strconv.Itoa(o.version)
	}
	return filepath.Join(o.dir, fmt.Sprintf("%s-%s-%s-%d-%s%s@%d.json", r.Run, version, r.Split, o.limit, r.Method, verified, r.Budget))
}

// measureAll measures what has no record yet, budget by budget, so that an interrupted comparison is one of all methods.
func (o options) measureAll(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("folder of records: %w", err)
	}
	var faults []error
	for _, budget := range o.budgets {
		for _, name := range o.methods {
			for _, run := range o.runs {
				m, _ := methodOf(name)
				cell := o.cell(m, budget, run)
				if _, err := os.Stat(o.path(cell)); err == nil {
					continue
				}
				got, err := o.measure(ctx, m, cell)
				if ctx.Err() != nil {
					return errors.Join(append(faults, context.Cause(ctx))...)
				}
				if err != nil {
					faults = append(faults, fmt.Errorf("%s within %d tokens, run %s: %w", name, budget, run, err))
					continue
				}
				fmt.Fprintf(log, "%-16s %5d tokens  %-12s %5.1f%%  %7.1f tokens a problem\n", name, budget, run, 100*got.accuracy(), got.Tokens)
			}
		}
	}
	return errors.Join(faults...)
}

// measure has hone answer, and keeps the record.
func (o options) measure(ctx context.Context, m method, cell record) (record, error) {
	args := []string{
		"eval", "--json", "--run", cell.Run, "--version", strconv.Itoa(o.version), "--split", o.split, "--limit", strconv.Itoa(o.limit),
	}
	if len(m.flags) > 0 {
		args = append(append(args, m.flags...), "--budget", strconv.Itoa(cell.Budget))
	}
	if cell.Verified {
		args = append(args, "--verified")
	}
	if cell.Value != "" {
		args = append(args, "--value", cell.Value)
	}
	for _, pass := range []struct{ flag, value string }{{"--data-dir", o.dataDir}, {"--pg-bin", o.pgBin}, {"--yao", o.yao}} {
		if pass.value != "" {
			args = append(args, pass.flag, pass.value)
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, o.hone, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return record{}, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	var said struct {
		Version  int    `json:"version"`
		Task     string `json:"task"`
		Problems int    `json:"problems"`
		Outcomes struct {
			Right int `json:"right"`
		} `json:"outcomes"`
		Tokens  float64 `json:"tokens"`
		Seconds float64 `json:"seconds"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		return record{}, fmt.Errorf("what hone eval says: %w", err)
	}
	if said.Problems == 0 {
		return record{}, fmt.Errorf("split %s has no problems: %w", o.split, errNothing)
	}
	if cell.Budget > 0 && said.Tokens > float64(cell.Budget) {
		return record{}, fmt.Errorf("%s took %.1f tokens a problem, more than its budget of %d: %w",
			m.name, said.Tokens, cell.Budget, errOverspent)
	}
	cell.Task = said.Task
	cell.Version, cell.Problems, cell.Right = said.Version, said.Problems, said.Outcomes.Right
	cell.Tokens, cell.Seconds = said.Tokens, said.Seconds
	text, err := json.MarshalIndent(cell, "", "  ")
	if err != nil {
		return record{}, fmt.Errorf("record: %w", err)
	}
	// Written beside and moved, so that a record is whole or absent.
	if err := os.WriteFile(o.path(cell)+".part", append(text, '\n'), 0o644); err != nil {
		return record{}, fmt.Errorf("record: %w", err)
	}
	if err := os.Rename(o.path(cell)+".part", o.path(cell)); err != nil {
		return record{}, fmt.Errorf("record: %w", err)
	}
	return cell, nil
}

// readRecords reads all records of a folder, in the order of their names.
func readRecords(dir string) ([]record, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	var out []record
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("record %s: %w", file, err)
		}
		out = append(out, r)
	}
	return out, nil
}

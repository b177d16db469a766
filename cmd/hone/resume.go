package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task/game24"
)

// resolve decides the configuration: a new run gets what was asked for, a stored one goes on under its own.
func (t *training) resolve(ctx context.Context, r request) error {
	t.name, t.config, t.head, t.keep = r.name, r.fresh, -1, t.puzzles.list
	run, err := t.store.RunNamed(ctx, r.name)
	if errors.Is(err, hone.ErrNotFound) {
		if r.lenderName != "" {
			return t.resolveFromScoring(ctx, r)
		}
		if !r.describes() {
			return fmt.Errorf("there is no run %s; to start one, say what to train with --preset or --config: %w", r.name, hone.ErrNotFound)
		}
		if t.config.Task != game24.Name {
			t.keep = nil
		}
		t.config.Game24.Yao = t.keep
		return nil
	}
	if err != nil {
		return err
	}
	head, err := t.store.Head(ctx, run.ID)
	if err != nil {
		return err
	}
	job, err := storedJob(run.Config)
	if err != nil {
		return fmt.Errorf("run %s: %w", run.Name, err)
	}
	t.stored, t.head = &run, head.Number
	if t.config, err = t.resumed(r, job); err != nil {
		return err
	}
	if t.keep, err = t.puzzles.fit(run, job, t.servers.data); err != nil {
		return err
	}
	if r.puzzles && job.Task == game24.Name && !reflect.DeepEqual(t.keep, t.puzzles.list) {
		return fmt.Errorf("run %s was created with other test puzzles than those of %s, or with none; leave --yao away: %w",
			run.Name, t.puzzles.path, hone.ErrInvalid)
	}
	return nil
}

// resolveFromScoring decides the configuration of a new run that begins on stored trajectories. It trains on the other run's problems.
func (t *training) resolveFromScoring(ctx context.Context, r request) error {
	l, err := t.borrow(ctx, &r)
	if err != nil {
		return err
	}
	t.config = r.fresh
	t.keep, err = t.puzzles.fit(l.run, l.job, t.servers.data)
	return err
}

// describes tells whether a preset or a file was given.
func (r request) describes() bool { return len(r.layers) > 0 && !r.layers[0].typed }

// resumed is the configuration under which a stored run goes on: its job as it is, and the plan as it was or as it is now asked
// for. Whatever was said that contradicts the job is [hone.ErrInvalid].
func (t *training) resumed(r request, job activities.Job) (config, error) {
	c, known := defaultConfig(), job.Cycles
	if last := t.servers.data.lastConfig(t.name); last != nil {
		known = last.Plan.Cycles
		if !r.describes() {
			c = *last
		}
	}
	known = max(known, t.head)
	c.Job, c.Plan.Cycles = job, known
	for _, l := range r.layers {
		if err := l.over(&c); err != nil {
			return c, err
		}
		if !l.typed {
			// A preset's number of cycles is where a run begins; --cycles may have said another then and later.
			c.Cycles, c.Plan.Cycles = job.Cycles, known
		}
	}
	differences, err := compareJobs(job, c.Job)
	if err != nil {
		return c, err
	}
	if len(differences) > 0 {
		return c, fmt.Errorf("run %s exists and was created with other settings (%s); go on with it by --run %s alone, or give the new one "+
			"another name with --run: %w", r.name, strings.Join(differences, "; "), r.name, hone.ErrInvalid)
	}
	if r.cycles >= 0 {
		c.Plan.Cycles = r.cycles
	}
	// A finished run has nothing to do for fewer cycles, and says so.
	finished := t.stored.Status == storage.StatusSucceeded && t.head >= known
	if c.Plan.Cycles < known && !finished {
		return c, fmt.Errorf("%d cycles: run %s has %d already, and can only be given more: %w", c.Plan.Cycles, r.name, known, hone.ErrInvalid)
	}
	return c, c.Plan.Validate()
}

// lastConfig is what the run was last started with, nil where that was on another machine or is damaged: of the plan there is
// no other record, and the job is in the database.
func (d data) lastConfig(run string) *config {
	path := d.config(run)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	c := defaultConfig()
	if (layer{name: path, text: text}).over(&c) != nil || c.Plan.Validate() != nil {
		return nil
	}
	return &c
}

// compareJobs lists the fields in which two jobs differ, by their paths.
func compareJobs(stored, given activities.Job) ([]string, error) {
	a, err := leaves(stored)
	if err != nil {
		return nil, err
	}
	b, err := leaves(given)
	if err != nil {
		return nil, err
	}
	var out []string
	for path, value := range a {
		if !reflect.DeepEqual(value, b[path]) {
			out = append(out, fmt.Sprintf("%s: stored %v, given %v", path, value, b[path]))
		}
	}
	slices.Sort(out)
	return out, nil
}

// leaves are the values of v that are no objects, by their paths.
func leaves(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	var tree any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber() // seeds don't fit a float64
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decode configuration: %w", err)
	}
	out := make(map[string]any)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			out[path] = v
			return
		}
		for name, inner := range object {
			walk(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
	walk("", tree)
	return out, nil
}

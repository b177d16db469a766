package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// config is what a preset or a configuration file holds: the fields of the job at the top, and the plan under its name. A file
// lists only what differs from the defaults.
type config struct {
	activities.Job `yaml:",inline"`
	// Plan decides the order of work. A number of cycles below 0 means the job's.
	Plan workflows.Plan `yaml:"plan"`
}

// sameCycles is the plan's number of cycles where nothing was said of it.
const sameCycles = -1

func defaultConfig() config {
	c := config{Job: activities.DefaultJob(), Plan: workflows.DefaultPlan()}
	c.Plan.Cycles = sameCycles
	return c
}

// settle fills in what was left open.
func (c *config) settle() {
	if c.Plan.Cycles == sameCycles {
		c.Plan.Cycles = c.Cycles
	}
}

// Validate joins all faults of job and plan.
func (c config) Validate() error { return errors.Join(c.Job.Validate(), c.Plan.Validate()) }

// layer is a part of a configuration that is laid over another: a file, or one --set.
type layer struct {
	// name says where it is from.
	name string
	text []byte
	// typed is true for text that was typed on a command line, where lines and columns say nothing.
	typed bool
}

// readLayer reads a configuration file.
func readLayer(path string) (layer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return layer{}, fmt.Errorf("--config: %w", err)
	}
	return layer{name: path, text: text}, nil
}

// over lays the layer's fields over c, and leaves the others as they are. All faults of the layer are joined, each with its
// line, its column and the path of the field; c is then as it was.
func (l layer) over(c *config) error {
	copied := c.clone()
	if err := l.decode(copied); err != nil {
		return err
	}
	*c = *copied
	return nil
}

// clone is a copy whose lists can be written over.
func (c config) clone() *config {
	for _, list := range []*[]workflows.Measure{&c.Plan.Start, &c.Plan.Every, &c.Plan.Final} {
		*list = slices.Clone(*list)
	}
	c.Reward.Layers = slices.Clone(c.Reward.Layers)
	return &c
}

// job is the JSON that is stored with a run.
func (c config) job() (json.RawMessage, error) {
	raw, err := json.Marshal(c.Job)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w: %w", err, hone.ErrInvalid)
	}
	return raw, nil
}

// storedJob reads the job of a stored run.
func storedJob(raw json.RawMessage) (activities.Job, error) {
	var job activities.Job
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&job); err != nil {
		return job, fmt.Errorf("stored configuration: %w; it is of another hone than this one: %w", err, hone.ErrInvalid)
	}
	return job, nil
}

// save writes the configuration for people to read, and for --config.
func (c config) save(path string) error {
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeFile(path, text, 0o644)
}

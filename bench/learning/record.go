package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// record is what is kept of a run: enough for the page, and to tell whether two records may stand side by side.
type record struct {
	Run    string `json:"run"`
	Task   string `json:"task"`
	Method string `json:"method"`
	Seed   int    `json:"seed"`
	// Cycles is the number that the run is to have, Version how many it has; Finished is also true of its last evaluation.
	Cycles   int  `json:"cycles"`
	Version  int  `json:"version"`
	Finished bool `json:"finished"`
	Short    bool `json:"short,omitempty"`
	// Commit is the program's, Config the SHA-256 of the resolved configuration, Weights that of the newest version.
	Commit  string `json:"commit"`
	Config  string `json:"config"`
	Weights string `json:"weights"`
	// Sets are what the configuration has beside its preset.
	Sets []string `json:"sets"`
	// Seconds is the time that the activities of the cycles took.
	Seconds float64 `json:"seconds"`
	Points  []point `json:"points"`
	Curve   []cycle `json:"curve"`
}

// point is one evaluation, greedy on held-out problems.
type point struct {
	Version int `json:"version"`
	// Tokens are those of the cycles before: generated, or of demonstrations where the method learns from these.
	Tokens   float64 `json:"tokens"`
	Right    int     `json:"right"`
	Problems int     `json:"problems"`
	// Length is the mean of an answer's tokens.
	Length float64 `json:"length"`
}

// accuracy is in [0, 1]; 0 of nothing.
func (p point) accuracy() float64 {
	if p.Problems == 0 {
		return 0
	}
	return float64(p.Right) / float64(p.Problems)
}

// cycle is what is kept of one cycle.
type cycle struct {
	Iteration int     `json:"iteration"`
	Generated float64 `json:"generated"`
	// Imitated are the tokens trained on by cross-entropy, Trained those by the policy gradient.
	Imitated float64 `json:"imitated"`
	Trained  float64 `json:"trained"`
	Steps    float64 `json:"steps"`
	// Right is the share of the sampled trajectories that are, in [0, 1].
	Right   float64 `json:"right"`
	Reward  float64 `json:"reward"`
	Entropy float64 `json:"entropy"`
	KL      float64 `json:"kl"`
}

// status is what is read of hone status --json.
type status struct {
	Name    string                        `json:"name"`
	Status  string                        `json:"status"`
	Version int                           `json:"version"`
	Commit  string                        `json:"commit"`
	Weights string                        `json:"weights"`
	Metrics map[string]map[string]float64 `json:"metrics"`

	Evaluations []struct {
		Version  int     `json:"version"`
		Split    string  `json:"split"`
		Mode     string  `json:"mode"`
		Problems int     `json:"problems"`
		Tokens   float64 `json:"tokens"`
		Outcomes struct {
			Right int `json:"right"`
		} `json:"outcomes"`
	} `json:"evaluations"`
}

// read asks hone how far a run is.
func (d *driver) read(ctx context.Context, s spec) (record, error) {
	args := []string{"status", s.name(), "--json", "--data-dir", d.data(s)}
	if d.pgBin != "" {
		args = append(args, "--pg-bin", d.pgBin)
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, d.hone, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return record{}, fmt.Errorf("hone status: %w: %s", err, strings.TrimSpace(said.String()))
	}
	var st status
	if err := json.Unmarshal(out.Bytes(), &st); err != nil {
		return record{}, fmt.Errorf("hone status: %w", err)
	}
	config, err := os.ReadFile(filepath.Join(d.data(s), "runs", s.name(), "config.yaml"))
	if err != nil {
		return record{}, err
	}
	r := newRecord(s, d.options, st)
	r.Config = fmt.Sprintf("%x", sha256.Sum256(config))
	return r, nil
}

// newRecord is the record of a run that stands so.
func newRecord(s spec, o options, st status) record {
	r := record{
		Run: s.name(), Task: s.task.name, Method: s.method.name, Seed: s.seed, Cycles: o.cycles, Version: st.Version, Short: o.short,
		Commit: st.Commit, Weights: st.Weights, Sets: s.sets(o.short),
		Finished: st.Status == "succeeded" && st.Version >= o.cycles,
	}
	tokens := make([]float64, st.Version+1) // before each version
	for i := range st.Version {
		m := st.Metrics[strconv.Itoa(i)]
		c := cycle{
			Iteration: i, Generated: m["generated_tokens"], Imitated: m["imitation_tokens"], Trained: m["tokens"], Steps: m["steps"],
			Reward: m["reward"], Entropy: m["entropy"], KL: m["kl_ref_k3"],
		}
		if written, ok := m["written_tokens"]; ok { // a search writes more than its best line
			c.Generated = written
		}
		if n := m["trajectories"]; n > 0 {
			c.Right = m["outcome_right"] / n
		}
		r.Curve = append(r.Curve, c)
		tokens[i+1] = tokens[i] + c.Generated
		if s.method.demonstrated {
			tokens[i+1] = tokens[i] + c.Imitated
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if strings.HasPrefix(name, "seconds_") {
				r.Seconds += m[name]
			}
		}
	}
	for _, e := range st.Evaluations {
		if e.Split == "heldout" && e.Mode == "greedy" && e.Version <= st.Version {
			r.Points = append(r.Points, point{
				Version: e.Version, Tokens: tokens[e.Version], Right: e.Outcomes.Right, Problems: e.Problems, Length: e.Tokens,
			})
		}
	}
	slices.SortFunc(r.Points, func(a, b point) int { return cmp.Compare(a.Version, b.Version) })
	return r
}

// last is the newest evaluation, or one of nothing.
func (r record) last() point {
	if len(r.Points) == 0 {
		return point{}
	}
	return r.Points[len(r.Points)-1]
}

// at is the accuracy after so many tokens, on the line between the evaluations around; at the ends it is theirs.
func (r record) at(tokens float64) float64 {
	for i, p := range r.Points {
		if p.Tokens < tokens {
			continue
		}
		if i == 0 || p.Tokens == tokens {
			return p.accuracy()
		}
		before := r.Points[i-1]
		share := (tokens - before.Tokens) / (p.Tokens - before.Tokens)
		return before.accuracy() + share*(p.accuracy()-before.accuracy())
	}
	return r.last().accuracy()
}

// save writes the record where it appears whole or not at all.
func (r record) save(dir string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("record of %s: %w", r.Run, err)
	}
	path := filepath.Join(dir, r.Run+".json")
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readRecords are the records of a folder, by name; none where there is no folder.
func readRecords(dir string) ([]record, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []record
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var r record
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r); err != nil {
			return nil, fmt.Errorf("record %s: %w", e.Name(), err)
		}
		out = append(out, r)
	}
	return out, nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/policy/calibration"
	"github.com/hone-rl/hone/storage/blob"
)

// reliabilityBins is how many ranges a table of reliability has.
const reliabilityBins = 10

// calibrated is what the value head of a version, or a process-value model, is worth.
type calibrated struct {
	Run     string     `json:"run"`
	Version int        `json:"version"`
	Split   hone.Split `json:"split"`
	// Value is the process-value model that was measured; "" for the policy's own head.
	Value        blob.Digest `json:"value,omitempty"`
	Problems     int         `json:"problems"`
	Trajectories int         `json:"trajectories"`
	// All is of all states, After of those after so many steps, from 0.
	All   calibration.Report   `json:"all"`
	After []calibration.Report `json:"after"`
}

// calibrate measures the value head of a version, or a stored model, against what the policy comes to.
func (a *app) calibrate(ctx context.Context, l *loaded, in activities.EvaluateInput, model blob.Digest) error {
	found, err := activities.NewInspector(l.activities).Forecasts(ctx, in, model, l.progress("sample", "trajectories"))
	if err != nil {
		return err
	}
	out, err := newCalibrated(found)
	if err != nil {
		return err
	}
	out.Run, out.Version, out.Split, out.Value = l.run.Name, in.Version, in.Split, model
	l.unwatch()
	if a.json {
		return a.writeJSON(out)
	}
	out.write(a.stdout)
	return nil
}

func newCalibrated(found activities.Forecasts) (out calibrated, err error) {
	out = calibrated{Problems: found.Problems, Trajectories: found.Trajectories}
	if out.All, err = calibration.Measure(slices.Concat(found.After...), reliabilityBins); err != nil {
		return out, err
	}
	for _, forecasts := range found.After {
		report, err := calibration.Measure(forecasts, reliabilityBins)
		if err != nil {
			return out, err
		}
		out.After = append(out.After, report)
	}
	return out, nil
}

// write is the report for a person: the scores by step, and what was said against what came.
func (c calibrated) write(w io.Writer) {
	what := "value head"
	if c.Value != "" {
		what = "value model " + string(c.Value[:12])
	}
	fmt.Fprintf(w, "%s, version %d: %s on %d %s problems, %d samples, at the end of each step\n\n",
		c.Run, c.Version, what, c.Problems, c.Split, c.Trajectories)
	rows := [][]string{{"after", "states", "V said", "right", "Brier", "climate", "skill", "ECE"}}
	for k, r := range c.After {
		rows = append(rows, scoreRow(fmt.Sprintf("%d steps", k), r))
	}
	writeTable(w, append(rows, scoreRow("all", c.All)))
	writeReliability(w, c.All)
}

func scoreRow(name string, r calibration.Report) []string {
	return []string{
		name, strconv.Itoa(r.Count), number(r.Said), number(r.Came), number(r.Brier), number(r.Climate), number(r.Skill), number(r.ECE),
	}
}

// gaugeWidth is the cells of a bar from 0 to 1.
const gaugeWidth = 41

// gauge draws length, in [0, 1], with a mark.
func gauge(length, mark float64) string {
	cells := []rune(strings.Repeat("█", int(length*(gaugeWidth-1)+0.5)))
	for len(cells) < gaugeWidth {
		cells = append(cells, '·')
	}
	cells[int(mark*(gaugeWidth-1)+0.5)] = '|'
	return string(cells)
}

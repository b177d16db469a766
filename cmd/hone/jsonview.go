package main

import (
	"time"

	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// jsonView writes one JSON object a line, each with its kind in "event".
type jsonView struct {
	app   *app
	phase workflows.Phase
}

// write can't fail but where the reader has gone, which the next signal tells.
func (v *jsonView) write(event any) { _ = v.app.writeJSON(event) }

func (v *jsonView) note(text string) {
	v.write(struct {
		Event string `json:"event"`
		Text  string `json:"text"`
	}{"note", text})
}

func (v *jsonView) moment(m moment) {
	if m.progress.Phase == v.phase {
		return
	}
	v.phase = m.progress.Phase
	v.write(struct {
		Event   string          `json:"event"`
		Phase   workflows.Phase `json:"phase"`
		Version int             `json:"version"`
		Cycles  int             `json:"cycles"`
		Time    time.Time       `json:"time"`
	}{"phase", m.progress.Phase, m.progress.Version, m.progress.Cycles, time.Now().UTC()})
}

func (v *jsonView) cycle(c cycle) {
	v.write(struct {
		Event string `json:"event"`
		cycle
		Left float64 `json:"seconds_left,omitempty"`
	}{"cycle", c, c.Left.Seconds()})
}

func (v *jsonView) evaluation(e activities.Evaluation) {
	v.write(struct {
		Event string `json:"event"`
		evaluation
	}{"evaluation", withAccuracy(e)})
}

func (v *jsonView) result(r result) {
	v.write(struct {
		Event string `json:"event"`
		result
	}{"result", r})
}

func (v *jsonView) close() {}

// evaluation is an evaluation with its accuracy, in [0, 1].
type evaluation struct {
	activities.Evaluation
	Accuracy float64 `json:"accuracy"`
}

func withAccuracy(e activities.Evaluation) evaluation {
	return evaluation{Evaluation: e, Accuracy: e.Accuracy()}
}

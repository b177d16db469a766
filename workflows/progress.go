package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// The names of what [TrainWorkflow] answers.
const (
	// QueryProgress returns a [Progress].
	QueryProgress = "progress"
	// UpdateStop ends the run after the cycle it is in, as paused; it returns a [Progress].
	UpdateStop = "stop"
	// UpdateExtend takes the new number of cycles of the whole run and returns a [Progress]. It names the total rather than
	// the increase, so that saying it twice is saying it once.
	UpdateExtend = "extend"
)

// Phase is what a run is doing. Values are seen by clients; append only.
type Phase string

// The phases, in order.
const (
	PhasePrepare    Phase = "prepare"
	PhaseSupervised Phase = "supervised"
	PhaseEvaluate   Phase = "evaluate"
	PhaseRollout    Phase = "rollout"
	PhaseScore      Phase = "score"
	PhaseUpdate     Phase = "update"
	PhaseFinal      Phase = "final"
	PhasePublish    Phase = "publish"
	PhaseFinished   Phase = "finished"
)

// noVersion is the head of a run before its supervised start.
const noVersion = -1

// Progress is how far a run is.
type Progress struct {
	// Name is the run's name, Run its id, "" until it is prepared.
	Name  string     `json:"name"`
	Run   hone.RunID `json:"run,omitempty"`
	Phase Phase      `json:"phase"`
	// Version is the newest policy version, which is the number of cycles done and the number of the one under way; -1 before
	// the supervised start.
	Version int `json:"version"`
	// Cycles is how many the whole run is to have.
	Cycles int `json:"cycles"`
	// ShardsDone of Shards are sampled in the cycle under way.
	ShardsDone int `json:"shards_done"`
	Shards     int `json:"shards"`
	// Started is when the first execution of this chain began. A resumed run starts anew.
	Started time.Time `json:"started"`
	// Stopping is true once a stop has been asked for.
	Stopping bool `json:"stopping,omitempty"`
	// Alarm says why the run is stopping where nobody asked for it.
	Alarm string `json:"alarm,omitempty"`
	// Start are the evaluations of version 0, Latest the newest ones of a later version.
	Start  []activities.Evaluation `json:"start,omitempty"`
	Latest []activities.Evaluation `json:"latest,omitempty"`
	// Last is the newest cycle of this chain; nil before its first.
	Last *Cycle `json:"last,omitempty"`
	// Status and Reason say how the run ended; "" before.
	Status activities.Status `json:"status,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// handle answers queries and updates from now on. The handlers never wait, so none is ever half done.
func (t *training) handle(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (Progress, error) { return t.state, nil }); err != nil {
		return err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateStop,
		func(workflow.Context) (Progress, error) {
			t.state.Stopping = true
			return t.state, nil
		},
		workflow.UpdateHandlerOptions{Validator: func() error { return t.open("stop") }})
	if err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateExtend,
		func(_ workflow.Context, cycles int) (Progress, error) {
			t.state.Cycles = cycles
			return t.state, nil
		},
		workflow.UpdateHandlerOptions{Validator: func(cycles int) error {
			if cycles < t.state.Cycles {
				return refuse("extend run %s to %d cycles: it has %d already", t.input.Run, cycles, t.state.Cycles)
			}
			return t.open("extend")
		}})
}

// open refuses what comes too late to have an effect.
func (t *training) open(what string) error {
	switch {
	case t.state.Phase == PhasePublish || t.state.Phase == PhaseFinished:
		return refuse("%s run %s: its cycles are over", what, t.input.Run)
	case what == "stop" && t.state.Version >= t.state.Cycles:
		return refuse("stop run %s: all %d cycles are done and the result is being measured", t.input.Run, t.state.Cycles)
	default:
		return nil
	}
}

func refuse(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), activities.ErrorInvalid, nil)
}

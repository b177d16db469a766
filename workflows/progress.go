package workflows

import (
	"fmt"
	"strings"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
)

// The names of the queries that [TrainWorkflow] answers.
const (
	// QueryProgress returns a [Progress].
	QueryProgress = "progress"
	// QuerySummary returns it in a sentence, for a person who looks at Temporal's own pages.
	QuerySummary = "summary"
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
	// PhasePaused is between two cycles, on request.
	PhasePaused Phase = "paused"
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
	// Interrupted is true where the cycle under way is not waited for.
	Interrupted bool `json:"interrupted,omitempty"`
	// Paused is true from when it is asked for; Phase says whether the run has come to it.
	Paused bool `json:"paused,omitempty"`
	// RollBack is the version that the run goes back to after the cycle under way; nil for none.
	RollBack *int `json:"roll_back,omitempty"`
	// Changes are the settings that this execution was asked to change.
	Changes []activities.Changed `json:"changes,omitempty"`
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

// String is the progress in a sentence.
func (p Progress) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case p.Status != "":
		add("%s after %d of %d cycles", p.Status, max(p.Version, 0), p.Cycles)
	case p.Phase == PhaseRollout:
		add("cycle %d of %d, %d of %d shards are sampled", p.Version+1, p.Cycles, p.ShardsDone, p.Shards)
	case p.Phase == PhaseScore, p.Phase == PhaseUpdate:
		add("cycle %d of %d, at its %s", p.Version+1, p.Cycles, p.Phase)
	default:
		add("%s, %d of %d cycles are done", p.Phase, max(p.Version, 0), p.Cycles)
	}
	if p.Reason != "" {
		add("%s", p.Reason)
	}
	if p.Last != nil {
		add("cycle %d earned %.3f with %d of %d right", p.Last.Iteration+1, p.Last.Score.Reward, p.Last.Score.Outcomes.Right,
			p.Last.Score.Trajectories)
	}
	if n := len(p.Latest); n > 0 {
		add("version %d has %.1f%% right of %s, %s", p.Latest[0].Version, 100*p.Latest[0].Accuracy(), p.Latest[0].Split, p.Latest[0].Mode)
	}
	if p.Status == "" {
		switch {
		case p.Interrupted:
			add("stopping now")
		case p.Stopping:
			add("stopping after this cycle")
		case p.Paused && p.Phase != PhasePaused:
			add("pausing after this cycle")
		}
		if p.RollBack != nil {
			add("going back to version %d after this cycle", *p.RollBack)
		}
	}
	for _, c := range p.Changes {
		add("%s", c)
	}
	return p.Name + ": " + strings.Join(parts, "; ")
}

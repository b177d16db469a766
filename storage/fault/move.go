package fault

// Move is one way in which the record moves. Its name is what plans and doc/durability.md call it.
type Move string

// The moves, in the order in which a run comes by them.
const (
	// Migration is one file of the schema's migrations.
	Migration Move = "migration"
	// Run is the creation of a run.
	Run Move = "run"
	// Status is a change of a run's status.
	Status Move = "status"
	// Lease makes a process the run's trainer.
	Lease Move = "lease"
	// Blob gives content its name in the blob store.
	Blob Move = "blob"
	// Start publishes version 0.
	Start Move = "start"
	// Iteration starts the sampling of a cycle, or extends it by a round.
	Iteration Move = "iteration"
	// Shard stores trajectories and trees.
	Shard Move = "shard"
	// Metrics adds numbers to those of a cycle: times, for people.
	Metrics Move = "metrics"
	// Scoring stores breakdowns, live ones or those of a replay.
	Scoring Move = "scoring"
	// Cycle makes the next version the head, with everything that moves with it.
	Cycle Move = "cycle"
	// Evaluation stores the answers of a measurement.
	Evaluation Move = "evaluation"
	// Change records settings that hold from a later cycle on.
	Change Move = "change"
	// Rollback makes the content of an older version the next one.
	Rollback Move = "rollback"
	// Publication records an attempt to give a service a better policy, and which ones retire by it.
	Publication Move = "publication"
	// Replay makes room for a scoring beside the live one.
	Replay Move = "replay"
	// Fork makes a run that goes on from a version of another.
	Fork Move = "fork"
	// Retention gives up what a run need not keep.
	Retention Move = "retention"
	// Sweep deletes content that nothing refers to.
	Sweep Move = "sweep"
	// Backup gives a backup its manifest.
	Backup Move = "backup"
	// Restore fills an empty database.
	Restore Move = "restore"
)

// Moves are all of them, in that order.
func Moves() []Move {
	return []Move{
		Migration, Run, Status, Lease, Blob, Start, Iteration, Shard, Metrics, Scoring, Cycle, Evaluation, Change, Rollback, Publication,
		Replay, Fork, Retention, Sweep, Backup, Restore,
	}
}

// Point is one of the two moments of a move, such as "cycle.before".
type Point string

// Before is the moment at which all is ready and nothing has moved.
func (m Move) Before() Point { return Point(m + ".before") }

// After is the moment at which all has moved, to stay, and nobody has heard of it.
func (m Move) After() Point { return Point(m + ".after") }

// Points are the moments of all moves.
func Points() []Point {
	var out []Point
	for _, m := range Moves() {
		out = append(out, m.Before(), m.After())
	}
	return out
}

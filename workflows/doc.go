// Package workflows decides what a training run does next: order, retries, deadlines, updates and queries, and going on after
// a crash. It does none of the work: every step that touches the world is a method of activities.Activities, called by name,
// with ids and counts for arguments.
//
// A run is one workflow, [TrainWorkflow], under an id made from the run's name:
//
//	prepare ─► supervised start ─► evaluation ─► cycles ──────────────────────► evaluation ─► publish
//	           (once)              of version 0  rollout shards ─► score ─► update    of the result
//	                                             └────── evaluation every few cycles ◄─┘
//
// Rollout and scoring of a cycle repeat in rounds where scoring asks for further prompts (rollout.top_up).
//
// What the run has achieved is in Postgres, not here: [TrainWorkflow] begins by asking for the run's head and goes on from it,
// so that a new execution (after a failure, a stop, a lost Temporal database) resumes as well as one that Temporal itself
// resumes. Every activity may be called again with the same input and then returns what is stored.
//
// People steer a run by updates (from [UpdateStop] to [UpdateRollBack]): each is validated, and what it changes of the run is written into
// the record by an activity, so that this too survives the loss of Temporal's database.
//
// The functions that take a client ([StartTrain], [ReadStatus], [Pause], [Change], [Cancel] and others) are the other side of the
// workflow's protocol, for commands and services. Code that runs inside the workflow uses no clock, no randomness, no I/O and no ranging
// over maps; the histories in testdata/histories are replayed by a test to keep it so.
package workflows

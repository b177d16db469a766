// Package activities are the steps of a training run that touch the world: each decodes a small input, calls the packages that do the
// work, and returns a small result. Order, timers and retries are package workflows'.
//
// Every activity may be repeated, by Temporal or by a person: what was done already is found and returned, and what was half done
// leaves no trace. Results are functions of the run's [Job] and of names (iteration, problem, sample), never of a clock, a
// worker or the order in which work finished.
package activities

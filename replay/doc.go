// Package replay scores stored trajectories again under another reward, and says what that changes: layer by layer, group by group, and
// step by step for the largest changes.
//
// It reads an iteration at a time, so a run of any length takes the memory of a few iterations, and folds them in order, so that a report
// has the same bits on any number of processors. Trajectories are never changed; where the result is stored, it is a scoring beside the
// live one, an iteration a transaction, and a replay that was interrupted goes on with the iterations that are missing.
package replay

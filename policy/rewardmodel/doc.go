// Package rewardmodel trains and asks a model of what people, or verifiers, prefer: a policy's transformer whose value head, at the last
// token of a completion, gives its score r. Of two completions of one prompt the better one wins with probability sigmoid(r_w - r_l)
// (Bradley and Terry 1952, doi:10.1093/biomet/39.3-4.324), and training makes the preferences that were seen likely.
//
// A pair says nothing of where 0 is, so the scores of one prompt can be compared and those of two can't but by a second, small term that
// holds them around 0.
package rewardmodel

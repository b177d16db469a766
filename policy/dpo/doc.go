// Package dpo trains a policy on preferences: of two ways to go on from the same text, one is better. There are no advantages and no value
// head; the reward is implicit in how far the policy's log-probabilities have moved from a reference's.
//
// A [Pair] is two whole completions of a prompt (direct preference optimisation: Rafailov et al. 2023, arXiv:2305.18290), or two next steps
// after the same prompt and steps (Step-DPO: Lai et al. 2024, arXiv:2406.18629, eq. 2), which says where a line of reasoning went
// wrong. To the loss the two are one: what both ways share is their prefix and cancels.
//
// The package makes pairs of samples ([PairSamples]) and learns from pairs ([Learner]). It does not sample or judge, and stores
// nothing. It reads no clock and draws every random number from the seed it is given, so an update is a function of its input, bit
// for bit.
package dpo

// Package sft trains a policy on demonstrations: pairs of a prompt and the completion it should have. It is how a run begins,
// before there is anything to reinforce ([Fit]), and one way to go on: a [Learner] fits in many small updates what each cycle brings, such
// as the [Best] of the policy's own completions.
//
// The loss is the mean cross-entropy of the completions' tokens, their end-of-sequence token among them; prompts are read and not
// learned. Two more terms may be asked for: the unlikelihood of completions that a verifier forbids, such as the [Faults] of wrong
// answers, and a bonus for entropy, so that a few demonstrations don't close the other ways.
//
// The package knows no text, makes no demonstrations and stores nothing. It reads no clock and draws every random number from the
// seed it is given, so fitting again gives the same parameters bit for bit.
//
// Letters in shapes: N tokens of a batch.
package sft

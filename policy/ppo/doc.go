// Package ppo improves a policy by proximal policy optimisation: it turns trajectories and their rewards into advantages,
// builds the clipped loss as one operator in Gorgonia's graph, and runs one update of minibatch epochs.
//
// The pure parts stand alone, in float64 and without a graph: rewards per token, estimators of the KL divergence, and the controller
// of its coefficient; advantages come from package [github.com/hone-rl/hone/policy/advantage]. [Loss] is what the graph sees;
// [Learner.Update] is the whole of one cycle's learning.
//
// The package does not sample, does not judge, and stores nothing: trajectories come with the log-probabilities and values of
// the policy that generated them, and a [github.com/hone-rl/hone.Breakdown] each. It reads no clock and draws every random
// number from the seed it is given, so an update is a function of its input, bit for bit.
//
// Papers: Schulman et al. 2017, arXiv:1707.06347 (the clipped objective);
// Ziegler et al. 2019, arXiv:1909.08593 (KL to a reference and its controller); Ye et al. 2020, arXiv:1912.09729 (dual clip);
// Yu et al. 2025, arXiv:2503.14476 (unequal clip bounds, token mean).
//
// Letters in shapes: N tokens of a batch, T tokens of one trajectory's completion, S its steps.
package ppo

// Package advantage estimates how much better each sampled token was than what could be expected: the number by which a policy
// gradient weighs its log-probability. An [Estimator] is one of a small set of choices with its few numbers; what it reads of a
// batch is rewards, values and which trajectories belong together.
//
// Everything here is plain arithmetic in float64: no graph, no model, no randomness, and the same bits for the same input. The
// package knows neither what a reward was given for nor what the loss does with an advantage.
//
// Papers: Schulman et al. 2016, arXiv:1506.02438 (gae); Yue et al. 2025, arXiv:2504.05118 (a lambda of the critic's own and one
// that goes with the length); Shao et al. 2024, arXiv:2402.03300 (grpo); Liu et al. 2025, arXiv:2503.20783 (dr_grpo);
// Ahmadian et al. 2024, arXiv:2402.14740 (rloo); Hu et al. 2025, arXiv:2501.03262 (reinforce_pp and its baseline);
// Williams 1992, doi:10.1007/BF00992696 (monte_carlo).
//
// Letters in shapes: T tokens of one trajectory's completion, S its steps.
package advantage

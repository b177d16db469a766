// Package rollout turns problems into trajectories, in process: by sampling from the policy ([Roller.Sample]), or by searching
// over reasoning steps under the policy's guidance ([Roller.Search]). It also answers problems for measurement
// ([Roller.Evaluate]) and for a person ([Roller.Solve]).
//
// It knows no workflow and no database, judges nothing by itself and draws nothing from a clock: every random stream is derived
// from names (the run's seed, the purpose, the iteration, the problem, the sample), so that the same inputs give the same
// trajectories, in the order of the inputs, whatever finished first.
//
// # Steps
//
// A step is what the task says, for arithmetic a line; a trajectory's steps cover its tokens without gaps. The token that
// completes a line belongs to it, and the token that ends the sequence belongs to the last step.
//
// # Search
//
// A state of the search is the prompt and the text so far. Expanding it samples a few continuations of one step from the policy;
// each is an action, whose prior is the product of its tokens' probabilities (not normalised by length), scaled over the
// candidates. Candidates of equal tokens count once; candidates of equal text but different tokens are one action, and their
// probabilities add up. The first candidate is the likeliest continuation token by token, so that a search never knows less than
// greedy decoding. A state's value is the value head's, kept within the range of rewards; with [SearchConfig.Rollout] it is mixed with
// what the likeliest continuation comes to. What the text is worth when it has
// ended is for the caller's [JudgeFunc] to say; without one the value head says it, and then the search sees nothing but the
// policy. The trees of many problems advance together, so that the decoder gets large batches.
//
// # Budgets
//
// The modes of [Spending] answer within a number of generated tokens, all those counted that the decoder writes for a problem: best-of-n
// and majority over whole completions, beam and lookahead over steps, PUCT and Gumbel over trees whose states are shared where the task
// says that they are equal. Each passes over the greedy line first, and with a judge each stops when nothing better can be found.
//
// What earlier cycles solved may be remembered ([Paths]), by state, for training problems alone.
//
// Trees with a budget write nothing twice ([SearchConfig.Forks]): a state's steps come one by one as the search asks for them, each from
// the likeliest token that no step written after the state has taken, and a state's first evaluation writes the likeliest line from
// there to its end, or to a state that was written before. Their priors are flattened ([SearchConfig.PriorTemperature]).
//
// Yao et al. 2023, arXiv:2305.10601 (search over steps of text); Feng et al. 2023, arXiv:2309.17179 (tree search with a learned
// value); package mcts has the search's own formulas.
package rollout

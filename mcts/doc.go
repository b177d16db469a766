// Package mcts searches over steps: it grows a tree of states under the guidance of an [Evaluator], which gives every state a
// value and every action a prior, and it spends its simulations where PUCT or Gumbel selection says. It is pure: it knows no model,
// no text and no clock, it starts no goroutine, and the same roots, evaluations and configuration give the same trees, bit for bit.
//
// One simulation walks from the root to a leaf by the selection rule, has the leaf evaluated, and backs the result up. Many trees
// advance in lock-step, each with up to [Config.Leaves] walks under way, so that a wave of simulations costs one batched call of the
// evaluator:
//
//	wave 1   tree 0: select -> leaf a --+                      +-> expand a, back up
//	         tree 0: select -> leaf b --+                      +-> expand b, back up
//	         tree 1: select -> leaf c --+-> Evaluate [a, b, c] +-> expand c, back up
//
// A walk under way counts as a visit, and with weight [Config.VirtualLoss] as one that earned nothing, so that the next one goes
// elsewhere. One that comes to a leaf another one waits for is given up. A simulation that ends in a state that is known needs no
// evaluation; a tree goes on selecting until it needs one, so that no wave runs half empty while there is work. Walks of a wave are
// backed up in the order in which they began. A tree grows ([Grow]), stops at any call that fails, can be kept ([Tree.Snapshot]),
// goes on from there ([Restore], [Tree.More]) or from below ([Tree.Subtree]).
//
// # Layout
//
// All numbers of a tree lie in a few slices and name each other by index. An action that was never tried is 8 bytes, its prior; a
// node, of 96 bytes, is made when a walk first reaches it, and the edge that leads there becomes a link of 40 bytes, next to the
// links of its siblings:
//
//	nodes    [root]          [A]              [B]       [AA]
//	          | links \ block
//	links    [->A n=2 q][->B n=1 q]  [->AA n=1 q][  room ]
//	blocks   [0, 3)          [3, 5)
//	priors   A  B  C         AA AB
//	index    1  2  3         4  5
//
// Of the actions never tried, which differ in their priors alone, each node knows the best one, so that selection reads the links
// and no more. An action's index outside is its place among all priors, plus one for the root.
//
// # Formulas
//
// n and N are the visits of a child and of its parent, whose first evaluation counts, walks under way included; P is the child's
// prior, r its reward, V a mean of returns, and gamma the discount.
//
//	score(child) = Qn + sqrt(N) * (CInit + log((N + CBase + 1) / CBase)) * P / (n + 1)
//	Q(child)     = r + gamma * V(child)
//	Qn           = (Q - min) / max(max - min, 1e-8), over V(parent) and the Q of every visited child; unvisited: Q = min
//	G(parent)    = r + gamma * G(child), folded into V(parent) as a running mean
//
// Schrittwieser et al. 2020, arXiv:1911.08265, appendix B; Silver et al. 2018, doi:10.1126/science.aar6404. Virtual loss: Chaslot et
// al. 2008, doi:10.1007/978-3-540-87608-3_6; with weight 0 it is the unobserved samples of Liu et al. 2020, arXiv:1810.11755. More
// actions as visits grow: Couetoux et al. 2011, doi:10.1007/978-3-642-25566-3_32.
//
// Differs: there is one player, so no sign is flipped.
//
// Gumbel selection draws the root's actions without replacement, by noise plus logit, halves those that it tries sequentially, and
// below takes the action whose share of visits falls most short of the improved policy, softmax(logit + completed Q). Danihelka et
// al. 2022, ICLR, "Policy improvement by planning with Gumbel".
//
// # Shared states
//
// With [Config.Share] actions that lead to states of one name lead to one node. An edge keeps visits of its own, and a node's value
// is its own evaluation and its edges' Q, each with that edge's visits:
//
//	V = (raw + sum of n(edge) * Q(edge)) / N
//
// so that what other parents learned of a child is used and not counted twice. A walk that comes over a new edge to a node known by
// another way takes its value and ends, which costs no evaluation; a parent hears what its child learned by other ways when a walk
// next comes through it. An edge always leads to a deeper node: where it wouldn't, the state is made again, so there is no cycle.
// Saffidine et al. 2012, doi:10.1016/j.knosys.2011.11.014; Czech et al. 2021, arXiv:2012.11045.
package mcts

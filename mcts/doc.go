// Package mcts searches over steps: it grows a tree of states under the guidance of an [Evaluator], which gives every state a
// value and every action a prior, and it spends its simulations where PUCT says. It is pure: it knows no model, no text and no
// clock, it starts no goroutine, and the same roots, evaluations and configuration give the same trees, bit for bit.
//
// One simulation walks from the root to a leaf by the selection rule, has the leaf evaluated, and backs the result up. Many
// trees advance in lock-step, so that a wave of simulations costs one batched call of the evaluator:
//
//	wave 1   tree 0: select -> leaf a --+                      +-> expand a, back up
//	         tree 1: select -> leaf b --+-> Evaluate [a, b, c] +-> expand b, back up
//	         tree 2: select -> leaf c --+                      +-> expand c, back up
//
// A simulation that ends in a terminal state needs no evaluation; its tree goes on selecting until it needs one, so that no wave
// runs half empty while there is work.
//
// The nodes of a tree lie in one slice and name each other by index. Expanding a node appends all its children as one block, so
// that selection reads a straight run of memory; a child that was never visited is a node with zero visits:
//
//	           +--- first = 1, count = 3 ---+    +- first = 4, count = 2 -+
//	           |                            v    |                        v
//	index      0       1        2        3       4          5
//	         [root] [A: n=2] [B: n=1] [C: n=0] [AA: n=1] [AB: n=0]
//	parent    -1       0        0        0       1          1
//
// # Formulas
//
// n and N are the visits of a child and of its parent, whose first evaluation counts; P is the child's prior, r its reward, V a
// mean of returns, and gamma the discount.
//
//	score(child) = Qn + sqrt(N) * (CInit + log((N + CBase + 1) / CBase)) * P / (n + 1)
//	Q(child)     = r + gamma * V(child)
//	Qn           = (Q - min) / max(max - min, 1e-8), over V(parent) and the Q of every visited child; unvisited: Q = min
//	G(parent)    = r + gamma * G(child), folded into V(parent) as a running mean
//
// Schrittwieser et al. 2020, arXiv:1911.08265, appendix B; Silver et al. 2018, doi:10.1126/science.aar6404.
//
// Differs: Q is normalised over a node and its children, not over the whole tree, as the Mctx library does by default; there is
// one player, so no sign is flipped.
//
// Not here: a graph that shares states between branches, several leaves of one tree in one wave, Gumbel root selection.
package mcts

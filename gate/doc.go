// Package gate has the numbers by which a newly trained policy is let through or not: how far the problems it was trained on have
// moved from those before ([Compare]), and whether its answers are better than those of the policy in service beyond noise ([Test]).
// All functions are pure.
package gate

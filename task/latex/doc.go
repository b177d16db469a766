// Package latex is mathematical problems whose answers are written in LaTeX: numbers, fractions, roots, polynomials and other
// expressions, intervals, sets, tuples, matrices, equations and inequalities.
//
// Two answers are equal when they are one mathematical object, however they are written. Constants are compared as exact fractions,
// or to 1,100 bits where they have roots, pi or e, so a decimal approximation is no root. Expressions with variables are evaluated at
// random points modulo primes of 61 bits (Schwartz 1980, doi:10.1145/322217.322225; Zippel 1979): unequal polynomials of degree d agree by
// chance with a probability of at most d/2^61 a point. The points are derived from a fixed seed, so that the finding is always the same.
//
// Differs from a computer algebra system: variables stand for positive numbers, functions such as sin are only equal when their
// arguments are, and units and degree signs are dropped.
package latex

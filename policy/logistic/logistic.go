// Package logistic has the two functions that losses over preferences and outcomes are made of.
package logistic

import "math"

// Softplus is log(1 + e^x) = -log Sigmoid(-x), without overflow.
func Softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Sigmoid is 1 / (1 + e^-x), in [0, 1].
func Sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Package op holds the differentiable Gorgonia operators that the policy's graph is made of, one a file: the function that adds it
// to a graph, its forward pass, its symbolic derivative and the gradient operators that this adds.
//
// All operators of a graph share one [Pack]: the packed sequences of the current run and the kernels. Matrices have a row for each
// token up to the Pack's capacity; only the rows of the current sequences are computed, and the rest hold anything and are never
// read. So a graph is built once for each capacity and runs on any batch that fits, without padding.
//
// An operator owns its output and writes it anew in each run: a node's value is good until the next run of its graph. The gradients of
// weights can add to memory of another owner instead, see [AddTo]. A graph
// must not be run by two goroutines at once.
//
// Letters in shapes: N the capacity in tokens, V vocabulary, D width, F hidden width.
package op

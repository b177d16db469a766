// Package task says what a set of problems is: the prompt of each, how a completion splits into steps, whether a step is true
// and whether the answer is right. The rules of a kind of problem live in a package each (task/game24, task/countdown), exact
// arithmetic in task/arith.
//
// Nothing here samples, scores or stores: rewards read the findings of [Task.Check] and [Task.Verify], search reads
// [Task.State], supervised starts read a [Demonstrator]. Tasks open no files and keep no clock; what they need is handed in.
package task

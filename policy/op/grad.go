package op

import (
	"sync"

	"gorgonia.org/gorgonia"
)

var differentiating sync.Mutex //nolint:gochecknoglobals // guards globals of Gorgonia's

// Grad is [gorgonia.Grad], for any number of goroutines: Gorgonia's own graphs share constant nodes, among them the one that gradients
// begin with, which keep their hash when they are first asked for it.
func Grad(cost *gorgonia.Node, wrt ...*gorgonia.Node) (gorgonia.Nodes, error) {
	differentiating.Lock()
	defer differentiating.Unlock()
	return gorgonia.Grad(cost, wrt...) //nolint:wrapcheck // stands in for it
}

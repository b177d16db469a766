//go:build !amd64

package kernel

// panelSets are those with assembly of their own: none.
func panelSets() []*panels { return nil }

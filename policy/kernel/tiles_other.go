//go:build !(linux && amd64)

package kernel

func newTiles() (products, bool) { return nil, false }

//go:build !amd64

package kernel

// allHalves are those in Go on other processors.
func allHalves() []halves { return []halves{plainHalves()} }

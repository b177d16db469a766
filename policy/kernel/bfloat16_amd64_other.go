//go:build amd64 && !linux

package kernel

// allHalves are those that the processor has, the fastest first.
func allHalves() []halves { return vectorHalves() }

//go:build !amd64

package kernel

// pause has no instruction here.
func pause() {}

//go:build !amd64

package kernel

func hasVectorExp() bool { return false }

// expAVX2 is never called where hasVectorExp is false.
func expAVX2(*float32, int) { panic("kernel: no vector exp on this processor") }

package kernel

import "golang.org/x/sys/cpu"

// hasVectorExp tells whether the processor can run expAVX2.
func hasVectorExp() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA }

// expAVX2 replaces n elements from x on by their exponentials; n is a multiple of 8.
//
//go:noescape
func expAVX2(x *float32, n int)

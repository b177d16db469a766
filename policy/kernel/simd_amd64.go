package kernel

import "golang.org/x/sys/cpu"

// hasSIMD tells whether the processor can run the functions below.
func hasSIMD() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA }

// hasWide tells whether it can run those for 16 lanes, too.
func hasWide() bool {
	x := cpu.X86
	return x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasBMI2 && hasSIMD()
}

// In all of these, n is a multiple of 8, and the pointers are to at least n elements.

// expAVX2 replaces the elements of x by their exponentials.
//
//go:noescape
func expAVX2(x *float32, n int)

// expSumAVX2 replaces the elements of x by exp(x + shift) and returns their sum.
//
//go:noescape
func expSumAVX2(x *float32, n int, shift float32) float32

// swigluAVX2 writes gate/(1+exp(-gate)) * up.
//
//go:noescape
func swigluAVX2(y, gate, up *float32, n int)

// swigluGradAVX2 writes the gradients for gate and up from that for the result, dy.
//
//go:noescape
func swigluGradAVX2(dgate, dup, gate, up, dy *float32, n int)

// normAVX2 writes x * r * weight.
//
//go:noescape
func normAVX2(y, x, weight *float32, n int, r float32)

// dot3AVX2 returns the sum of x*y*z.
//
//go:noescape
func dot3AVX2(x, y, z *float32, n int) float32

// normGradAVX2 adds dy*x*r to sums and writes r*(dy*weight - x*scale) to dx.
//
//go:noescape
func normGradAVX2(dx, sums, dy, weight, x *float32, n int, r, scale float32)

// The functions for 16 lanes give the bits of those for 8.

//go:noescape
func expSumAVX512(x *float32, n int, shift float32) float32

// expPrefixAVX512 is expSumAVX512 of n elements, any number, with the rest of the last eight made 0.
//
//go:noescape
func expPrefixAVX512(x *float32, n int, shift float32) float32

//go:noescape
func swigluAVX512(y, gate, up *float32, n int)

//go:noescape
func swigluGradAVX512(dgate, dup, gate, up, dy *float32, n int)

// rotateAVX2 turns pairs of heads of 2*half elements, half a multiple of 8 and not 0: sin and cos are [half]. It gives the bits of the loop
// in Go.
//
//go:noescape
func rotateAVX2(x, sin, cos *float32, half, heads int, sign float32)

// adamwAVX2 is one step for n parameters, n not 0, with the bits of the loop in Go.
//
//go:noescape
func adamwAVX2(w, grad, m, v *float32, n int, c *adamwFactors)

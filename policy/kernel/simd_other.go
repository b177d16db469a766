//go:build !amd64

package kernel

// hasSIMD is false: the functions below are never called.
func hasSIMD() bool { return false }

// hasWide is false likewise.
func hasWide() bool { return false }

const noSIMD = "kernel: no vector functions for this processor"

func expAVX2(*float32, int) { panic(noSIMD) }

func expSumAVX2(*float32, int, float32) float32 { panic(noSIMD) }

func swigluAVX2(_, _, _ *float32, _ int) { panic(noSIMD) }

func swigluGradAVX2(_, _, _, _, _ *float32, _ int) { panic(noSIMD) }

func normAVX2(_, _, _ *float32, _ int, _ float32) { panic(noSIMD) }

func dot3AVX2(_, _, _ *float32, _ int) float32 { panic(noSIMD) }

func normGradAVX2(_, _, _, _, _ *float32, _ int, _, _ float32) { panic(noSIMD) }

func expSumAVX512(*float32, int, float32) float32 { panic(noSIMD) }

func expPrefixAVX512(*float32, int, float32) float32 { panic(noSIMD) }

func swigluAVX512(_, _, _ *float32, _ int) { panic(noSIMD) }

func swigluGradAVX512(_, _, _, _, _ *float32, _ int) { panic(noSIMD) }

func rotateAVX2(_, _, _ *float32, _, _ int, _ float32) { panic(noSIMD) }

func adamwAVX2(_, _, _, _ *float32, _ int, _ *adamwFactors) { panic(noSIMD) }

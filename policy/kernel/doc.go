// Package kernel holds the float32 arithmetic that the policy is made of: matrix products, and functions over rows of matrices
// (RMSNorm, rotary positions, SwiGLU, attention, log-probabilities, AdamW), forward and backward. Training operators
// (policy/op) and incremental inference (policy/decode) call the same functions, so that both compute the same numbers.
//
// A [Set] is one way to compute them: "avx512" and "avx2" are assembly of our own, with equal bits; "openblas" opens the system's OpenBLAS
// at run time (no cgo) and uses AVX2 for element-wise work; "portable" is Go alone. All matrices are row-major slices with an explicit
// row stride where it can differ from the width.
//
// Nothing here depends on the number of goroutines: work is cut into pieces by its size alone, each piece writes memory of its
// own, and sums over pieces are taken in the order of the pieces. So a result is a function of its inputs and of
// [Set.Fingerprint]. The package knows no graph, no model and no file.
package kernel

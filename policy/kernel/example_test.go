package kernel_test

import (
	"fmt"

	"github.com/hone-rl/hone/policy/kernel"
)

// The product of a [2, 3] matrix with the transpose of another.
func ExampleSet_Gemm() {
	set := kernel.Portable()
	a := []float32{1, 2, 3, 4, 5, 6}
	b := []float32{1, 0, 1, 0, 1, 0}
	c := make([]float32, 4)
	set.Gemm(false, true, 2, 2, 3, 1, a, 3, b, 3, 0, c, 2)
	fmt.Println(c)
	// Output: [4 2 10 5]
}

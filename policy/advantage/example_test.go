package advantage_test

import (
	"fmt"

	"github.com/hone-rl/hone/policy/advantage"
)

// A trajectory of four tokens, the third of them not the policy's own, is right at its end.
func ExampleEpisode_Advantages() {
	e := advantage.Episode{
		Rewards: []float64{0, 0, 0, 1},
		Values:  []float64{0.5, 0.5, 0, 0.75},
		Mask:    []bool{true, true, false, true},
	}
	advantages, returns, err := e.Advantages(1, 0.95)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n%.4f\n", advantages, returns)
	// Output:
	// [0.4631 0.4875 0.0000 0.2500]
	// [0.9631 0.9875 0.0000 1.0000]
}

// Two of three trajectories of one problem are wrong; the third earned a part of its reward on its first step.
func ExampleLeaveOneOut() {
	advantages, err := advantage.LeaveOneOut([]advantage.Member{
		{Rewards: []float64{0.25, 0, 1}, Ends: []int{1, 3}},
		{Rewards: []float64{0, 0}, Ends: []int{1, 2}},
		{Rewards: []float64{0, 0}, Ends: []int{1, 2}},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(advantages)
	// Output:
	// [[1.25 1 1] [-0.625 -0.5] [-0.625 -0.5]]
}

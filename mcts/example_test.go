package mcts_test

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone/mcts"
)

// climber walks up a stair of three steps, each worth 1, or leaves it.
type climber struct{}

func (climber) Evaluate(_ context.Context, requests []mcts.Request[int]) ([]mcts.Evaluation[int], error) {
	out := make([]mcts.Evaluation[int], len(requests))
	for i, r := range requests {
		switch height := r.State; height {
		case -1, 3:
			out[i].Terminal = true
		default:
			out[i].Actions = []mcts.Action[int]{
				{Key: "leave", Prior: 0.8, Next: -1},
				{Key: "climb", Prior: 0.2, Reward: 1, Next: height + 1},
			}
		}
	}
	return out, nil
}

func ExampleRun() {
	cfg := mcts.DefaultConfig()
	cfg.Simulations = 100
	trees, err := mcts.Run(context.Background(), climber{}, []mcts.Root[int]{{State: 0}}, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range trees[0].Best() {
		n := trees[0].Node(i)
		fmt.Printf("%s prior %.1f\n", n.Action, n.Prior)
	}
	// Output:
	// climb prior 0.2
	// climb prior 0.2
	// climb prior 0.2
}

package rollout_test

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/task/game24"
)

// The policy here is a script whose likeliest first step leads nowhere; the search goes on to the step that solves the puzzle.
func ExampleRoller_Solve() {
	game, err := game24.New(game24.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	problem, err := game.Problem("10 6 5 4")
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, cfg := misled(), rollout.DefaultConfig()
	cfg.Search.Candidates = 16
	roller, err := rollout.New(policy, policy.tokenizer, game, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	solution, err := roller.Solve(context.Background(), rollout.SolveInput{
		Origin: rollout.Origin{Seed: 1}, Problem: problem, Mode: rollout.ModeSearch, Lines: 1,
		Judge: func(p hone.Problem, completion string) float64 {
			if game.Verify(p, completion).Outcome == hone.OutcomeRight {
				return 1
			}
			return 0
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(solution.Trajectory.Text)
	fmt.Println(solution.Verdict.Outcome)
	// Output:
	// 10 - 4 = 6 (left: 5 6 6)
	// 5 * 6 = 30 (left: 6 30)
	// 30 - 6 = 24 (left: 24)
	// Answer: (5 * (10 - 4)) - 6 = 24
	// right
}

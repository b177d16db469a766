package workflows_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/workflows"
)

// A run of two cycles, in the SDK's test environment, with activities that answer at once: each update makes the policy solve
// three more of ten problems.
func ExampleTrainWorkflow() {
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	var act *activities.Activities // Nil: its methods are only named.
	env.RegisterActivity(act)
	env.OnActivity(act.Prepare, mock.Anything, mock.Anything).Return(activities.PrepareOutput{Run: "demo-id", Version: -1}, nil)
	env.OnActivity(act.SupervisedStart, mock.Anything, mock.Anything).Return(activities.SupervisedStartOutput{}, nil)
	env.OnActivity(act.RolloutShard, mock.Anything, mock.Anything).Return(activities.RolloutShardOutput{Trajectories: 8}, nil)
	env.OnActivity(act.Score, mock.Anything, mock.Anything).Return(activities.ScoreOutput{Trajectories: 16}, nil)
	env.OnActivity(act.Update, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.UpdateInput) (activities.UpdateOutput, error) {
			return activities.UpdateOutput{Version: in.Behaviour + 1}, nil
		})
	env.OnActivity(act.Evaluate, mock.Anything, mock.Anything).
		Return(func(_ context.Context, in activities.EvaluateInput) (activities.Evaluation, error) {
			right := activities.Outcomes{Right: 2 + 3*in.Version, Wrong: 8 - 3*in.Version}
			return activities.Evaluation{Version: in.Version, Split: in.Split, Mode: in.Mode, Problems: 10, Outcomes: right}, nil
		})
	env.OnActivity(act.Publish, mock.Anything, mock.Anything).Return(activities.PublishOutput{}, nil)
	env.OnActivity(act.Finish, mock.Anything, mock.Anything).Return(nil)

	heldOut := []workflows.Measure{{Split: hone.SplitHeldOut, Mode: activities.ModeGreedy}}
	env.ExecuteWorkflow(workflows.TrainWorkflow, workflows.TrainInput{
		Run:  "demo",
		Plan: workflows.Plan{Cycles: 2, Shards: 2, Parallel: 2, Start: heldOut, Final: heldOut, ContinueEvery: 50},
	})
	var result workflows.TrainResult
	if err := env.GetWorkflowResult(&result); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s after %d cycles of %d trajectories\n", result.Status, result.Version, result.Last.Rollout.Trajectories)
	fmt.Printf("held out, greedy: %.0f%% -> %.0f%%\n", 100*result.Start[0].Accuracy(), 100*result.Final[0].Accuracy())
	// Output:
	// succeeded after 2 cycles of 16 trajectories
	// held out, greedy: 20% -> 80%
}

package activities

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
)

// Activities are the steps of a training run that touch the world.
type Activities struct{}

var errSkeleton = fmt.Errorf("activities are not wired: %w", hone.ErrUnavailable)

// Prepare creates the run or finds it, and says where it stands.
func (a *Activities) Prepare(context.Context, PrepareInput) (PrepareOutput, error) {
	return PrepareOutput{}, errSkeleton
}

// SupervisedStart trains and publishes version 0.
func (a *Activities) SupervisedStart(context.Context, SupervisedStartInput) (SupervisedStartOutput, error) {
	return SupervisedStartOutput{}, errSkeleton
}

// RolloutShard samples and stores one shard of an iteration.
func (a *Activities) RolloutShard(context.Context, RolloutShardInput) (RolloutShardOutput, error) {
	return RolloutShardOutput{}, errSkeleton
}

// Score stores the live scoring of an iteration.
func (a *Activities) Score(context.Context, ScoreInput) (ScoreOutput, error) {
	return ScoreOutput{}, errSkeleton
}

// Update trains on an iteration and publishes the next version.
func (a *Activities) Update(context.Context, UpdateInput) (UpdateOutput, error) {
	return UpdateOutput{}, errSkeleton
}

// Evaluate measures a version's accuracy.
func (a *Activities) Evaluate(context.Context, EvaluateInput) (Evaluation, error) {
	return Evaluation{}, errSkeleton
}

// Publish makes a version the run's result.
func (a *Activities) Publish(context.Context, PublishInput) (PublishOutput, error) {
	return PublishOutput{}, errSkeleton
}

// Finish sets the run's status.
func (a *Activities) Finish(context.Context, FinishInput) error { return errSkeleton }

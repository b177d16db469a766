package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone"
)

// Build names a worker's build to Temporal, which then gives work to the current build of a deployment alone: those of the next one poll
// beside it, and take over when they are made current; see [Promote].
type Build struct {
	// Deployment is what the builds replace one another in, ID this one. With no ID a worker takes work whatever its build is.
	Deployment, ID string
	// Pinned keeps a run with the build that it began on, for as long as that has workers. Otherwise it moves to the current build at its
	// next step, which replays its history there: builds must agree with the histories of those before, as tests hold hone's to.
	Pinned bool
}

// options are Temporal's.
func (b Build) options() worker.DeploymentOptions {
	if b.ID == "" {
		return worker.DeploymentOptions{}
	}
	behaviour := workflow.VersioningBehaviorAutoUpgrade
	if b.Pinned {
		behaviour = workflow.VersioningBehaviorPinned
	}
	return worker.DeploymentOptions{
		UseVersioning: true, Version: worker.WorkerDeploymentVersion{DeploymentName: b.Deployment, BuildID: b.ID},
		DefaultVersioningBehavior: behaviour,
	}
}

// Deployment is a deployment as Temporal sees it.
type Deployment struct {
	Name string `json:"name"`
	// Current is the build that takes work, "" for none: then workers without a build do. Next takes NextPercent of it, in [0, 100].
	Current     string  `json:"current"`
	Next        string  `json:"next,omitempty"`
	NextPercent float64 `json:"next_percent,omitempty"`
	// Builds are those known, the newest first.
	Builds []DeployedBuild `json:"builds"`
}

// DeployedBuild is one build of a deployment.
type DeployedBuild struct {
	ID string `json:"id"`
	// Created is when its first worker came.
	Created time.Time `json:"created"`
}

// ReadDeployment is the deployment of that name; [hone.ErrNotFound] where no worker ever named it.
func ReadDeployment(ctx context.Context, c client.Client, name string) (Deployment, error) {
	answer, err := c.WorkerDeploymentClient().GetHandle(name).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return Deployment{}, fmt.Errorf("deployment %s: %w", name, translate(err))
	}
	d := Deployment{Name: name, Builds: []DeployedBuild{}}
	if current := answer.Info.RoutingConfig.CurrentVersion; current != nil {
		d.Current = current.BuildID
	}
	if next := answer.Info.RoutingConfig.RampingVersion; next != nil {
		d.Next, d.NextPercent = next.BuildID, float64(answer.Info.RoutingConfig.RampingVersionPercentage)
	}
	for _, v := range answer.Info.VersionSummaries {
		d.Builds = append(d.Builds, DeployedBuild{ID: v.Version.BuildID, Created: v.CreateTime})
	}
	return d, nil
}

// Promote gives percent of a deployment's work, in (0, 100], to a build; at 100 it becomes the current one. Workers of all its queues must have
// come: a build whose workers lack one of the current build's is [hone.ErrInvalid].
func Promote(ctx context.Context, c client.Client, name, build string, percent float64) error {
	if !(percent > 0 && percent <= 100) {
		return fmt.Errorf("promote build %s of %s to %v %% of its work: want more than 0 and at most 100: %w", build, name, percent, hone.ErrInvalid)
	}
	handle := c.WorkerDeploymentClient().GetHandle(name)
	var err error
	if percent == 100 {
		_, err = handle.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
	} else {
		_, err = handle.SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{BuildID: build, Percentage: float32(percent)})
	}
	var early *serviceerror.FailedPrecondition
	if errors.As(err, &early) {
		err = fmt.Errorf("%w: %w", err, hone.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("promote build %s of %s: %w", build, name, translate(err))
	}
	return nil
}

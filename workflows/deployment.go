package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
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
	if next := answer.Info.RoutingConfig.RampingVersion; next != nil && answer.Info.RoutingConfig.RampingVersionPercentage > 0 {
		d.Next, d.NextPercent = next.BuildID, float64(answer.Info.RoutingConfig.RampingVersionPercentage)
	}
	for _, v := range answer.Info.VersionSummaries {
		d.Builds = append(d.Builds, DeployedBuild{ID: v.Version.BuildID, Created: v.CreateTime})
	}
	return d, nil
}

// Promote gives percent of a deployment's work, in (0, 100], to a build; at 100 it becomes the current one. Without workers of it at all of
// hone's queues that work would wait, and it is [hone.ErrInvalid].
func Promote(ctx context.Context, c client.Client, name, build string, percent float64) error {
	if !(percent > 0 && percent <= 100) {
		return fmt.Errorf("promote build %s of %s to %v %% of its work: want more than 0 and at most 100: %w",
			build, name, percent, hone.ErrInvalid)
	}
	if err := staffed(ctx, c, name, build); err != nil {
		return fmt.Errorf("promote build %s of %s: %w", build, name, err)
	}
	before, err := ReadDeployment(ctx, c, name)
	if err != nil {
		return err
	}
	handle := c.WorkerDeploymentClient().GetHandle(name)
	if percent == 100 {
		_, err = handle.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
		if other := before.Next; err == nil && other != "" && other != build { // which would keep its share otherwise
			_, err = handle.SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{
				BuildID: other, IgnoreMissingTaskQueues: true, AllowNoPollers: true,
			})
		}
	} else {
		_, err = handle.SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{BuildID: build, Percentage: float32(percent)})
	}
	if _, early := errors.AsType[*serviceerror.FailedPrecondition](err); early {
		err = fmt.Errorf("%w: %w", err, hone.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("promote build %s of %s: %w", build, name, translate(err))
	}
	return nil
}

// alive is how long ago a worker asked for work at most, a minute being how long it waits for an answer.
const alive = 90 * time.Second

// staffed makes sure that a build's workers ask for work at all of hone's queues.
func staffed(ctx context.Context, c client.Client, name, build string) error {
	for _, queue := range AllQueues() {
		answer, err := c.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		if err != nil {
			return translate(err)
		}
		if !slices.ContainsFunc(answer.GetPollers(), func(p *taskqueuepb.PollerInfo) bool {
			of, asked := p.GetDeploymentOptions(), p.GetLastAccessTime().AsTime()
			return of.GetDeploymentName() == name && of.GetBuildId() == build &&
				time.Since(asked) < alive //nolint:forbidigo // an operator's question, which no workflow repeats
		}) {
			return fmt.Errorf("no worker of it asks for work at queue %s; start its workers first, of all roles: %w", queue, hone.ErrInvalid)
		}
	}
	return nil
}

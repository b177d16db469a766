package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/hone-rl/hone/workflows"
)

// setAside ends the executions of other runs that were interrupted on this process's own Temporal, where nobody else can work on
// them: this process would otherwise train all of them beside its own. It takes nothing from them: each goes on from its
// record when its own command is typed again.
func setAside(ctx context.Context, c client.Client, run string) (names []string, err error) {
	mine := workflows.WorkflowID(run)
	prefix := workflows.WorkflowID("")
	var next []byte
	for {
		page, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "ExecutionStatus = 'Running'", NextPageToken: next,
		})
		if err != nil {
			return nil, fmt.Errorf("list runs that were interrupted: %w", err)
		}
		for _, e := range page.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			if id == mine || !strings.HasPrefix(id, prefix) {
				continue
			}
			err := c.TerminateWorkflow(ctx, id, "", "set aside for run "+run)
			var ended *serviceerror.NotFound
			if err != nil && !errors.As(err, &ended) {
				return nil, fmt.Errorf("set aside %s: %w", id, err)
			}
			names = append(names, strings.TrimPrefix(id, prefix))
		}
		if next = page.GetNextPageToken(); len(next) == 0 {
			return names, nil
		}
	}
}

package workflows

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hone-rl/hone/activities"
)

// The search attributes of a run's workflow, by which Temporal's lists are searched: HoneStatus = "paused" AND HoneCycle > 10. A server
// that doesn't have them runs everything all the same.
const (
	// AttributeRun is the run's name, AttributeStatus its status as in its record, AttributePreset the preset it was started with: keywords.
	AttributeRun    = "HoneRun"
	AttributeStatus = "HoneStatus"
	AttributePreset = "HonePreset"
	// AttributeCycle is the number of cycles that are done, an integer.
	AttributeCycle = "HoneCycle"
)

// SearchAttributes are those that a namespace should have, with their types.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		AttributeRun:    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeStatus: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttributePreset: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeCycle:  enumspb.INDEXED_VALUE_TYPE_INT,
	}
}

// attributes are those that a run is started with.
func (in TrainInput) attributes() temporal.SearchAttributes {
	if !in.Attributes {
		return temporal.SearchAttributes{}
	}
	all := []temporal.SearchAttributeUpdate{
		temporal.NewSearchAttributeKeyKeyword(AttributeRun).ValueSet(in.Run),
		temporal.NewSearchAttributeKeyKeyword(AttributeStatus).ValueSet(string(activities.StatusRunning)),
	}
	if in.Preset != "" {
		all = append(all, temporal.NewSearchAttributeKeyKeyword(AttributePreset).ValueSet(in.Preset))
	}
	return temporal.NewSearchAttributes(all...)
}

// tell makes the run's status and its cycle searchable.
func (t *training) tell(ctx workflow.Context, status activities.Status) error {
	if !t.input.Attributes {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx,
		temporal.NewSearchAttributeKeyKeyword(AttributeStatus).ValueSet(string(status)),
		temporal.NewSearchAttributeKeyInt64(AttributeCycle).ValueSet(int64(max(t.state.Version, 0))))
}

// knowsAttributes tells whether the server has the search attributes.
func knowsAttributes(ctx context.Context, c client.Client) bool {
	query := fmt.Sprintf(
		"%s IS NULL AND %s IS NULL AND %s IS NULL AND %s IS NULL", AttributeRun, AttributeStatus, AttributePreset, AttributeCycle)
	_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	return err == nil
}

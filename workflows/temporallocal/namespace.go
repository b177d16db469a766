package temporallocal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hone-rl/hone"
)

// namespacePatience bounds the wait for a registered namespace to become visible to every part of the server.
const namespacePatience = 20 * time.Second

// ensureNamespace registers the namespace and waits until tasks in it are accepted: a worker that polls before meets
// "namespace not found" and backs off for seconds.
func ensureNamespace(ctx context.Context, address string, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, namespacePatience)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort: address, Namespace: o.Namespace, Logger: sdklog.NewStructuredLogger(o.Logger),
	})
	if err != nil {
		return fmt.Errorf("dial temporal at %s: %w: %w", address, err, hone.ErrUnavailable)
	}
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        o.Namespace,
		Description:                      "hone training runs",
		WorkflowExecutionRetentionPeriod: durationpb.New(o.Retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("register temporal namespace %s: %w", o.Namespace, err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := c.DescribeTaskQueue(ctx, "hone-start", enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		var missing *serviceerror.NamespaceNotFound
		if err == nil {
			return ensureAttributes(ctx, c, o)
		}
		if !errors.As(err, &missing) && ctx.Err() == nil {
			return fmt.Errorf("reach temporal namespace %s: %w", o.Namespace, err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("temporal namespace %s did not appear in %v: %w: %w", o.Namespace, namespacePatience, ctx.Err(), hone.ErrUnavailable)
		}
	}
}

// ensureAttributes registers the search attributes that the namespace hasn't got, and waits until they can be used.
func ensureAttributes(ctx context.Context, c client.Client, o Options) error {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.Namespace})
	if err != nil {
		return fmt.Errorf("list search attributes of temporal namespace %s: %w", o.Namespace, err)
	}
	missing := maps.Clone(o.SearchAttributes)
	maps.DeleteFunc(missing, func(name string, _ enumspb.IndexedValueType) bool { return have.GetCustomAttributes()[name] != 0 })
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: o.Namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("register search attributes %v in temporal namespace %s: %w",
			slices.Sorted(maps.Keys(missing)), o.Namespace, err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		for {
			_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: name + " IS NULL"})
			if err == nil {
				break
			}
			select {
			case <-again.C:
			case <-ctx.Done():
				return fmt.Errorf("search attribute %s did not appear in %v: %w: %w", name, namespacePatience, err, hone.ErrUnavailable)
			}
		}
	}
	return nil
}

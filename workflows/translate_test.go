package workflows

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/hone-rl/hone"
)

// Servers that are away and servers that are too busy to answer are told alike: who waits for a run goes on waiting.
func TestServersThatDoNotAnswerAreUnavailable(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		serviceerror.NewUnavailable("shard status unknown"), serviceerror.NewDeadlineExceeded("late"), context.DeadlineExceeded,
		fmt.Errorf("poll: %w", serviceerror.NewUnavailable("gone")),
	} {
		require.ErrorIs(t, translate(err), hone.ErrUnavailable)
		require.ErrorIs(t, translate(err), err)
	}
	require.NotErrorIs(t, translate(errors.New("another")), hone.ErrUnavailable)
	require.ErrorIs(t, translate(serviceerror.NewNotFound("nobody")), hone.ErrNotFound)
}

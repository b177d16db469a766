package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/workflows"
)

func TestRolesTogetherTakeAllWork(t *testing.T) {
	t.Parallel()
	all, err := workflows.Queues(workflows.RoleRollout, workflows.RoleReward, workflows.RoleLearner)
	require.NoError(t, err)
	require.Equal(t, workflows.AllQueues(), all)
	all, err = workflows.Queues(workflows.RoleAll, workflows.RoleRollout)
	require.NoError(t, err)
	require.Equal(t, workflows.AllQueues(), all, "each queue once")
}

func TestQueuesOfOneRole(t *testing.T) {
	t.Parallel()
	for role, want := range map[workflows.Role][]string{
		workflows.RoleRollout: {workflows.QueueRollout},
		workflows.RoleReward:  {workflows.QueueReward},
		workflows.RoleLearner: {workflows.QueueControl, workflows.QueueTrain},
	} {
		got, err := workflows.Queues(role)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := workflows.Queues()
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = workflows.Queues("sampler")
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, `"sampler"`)
}

package workflows_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/workflows"
)

func TestDefaultPlanIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, workflows.DefaultPlan().Validate())
}

func TestPlanNamesEveryFault(t *testing.T) {
	t.Parallel()
	err := workflows.Plan{
		Cycles: -1, EvalEvery: -2, Reissue: 1.2, ShardSeconds: -4,
		Final: []workflows.Measure{{Mode: "luck", Limit: -3}},
	}.Validate()
	require.ErrorIs(t, err, hone.ErrInvalid)
	for _, fault := range []string{
		"cycles -1", "shards 0", "parallel 0", "eval_every -2", "continue_every 0",
		"final[0]: split is empty", `mode "luck"`, "final[0].limit -3", "reissue 1.2", "shard_seconds -4",
	} {
		require.ErrorContains(t, err, fault)
	}
}

func TestPlansStayWithinWhatAWorkflowBears(t *testing.T) {
	t.Parallel()
	p := workflows.DefaultPlan()
	p.Shards, p.Parallel = 2000, 1000
	require.NoError(t, p.Validate())
	p.Shards, p.Parallel = 2001, 1001
	require.ErrorContains(t, p.Validate(), "shards 2001: want at most 2000")
	require.ErrorContains(t, p.Validate(), "parallel 1001: want at most 1000")
}

func TestRunNames(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"demo": true, "2026-07.seed_3": true, strings.Repeat("a", 100): true,
		"": false, "-rf": false, ".hidden": false, "a b": false, "a/b": false, "ü": false, "a\n": false, strings.Repeat("a", 101): false,
	} {
		err := workflows.TrainInput{Run: name, Plan: workflows.DefaultPlan()}.Validate()
		if good {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, hone.ErrInvalid, name)
		}
	}
}

func TestServeRefusesAnUnknownQueue(t *testing.T) {
	t.Parallel()
	err := workflows.Serve(t.Context(), nil, workflows.Service{Queues: []string{"hone-gpu"}})
	require.ErrorIs(t, err, hone.ErrInvalid)
	require.ErrorContains(t, err, `"hone-gpu"`)
}

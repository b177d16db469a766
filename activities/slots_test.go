package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
)

// Every sampled prompt is counted once, by the rewards and the outcomes of its problem's samples.
func TestGroupsAreCountedByWhatTheyTell(t *testing.T) {
	t.Parallel()
	s, _, _ := pupil(t, func(j *Job) { j.PPO.GroupSpread, j.Rollout.TopUp = 0.5, 2 })
	text := "1 + 2 = 3 (left: 3)\n"
	var scored []hone.Scored
	group := func(rewards []float64, outcomes ...hone.Outcome) {
		all := sampled(t, s, len(scored)/4, []string{text, text, text, text}, make([]bool, 4))
		for i := range all {
			all[i].Breakdown = hone.Breakdown{Outcome: outcomes[i%len(outcomes)], Steps: 1, Layers: []hone.LayerScore{
				{Layer: "test", Weight: 1, Terms: []hone.Term{{Score: rewards[i%len(rewards)]}}},
			}}
		}
		scored = append(scored, all...)
	}
	group([]float64{0, 0, 0, 1}, hone.OutcomeWrong, hone.OutcomeWrong, hone.OutcomeWrong, hone.OutcomeRight)
	group([]float64{1, 0.9}, hone.OutcomeRight)
	group([]float64{0, -0.1}, hone.OutcomeWrong)
	group([]float64{0.5, 0.6}, hone.OutcomeWrong, hone.OutcomeRight)
	group([]float64{0}, hone.OutcomeTimeout)
	group([]float64{0, 1}, hone.OutcomeWrong, hone.OutcomeTimeout) // what was not judged widens nothing
	found := sampled(t, s, 6, []string{text}, []bool{true})
	found[0].Trajectory.Source = hone.SourceSearch
	require.Equal(t, groups{drawn: 6, kept: 1, right: 1, wrong: 2, mixed: 1, unjudged: 1}, s.groups(append(scored, found...)))

	// A problem that was dealt twice is one group to the update.
	again := sampled(t, s, 1, []string{text}, []bool{false})
	again[0].Trajectory.ID.Sample, again[0].Breakdown.Steps = 40, 1
	require.Equal(t, groups{drawn: 7, kept: 3, wrong: 2, mixed: 1, unjudged: 1}, s.groups(append(scored, again...)))
}

// Slots keep their problems whatever part of them is asked for, and the deal goes on where the cycle before stopped.
func TestSlotsAreDealtInOrder(t *testing.T) {
	t.Parallel()
	s, _, _ := pupil(t, func(j *Job) { j.PPO.GroupSpread, j.Rollout.TopUp, j.Prompts, j.Searched = 0.5, 2.5, 4, 2 })
	require.Equal(t, 10, s.job.mostPrompts())
	all, searched := s.slots(3, 12, 0, 12)
	require.Len(t, all, 10)
	for i, slot := range all {
		require.Equal(t, s.problem("sample", 12+i), slot.Problem)
	}
	require.Equal(t, []int{0, 1, 2, 3, 6, 7}, []int{all[0].Index, all[1].Index, all[2].Index, all[3].Index, all[4].Index, all[5].Index})
	require.Equal(t, s.problem("search", 6), searched[0].Problem)
	require.Equal(t, 5, searched[1].Index)
	further, none := s.slots(3, 12, 7, 9)
	require.Empty(t, none)
	require.Equal(t, all[5:7], further)
	next, _ := s.slots(4, 12+7, 0, 4)
	require.Equal(t, all[7].Problem, next[0].Problem)
}

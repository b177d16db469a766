package mcts

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// few draws from numbers so few that there are equal ones.
func few(rt *rapid.T, label string) float64 {
	return rapid.SampledFrom([]float64{0, 0.1, 0.3, 1.0 / 3, 1}).Draw(rt, label)
}

func TestQuietNodesChooseAsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := DefaultConfig()
		a := &arena{cfg: cfg, plain: cfg.plain(), nodes: []node{{next: none}}}
		n := &a.nodes[0]
		links := rapid.IntRange(0, 6).Draw(rt, "links")
		for e := range links {
			l := link{q: few(rt, "q"), prior: few(rt, "prior"), visits: int32(rapid.IntRange(0, 3).Draw(rt, "visits")), edge: int32(links - e)}
			if rapid.IntRange(0, 5).Draw(rt, "masked") == 0 {
				l.prior = masked
			}
			n.visits += l.visits
			a.links = append(a.links, l)
		}
		n.count, n.room = int32(links), int32(links)
		n.know(few(rt, "value")*float64(n.visits+1), n.visits+1)
		if rapid.Bool().Draw(rt, "more") {
			n.next, n.prior = int32(rapid.IntRange(0, links+1).Draw(rt, "next")), few(rt, "next's prior")
		}
		e, k := a.puct(n)
		quietE, quietK := a.quiet(n)
		require.Equal(rt, e, quietE)
		require.Equal(rt, k, quietK)
	})
}

// A first evaluation without equal keys takes a way of its own; what it comes to is that of all evaluations.
func TestFirstEvaluationsComeToWhatMergingAndScalingDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		actions := make([]Action[int], rapid.SampledFrom([]int{1, 2, 9, 64, 128, 200}).Draw(rt, "actions"))
		for j := range actions {
			actions[j] = Action[int]{
				Key: fmt.Sprint(rapid.SampledFrom([]string{"", "a longer key "}).Draw(rt, "key"), j), Prior: few(rt, "prior"),
				Masked: rapid.IntRange(0, 5).Draw(rt, "masked") == 0,
			}
		}
		if rapid.IntRange(0, 2).Draw(rt, "equal") == 0 {
			actions[len(actions)-1].Key = actions[rapid.IntRange(0, len(actions)-1).Draw(rt, "to")].Key
		}
		tree, twin := bare(rt), bare(rt)
		tree.addActions(0, actions)
		fresh := twin.merge(0, actions)
		given(twin.addBlock(0, fresh), fresh)
		twin.scale(0)
		require.Equal(rt, twin.priors, tree.priors)
		require.Equal(rt, twin.actions, tree.actions)
		require.Equal(rt, twin.nodes, tree.nodes)
	})
}

// bare is a tree of a root that is evaluated and has no actions yet.
func bare(t require.TestingT) *Tree[int] {
	tree, err := New(Root[int]{}, DefaultConfig())
	require.NoError(t, err)
	tree.nodes[0].order = 0
	return tree
}

func TestKeysOfAnyLengthAreToldApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var k keyTable
		keys := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,20}`), 0, 600).Draw(rt, "keys")
		want := map[string]int32{}
		for range 2 { // the second time over slots that were used
			clear(want)
			k.reset(len(keys))
			for i, key := range keys {
				at, known := k.add(int32(i), key, func(j int32) string { return keys[j] })
				first, ok := want[key]
				require.Equal(rt, ok, known)
				if ok {
					require.Equal(rt, first, at)
					continue
				}
				require.EqualValues(rt, i, at)
				want[key] = int32(i)
			}
		}
		k.stamp = math.MaxUint32 // the last that there is
		k.reset(len(keys))
		require.EqualValues(rt, 1, k.stamp)
	})
}

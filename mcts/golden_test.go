package mcts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/mcts"
)

// goldenTolerance is what the reference trees promise: they were computed in float32 over 51 backups.
const goldenTolerance = 1e-5

// goldenFile is one recorded search: its configuration and the whole tree.
type goldenFile struct {
	Algorithm string `json:"algorithm"`
	Config    struct {
		CBase         float64 `json:"pb_c_base"`
		CInit         float64 `json:"pb_c_init"`
		QTransform    string  `json:"qtransform"`
		NoiseFraction float64 `json:"dirichlet_fraction"`
		Considered    int     `json:"max_num_considered_actions"`
		GumbelScale   float64 `json:"gumbel_scale"`
		QArguments    struct {
			VisitInit  *float64 `json:"maxvisit_init"`
			ValueScale *float64 `json:"value_scale"`
			Rescale    *bool    `json:"rescale_values"`
		} `json:"qtransform_kwargs"`
	} `json:"algorithm_config"`
	Env struct {
		Discount float64 `json:"discount"`
	} `json:"env_config"`
	Tree goldenNode `json:"tree"`
}

type goldenNode struct {
	Children []*goldenNode `json:"child_stats"`
	Action   int           `json:"action"`
	Prior    float64       `json:"prior"`
	Reward   float64       `json:"reward"`
	Raw      float64       `json:"raw_value_view"`
	Value    float64       `json:"value_view"`
	Visit    int           `json:"visit"`
	// Order is nil for a child that the recorded search never evaluated.
	Order *int `json:"evaluation_index"`
}

// config is the recorded configuration as ours. An algorithm or a transformation of Q that is not known fails the test.
func (g goldenFile) config(t *testing.T) mcts.Config {
	t.Helper()
	cfg, recorded := mcts.DefaultConfig(), g.Config
	cfg.Simulations, cfg.Discount = g.Tree.Visit-1, g.Env.Discount
	switch g.Algorithm {
	case "muzero":
		cfg.CInit, cfg.CBase, cfg.NoiseFraction = recorded.CInit, recorded.CBase, recorded.NoiseFraction
	case "gumbel_muzero":
		cfg.Selection = mcts.SelectGumbel
		cfg.Gumbel.Considered, cfg.Gumbel.Scale = recorded.Considered, recorded.GumbelScale
	default:
		require.Failf(t, "unknown algorithm", "the file records %q", g.Algorithm)
	}
	switch recorded.QTransform {
	case "qtransform_by_parent_and_siblings":
		cfg.Normalisation = mcts.NormaliseSiblings
	case "qtransform_completed_by_mix_value":
		if x := recorded.QArguments.VisitInit; x != nil {
			cfg.Gumbel.VisitInit = *x
		}
		if x := recorded.QArguments.ValueScale; x != nil {
			cfg.Gumbel.ValueScale = *x
		}
		if x := recorded.QArguments.Rescale; x != nil {
			cfg.Gumbel.Raw = !*x
		}
	default:
		require.Failf(t, "unknown transformation of Q", "the file records %q", recorded.QTransform)
	}
	return cfg
}

// goldenModel answers from the recorded tree; being asked about a state that isn't in it is the failure of the search.
type goldenModel struct{}

func (goldenModel) Evaluate(_ context.Context, requests []mcts.Request[*goldenNode]) ([]mcts.Evaluation[*goldenNode], error) {
	out := make([]mcts.Evaluation[*goldenNode], len(requests))
	for i, r := range requests {
		s := r.State
		if s.Order == nil {
			return nil, fmt.Errorf("action %d, prior %v: not evaluated in the recorded search", s.Action, s.Prior)
		}
		out[i].Value = s.Raw
		for _, c := range s.Children {
			out[i].Actions = append(out[i].Actions, mcts.Action[*goldenNode]{
				Key: strconv.Itoa(c.Action), Prior: c.Prior, Reward: c.Reward, Next: c,
			})
		}
	}
	return out, nil
}

// shared is the folder of reference data that the project reads and does not hold: HONE_SHARED, or a sibling of the repository.
func shared(t *testing.T, path string) string {
	t.Helper()
	folder := os.Getenv("HONE_SHARED")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared")
	}
	folder = filepath.Join(folder, path)
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("reference data is absent: %v", err)
	}
	return folder
}

func TestSearchReplaysTheRecordedTrees(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(shared(t, "goldens/mctx"), "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var golden goldenFile
			require.NoError(t, json.Unmarshal(data, &golden))
			cfg := golden.config(t)
			trees, err := mcts.Run(t.Context(), goldenModel{}, []mcts.Root[*goldenNode]{{State: &golden.Tree}}, cfg)
			require.NoError(t, err)
			evaluated := 0
			for i, n := range trees[0].Nodes() {
				want := trees[0].State(i)
				require.InDelta(t, want.Prior, n.Prior, goldenTolerance, "node %d", i)
				require.Equal(t, want.Visit, n.Visits, "node %d", i)
				if want.Order == nil {
					require.Equal(t, -1, n.Order, "node %d", i)
					continue
				}
				evaluated++
				require.Equal(t, *want.Order, n.Order, "node %d", i)
				require.InDelta(t, want.Value, n.ValueSum/float64(n.Visits), goldenTolerance, "node %d", i)
			}
			require.Equal(t, cfg.Simulations+1, evaluated)
		})
	}
}

package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/ppo"
	"github.com/hone-rl/hone/storage"
)

// stored is the scoring of trajectories that carry theirs.
func stored(scored []hone.Scored) []storage.Scored {
	out := make([]storage.Scored, len(scored))
	for i, one := range scored {
		out[i] = storage.Scored{Sample: one.Trajectory.ID.Sample, Breakdown: one.Breakdown}
	}
	return out
}

// metrics are the means of a scoring by the names of doc/metrics.md.
func (o ScoreOutput) metrics() map[string]float64 {
	out := map[string]float64{
		"reward": o.Reward, "trajectories": float64(o.Trajectories),
		"outcome_right": float64(o.Outcomes.Right), "outcome_wrong": float64(o.Outcomes.Wrong),
		"outcome_unparsable": float64(o.Outcomes.Unparsable), "outcome_timeout": float64(o.Outcomes.Timeout),
		"outcome_crashed": float64(o.Outcomes.Crashed),
	}
	for _, layer := range o.Layers {
		out["reward_"+layer.Layer] = layer.Mean
	}
	return out
}

// numbers are the numeric fields of a struct by their JSON names.
func numbers(v any) (map[string]float64, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode metrics: %w", err)
	}
	out := make(map[string]float64)
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("metrics are not all numbers: %w", err)
	}
	return out, nil
}

// finite is v, or 0 where JSON has no word for it.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// shardMetric is the name of a shard's own metric.
func shardMetric(name string, shard int) string { return fmt.Sprintf("%s_shard_%d", name, shard) }

// roundMetric is the name of a round's own metric; the first round's is the plain one.
func roundMetric(name string, r Round) string {
	if r.Number == 0 {
		return name
	}
	return fmt.Sprintf("%s_round_%d", name, r.Number)
}

// version reads a published version, with what moved with it.
func (s *session) version(ctx context.Context, number int) (storage.Version, state, error) {
	var moved state
	version, err := s.deps.Store.Version(ctx, s.run, number)
	if err != nil {
		return version, moved, err
	}
	if err := json.Unmarshal(version.State, &moved); err != nil {
		return version, moved, fmt.Errorf("state of version %d of run %s: %w: %w", number, s.run, err, hone.ErrCorrupt)
	}
	return version, moved, nil
}

// tree is the search tree that a trajectory is the best line of.
func (s *session) tree(ctx context.Context, id hone.TrajectoryID) ([]mcts.Node, error) {
	tree, err := s.deps.Store.LoadTree(ctx, id)
	if err != nil {
		return nil, err
	}
	nodes := make([]mcts.Node, len(tree.Nodes))
	for i, n := range tree.Nodes {
		nodes[i] = mcts.Node(n)
	}
	return nodes, nil
}

// updateOutput is what is stored of an update.
func (s *session) updateOutput(ctx context.Context, in UpdateInput) (UpdateOutput, error) {
	version, after, err := s.version(ctx, in.Iteration+1)
	if err != nil {
		return UpdateOutput{}, err
	}
	m, err := s.deps.Store.IterationMetrics(ctx, s.run, in.Iteration)
	if err != nil {
		return UpdateOutput{}, err
	}
	alarm, err := s.alarm(ctx, in.Iteration)
	if err != nil {
		return UpdateOutput{}, err
	}
	return UpdateOutput{
		Alarm:   alarm,
		Version: in.Iteration + 1, Manifest: string(version.Manifest()),
		Trajectories: int(m["sampled"]) + int(m["imitated"]), Tokens: int64(m["tokens"]) + int64(m["imitation_tokens"]),
		Steps: int(m["steps"]),
		KL:    finite(m["kl_old_k3"]), ReferenceKL: finite(m["kl_ref_k3"]), KLCoefficient: finite(after.Beta),
		ClipFraction: finite(m["clip_frac_low"] + m["clip_frac_high"]),
		Entropy:      finite(m["entropy"]), PolicyLoss: finite(m["policy_loss"]), ValueLoss: finite(m["value_loss"]),
		GradNorm: finite(m["grad_norm"]),
	}, nil
}

// alarm is what the run's guard says of an iteration, from the numbers that are stored of it and of those before.
func (s *session) alarm(ctx context.Context, iteration int) (string, error) {
	guard := s.job.PPO.Guard
	if guard == (ppo.Guard{}) || s.job.Algorithm != AlgorithmPPO && s.job.Algorithm != "" {
		return "", nil
	}
	restored, err := s.deps.Store.Restored(ctx, s.run)
	if err != nil {
		return "", err
	}
	var history []ppo.Health
	for i := max(0, iteration+1-guard.Window()); i <= iteration; i++ {
		if _, back := restored[i+1]; back {
			continue // nothing was learned there, and nothing is known of it
		}
		m, err := s.deps.Store.IterationMetrics(ctx, s.run, i)
		if err != nil {
			return "", err
		}
		h := ppo.Health{Entropy: m["entropy"], KL: m["kl_ref_k3"], Length: m["length_mean"], Reward: m["reward"]}
		if judged := m["outcome_right"] + m["outcome_wrong"]; judged > 0 {
			h.Accuracy = m["outcome_right"] / judged
		}
		history = append(history, h)
	}
	return guard.Alarm(history), nil
}

package storage

import (
	"context"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// ShardKey names a part of an iteration's trajectories.
type ShardKey struct {
	Run       hone.RunID
	Iteration int
	Shard     int
	// Round counts from 0 the rounds in which the iteration's prompts were drawn; each has shards of its own.
	Round int
}

func (k ShardKey) batch() string {
	return fmt.Sprintf("rollout/%d/%d", k.Iteration, k.Shard) + k.round()
}

// round is the end of a key: empty for the first round, which is the only one of most iterations.
func (k ShardKey) round() string {
	if k.Round == 0 {
		return ""
	}
	return fmt.Sprintf("/%d", k.Round)
}

// String is "run/iteration/shard", and "/round" after the first.
func (k ShardKey) String() string {
	return fmt.Sprintf("%s/%d/%d", k.Run, k.Iteration, k.Shard) + k.round()
}

// Shard is a part of an iteration's trajectories, with the trees that some of them came from.
type Shard struct {
	Key          ShardKey
	Trajectories []hone.Trajectory
	Trees        []Tree
}

// Tree is a search tree.
type Tree struct {
	// Sample is that of the trajectory that the tree's best line became.
	Sample int
	// Nodes are by their index; the root is the first.
	Nodes []Node
}

// Node is one node of a search tree, as package mcts describes it; the one type converts to the other.
type Node struct {
	Node, Parent, Depth, Order, Visits int
	ValueSum, Q, Raw, Prior, Reward    float64
	Terminal, Masked                   bool
	Action                             string
}

// HasShard tells whether the shard was stored.
func (s *Store) HasShard(ctx context.Context, key ShardKey) (bool, error) {
	return s.hasBatch(ctx, key.Run, key.batch())
}

// SaveShard stores a shard, in one transaction and once: repeating it does nothing. A shard of that key with other content is
// [hone.ErrConflict] and stays as it is; a caller that sampled again and got something else loads what is stored.
func (s *Store) SaveShard(ctx context.Context, shard Shard) error {
	run, err := runKey(shard.Key.Run)
	if err != nil {
		return err
	}
	w := shardWriter{run: run, shard: shard}
	if err := w.pack(); err != nil {
		return fail(ctx, err, "save shard %s", shard.Key)
	}
	err = s.inTx(ctx, fault.Shard, func(tx pgx.Tx) error {
		b := batch{run: run, key: shard.Key.batch(), digest: w.digest(), rows: len(shard.Trajectories)}
		stored, err := b.enter(ctx, tx)
		if err != nil || stored {
			return err
		}
		return w.copy(ctx, tx)
	})
	return fail(ctx, err, "save shard %s", shard.Key)
}

// shardWriter turns a shard into rows. prompts and tokens are packed, one a trajectory.
type shardWriter struct {
	run             pgtype.UUID
	shard           Shard
	prompts, tokens [][]byte
}

// pack checks every trajectory and packs its numbers.
func (w *shardWriter) pack() error {
	for _, t := range w.shard.Trajectories {
		if err := w.check(t); err != nil {
			return fmt.Errorf("trajectory %s: %w", t.ID, err)
		}
		w.prompts = append(w.prompts, packIDs(t.Prompt))
		w.tokens = append(w.tokens, packTokens(t.Tokens, t.Logp, t.Values))
	}
	for _, tree := range w.shard.Trees {
		for _, n := range tree.Nodes {
			if err := checkText("action", n.Action); err != nil {
				return fmt.Errorf("node %d of tree %d: %w", n.Node, tree.Sample, err)
			}
		}
	}
	return nil
}

func (w *shardWriter) check(t hone.Trajectory) error {
	if t.ID.Run != w.shard.Key.Run || t.ID.Iteration != w.shard.Key.Iteration {
		return fmt.Errorf("it belongs to another run or iteration than shard %s: %w", w.shard.Key, hone.ErrInvalid)
	}
	if t.ID.Sample < 0 || t.ID.Sample > math.MaxInt32 {
		return fmt.Errorf("sample %d, want 0 or more: %w", t.ID.Sample, hone.ErrInvalid)
	}
	if len(t.Logp) != len(t.Tokens) || len(t.Values) != len(t.Tokens) {
		return fmt.Errorf("%d tokens, %d logp, %d values, want as many of each: %w", len(t.Tokens), len(t.Logp), len(t.Values), hone.ErrInvalid)
	}
	for i, s := range t.Steps {
		if s.From < 0 || s.To < s.From || s.To > len(t.Tokens) {
			return fmt.Errorf("step %d spans tokens [%d, %d) of %d: %w", i, s.From, s.To, len(t.Tokens), hone.ErrInvalid)
		}
		if err := checkText(fmt.Sprintf("step %d", i), s.Text); err != nil {
			return err
		}
	}
	for _, text := range []struct{ what, text string }{
		{"task", t.Problem.Task},
		{"problem key", t.Problem.Key},
		{"prompt", t.Problem.Prompt},
		{"completion", t.Text},
		{"fingerprint", t.Fingerprint},
	} {
		if err := checkText(text.what, text.text); err != nil {
			return err
		}
	}
	return nil
}

// digest covers everything that is stored.
func (w *shardWriter) digest() []byte {
	d := newDigester()
	d.ints(len(w.shard.Trajectories))
	for i, t := range w.shard.Trajectories {
		d.ints(t.ID.Sample, t.Behaviour)
		d.texts(t.Problem.Task, t.Problem.Key, t.Problem.Prompt, string(t.Source), t.Fingerprint, string(t.Finish), t.Text)
		d.uint(t.Seed)
		d.uint(uint64(math.Float32bits(t.Bootstrap)))
		d.bytes(w.prompts[i])
		d.bytes(w.tokens[i])
		d.ints(len(t.Steps))
		for _, s := range t.Steps {
			d.ints(s.From, s.To)
			d.texts(s.Text)
		}
	}
	d.ints(len(w.shard.Trees))
	for _, tree := range w.shard.Trees {
		d.ints(tree.Sample, len(tree.Nodes))
		for _, n := range tree.Nodes {
			d.ints(n.Node, n.Parent, n.Depth, n.Order, n.Visits)
			d.floats(n.ValueSum, n.Q, n.Raw, n.Prior, n.Reward)
			d.flag(n.Terminal)
			d.flag(n.Masked)
			d.texts(n.Action)
		}
	}
	return d.sum()
}

func (w *shardWriter) copy(ctx context.Context, tx pgx.Tx) error {
	if err := w.copyTrajectories(ctx, tx); err != nil {
		return err
	}
	if err := w.copySteps(ctx, tx); err != nil {
		return err
	}
	return w.copyTrees(ctx, tx)
}

func (w *shardWriter) copyTrajectories(ctx context.Context, tx pgx.Tx) error {
	columns := []string{
		"run_id", "iteration", "sample", "task", "problem_key", "behaviour", "source", "seed", "fingerprint",
		"n_prompt", "n_tokens", "finish", "bootstrap", "prompt", "completion", "prompt_ids", "tokens",
	}
	all := w.shard.Trajectories
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"trajectories"}, columns, pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
		t := all[i]
		return []any{
			w.run, t.ID.Iteration, t.ID.Sample, t.Problem.Task, t.Problem.Key, t.Behaviour, string(t.Source), int64(t.Seed), t.Fingerprint,
			len(t.Prompt), len(t.Tokens), string(t.Finish), t.Bootstrap, t.Problem.Prompt, t.Text, w.prompts[i], w.tokens[i],
		}, nil
	}))
	return err
}

func (w *shardWriter) copySteps(ctx context.Context, tx pgx.Tx) error {
	columns := []string{"run_id", "iteration", "sample", "step", "tok_from", "tok_to", "content"}
	trajectory, step := 0, 0
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"steps"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		for ; trajectory < len(w.shard.Trajectories); trajectory, step = trajectory+1, 0 {
			t := &w.shard.Trajectories[trajectory]
			if step < len(t.Steps) {
				s := t.Steps[step]
				step++
				return []any{w.run, t.ID.Iteration, t.ID.Sample, step - 1, s.From, s.To, s.Text}, nil
			}
		}
		return nil, nil // the end
	}))
	return err
}

func (w *shardWriter) copyTrees(ctx context.Context, tx pgx.Tx) error {
	columns := []string{
		"run_id", "iteration", "sample", "node", "parent", "depth", "evaluated", "visits",
		"value_sum", "q", "raw", "prior", "reward", "terminal", "masked", "action",
	}
	tree, node := 0, 0
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"search_nodes"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		for ; tree < len(w.shard.Trees); tree, node = tree+1, 0 {
			t := &w.shard.Trees[tree]
			if node < len(t.Nodes) {
				n := t.Nodes[node]
				node++
				return []any{
					w.run, w.shard.Key.Iteration, t.Sample, n.Node, n.Parent, n.Depth, n.Order, n.Visits,
					n.ValueSum, n.Q, n.Raw, n.Prior, n.Reward, n.Terminal, n.Masked, n.Action,
				}, nil
			}
		}
		return nil, nil // the end
	}))
	return err
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
)

// treeFlags are what hone tree is told.
type treeFlags struct {
	dot   bool
	all   bool
	depth int
}

func (a *app) treeCommand() *cobra.Command {
	var f treeFlags
	cmd := &cobra.Command{
		Use:   "tree RUN CYCLE N",
		Short: "Show a search tree of a cycle",
		Long: `tree shows the N-th search tree of a run's cycle, both counted from 0: for each step its visits N, its mean return Q, the prior P
that the policy gave it, the value V of the state that it leads to, when it was evaluated, what selection would make of it now
(PUCT: normalised value and exploration; Gumbel: its share in the improved policy less its share of visits), and the state itself in
the task's words. An asterisk marks the line that the search recommends; why is said below, and of a Gumbel search which of the root's
steps fell in which round of the halving.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var place [2]int
			for i, name := range []string{"cycle", "tree"} {
				n, err := strconv.Atoi(args[i+1])
				if err != nil || n < 0 {
					return fmt.Errorf("%s %q: want a number of at least 0: %w", name, args[i+1], hone.ErrInvalid)
				}
				place[i] = n
			}
			return a.look(cmd.Context(), accessRead, func(ctx context.Context, _ *servers, store *storage.Store) error {
				t, err := a.readTree(ctx, store, args[0], place)
				if err != nil {
					return err
				}
				switch {
				case a.json:
					return a.writeJSON(t)
				case f.dot:
					t.writeDot(a.stdout, f)
				default:
					t.write(a.stdout, f)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dot, "dot", false, "write Graphviz")
	flags.BoolVar(&f.all, "all", false, "show steps never visited, too")
	flags.IntVar(&f.depth, "depth", 0, "most steps from the root; 0 is no bound")
	return cmd
}

// treeView is a stored tree for showing.
type treeView struct {
	Run       string       `json:"run"`
	Iteration int          `json:"iteration"`
	Sample    int          `json:"sample"`
	Problem   hone.Problem `json:"problem"`
	// Selection is the rule by which the tree grew.
	Selection mcts.Selection `json:"selection"`
	Nodes     []treeNode     `json:"nodes"`
	children  [][]int
}

// treeNode is one node with what can be said of it.
type treeNode struct {
	mcts.Node
	// Value is V, the mean return from the state on; 0 where it was never visited.
	Value float64 `json:"value"`
	// Terms are the shares of PUCT's score.
	Terms mcts.Terms `json:"terms"`
	// State is the state after the step, in the task's words.
	State string `json:"state"`
	// Same is the node of the same state that the search went on from, where it isn't this one.
	Same int `json:"same,omitempty"`
	// Why says why a step of the recommended line was taken.
	Why string `json:"why,omitempty"`
}

func (a *app) readTree(ctx context.Context, store *storage.Store, name string, place [2]int) (treeView, error) {
	run, err := a.runOf(ctx, store, name)
	if err != nil {
		return treeView{}, err
	}
	job, err := storedJob(run.Config)
	if err != nil {
		return treeView{}, fmt.Errorf("run %s: %w", run.Name, err)
	}
	samples, err := store.Trees(ctx, run.ID, place[0])
	if err != nil {
		return treeView{}, err
	}
	if err := noTree(run.Name, job.Searched, place, len(samples)); err != nil {
		return treeView{}, err
	}
	id := hone.TrajectoryID{Run: run.ID, Iteration: place[0], Sample: samples[place[1]]}
	trajectory, err := store.Trajectory(ctx, id)
	if err != nil {
		return treeView{}, err
	}
	stored, err := store.LoadTree(ctx, id)
	if err != nil {
		return treeView{}, err
	}
	nodes := make([]mcts.Node, len(stored.Nodes))
	for i, n := range stored.Nodes {
		nodes[i] = mcts.Node(n)
	}
	rules, err := openTask(job.Task)
	if err != nil {
		return treeView{}, fmt.Errorf("run %s: %w", run.Name, err)
	}
	out := newTreeView(nodes, rollout.States(rules, trajectory.Problem, nodes), job.Rollout.Search.Tree, trajectory.Seed)
	out.Run, out.Iteration, out.Sample, out.Problem = run.Name, place[0], id.Sample, trajectory.Problem
	return out, nil
}

// newTreeView says what can be said of the nodes of a tree whose trajectory has that seed. Nodes that stand for one state are gone on from
// at the one that was evaluated.
func newTreeView(nodes []mcts.Node, states []string, cfg mcts.Config, seed uint64) treeView {
	out := treeView{Selection: cfg.Selection, children: make([][]int, len(nodes))}
	evaluated := make(map[string]int)
	for i, n := range nodes {
		if _, known := evaluated[states[i]]; n.Order >= 0 && !n.Terminal && !known {
			evaluated[states[i]] = i
		}
	}
	terms := mcts.Explain(nodes, cfg, rollout.Noise(seed))
	for i, state := range states {
		n := treeNode{Node: nodes[i], Terms: terms[i], State: state}
		if n.Visits > 0 {
			n.Value = n.ValueSum / float64(n.Visits)
		}
		if at, ok := evaluated[n.State]; ok && cfg.Share && n.Visits > 0 && n.Order < 0 && !n.Terminal {
			n.Same = at
		}
		if n.Parent >= 0 && n.Parent < i {
			out.children[n.Parent] = append(out.children[n.Parent], i)
		}
		out.Nodes = append(out.Nodes, n)
	}
	for _, children := range out.children {
		slices.SortStableFunc(children, func(x, y int) int { return out.Nodes[y].Visits - out.Nodes[x].Visits })
	}
	for i := range out.Nodes {
		if out.Nodes[i].Terms.Chosen {
			out.Nodes[i].Why = out.why(i)
		}
	}
	return out
}

// noTree says why a cycle has no such tree, and what would have one.
func noTree(run string, searched int, place [2]int, trees int) error {
	switch {
	case place[1] < trees:
		return nil
	case trees > 0:
		return fmt.Errorf("cycle %d of run %s has search trees 0 to %d, not %d: %w", place[0], run, trees-1, place[1], hone.ErrNotFound)
	case searched == 0:
		return fmt.Errorf("run %s searches nothing while it trains (its setting searched is 0), so no cycle has a tree; "+
			"a run with --set searched=8 has some, and hone solve --search shows one of any policy: %w", run, hone.ErrNotFound)
	default:
		return fmt.Errorf("cycle %d of run %s has no search tree: it was not searched yet, or what it stored is gone: %w",
			place[0], run, hone.ErrNotFound)
	}
}

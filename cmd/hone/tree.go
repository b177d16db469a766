package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
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
that the policy gave it, the value V of the state that it leads to, when it was evaluated, and what PUCT would make of it now,
normalised value and exploration. An asterisk marks the line that the search recommends.`,
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
	Nodes     []treeNode   `json:"nodes"`
	children  [][]int
}

// treeNode is one node with what can be said of it.
type treeNode struct {
	mcts.Node
	// Value is V, the mean return from the state on; 0 where it was never visited.
	Value float64 `json:"value"`
	// Terms are the shares of PUCT's score.
	Terms mcts.Terms `json:"terms"`
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
	if place[1] >= len(samples) {
		return treeView{}, fmt.Errorf("cycle %d of run %s has %d search trees, counted from 0, not %d: %w",
			place[0], run.Name, len(samples), place[1], hone.ErrNotFound)
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
	out := treeView{
		Run: run.Name, Iteration: place[0], Sample: id.Sample, Problem: trajectory.Problem, children: make([][]int, len(stored.Nodes)),
	}
	nodes := make([]mcts.Node, len(stored.Nodes))
	for i, n := range stored.Nodes {
		nodes[i] = mcts.Node(n)
	}
	for i, terms := range mcts.Explain(nodes, job.Rollout.Search.Tree) {
		n := treeNode{Node: nodes[i], Terms: terms}
		if n.Visits > 0 {
			n.Value = n.ValueSum / float64(n.Visits)
		}
		if n.Parent >= 0 && n.Parent < i {
			out.children[n.Parent] = append(out.children[n.Parent], i)
		}
		out.Nodes = append(out.Nodes, n)
	}
	for _, children := range out.children {
		slices.SortStableFunc(children, func(x, y int) int { return out.Nodes[y].Visits - out.Nodes[x].Visits })
	}
	return out, nil
}

// shown are the children of node i to show, the most visited first.
func (t treeView) shown(i int, f treeFlags) []int {
	if f.depth > 0 && t.Nodes[i].Depth >= f.depth {
		return nil
	}
	var out []int
	for _, c := range t.children[i] {
		if f.all || t.Nodes[c].Visits > 0 {
			out = append(out, c)
		}
	}
	return out
}

// write draws the tree with its numbers beside it.
func (t treeView) write(w io.Writer, f treeFlags) {
	root, evaluated := t.Nodes[0], 0
	for _, n := range t.Nodes {
		if n.Order >= 0 {
			evaluated++
		}
	}
	fmt.Fprintf(w, "%s  (%s, cycle %d, sample %d)\n", strings.TrimSpace(t.Problem.Prompt), t.Run, t.Iteration, t.Sample)
	fmt.Fprintf(w, "%d visits, V %.3f; %d states evaluated, %d steps known\n\n", root.Visits, root.Value, evaluated, len(t.Nodes)-1)
	rows := [][]string{{"", "N", "Q", "P", "V", "order", "value", "+ explore"}}
	var walk func(i int, indent string)
	walk = func(i int, indent string) {
		shown := t.shown(i, f)
		for k, c := range shown {
			branch, below := "├ ", "│ "
			if k == len(shown)-1 {
				branch, below = "└ ", "  "
			}
			rows = append(rows, t.row(c, indent+branch))
			walk(c, indent+below)
		}
	}
	walk(0, "")
	writeTable(w, rows)
}

// row is a node's line of the table.
func (t treeView) row(i int, indent string) []string {
	n := t.Nodes[i]
	name := indent + n.Action
	if n.Terms.Chosen {
		name = indent + "* " + n.Action
	}
	switch {
	case n.Masked:
		name += "  (masked)"
	case n.Terminal:
		name += "  (end)"
	}
	order := "-"
	if n.Order >= 0 {
		order = strconv.Itoa(n.Order)
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }
	return []string{
		name, strconv.Itoa(n.Visits), number(n.Q), number(n.Prior), number(n.Value), order, number(n.Terms.Value), number(n.Terms.Explore),
	}
}

// writeDot writes the tree for Graphviz; the recommended line is bold.
func (t treeView) writeDot(w io.Writer, f treeFlags) {
	fmt.Fprintf(w, "digraph tree {\n  node [shape=box, fontname=monospace];\n  0 [label=%s];\n", dotText(strings.TrimSpace(t.Problem.Prompt)))
	var walk func(i int)
	walk = func(i int) {
		for _, c := range t.shown(i, f) {
			n := t.Nodes[c]
			style := ""
			if n.Terms.Chosen {
				style = ", style=bold"
			}
			label := fmt.Sprintf("%s\nN %d  Q %.3f  P %.3f  V %.3f", n.Action, n.Visits, n.Q, n.Prior, n.Value)
			fmt.Fprintf(w, "  %d [label=%s%s];\n  %d -> %d [penwidth=%.2f];\n", c, dotText(label), style, i, c,
				1+4*float64(n.Visits)/float64(max(t.Nodes[0].Visits, 1)))
			walk(c)
		}
	}
	walk(0)
	fmt.Fprintln(w, "}")
}

// dotText is text between quotation marks as Graphviz reads it.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

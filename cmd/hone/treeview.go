package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-rl/hone/mcts"
)

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

// write draws the tree with its numbers beside it, and says why its line was taken.
func (t treeView) write(w io.Writer, f treeFlags) {
	root, evaluated := t.Nodes[0], 0
	for _, n := range t.Nodes {
		if n.Order >= 0 {
			evaluated++
		}
	}
	fmt.Fprintf(w, "%s  (%s, cycle %d, sample %d)\n", strings.TrimSpace(t.Problem.Prompt), t.Run, t.Iteration, t.Sample)
	fmt.Fprintf(w, "%d visits, V %.3f; %d states evaluated, %d steps known\n\n", root.Visits, root.Value, evaluated, len(t.Nodes)-1)
	head := []string{root.State, "N", "Q", "P", "V", "order", "value", "+ explore", "node", "state"}
	if t.Selection == mcts.SelectGumbel {
		head[6], head[7] = "policy", "- visits"
	}
	rows := [][]string{head}
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
	t.writeHalving(w)
	t.writeLine(w)
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
	case n.Same > 0:
		name += fmt.Sprintf("  (goes on at node %d)", n.Same)
	}
	order := "-"
	if n.Order >= 0 {
		order = strconv.Itoa(n.Order)
	}
	return []string{
		name, strconv.Itoa(n.Visits), number(n.Q), number(n.Prior), number(n.Value), order, number(n.Terms.Value), number(n.Terms.Explore),
		strconv.Itoa(i), n.State,
	}
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

// writeHalving shows which of the root's steps fell in which round, those that were left at the end first.
func (t treeView) writeHalving(w io.Writer) {
	considered := slices.DeleteFunc(slices.Clone(t.children[0]), func(c int) bool {
		return t.Nodes[c].Terms.Halving == nil || t.Nodes[c].Terms.Halving.Round == 0
	})
	if len(considered) == 0 {
		return
	}
	slices.SortStableFunc(considered, func(x, y int) int {
		a, b := t.Nodes[x].Terms.Halving, t.Nodes[y].Terms.Halving
		switch {
		case a.Round != b.Round:
			return b.Round - a.Round
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	rows := [][]string{{"first step", "N", "noise", "+ logit", "+ Q", "score", "halving"}}
	for _, c := range considered {
		h := t.Nodes[c].Terms.Halving
		end := fmt.Sprintf("fell after round %d of %d", h.Round, h.Rounds)
		if h.Round == h.Rounds {
			end = "left at the end"
		}
		rows = append(rows, []string{
			t.Nodes[c].Action, strconv.Itoa(t.Nodes[c].Visits), number(h.Noise), number(h.Logit), number(h.Completed), number(h.Score), end,
		})
	}
	fmt.Fprintln(w)
	writeTable(w, rows)
	if rest := len(t.children[0]) - len(considered); rest > 0 {
		fmt.Fprintf(w, "not considered: %d, whose noise and logit were less\n", rest)
	}
}

// writeLine says why each step of the recommended line was taken.
func (t treeView) writeLine(w io.Writer) {
	fmt.Fprintln(w)
	for at := 0; ; {
		next := slices.IndexFunc(t.children[at], func(c int) bool { return t.Nodes[c].Terms.Chosen })
		if next < 0 {
			return
		}
		at = t.children[at][next]
		fmt.Fprintf(w, "%s: %s\n", t.Nodes[at].Action, t.Nodes[at].Why)
	}
}

// why says why node i was taken before its siblings.
func (t treeView) why(i int) string {
	n := t.Nodes[i]
	visits, rival, others := 0, -1, 0
	for _, c := range t.children[n.Parent] {
		visits += t.Nodes[c].Visits
		if c == i || t.Nodes[c].Visits == 0 {
			continue
		}
		others++
		if rival < 0 || t.Nodes[c].Visits > t.Nodes[rival].Visits {
			rival = c
		}
	}
	out := fmt.Sprintf("%d of %d visits, Q %s, P %s", n.Visits, visits, number(n.Q), number(n.Prior))
	if h := n.Terms.Halving; h != nil && h.Rounds > 0 {
		out = fmt.Sprintf("left when the halving ended, in round %d, and of the highest score %s (noise %s, logit %s, Q %s); %s",
			h.Rounds, number(h.Score), number(h.Noise), number(h.Logit), number(h.Completed), out)
	}
	if others == 0 {
		return out + "; no other step was tried"
	}
	r := t.Nodes[rival]
	return out + fmt.Sprintf("; next of %d tried: %s with %d visits, Q %s, P %s", others+1, r.Action, r.Visits, number(r.Q), number(r.Prior))
}

// writeDot writes the tree for Graphviz; the recommended line is bold, and a dashed edge leads to where a shared state was gone on from.
func (t treeView) writeDot(w io.Writer, f treeFlags) {
	root := fmt.Sprintf("%s\n%s", strings.TrimSpace(t.Problem.Prompt), t.Nodes[0].State)
	fmt.Fprintf(w, "digraph tree {\n  node [shape=box, fontname=monospace];\n  0 [label=%s];\n", dotText(root))
	drawn := map[int]bool{0: true}
	var joined []int
	var walk func(i int)
	walk = func(i int) {
		for _, c := range t.shown(i, f) {
			n := t.Nodes[c]
			drawn[c] = true
			style := ""
			if n.Terms.Chosen {
				style = ", style=bold, tooltip=" + dotText(n.Why)
			}
			label := fmt.Sprintf("%s\nN %d  Q %.3f  P %.3f  V %.3f\n%s", n.Action, n.Visits, n.Q, n.Prior, n.Value, n.State)
			if h := n.Terms.Halving; h != nil {
				label += fmt.Sprintf("\nscore %.3f  round %d of %d", h.Score, h.Round, h.Rounds)
			}
			fmt.Fprintf(w, "  %d [label=%s%s];\n  %d -> %d [penwidth=%.2f];\n", c, dotText(label), style, i, c,
				1+4*float64(n.Visits)/float64(max(t.Nodes[0].Visits, 1)))
			if n.Same > 0 {
				joined = append(joined, c)
			}
			walk(c)
		}
	}
	walk(0)
	for _, c := range joined {
		if drawn[t.Nodes[c].Same] {
			fmt.Fprintf(w, "  %d -> %d [style=dashed, constraint=false];\n", c, t.Nodes[c].Same)
		}
	}
	fmt.Fprintln(w, "}")
}

// dotText is text between quotation marks as Graphviz reads it.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

package mcts

import "sort"

// Best is the line that the search recommends: from the root's child on, always the child with the most visits (of equals the
// higher Q, then the lower index), to a node none of whose children was visited. A Gumbel search begins with the action that its
// halving left. It holds node indices; it is empty where the root has no visited child.
func (t *Tree[S]) Best() []int { return t.goOn(nil, 0) }

// Lines are the best lines that begin with each of the root's visited children, the most promising child first, at most limit
// of them. Lines(1) holds Best.
func (t *Tree[S]) Lines(limit int) [][]int {
	var starts []*link
	favourite := t.favourite(0)
	for _, one := range t.rootEdges() {
		if one.link != nil && one.visits > 0 && one.link != favourite {
			starts = append(starts, one.link)
		}
	}
	sort.SliceStable(starts, func(a, b int) bool { return starts[a].better(starts[b]) })
	if favourite != nil {
		starts = append([]*link{favourite}, starts...)
	}
	starts = starts[:min(max(limit, 0), len(starts))]
	out := make([][]int, len(starts))
	for i, l := range starts {
		out[i] = t.goOn([]int{int(l.edge) + 1}, l.child)
	}
	return out
}

// goOn appends to line the best line below node i of the arena.
func (t *Tree[S]) goOn(line []int, i int32) []int {
	for l := t.favourite(i); l != nil; l = t.favourite(l.child) {
		line = append(line, int(l.edge)+1)
	}
	return line
}

// favourite is the visited link of node i that is better than its siblings; nil where none was visited.
func (a *arena) favourite(i int32) *link {
	if i == 0 && a.cfg.Selection == SelectGumbel {
		if e := a.mostConsidered(); e != none {
			return a.linkOf(e)
		}
	}
	var best *link
	run := a.linksOf(&a.nodes[i])
	for k := range run {
		if l := &run[k]; l.visits > 0 && (best == nil || l.better(best)) {
			best = l
		}
	}
	return best
}

// better tells whether l goes before m: more visits, then the higher Q, then the lower index.
func (l *link) better(m *link) bool {
	switch {
	case l.visits != m.visits:
		return l.visits > m.visits
	case l.q != m.q:
		return l.q > m.q
	default:
		return l.edge < m.edge
	}
}

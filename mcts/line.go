package mcts

import "sort"

// Best is the line that the search recommends: from the root's child on, always the child with the most visits (of equals the
// higher Q, then the lower index), to a node none of whose children was visited. It holds node indices; it is empty where the
// root has no visited child.
func (t *Tree[S]) Best() []int { return t.follow(nil, 0) }

// Lines are the best lines that begin with each of the root's visited children, the most promising child first, at most limit
// of them. Lines(1) holds Best.
func (t *Tree[S]) Lines(limit int) [][]int {
	lo, hi := t.children(0)
	var starts []int32
	for c := lo; c < hi; c++ {
		if t.nodes[c].visits > 0 {
			starts = append(starts, c)
		}
	}
	sort.SliceStable(starts, func(a, b int) bool { return t.better(starts[a], starts[b]) })
	starts = starts[:min(max(limit, 0), len(starts))]
	out := make([][]int, len(starts))
	for i, c := range starts {
		out[i] = t.follow([]int{int(c)}, c)
	}
	return out
}

// follow appends to line the best line below node i.
func (t *Tree[S]) follow(line []int, i int32) []int {
	for i = t.favourite(i); i != none; i = t.favourite(i) {
		line = append(line, int(i))
	}
	return line
}

// favourite is the visited child of node i that is better than its siblings; none where no child was visited.
func (p *pool) favourite(i int32) int32 {
	best := none
	lo, hi := p.children(i)
	for c := lo; c < hi; c++ {
		if p.nodes[c].visits > 0 && (best == none || p.better(c, best)) {
			best = c
		}
	}
	return best
}

// better tells whether node a goes before node b: more visits, then the higher Q. Equals keep the order of their indices.
func (p *pool) better(a, b int32) bool {
	if p.nodes[a].visits != p.nodes[b].visits {
		return p.nodes[a].visits > p.nodes[b].visits
	}
	return p.nodes[a].q > p.nodes[b].q
}

package decode

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
)

// writer plays a sequence whose keys and values at a position are a hash of the text up to it, so that a wrong share shows.
type writer struct {
	cached
	text []hone.TokenID
}

// hash is exact in float32.
func hash(text []hone.TokenID) float32 {
	h := uint32(1)
	for _, id := range text {
		h = h*31 + uint32(id) + 1
	}
	return float32(h >> 8)
}

// write fills the cache up to the text's end.
func (w *writer) write(p *pool) {
	w.reserve(p, len(w.text))
	for ; w.length < len(w.text); w.length++ {
		data, slot := w.blocks[w.length/blockLen].data, w.length%blockLen
		data[p.shape.keys(0, 0)+slot] = hash(w.text[:w.length+1])
		data[p.shape.values(0, 0)+slot] = -hash(w.text[:w.length+1])
	}
}

func (w *writer) check(t require.TestingT, p *pool) {
	for i := range w.length {
		data, slot := w.blocks[i/blockLen].data, i%blockLen
		require.Equal(t, hash(w.text[:i+1]), data[p.shape.keys(0, 0)+slot])
		require.Equal(t, -hash(w.text[:i+1]), data[p.shape.values(0, 0)+slot])
	}
}

// checkPool holds the tree, the ring and the counts to what they promise.
func checkPool(t require.TestingT, p *pool, live []*writer) {
	refs := map[*block]int{}
	for _, w := range live {
		w.check(t, p)
		for _, b := range w.blocks {
			refs[b]++
		}
	}
	age, ring := map[*block]int{}, 0
	for b := p.root.newer; b != &p.root; b = b.newer {
		require.Same(t, b, b.older.newer)
		ring++
		age[b] = ring
	}
	idle, members := 0, 0
	var walk func(parent *block)
	walk = func(parent *block) {
		for i, b := range parent.children {
			members++
			refs[b]++
			if refs[b] == 1 {
				idle++
			}
			require.Same(t, parent, b.parent)
			require.NotZero(t, age[b])
			if parent != &p.root {
				require.Less(t, age[b], age[parent], "a block was used later than the one before it")
			}
			if i > 0 {
				before := parent.children[i-1]
				require.Negative(t, slices.Compare(before.text(), b.text()))
				require.Less(t, common(before.text(), b.text()), before.count, "a child begins with another")
			}
			if b.count < blockLen {
				require.Empty(t, b.children)
			}
			walk(b)
		}
	}
	walk(&p.root)
	require.Equal(t, members, ring)
	require.Equal(t, idle, p.idle)
	for b, n := range refs {
		require.Equal(t, n, b.refs)
	}
	for _, b := range p.free {
		require.Zero(t, b.refs)
		require.Nil(t, b.parent)
		require.Empty(t, b.children)
	}
	require.Equal(t, p.made, len(refs)+len(p.free))
}

// Random sequences over a small alphabet start, grow, are kept and end. With room for all, what is known is the longest
// beginning in common with anything that was kept; without, it is still right.
func TestPrefixesProperty(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"room for all": 1 << 20, "no room": 12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { playPrefixes(t, limit) })
		})
	}
}

func playPrefixes(t *rapid.T, limit int) {
	p := newPool(cacheShape{layers: 1, heads: 1, width: 1}, limit)
	var live []*writer
	var kept [][]hone.TokenID
	tokens := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 40), func(i int) hone.TokenID { return hone.TokenID(max(i-39, 0)) }), 1, 50)
	pick := func() int { return rapid.IntRange(0, len(live)-1).Draw(t, "row") }
	for range rapid.IntRange(1, 40).Draw(t, "operations") {
		switch op := rapid.SampledFrom([]string{"start", "start", "grow", "keep", "keep", "end"}).Draw(t, "op"); {
		case op == "start" || len(live) == 0:
			w := &writer{text: tokens.Draw(t, "text")}
			if len(kept) > 0 && rapid.Bool().Draw(t, "extends") {
				base := rapid.SampledFrom(kept).Draw(t, "base")
				w.text = slices.Concat(base[:rapid.IntRange(0, len(base)).Draw(t, "cut")], w.text)
			}
			known := p.known(w.text)
			if limit > 1000 {
				want := 0
				for _, k := range kept {
					want = max(want, common(k, w.text))
				}
				require.Equal(t, want, known)
			}
			p.match(&w.cached, w.text)
			require.Equal(t, known, w.length)
			w.write(p)
			live = append(live, w)
		case op == "grow":
			w := live[pick()]
			w.text = append(w.text, tokens.Draw(t, "more")...)
			w.write(p)
		case op == "keep":
			w := live[pick()]
			p.keep(&w.cached, w.text)
			require.Equal(t, len(w.text), p.known(w.text))
			kept = append(kept, slices.Clone(w.text))
		case op == "end":
			i := pick()
			live[i].release(p)
			live = slices.Delete(live, i, i+1)
		}
		checkPool(t, p, live)
	}
	for _, w := range live {
		w.release(p)
	}
	checkPool(t, p, nil)
	require.Equal(t, p.made-len(p.free), p.idle)
}

// A fork copies no more than a part of one block, however long the text.
func TestForkSharesWholeBlocks(t *testing.T) {
	t.Parallel()
	p := newPool(cacheShape{layers: 2, heads: 2, width: 4}, 1000)
	first := writer{text: make([]hone.TokenID, 10*blockLen+5)}
	first.write(p)
	p.keep(&first.cached, first.text)
	made := p.made
	for range 8 {
		var fork cached
		p.match(&fork, first.text)
		require.Equal(t, len(first.text), fork.length)
		require.Equal(t, first.blocks[:10], fork.blocks[:10])
		require.NotSame(t, first.blocks[10], fork.blocks[10])
	}
	require.Equal(t, made+8, p.made)
}

// What was used longest ago goes first, its end before its beginning, and what a sequence holds stays.
func TestEvictionGoesByLastUse(t *testing.T) {
	t.Parallel()
	p := newPool(cacheShape{layers: 1, heads: 1, width: 1}, 6)
	texts := make([]writer, 3) // two blocks each
	for i := range texts {
		texts[i].text = slices.Repeat([]hone.TokenID{hone.TokenID(i)}, 2*blockLen)
		texts[i].write(p)
		p.keep(&texts[i].cached, texts[i].text)
		if i != 1 {
			texts[i].release(p)
		}
	}
	var reader cached
	p.match(&reader, texts[0].text) // 0 is newer than 2 now, and 1 is held
	reader.release(p)
	var taken cached
	for i, want := range [][]int{{64, 64, 32}, {64, 64, 0}, {32, 64, 0}, {0, 64, 0}, {0, 64, 0}} {
		taken.reserve(p, (i+1)*blockLen)
		got := make([]int, len(texts))
		for k, w := range texts {
			got[k] = p.known(w.text)
		}
		require.Equal(t, want, got, "after %d blocks", i+1)
	}
	require.Equal(t, 4, p.evicted)
	require.Equal(t, 7, p.made, "live sequences get more than the limit")
}

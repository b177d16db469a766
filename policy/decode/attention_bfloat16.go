package decode

import (
	"math"

	"github.com/hone-rl/hone/policy/kernel"
)

// headsWidth is the length of a row of heads: (H + 2G) heads of whole steps.
func (p *pass) headsWidth() int {
	return (p.config.Heads + 2*p.config.KVHeads) * kernel.BFloat16Row(p.pool.shape.width)
}

// storeRoundedRows is storeRows for a cache in bfloat16: queries, which are scaled for attention, key and value are rounded.
func (p *pass) storeRoundedRows(lo, hi int) {
	shape, width := p.pool.shape, p.qkvWidth()
	queries, row := p.config.Width, kernel.BFloat16Row(p.pool.shape.width)
	scale := float32(1 / math.Sqrt(float64(shape.width)))
	for i := lo; i < hi; i++ {
		f, from, to := &p.feeds[i], p.qkv[i*width:(i+1)*width], p.heads[i*p.headsWidth():(i+1)*p.headsWidth()]
		p.rotary.Rotate(p.set, from[:queries+shape.heads*shape.width], f.at)
		p.set.Scale(scale, from[:queries])
		p.set.RoundBFloat16(to, from, shape.width)
		data, slot := f.row.blocks[f.at/blockLen].data, f.at%blockLen
		for g := range shape.heads {
			key, value := to[(p.config.Heads+g)*row:][:row], to[(p.config.Heads+shape.heads+g)*row:][:row]
			kernel.StoreKey(shape.panel(data, shape.keys(p.layer, g)), key, slot)
			kernel.StoreValue(shape.panel(data, shape.values(p.layer, g)), value, slot)
		}
	}
}

func (p *pass) attendRoundedRows(lo, hi int) {
	w := p.workers.take()
	defer p.workers.give(w)
	for i := lo; i < hi; i++ {
		p.attendRounded(i, w)
	}
}

// attendRounded is attend with a cache in bfloat16, whose blocks are read whole: positions that the feed doesn't see have no weight.
// The softmaxes are rounded, too.
func (p *pass) attendRounded(i int, w *worker) {
	f, shape, shared := &p.feeds[i], p.pool.shape, p.config.Heads/p.config.KVHeads
	row := kernel.BFloat16Row(shape.width)
	seen, length := p.firstSeen(f.at), f.at+1
	first, last := seen/blockLen, (length+blockLen-1)/blockLen
	stride := (last - first) * blockLen
	out, queries := p.mixed[i*p.config.Width:(i+1)*p.config.Width], p.heads[i*p.headsWidth():]
	scores, weights := w.scores[:shared*stride], w.weights[:shared*stride]
	for g := range shape.heads {
		p.set.CacheScores(scores, stride, queries[g*shared*row:(g+1)*shared*row], shape.width,
			w.pick(f.row, shape, first, last, shape.keys(p.layer, g)))
		for h := range shared {
			one := scores[h*stride : (h+1)*stride]
			hide(one[:seen-first*blockLen])
			hide(one[length-first*blockLen:])
			p.set.Softmax(one)
		}
		p.set.RoundBFloat16(weights, scores, stride)
		p.set.CacheMix(out[g*shared*shape.width:(g+1)*shared*shape.width], shape.width, weights, stride,
			w.pick(f.row, shape, first, last, shape.values(p.layer, g)))
	}
}

// pick lists the panels at the given place of a row's blocks from first to last-1.
func (w *worker) pick(r *row, shape cacheShape, first, last, place int) [][]kernel.BFloat16 {
	w.panels = w.panels[:0]
	for _, b := range r.blocks[first:last] {
		w.panels = append(w.panels, shape.panel(b.data, place))
	}
	return w.panels
}

// hide gives positions no weight.
func hide(scores []float32) {
	for j := range scores {
		scores[j] = float32(math.Inf(-1))
	}
}

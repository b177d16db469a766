package decode

import "math"

// store rotates the queries and the key of row i to the feed's position, and writes key and value to the cache.
func (w *worker) store(layer, i int, f feed) {
	e := w.engine
	shape, width := e.pool.shape, e.qkvWidth()
	row := w.qkv[i*width : (i+1)*width]
	queries, keys := e.config.Width, shape.heads*shape.width
	e.rotary.Rotate(row[:queries+keys], f.at)
	block, slot := f.seq.blocks[f.at/blockLen], f.at%blockLen*shape.width
	for g := range shape.heads {
		key := row[queries+g*shape.width:]
		value := row[queries+keys+g*shape.width:]
		copy(block[shape.keys(layer, g)+slot:][:shape.width], key)
		copy(block[shape.values(layer, g)+slot:][:shape.width], value)
	}
}

// attend writes row i of mixed: for each head, softmax(q k / sqrt(C)) v over the feed's sequence up to the feed itself. Heads
// that share a key head are taken together, block by block, while the block is at hand. Vaswani et al. 2017, arXiv:1706.03762,
// eq. 1; Ainslie et al. 2023, arXiv:2305.13245.
func (w *worker) attend(layer, i int, f feed) {
	e := w.engine
	shape, set := e.pool.shape, e.set
	length, shared := f.at+1, e.config.Heads/e.config.KVHeads
	scale := float32(1 / math.Sqrt(float64(shape.width)))
	width := shape.width
	out := w.mixed[i*e.config.Width : (i+1)*e.config.Width]
	clear(out)
	for g := range shape.heads {
		queries := w.qkv[i*e.qkvWidth()+g*shared*width:][:shared*width]
		for from := 0; from < length; from += blockLen {
			keys := f.seq.blocks[from/blockLen][shape.keys(layer, g):][:shape.piece()]
			for t := range min(blockLen, length-from) {
				key := keys[t*width : (t+1)*width]
				for h := range shared {
					w.scores[h*length+from+t] = scale * set.Dot(queries[h*width:(h+1)*width], key)
				}
			}
		}
		for h := range shared {
			set.Softmax(w.scores[h*length : (h+1)*length])
		}
		for from := 0; from < length; from += blockLen {
			values := f.seq.blocks[from/blockLen][shape.values(layer, g):][:shape.piece()]
			for t := range min(blockLen, length-from) {
				value := values[t*width : (t+1)*width]
				for h := range shared {
					head := (g*shared + h) * width
					set.Axpy(w.scores[h*length+from+t], value, out[head:head+width])
				}
			}
		}
	}
}

package decode

import (
	"runtime"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

const (
	// passRows is the most rows that go through the network at once.
	passRows = 256
	// lightWeights is the number of weights, 8 MB, that processors rather read each for itself, from caches, than wait for each
	// other at every product. More than that are read from memory, which costs more, unless heavyRows rows a processor need them.
	lightWeights, heavyRows = 2 << 20, 64
	// placedTiles is the number of tiles where the bits of a row may depend on its tile.
	placedTiles = 8
	// piecesEach is about the number of pieces of a product that a processor takes, one after the other.
	piecesEach = 4
	// readingCost is what a weight costs to read from memory, in multiplications that take as long; smallWork is the cost of a
	// product, some 20 microseconds, from which on it is split over the processors.
	readingCost, smallWork = 20, 1 << 20
	// lightGrain and heavyGrain are the numbers of rows that one goroutine takes at a time: of work over a row, and of attention
	// and sampling.
	lightGrain, heavyGrain = 32, 8
	// maxIdle is the number of buffers of each kind that are kept; beyond it they are made anew.
	maxIdle = 64
)

// feed is one token to put through the network: it becomes position at of its row's text, whose cache has room for it.
type feed struct {
	row   *row
	token hone.TokenID
	at    int
}

// worker holds the buffers of one goroutine.
type worker struct {
	sampler *sampler
	scores  []float32 // [H/G, context, rounded up to whole blocks]
	// weights and panels are for keys and values in bfloat16: softmaxes of the shape of scores, and the panels that they belong to.
	weights []kernel.BFloat16
	panels  [][]kernel.BFloat16
}

func newWorker(e *Engine) *worker {
	blocks := (e.config.Context + blockLen - 1) / blockLen
	w := &worker{
		sampler: newSampler(e.set, e.config.Vocab),
		scores:  make([]float32, e.config.Heads/e.config.KVHeads*blocks*blockLen),
	}
	if e.pool.shape.half {
		w.weights, w.panels = make([]kernel.BFloat16, len(w.scores)), make([][]kernel.BFloat16, 0, blocks)
	}
	return w
}

// idle keeps what is made as goroutines ask for it.
type idle[T any] struct {
	made  chan *T
	fresh func() *T
}

func newIdle[T any](fresh func() *T) idle[T] { return idle[T]{make(chan *T, maxIdle), fresh} }

func (i idle[T]) take() *T {
	select {
	case x := <-i.made:
		return x
	default:
		return i.fresh()
	}
}

func (i idle[T]) give(x *T) {
	select {
	case i.made <- x:
	default:
	}
}

// pass takes feeds through the network, all of them together: one set of matrix products. N is the number of feeds, at most
// passRows.
type pass struct {
	*Engine
	feeds  []feed
	x      []float32 // [passRows, D] the residual stream
	norm   []float32 // [passRows, D] its normalisation; after forward, the last one
	qkv    []float32 // [passRows, (H+2G)*C]
	mixed  []float32 // [passRows, H*C] attention's output
	gateUp []float32 // [passRows, 2F]
	hidden []float32 // [passRows, F]
	logits []float32 // [passRows, V]
	// packed are the rows of the product that is under way, in the form that its weight is multiplied with.
	packed []float32
	// heads are the rows of qkv in bfloat16, one head after the other.
	heads []kernel.BFloat16
	// experts are the buffers for a mixture.
	experts mixtureBuffers
	// spread: every part of the work is split over all processors. Otherwise other passes use them.
	spread bool
	// What is under way: a layer, the scale of a norm, the width of a feed-forward, a product.
	layer, width int
	scale        []float32
	product      product
	// The stages, as values that a call of Parallel needn't make.
	stages struct{ pack, parts, normalise, store, attend, activate, read func(lo, hi int) }
}

// product is one matrix product: out = a * weight', or that added to out. a is [n, In], out [n, Out].
type product struct {
	n      int
	a      []float32
	weight *kernel.Weight
	out    []float32
	add    bool
}

func newPass(e *Engine) *pass {
	c := e.config
	hidden := c.Hidden * max(1, c.MoE.Shared)
	rows := func(width int) []float32 { return make([]float32, passRows*width) }
	p := &pass{
		Engine:  e,
		feeds:   make([]feed, 0, passRows),
		x:       rows(c.Width),
		norm:    rows(c.Width),
		qkv:     rows(e.qkvWidth()),
		mixed:   rows(c.Width),
		gateUp:  rows(2 * hidden),
		hidden:  rows(hidden),
		logits:  rows(c.Vocab),
		experts: newMixtureBuffers(c),
	}
	if e.weights.head.BFloat16() {
		p.heads = make([]kernel.BFloat16, passRows*p.headsWidth())
	}
	s := &p.stages
	s.pack, s.parts, s.normalise, s.store = p.packRows, p.parts, p.normaliseRows, p.storeRows
	s.attend, s.activate, s.read = p.attendRows, p.activateRows, p.readRows
	if e.pool.shape.half {
		s.store, s.attend = p.storeRoundedRows, p.attendRoundedRows
	}
	return p
}

// qkvWidth is (H + 2G) * C.
func (e *Engine) qkvWidth() int {
	return (e.config.Heads + 2*e.config.KVHeads) * e.pool.shape.width
}

// run puts what the rows have to feed through the network, passRows tokens at a time, and gives the outputs to the job.
func (p *pass) run(rows []*row) {
	for _, r := range rows {
		from, to := r.length, len(r.text)
		r.length = to
		for at := from; at < to; at++ {
			p.feeds = append(p.feeds, feed{row: r, token: r.text[at], at: at})
			if len(p.feeds) == passRows {
				p.flush()
			}
		}
	}
	p.flush()
}

// flush puts the collected feeds through the network, and those whose outputs are wanted through its heads.
func (p *pass) flush() {
	p.forward()
	width, n := p.config.Width, 0
	for i, f := range p.feeds {
		if f.at < f.row.from {
			continue
		}
		if n < i {
			copy(p.norm[n*width:(n+1)*width], p.norm[i*width:(i+1)*width])
			p.feeds[n] = f
		}
		n++
	}
	p.feeds = p.feeds[:n]
	p.multiply(product{n, p.norm, p.weights.head, p.logits, false})
	p.each(n, heavyGrain, p.stages.read)
	p.feeds = p.feeds[:0]
}

// forward puts the feeds through the network: it writes their keys and values to the cache and leaves the normalised output, [N, D],
// in norm. Feeds of one sequence are in the order of their positions, and what comes before them is in the cache.
func (p *pass) forward() {
	c, n := p.config, len(p.feeds)
	for i, f := range p.feeds {
		copy(p.x[i*c.Width:(i+1)*c.Width], p.weights.embed[int(f.token)*c.Width:])
	}
	for l := range p.weights.layers {
		layer := &p.weights.layers[l]
		p.layer = l
		p.normalise(layer.attnNorm)
		p.multiply(product{n, p.norm, layer.qkv, p.qkv, false})
		p.each(n, lightGrain, p.stages.store)
		p.each(n, heavyGrain, p.stages.attend)
		p.multiply(product{n, p.mixed, layer.out, p.x, true})
		p.normalise(layer.mlpNorm)
		if layer.mlp.down != nil {
			p.feedForward(n, layer.mlp)
		}
		if layer.mixture.experts != nil {
			p.mixture(n, layer.mixture)
		}
	}
	p.normalise(p.weights.norm)
}

// each does [0, n) in pieces of grain.
func (p *pass) each(n, grain int, f func(lo, hi int)) {
	if p.spread {
		p.set.Parallel(n, grain, f)
		return
	}
	for lo := 0; lo < n; lo += grain {
		f(lo, min(lo+grain, n))
	}
}

// multiply computes a product, on one processor if it is small.
func (p *pass) multiply(product product) {
	if product.n == 0 {
		return
	}
	p.product = product
	w := product.weight
	if most := p.set.PackedLen(w, passRows); len(p.packed) < most {
		p.packed = make([]float32, most)
	}
	unit := p.set.PackGrain(w, product.n)
	p.each(product.n, max(lightGrain/unit, 1)*unit, p.stages.pack)
	parts := (w.Out + kernel.WeightGrain - 1) / kernel.WeightGrain
	grain := parts
	if p.spread && w.In*w.Out*(product.n+readingCost) >= smallWork {
		grain = streams(parts / (piecesEach * runtime.GOMAXPROCS(0)))
	}
	p.each(parts, grain, p.stages.parts)
}

// streams is n grains of a Weight, made a number of them that is read fast.
func streams(n int) int {
	if n < kernel.WeightStreams-1 {
		return kernel.WeightStreams / 2
	}
	return (n + kernel.WeightStreams/2) / kernel.WeightStreams * kernel.WeightStreams
}

// parts does the columns of the product from lo to hi-1, by grains of a Weight.
func (p *pass) parts(lo, hi int) {
	x := &p.product
	first, last := lo*kernel.WeightGrain, min(hi*kernel.WeightGrain, x.weight.Out)
	p.set.LinearPacked(x.weight, first, last, x.out, x.weight.Out, p.packed, x.n, x.add)
}

// packRows packs rows of the product's a, for all parts.
func (p *pass) packRows(lo, hi int) {
	p.set.PackRows(p.product.weight, p.packed, p.product.a, p.product.n, lo, hi)
}

// normalise writes x, normalised and scaled, to norm.
func (p *pass) normalise(scale []float32) {
	p.scale = scale
	p.each(len(p.feeds), lightGrain, p.stages.normalise)
}

func (p *pass) normaliseRows(lo, hi int) {
	from, to := lo*p.config.Width, hi*p.config.Width
	p.set.RMSNorm(kernel.Norm{Weight: p.scale, Eps: p.config.NormEps}, p.norm[from:to], p.x[from:to], nil)
}

func (p *pass) storeRows(lo, hi int) {
	for i := lo; i < hi; i++ {
		p.store(i)
	}
}

func (p *pass) attendRows(lo, hi int) {
	w := p.workers.take()
	defer p.workers.give(w)
	for i := lo; i < hi; i++ {
		p.attend(i, w.scores)
	}
}

// swiglu fills the first n rows of hidden, of the given width, from gateUp.
func (p *pass) swiglu(n, width int) {
	p.width = width
	p.each(n, lightGrain, p.stages.activate)
}

func (p *pass) activateRows(lo, hi int) {
	p.set.SwiGLU(p.hidden[lo*p.width:hi*p.width], p.gateUp[2*lo*p.width:], p.width)
}

// readRows computes values, and gives the outputs to the job.
func (p *pass) readRows(lo, hi int) {
	w := p.workers.take()
	defer p.workers.give(w)
	width := p.config.Width
	for i := lo; i < hi; i++ {
		f := p.feeds[i]
		value := p.set.Dot(p.norm[i*width:(i+1)*width], p.weights.value) + p.weights.valueBias
		logits := p.logits[i*p.config.Vocab : (i+1)*p.config.Vocab]
		p.schedule.job.read(f.row, outputs{at: f.at, logits: logits, value: value, sampler: w.sampler})
	}
}

package decode

import (
	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

const (
	// tileRows is the most rows that go through the network at once: enough for the matrix products to be fast, few enough for
	// their results to stay in a core's own cache.
	tileRows = 128
	// tileStep rounds the number of rows of every product up, so that a tile's size is one of few.
	tileStep = 16
	// maxIdleWorkers is the number of workers whose buffers are kept; beyond it they are made anew.
	maxIdleWorkers = 64
)

// feed is one token to put through the network: it becomes position at of its sequence, whose cache has room for it.
type feed struct {
	seq   *cached
	token hone.TokenID
	at    int
	// span is the index of the span that it belongs to, if it comes from one.
	span int
}

// worker holds the buffers of one goroutine. N is the number of feeds of a forward pass, at most tileRows.
type worker struct {
	engine  *Engine
	sampler *sampler
	feeds   []feed
	x       []float32 // [tileRows, D] the residual stream
	norm    []float32 // [tileRows, D] its normalisation; after forward, the last one
	qkv     []float32 // [tileRows, (H+2G)*C]
	mixed   []float32 // [tileRows, H*C] attention's output
	gateUp  []float32 // [tileRows, 2F]
	hidden  []float32 // [tileRows, F]
	scores  []float32 // [H/G, context]
	logits  []float32 // [tileRows, V]
	values  []float32 // [tileRows]
}

// borrow gives an idle worker or a new one.
func (e *Engine) borrow() *worker {
	select {
	case w := <-e.workers:
		return w
	default:
		return newWorker(e)
	}
}

func (e *Engine) giveBack(w *worker) {
	select {
	case e.workers <- w:
	default:
	}
}

func newWorker(e *Engine) *worker {
	c := e.config
	rows := func(width int) []float32 { return make([]float32, tileRows*width) }
	return &worker{
		engine:  e,
		sampler: newSampler(e.set, c.Vocab),
		feeds:   make([]feed, 0, tileRows),
		x:       rows(c.Width),
		norm:    rows(c.Width),
		qkv:     rows(e.qkvWidth()),
		mixed:   rows(c.Width),
		gateUp:  rows(2 * c.Hidden),
		hidden:  rows(c.Hidden),
		scores:  make([]float32, c.Heads/c.KVHeads*c.Context),
		logits:  rows(c.Vocab),
		values:  rows(1),
	}
}

// qkvWidth is (H + 2G) * C.
func (e *Engine) qkvWidth() int {
	return (e.config.Heads + 2*e.config.KVHeads) * e.pool.shape.width
}

// logitsOf is the [V] logits of row i, after heads.
func (w *worker) logitsOf(i int) []float32 {
	vocab := w.engine.config.Vocab
	return w.logits[i*vocab : (i+1)*vocab]
}

// product writes a * weight^T to out, plus out itself where beta is 1: a is [n, in], weight [width, in], out [n, width]. Rows
// beyond n, up to a whole tileStep, are computed too and mean nothing.
func (w *worker) product(n, width, in int, a, weight []float32, beta float32, out []float32) {
	m := (n + tileStep - 1) / tileStep * tileStep
	w.engine.set.Gemm(false, true, m, width, in, 1, a, in, weight, in, beta, out, width)
}

// forward puts feeds, at most tileRows of them, through the network: it writes their keys and values to the cache and leaves
// the normalised output, [N, D], in norm. Feeds of one sequence are in the order of their positions, and what comes before
// them is in the cache.
func (w *worker) forward(feeds []feed) {
	e := w.engine
	c, n := e.config, len(feeds)
	for i, f := range feeds {
		copy(w.x[i*c.Width:(i+1)*c.Width], e.weights.embed[int(f.token)*c.Width:])
	}
	for l := range e.weights.layers {
		p := &e.weights.layers[l]
		w.normalise(n, p.attnNorm)
		w.product(n, e.qkvWidth(), c.Width, w.norm, p.qkv, 0, w.qkv)
		for i := range feeds {
			w.store(l, i, feeds[i])
		}
		for i := range feeds {
			w.attend(l, i, feeds[i])
		}
		w.product(n, c.Width, c.Width, w.mixed, p.out, 1, w.x)
		w.normalise(n, p.mlpNorm)
		w.product(n, 2*c.Hidden, c.Width, w.norm, p.gateUp, 0, w.gateUp)
		e.set.SwiGLU(w.hidden[:n*c.Hidden], w.gateUp, c.Hidden)
		w.product(n, c.Width, c.Hidden, w.hidden, p.down, 1, w.x)
	}
	w.normalise(n, e.weights.norm)
}

// normalise writes the first n rows of x, normalised and scaled, to norm.
func (w *worker) normalise(n int, weight []float32) {
	size := n * len(weight)
	w.engine.set.RMSNorm(kernel.Norm{Weight: weight, Eps: w.engine.config.NormEps}, w.norm[:size], w.x[:size], nil)
}

// heads computes logits and values of the first n rows of norm.
func (w *worker) heads(n int) {
	e := w.engine
	width := e.config.Width
	w.product(n, e.config.Vocab, width, w.norm, e.weights.head, 0, w.logits)
	for i := range n {
		w.values[i] = e.set.Dot(w.norm[i*width:(i+1)*width], e.weights.value) + e.weights.valueBias
	}
}

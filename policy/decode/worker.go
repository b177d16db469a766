package decode

import (
	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/kernel"
)

const (
	// tileRows is the most rows that go through the network at once: few enough for what they become to stay in a core's own
	// cache.
	tileRows = 96
	// smallRows is the fewest rows that are worth a goroutine of their own.
	smallRows = 16
	// maxIdleWorkers is the number of workers whose buffers are kept; beyond it they are made anew.
	maxIdleWorkers = 64
)

// feed is one token to put through the network: it becomes position at of its row's text, whose cache has room for it.
type feed struct {
	row   *row
	token hone.TokenID
	at    int
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
	experts mixtureBuffers
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
	hidden := c.Hidden * max(1, c.MoE.Shared)
	rows := func(width int) []float32 { return make([]float32, tileRows*width) }
	return &worker{
		engine:  e,
		sampler: newSampler(e.set, c.Vocab),
		feeds:   make([]feed, 0, tileRows),
		x:       rows(c.Width),
		norm:    rows(c.Width),
		qkv:     rows(e.qkvWidth()),
		mixed:   rows(c.Width),
		gateUp:  rows(2 * hidden),
		hidden:  rows(hidden),
		experts: newMixtureBuffers(c),
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

// product writes a * weight' to out, or adds it: a is [n, In], out [n, Out].
func (w *worker) product(n int, a []float32, weight *kernel.Weight, out []float32, add bool) {
	w.engine.set.Linear(weight, out, weight.Out, a, n, add)
}

// run puts what the rows have to feed through the network, tileRows tokens at a time, and gives the outputs to the job.
func (w *worker) run(rows []*row) {
	w.feeds = w.feeds[:0]
	for _, r := range rows {
		from, to := r.length, len(r.text)
		r.length = to
		for at := from; at < to; at++ {
			w.feeds = append(w.feeds, feed{row: r, token: r.text[at], at: at})
			if len(w.feeds) == tileRows {
				w.flush()
			}
		}
	}
	w.flush()
}

// flush puts the collected feeds through the network, and those whose outputs are wanted through its heads.
func (w *worker) flush() {
	w.forward(w.feeds)
	width, n := w.engine.config.Width, 0
	for i, f := range w.feeds {
		if f.at < f.row.from {
			continue
		}
		if n < i {
			copy(w.norm[n*width:(n+1)*width], w.norm[i*width:(i+1)*width])
			w.feeds[n] = f
		}
		n++
	}
	w.heads(n)
	for i, f := range w.feeds[:n] {
		w.engine.schedule.job.read(w, f.row, i, f.at)
	}
	w.feeds = w.feeds[:0]
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
		w.product(n, w.norm, p.qkv, w.qkv, false)
		for i := range feeds {
			w.store(l, i, feeds[i])
		}
		for i := range feeds {
			w.attend(l, i, feeds[i])
		}
		w.product(n, w.mixed, p.out, w.x, true)
		w.normalise(n, p.mlpNorm)
		if p.mlp.down != nil {
			w.feedForward(n, p.mlp)
		}
		if p.mixture.experts != nil {
			w.mixture(n, p.mixture)
		}
	}
	w.normalise(n, e.weights.norm)
}

// swiglu fills hidden, rows of that width, from gateUp, in pieces that the kernel takes on the calling goroutine.
func (w *worker) swiglu(n, hidden int) {
	for lo := 0; lo < n; lo += smallRows {
		hi := min(lo+smallRows, n)
		w.engine.set.SwiGLU(w.hidden[lo*hidden:hi*hidden], w.gateUp[2*lo*hidden:], hidden)
	}
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
	w.product(n, w.norm, e.weights.head, w.logits, false)
	for i := range n {
		w.values[i] = e.set.Dot(w.norm[i*width:(i+1)*width], e.weights.value) + e.weights.valueBias
	}
}

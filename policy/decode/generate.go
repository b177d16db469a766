package decode

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
)

// row is one request on its way. Its buffers are kept from wave to wave.
type row struct {
	cached
	// index is the request's place in Generate's argument.
	index   int
	request *Request
	random  *rand.Rand
	stop    stopper
	// next is the token that the coming step feeds; the prompt's last one at first.
	next   hone.TokenID
	tokens []hone.TokenID
	logp   []float32
	values []float32
	// closing: no more tokens, the coming step only reads Bootstrap. done: the result is complete.
	closing, done bool
	bootstrap     float32
	finish        hone.Finish
	stopped       bool
	// broken: the logits were not finite.
	broken bool
}

// Generate samples one completion for each request, in the order of the requests. All requests are checked first: a bad one
// is hone.ErrInvalid with its index and value, and nothing is generated. Logits that are not finite are hone.ErrNonFinite,
// naming request and token. Cancelling ctx ends it between two steps. With an error there are no results.
//
// Requests with equal prompts in one wave share the work of reading the prompt.
func (e *Engine) Generate(ctx context.Context, reqs []Request) ([]Result, error) {
	for i := range reqs {
		if err := e.limits.request(reqs[i]); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	results := make([]Result, len(reqs))
	for first := 0; first < len(reqs); first += len(e.rows) {
		last := min(first+len(e.rows), len(reqs))
		if err := e.wave(ctx, reqs[:last], first, results); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// wave works off reqs[first:] and writes their results.
func (e *Engine) wave(ctx context.Context, reqs []Request, first int, results []Result) error {
	e.live = e.live[:0]
	for i := first; i < len(reqs); i++ {
		r := &e.rows[i-first]
		r.start(i, &reqs[i], e.config.Context)
		e.live = append(e.live, r)
	}
	defer func() {
		for _, r := range e.live {
			r.release(&e.pool)
		}
	}()
	if err := e.prefill(ctx); err != nil {
		return err
	}
	for len(e.live) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("generate: %d of %d requests unfinished: %w", len(e.live), len(reqs)-first, err)
		}
		if err := e.step(results); err != nil {
			return err
		}
	}
	return nil
}

// start takes a request.
func (r *row) start(index int, request *Request, contextLen int) {
	prompt := request.Prompt
	*r = row{
		cached: r.cached, index: index, request: request, random: hone.Rand(request.Seed), stop: r.stop,
		next: prompt[len(prompt)-1], tokens: r.tokens[:0], logp: r.logp[:0], values: r.values[:0],
		closing: request.MaxTokens == 0 || len(prompt) == contextLen, finish: hone.FinishLength,
	}
	r.stop.reset(request.Stop)
}

// prefill writes the cache of every live row for all of its prompt but the last token, which the first step feeds. Equal
// prompts are computed once and copied.
func (e *Engine) prefill(ctx context.Context) error {
	firsts := map[string]*row{}
	var spans []span
	var copies [][2]*row
	for _, r := range e.live {
		prompt := r.request.Prompt[:len(r.request.Prompt)-1]
		key := promptKey(prompt)
		if first, ok := firsts[key]; ok {
			copies = append(copies, [2]*row{r, first})
			continue
		}
		firsts[key] = r
		r.reserve(&e.pool, len(prompt))
		spans = append(spans, span{seq: &r.cached, tokens: prompt})
	}
	if err := e.run(ctx, spans, nil); err != nil {
		return fmt.Errorf("read prompts: %w", err)
	}
	for _, pair := range copies {
		pair[0].copyFrom(&e.pool, &pair[1].cached)
	}
	return nil
}

// promptKey is the prompt's tokens as a map key.
func promptKey(prompt []hone.TokenID) string {
	key := make([]byte, 0, 4*len(prompt))
	for _, id := range prompt {
		key = append(key, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	return string(key)
}

// step feeds one token to every live row, draws the next ones, and takes finished rows out.
func (e *Engine) step(results []Result) error {
	for _, r := range e.live {
		r.reserve(&e.pool, r.length+1)
	}
	e.set.Parallel(len(e.live), stepTile(len(e.live)), func(lo, hi int) {
		w := e.borrow()
		defer e.giveBack(w)
		rows := e.live[lo:hi]
		w.feeds = w.feeds[:0]
		for _, r := range rows {
			w.feeds = append(w.feeds, feed{seq: &r.cached, token: r.next, at: r.length})
		}
		w.forward(w.feeds)
		w.heads(len(rows))
		for i, r := range rows {
			r.length++
			r.advance(e, w, w.logitsOf(i), w.values[i])
		}
	})
	return e.compact(results)
}

// advance takes one step's outputs for the row: the value of the state, and the logits [V] of the next token.
func (r *row) advance(e *Engine, w *worker, logits []float32, value float32) {
	if r.closing {
		r.bootstrap, r.done = value, true
		return
	}
	id, logp, ok := w.sampler.draw(logits, r.request.Sampling, r.random.Float64())
	if !ok {
		r.broken = true
		return
	}
	r.next = id
	r.tokens = append(r.tokens, id)
	r.logp = append(r.logp, logp)
	r.values = append(r.values, value)
	if id == e.tok.EOS() {
		r.finish, r.done = hone.FinishStop, true
		return
	}
	r.stopped = r.stop.add(e.tok.Piece(id))
	full := len(r.tokens) == r.request.MaxTokens || len(r.request.Prompt)+len(r.tokens) == e.config.Context
	r.closing = r.stopped || full
}

// compact writes the results of finished rows and keeps the others live, in order.
func (e *Engine) compact(results []Result) error {
	kept := e.live[:0]
	var broken *row
	for _, r := range e.live {
		switch {
		case r.broken && broken == nil:
			broken = r
			kept = append(kept, r)
		case r.done:
			results[r.index] = Result{
				Tokens: slices.Clone(r.tokens), Logp: slices.Clone(r.logp), Values: slices.Clone(r.values),
				Bootstrap: r.bootstrap, Finish: r.finish, Stopped: r.stopped,
			}
			r.release(&e.pool)
		default:
			kept = append(kept, r)
		}
	}
	e.live = kept
	if broken != nil {
		return fmt.Errorf("request %d: logits of token %d: %w", broken.index, len(broken.tokens), hone.ErrNonFinite)
	}
	return nil
}

// stepTile is the number of rows of a step that go through the network together, on one processor: an eighth of them, in
// whole products.
func stepTile(rows int) int {
	const pieces = 8
	tile := (rows + pieces*smallRows - 1) / (pieces * smallRows) * smallRows
	return min(tile, tileRows)
}

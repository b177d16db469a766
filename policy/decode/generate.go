package decode

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/phase"
)

// completion is a request's part of a row.
type completion struct {
	request *Request
	random  *rand.Rand
	stop    stopper
	logp    []float32
	values  []float32
	// others are the alternatives of all positions, one after the other.
	others []Alternative
	// closing: no more tokens, the coming step only reads Bootstrap.
	closing   bool
	bootstrap float32
	finish    hone.Finish
	stopped   bool
	// broken: the logits were not finite.
	broken bool
}

// Generate samples one completion for each request, in the order of the requests. All requests are checked first: a bad one
// is hone.ErrInvalid with its index and value, and nothing is generated. Logits that are not finite are hone.ErrNonFinite,
// naming request and token. Cancelling ctx ends it between two steps. With an error there are no results.
func (e *Engine) Generate(ctx context.Context, reqs []Request) ([]Result, error) {
	for i := range reqs {
		if err := e.limits.request(reqs[i]); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	ctx, work := phase.Begin(ctx, "generate")
	defer work.End()
	g := generation{engine: e, reqs: reqs, results: make([]Result, len(reqs))}
	if unfinished, err := e.work(ctx, len(reqs), &g); err != nil {
		return nil, fmt.Errorf("generate: %d of %d requests unfinished: %w", unfinished, len(reqs), err)
	}
	return g.results, nil
}

// generation is the job of Generate.
type generation struct {
	engine  *Engine
	reqs    []Request
	results []Result
}

func (g *generation) begin(r *row, index int) {
	request := &g.reqs[index]
	r.text = append(r.text, request.Prompt...)
	r.from = len(r.text) - 1
	r.completion = completion{
		request: request, random: hone.Rand(request.Seed), stop: r.stop, logp: r.logp[:0], values: r.values[:0], others: r.others[:0],
		closing: request.MaxTokens == 0 || len(r.text) == g.engine.config.Context, finish: hone.FinishLength,
	}
	r.stop.reset(request.Stop)
}

func (g *generation) length(index int) int {
	request := &g.reqs[index]
	return min(len(request.Prompt)+request.MaxTokens, g.engine.config.Context)
}

// read draws the next token.
func (g *generation) read(r *row, out outputs) {
	if r.closing {
		r.bootstrap, r.done = out.value, true
		return
	}
	id, logp, ok := out.sampler.draw(out.logits, r.request.Sampling, r.random.Float64())
	if !ok {
		r.broken, r.done = true, true
		return
	}
	if k := r.request.Alternatives; k > 0 {
		r.others = out.sampler.alternatives(r.others, out.logits, id, logp, k)
	}
	r.text = append(r.text, id)
	r.logp = append(r.logp, logp)
	r.values = append(r.values, out.value)
	if id == g.engine.tok.EOS() {
		r.finish, r.done = hone.FinishStop, true
		return
	}
	r.stopped = r.stop.add(g.engine.tok.Piece(id))
	r.closing = r.stopped || len(r.logp) == r.request.MaxTokens || len(r.text) == g.engine.config.Context
}

func (g *generation) end(r *row) error {
	if r.broken {
		return fmt.Errorf("request %d: logits of token %d: %w", r.index, len(r.logp), hone.ErrNonFinite)
	}
	g.engine.stats.Generated += len(r.logp)
	g.results[r.index] = Result{
		Tokens: slices.Clone(r.text[len(r.request.Prompt):]), Logp: slices.Clone(r.logp), Values: slices.Clone(r.values),
		Bootstrap: r.bootstrap, Finish: r.finish, Stopped: r.stopped, Alternatives: r.alternatives(),
	}
	return nil
}

// alternatives copies those of the completion, by position.
func (c *completion) alternatives() [][]Alternative {
	if len(c.others) == 0 {
		return nil
	}
	out, all := make([][]Alternative, len(c.logp)), slices.Clone(c.others)
	each := len(all) / len(out)
	for t := range out {
		out[t] = all[t*each : (t+1)*each : (t+1)*each]
	}
	return out
}

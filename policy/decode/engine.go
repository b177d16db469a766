// Package decode is the policy's incremental inference: it samples completions of many prompts at once, keeping each
// sequence's keys and values in a cache, so that a token costs one pass of one row through the network. It shares its kernels
// and its parameters with the training graph, and both give the same log-probabilities and values to 1e-5.
//
// All live sequences advance together, one token a step. Every request has a random stream of its own, so its tokens do not
// depend on its neighbours' draws. A result does not depend on the number of processors. Nor do its bits depend on which other
// requests shared the call, where the matrix product treats all rows alike: all products have the same few row counts.
// OpenBLAS 0.3.21 does so on AVX-512 processors; on AVX2 ones (its Haswell and Zen cores) the last bit can differ.
//
// The package knows no task, no reward and no search. It does not schedule: requests beyond [Options].MaxLive wait for the
// whole wave before them.
//
// Letters of shapes: B rows of a step, T tokens, V vocabulary, D model width, H heads, G key/value heads, C width of a head,
// F hidden width of the feed-forward part.
package decode

import (
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// Options bound what an Engine uses. The zero value is the default.
type Options struct {
	// MaxLive is the most sequences that advance together, >= 1; 0 means 512. More requests are worked off in waves of MaxLive
	// in their order. The cache grows to at most MaxLive times the context: 2 * layers * key/value heads * head width * 4
	// bytes a position, which is 2.5 KiB for the 1M preset.
	MaxLive int
}

// defaultMaxLive keeps the cache of the 1M preset's usual sequences, of 56 tokens, below 100 MB. The rate hardly depends on it
// from 64 up; few waves waste less where sequences end at different times.
const defaultMaxLive = 512

// Engine generates with one version of the policy. It copies the weights, so training may go on beside it; after an update, a
// new Engine is made. It owns its cache and serves one caller at a time; inside, it uses all processors.
type Engine struct {
	config  policy.Config
	limits  limits
	tok     token.Tokenizer
	set     *kernel.Set
	weights weights
	rotary  *kernel.Rotary
	// attention is the form of the sums over the cache that the set and the width of a head allow.
	attention attention
	pool      pool
	// rows are the wave's, live those of them that are not finished, in the order of the requests.
	rows []row
	live []*row
	// workers are idle; they are made as goroutines ask for them.
	workers chan *worker
}

// New makes an Engine over a copy of params. The tokenizer's vocabulary must be the policy's.
func New(params *policy.Params, tok token.Tokenizer, set *kernel.Set, opts Options) (*Engine, error) {
	config := params.Config()
	if tok.Vocab() != config.Vocab {
		return nil, fmt.Errorf("tokenizer %s has %d tokens, the policy %d: %w", tok.Name(), tok.Vocab(), config.Vocab, hone.ErrInvalid)
	}
	if opts.MaxLive < 0 {
		return nil, fmt.Errorf("max live %d: want 1 or more, or 0 for %d: %w", opts.MaxLive, defaultMaxLive, hone.ErrInvalid)
	}
	if opts.MaxLive == 0 {
		opts.MaxLive = defaultMaxLive
	}
	shape := cacheShape{layers: config.Layers, heads: config.KVHeads, width: config.Width / config.Heads}
	return &Engine{
		config:    config,
		limits:    limits{vocab: config.Vocab, context: config.Context},
		tok:       tok,
		set:       set,
		weights:   snapshot(params),
		rotary:    kernel.NewRotary(shape.width, config.Context, config.RopeTheta),
		attention: newAttention(set, shape.width),
		pool:      pool{shape: shape},
		rows:      make([]row, opts.MaxLive),
		live:      make([]*row, 0, opts.MaxLive),
		workers:   make(chan *worker, maxIdleWorkers),
	}, nil
}

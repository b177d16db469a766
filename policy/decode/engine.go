// Package decode is the policy's incremental inference: it samples completions of many prompts at once, keeping each
// sequence's keys and values in a cache, so that a token costs one pass of one row through the network. It shares its kernels
// and its parameters with the training graph, and both give the same log-probabilities and values to 1e-5.
//
// All live sequences advance together: in a step each feeds the tokens that its cache lacks, the whole prompt at first and then
// one token at a time, and all of them go through the network together. A sequence that ends leaves its place to the next
// request in the following step (Yu et al. 2022, Orca, section 3). A policy of a few megabytes takes a step in tiles, one a processor
// at a time; with a larger one all processors share every product, so that its weights are read once a step.
//
// The cache is made of blocks that sequences share (Kwon et al. 2023, arXiv:2309.06180, section 4). A tree of prefixes
// remembers what the blocks hold, over all calls to an Engine: a prompt that begins like an earlier text, with its completion,
// feeds only what is new. So samples of one prompt read it once, and the branches of a search their common steps.
//
// Every request has a random stream of its own, so its tokens do not depend on its neighbours' draws. A result does not depend
// on the number of processors. Nor do its bits depend on which other requests shared a step or on what was cached,
// unless the kernels' fingerprint says rows=placed: see kernel.Set.Linear.
//
// The package knows no task, no reward and no search.
//
// Letters of shapes: B rows of a step, T tokens, V vocabulary, D model width, H heads, G key/value heads, C width of a head,
// F hidden width of the feed-forward part.
package decode

import (
	"cmp"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/kernel"
	"github.com/hone-rl/hone/policy/token"
)

// Options bound what an Engine uses. The zero value is the default.
type Options struct {
	// MaxLive is the most sequences that advance together, >= 1; 0 means 512. Further requests start in their order as others
	// end.
	MaxLive int
	// CacheBytes is the memory for keys and values that is filled before any are given up, those not used for longest first,
	// >= 0; 0 means 256 MiB. Live sequences take more if they need more: at most MaxLive times the context. A position takes
	// 2 * layers * key/value heads * head width * 4 bytes, which is 2.5 KiB for the 1M preset.
	CacheBytes int
	// Precision is what weights are rounded to; "" is Float32.
	Precision Precision
}

// The defaults. 512 live sequences of the 1M preset's usual 56 tokens hold below 100 MB; the rate hardly depends on their
// number from 256 up. The rest of the cache has room for the trees of a search over a few dozen problems.
const (
	defaultMaxLive    = 512
	defaultCacheBytes = 256 << 20
)

// Stats count what an Engine has done since it was made.
type Stats struct {
	// Fed and Reused are the given tokens (prompts, and the sequences that Score takes) that went through the network, and
	// those whose keys and values were in the cache. Of every request's prompt at least the last token is fed.
	Fed, Reused int
	// Generated is the number of sampled tokens.
	Generated int
	// Steps is the number of passes over all live sequences.
	Steps int
	// Blocks is the number of cache blocks of BlockTokens positions that hold something, for a live sequence or for later.
	Blocks, BlockTokens int
	// Evicted is the number of times that a block was given up to make room.
	Evicted int
}

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
	pool      *pool
	schedule  schedule
	stats     Stats
	passes    idle[pass]
	workers   idle[worker]
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
	if opts.CacheBytes < 0 {
		return nil, fmt.Errorf("cache of %d bytes: want 1 or more, or 0 for %d: %w", opts.CacheBytes, defaultCacheBytes, hone.ErrInvalid)
	}
	if err := opts.Precision.Validate(); err != nil {
		return nil, err
	}
	maxLive := cmp.Or(opts.MaxLive, defaultMaxLive)
	shape := cacheShape{layers: config.Layers, heads: config.KVHeads, width: config.Width / config.Heads, half: opts.Precision == BF16}
	e := &Engine{
		config:    config,
		limits:    limits{vocab: config.Vocab, context: config.Context},
		tok:       tok,
		set:       set,
		weights:   snapshot(params, set, opts.Precision),
		rotary:    kernel.NewRotary(shape.width, config.Context, config.RopeTheta),
		attention: newAttention(set, shape.width),
		pool:      newPool(shape, cmp.Or(opts.CacheBytes, defaultCacheBytes)/(4*shape.size())),
		schedule:  newSchedule(maxLive),
	}
	e.schedule.run = e.runTiles
	e.passes = newIdle(func() *pass { return newPass(e) })
	e.workers = newIdle(func() *worker { return newWorker(e) })
	return e, nil
}

// Stats are the counts up to now. Like all of Engine's methods it is not to be called while another runs.
func (e *Engine) Stats() Stats {
	stats := e.stats
	stats.Blocks, stats.BlockTokens, stats.Evicted = e.pool.made-len(e.pool.free), blockLen, e.pool.evicted
	return stats
}

package decode

import (
	"context"

	"github.com/hone-rl/hone"
)

// span is given tokens to put through the network: they follow what the sequence's cache holds, and it has room for them.
type span struct {
	seq    *cached
	tokens []hone.TokenID
}

// readFunc takes the outputs of one feed from row i of the worker's logits and values: those of the token after it, and of the
// state it leads to.
type readFunc func(w *worker, i int, f feed)

// run puts all spans through the network, tile by tile, and gives the outputs of each token to read, unless that is nil. Calls
// for one span are in order; those for different spans may be at the same time. Cancelling ctx ends it between two tiles.
func (e *Engine) run(ctx context.Context, spans []span, read readFunc) error {
	groups := group(spans)
	e.set.Parallel(len(groups), 1, func(lo, hi int) {
		w := e.borrow()
		defer e.giveBack(w)
		for _, g := range groups[lo:hi] {
			w.runGroup(ctx, spans, g, read)
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, s := range spans {
		s.seq.length += len(s.tokens)
	}
	return nil
}

// interval is the spans from first to last-1.
type interval struct{ first, last int }

// group cuts the spans into runs of at most tileRows tokens; a longer span is a run of its own. The cut depends on the spans'
// lengths alone.
func group(spans []span) (groups []interval) {
	tokens := 0
	for i, s := range spans {
		tokens += len(s.tokens)
		if i == 0 || tokens > tileRows {
			groups = append(groups, interval{first: i})
			tokens = len(s.tokens)
		}
		groups[len(groups)-1].last = i + 1
	}
	return groups
}

// runGroup puts the spans of g through the network, tileRows tokens at a time.
func (w *worker) runGroup(ctx context.Context, spans []span, g interval, read readFunc) {
	w.feeds = w.feeds[:0]
	for i := g.first; i < g.last; i++ {
		s := spans[i]
		for t, id := range s.tokens {
			w.feeds = append(w.feeds, feed{seq: s.seq, token: id, at: s.seq.length + t, span: i})
			if len(w.feeds) == tileRows {
				w.flush(ctx, read)
			}
		}
	}
	w.flush(ctx, read)
}

// flush puts the collected feeds through the network and gives the outputs to read.
func (w *worker) flush(ctx context.Context, read readFunc) {
	if len(w.feeds) == 0 || ctx.Err() != nil {
		return
	}
	w.forward(w.feeds)
	if read != nil {
		w.heads(len(w.feeds))
		for i, f := range w.feeds {
			read(w, i, f)
		}
	}
	w.feeds = w.feeds[:0]
}

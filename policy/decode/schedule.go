package decode

import (
	"context"
	"runtime"
	"slices"

	"github.com/hone-rl/hone"
)

// job is what the Engine works off: requests to complete, or sequences to score. Its methods other than read are called from
// one goroutine.
type job interface {
	// begin gives the row the text and the position from which on outputs are read.
	begin(r *row, index int)
	// read takes the outputs of a position. After the text's last one it appends what is to be fed next, or sets done. It is
	// called for different positions at the same time.
	read(r *row, out outputs)
	// end takes a row that is done; an error ends the job.
	end(r *row) error
	// length is the most tokens that the row of that index comes to have.
	length(index int) int
}

// outputs are what the network says after position at of a row's text: logits, [V], of the next token, which may be overwritten, and
// the value of the state. The sampler is for the call alone.
type outputs struct {
	at      int
	logits  []float32
	value   float32
	sampler *sampler
}

// row is one sequence on its way. Its buffers are kept for the next one.
type row struct {
	cached
	// index is the sequence's place in the job.
	index int
	// text is the prompt and what follows it. What is beyond the cache's length is fed in the coming step.
	text []hone.TokenID
	// most is the most tokens that it comes to have.
	most int
	// from is the first position whose outputs are read.
	from int
	// waiting: not matched with the cache yet.
	waiting bool
	// done: there is nothing more to feed.
	done bool
	completion
}

// schedule is the state of a job at work.
type schedule struct {
	job job
	// free are the rows without a sequence; live those with one, in the order in which they came; fresh those that wait, a
	// buffer.
	free, live, fresh []*row
	// fed are the live rows that take part in the step, tiles where they are cut.
	fed   []*row
	tiles []interval
	// most is the sum of the live rows'.
	most int
	// run is Engine.runTiles.
	run func(lo, hi int)
}

// interval is the rows from first to last-1.
type interval struct{ first, last int }

func newSchedule(maxLive int) schedule {
	s := schedule{live: make([]*row, 0, maxLive), fed: make([]*row, 0, maxLive), fresh: make([]*row, 0, maxLive)}
	rows := make([]row, maxLive)
	for i := range rows {
		s.free = append(s.free, &rows[i])
	}
	return s
}

// stepFeeds is about the most tokens that are fed in a step, so that cancelling takes effect in time. Live sequences always
// advance; prompts beyond it wait for the next step.
const stepFeeds = 4096

// work does a job of n sequences. With an error, the job's or the context's, it gives the number of those not done.
func (e *Engine) work(ctx context.Context, n int, j job) (unfinished int, err error) {
	s := &e.schedule
	s.job = j
	defer func() {
		for _, r := range s.live {
			r.release(e.pool)
			s.most -= r.most
		}
		s.free, s.live, s.job = append(s.free, s.live...), s.live[:0], nil
	}()
	for next := 0; next < n || len(s.live) > 0; {
		for ; next < n && len(s.free) > 0 && e.room(j.length(next)); next++ {
			r := s.free[len(s.free)-1]
			s.free = s.free[:len(s.free)-1]
			r.text, r.index, r.waiting, r.done, r.most = r.text[:0], next, true, false, j.length(next)
			s.most += r.most
			j.begin(r, next)
			s.live = append(s.live, r)
		}
		if err := ctx.Err(); err != nil {
			return n - next + len(s.live), err
		}
		if err := e.step(); err != nil {
			return n - next + len(s.live), err
		}
	}
	return 0, nil
}

// The keys and values of live sequences are read once a step. As long as they fit, with the weights, into the caches of the processors
// that is twice as fast as from memory. A processor's share is nearLive sequences, a kernel's rows, or more up to nearBytes.
const (
	nearLive  = 12
	nearBytes = 8 << 20
)

// room tells whether a further sequence, of that many tokens at most, is to begin. Where weights are read from memory, more rows at a
// time are worth more than near keys.
func (e *Engine) room(length int) bool {
	s, n := &e.schedule, runtime.GOMAXPROCS(0)
	return e.weights.size > lightWeights || !e.set.RowsAlike() || len(s.live) < nearLive*n ||
		(s.most+length)*e.pool.shape.position() <= nearBytes*n
}

// step feeds every live row what its cache lacks, and takes finished rows out.
func (e *Engine) step() error {
	s := &e.schedule
	e.admit()
	s.cut(s.choose(e.pool), e.weights.size, e.set.RowsAlike())
	e.set.Parallel(len(s.tiles), 1, s.run)
	e.stats.Steps++
	return e.collect()
}

// admit matches waiting rows with the cache. One that could reuse more than half of what it lacks from another that is admitted
// in this step waits for the next: samples of one prompt read it once. In the order of the texts, the one before has the
// longest beginning in common.
func (e *Engine) admit() {
	s := &e.schedule
	s.fresh = s.fresh[:0]
	for _, r := range s.live {
		if r.waiting {
			s.fresh = append(s.fresh, r)
		}
	}
	slices.SortStableFunc(s.fresh, func(a, b *row) int { return slices.Compare(a.text, b.text) })
	var before []hone.TokenID
	feeds := 0
	for _, r := range s.fresh {
		known := r.text[:r.from] // the outputs of the rest are wanted
		have := e.pool.known(known)
		lacks := len(r.text) - have
		if feeds > 0 && (2*(common(before, known)-have) > lacks || feeds+lacks > stepFeeds) {
			continue
		}
		e.pool.match(&r.cached, known)
		r.waiting, before = false, r.text
		feeds += lacks
		e.stats.Fed += lacks
		e.stats.Reused += have
	}
}

// choose lists the rows that take part in the step, sees that their cache has room, and gives the number of their feeds.
func (s *schedule) choose(p *pool) (feeds int) {
	s.fed = s.fed[:0]
	for _, r := range s.live {
		if !r.waiting {
			r.reserve(p, len(r.text))
			feeds += len(r.text) - r.length
			s.fed = append(s.fed, r)
		}
	}
	return feeds
}

// cut divides the rows into tiles, which go through the network beside each other: about equal ones, one a processor, if that pays, else
// one for all. A row is in one tile.
func (s *schedule) cut(feeds, weights int, alike bool) {
	size := feeds
	if n := runtime.GOMAXPROCS(0); weights <= lightWeights || feeds >= heavyRows*n {
		if !alike {
			n = placedTiles
		}
		n *= (feeds + n*passRows - 1) / (n * passRows)
		size = (feeds + n - 1) / n
	}
	s.tiles = s.tiles[:0]
	filled := 0
	for i, r := range s.fed {
		n := len(r.text) - r.length
		filled += n
		if i == 0 || filled > size {
			s.tiles = append(s.tiles, interval{first: i})
			filled = n
		}
		s.tiles[len(s.tiles)-1].last = i + 1
	}
}

// runTiles puts the tiles from lo to hi-1 through the network.
func (e *Engine) runTiles(lo, hi int) {
	p := e.passes.take()
	defer e.passes.give(p)
	p.spread = len(e.schedule.tiles) == 1
	for _, tile := range e.schedule.tiles[lo:hi] {
		p.run(e.schedule.fed[tile.first:tile.last])
	}
}

// collect enters new prompts and finished texts into the tree of prefixes, hands finished rows to the job, and keeps the others
// live, in order.
func (e *Engine) collect() error {
	s := &e.schedule
	kept := s.live[:0]
	var err error
	for _, r := range s.live {
		if r.done && err == nil {
			err = s.job.end(r)
		}
		if err != nil || !r.done && r.length != r.from+1 { // not just begun either
			kept = append(kept, r)
			continue
		}
		e.pool.keep(&r.cached, r.text[:r.length])
		if r.done {
			r.release(e.pool)
			s.most -= r.most
			s.free = append(s.free, r)
		} else {
			kept = append(kept, r)
		}
	}
	s.live = kept
	return err
}

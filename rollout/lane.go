package rollout

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
)

// lane is the writing of one step, or of a line step by step.
type lane struct {
	// at is the state that the next step follows.
	at *state
	// fork is where that step begins; nil where it is the likeliest.
	fork *fork
	// line are the states that the lane came through, if it goes on to the line's end.
	line []*state
	// short tells that the budget left fewer tokens than may be needed, so that being cut off says nothing.
	short bool
	done  bool
}

// write takes lanes to their ends, a step at a time. Of the lanes of a problem no more advance together than what is left of its
// budget is likely to be enough for.
func (e *forker) write(ctx context.Context, lanes []*lane) error {
	for {
		room := make([]int, len(e.quests)) // how many lanes of a problem may advance
		open := make([]int, len(e.quests))
		for _, l := range lanes {
			if !l.done {
				open[l.at.tree]++
			}
		}
		for i, q := range e.quests {
			if open[i] > 0 {
				room[i] = min(open[i], max(q.left(math.MaxInt)/max(q.longest, usualStep), 1))
				open[i] = room[i]
			}
		}
		var requests []decode.Request
		var asked []*lane
		for _, l := range lanes {
			if l.done || room[l.at.tree] == 0 {
				continue
			}
			room[l.at.tree]--
			if r, ok := e.request(l, open[l.at.tree]); ok {
				requests, asked = append(requests, r), append(asked, l)
			}
		}
		if len(requests) == 0 {
			return nil
		}
		results, err := e.generate(ctx, requests)
		if err != nil {
			return err
		}
		for i, l := range asked {
			e.take(l, results[i])
		}
	}
}

// request asks for the rest of a lane's step, one of so many that share the budget; ok is false where there is no token for it.
func (e *forker) request(l *lane, sharing int) (r decode.Request, ok bool) {
	q := e.quests[l.at.tree]
	r = decode.Request{
		Prompt: slices.Concat(q.prompt, l.at.tokens), Sampling: e.cfg.Sampling, Stop: []string{stepEnd}, Alternatives: alternatives,
		MaxTokens: max(min(e.cfg.StepTokens, e.Roller.cfg.MaxTokens-len(l.at.tokens)), 0),
	}
	r.Sampling.TopK = 1 // the likeliest, with its probability at the temperature that all priors have
	first := 0          // the fork's token, which is written here
	if l.fork != nil {
		r.Prompt = append(append(r.Prompt, l.fork.before...), l.fork.token)
		r.MaxTokens = max(r.MaxTokens-len(l.fork.before), 0)
		first = 1
		if e.ends(l.fork.token) {
			r.MaxTokens = min(r.MaxTokens, 1)
		}
	}
	has := q.left(r.MaxTokens*sharing) / sharing
	if has < first || has == 0 && r.MaxTokens > 0 {
		l.done, q.spent = true, true
		return r, false
	}
	l.short = has < r.MaxTokens
	r.MaxTokens = max(has-first, 0)
	q.generated += first
	return r, true
}

// ends tells that a step ends with the token.
func (e *forker) ends(id hone.TokenID) bool {
	return id == e.tokenizer.EOS() || strings.Contains(e.tokenizer.Piece(id), stepEnd)
}

// take takes in what was written for a lane.
func (e *forker) take(l *lane, r decode.Result) {
	q, s := e.quests[l.at.tree], l.at
	q.generated += len(r.Tokens)
	if len(s.tokens) == 0 && l.fork == nil {
		s.value = float64(stateValue(r))
	}
	step, logp := e.whole(l.fork, r)
	q.longest = max(q.longest, len(step.Tokens))
	begun := len(step.Tokens) - len(r.Tokens)
	l.fork = nil
	switch {
	case l.short && step.Finish == hone.FinishLength && !step.Stopped:
		l.done = true
		return
	case len(step.Tokens) == 0: // the context is full
		s.end, l.done = cut, true
		return
	}
	for t, others := range r.Alternatives {
		for _, other := range others {
			s.after.add(fork{before: step.Tokens[:begun+t], token: other.Token, logp: logp + float64(other.Logp), value: r.Values[t]})
		}
		logp += float64(r.Logp[t])
	}
	a := e.action(s, step)
	a.Next.logp = s.logp + logp // with the fork's tokens
	a.Prior = e.cfg.prior(logp)
	s.after.steps = append(s.after.steps, a)
	if l.done = l.line == nil; !l.done {
		e.goOn(l, a)
	}
}

// whole puts a step together from its fork, if it has one, and what was written after it. logp is that of the fork's tokens.
func (e *forker) whole(f *fork, r decode.Result) (step decode.Result, logp float64) {
	if f == nil {
		return r, 0
	}
	step = r
	step.Tokens = append(f.tokens(), r.Tokens...)
	if len(r.Tokens) == 0 && e.ends(f.token) {
		step.Stopped = true
		if f.token == e.tokenizer.EOS() {
			step.Finish, step.Stopped, step.Values = hone.FinishStop, false, []float32{f.value}
		}
	}
	return step, f.logp
}

// goOn takes a lane to the state after its step, unless the line ended there or is known from there on. Then all states that it came
// through know its end.
func (e *forker) goOn(l *lane, a mcts.Action[*state]) {
	q, next := e.quests[l.at.tree], a.Next
	far := next
	if next.end == open {
		known := q.states[a.State]
		if known == nil {
			if a.State != "" {
				q.name(a.State, next)
			}
			l.at, l.line = next, append(l.line, next)
			return
		}
		far = known.far
	}
	l.done = true
	for _, s := range l.line {
		s.far = far
	}
	if far != nil {
		e.ended(far, e.worth(far))
	}
}

// name remembers the state that was first written of a name.
func (q *quest) name(name string, s *state) {
	if q.states == nil {
		q.states = map[string]*state{}
	}
	q.states[name] = s
}

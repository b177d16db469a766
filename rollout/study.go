package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/valuemodel"
)

// StudyInput asks for states of reasoning with what they are worth, for a process-value model to learn.
type StudyInput struct {
	Origin
	Slots []Slot
	// Judge says what ended texts are worth, in [0, 1].
	Judge JudgeFunc
	// Budget is the most tokens of a problem's search, >= 1.
	Budget int
	// Progress counts tokens of the searches.
	Progress ProgressFunc
}

// Studied is what one problem taught.
type Studied struct {
	// Examples are those of its samples, then those of its search.
	Examples []valuemodel.Example
	// Generated counts the tokens that were written for it.
	Generated int
}

// Study samples each problem Config.Group times, as [Roller.Sample] does, and searches it by PUCT within the budget, as [Roller.Evaluate]
// does. A state after a step is worth the share of samples through it that were right; in the tree it is worth its own value V, the mean
// of what the search came to from there under the judge, and an ended text what the judge says. A search goes on after it found a right
// answer, so that its Q is of all steps, and with a roller of [Roller.Valued] it goes where that model says; what is learned is the
// judge's word all the same. Results are in the order of slots. Errors are as in [Roller.Search].
func (r *Roller) Study(ctx context.Context, in StudyInput) ([]Studied, error) {
	if in.Budget < 1 || in.Judge == nil {
		return nil, fmt.Errorf("study with a budget of %d tokens: want at least 1, and a judge: %w", in.Budget, hone.ErrInvalid)
	}
	sampled, err := r.Sample(ctx, SampleInput{Origin: in.Origin, Slots: in.Slots})
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	quests, err := r.quests(in.Origin, in.Slots)
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	how := growth{
		search: r.budgeted(EvaluateInput{Mode: ModePUCT, Budget: in.Budget}), judge: in.Judge, exhaustive: true, progress: in.Progress,
	}
	if r.values != nil {
		how.judge = nil
	}
	trees, err := r.grow(ctx, quests, how)
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	out := make([]Studied, len(in.Slots))
	for i, g := range trees {
		group := sampled[i*r.cfg.Group : (i+1)*r.cfg.Group]
		out[i].Examples = valuemodel.Join(r.ofSamples(group, in.Judge), true)
		out[i].Examples = append(out[i].Examples, valuemodel.Join(r.ofTree(g, in.Judge), false)...)
		out[i].Generated = g.generated
		for k := range group {
			out[i].Generated += len(group[k].Tokens)
		}
	}
	return out, nil
}

// ofSamples are the states at the ends of steps of a group's samples, the prompt's among them. One that was cut off within a step ends
// with the step before.
func (r *Roller) ofSamples(group []hone.Trajectory, judge JudgeFunc) []valuemodel.Reached {
	var out []valuemodel.Reached
	for k := range group {
		t := &group[k]
		worth := judge(t.Problem, t.Text)
		whole := slices.Concat(t.Prompt, t.Tokens)
		out = append(out, valuemodel.Reached{Tokens: whole[:len(t.Prompt)], Target: worth})
		for _, step := range t.Steps {
			to := step.To
			if to > step.From && t.Tokens[to-1] == r.tokenizer.EOS() {
				to--
			}
			if to > step.From && (to < len(t.Tokens) || strings.HasSuffix(t.Text, stepEnd) || t.Finish == hone.FinishStop) {
				ended := step.To == len(t.Tokens) && t.Finish == hone.FinishStop
				out = append(out, valuemodel.Reached{Tokens: whole[:len(t.Prompt)+to], Target: worth, Ended: ended, Logp: total(t.Logp)})
			}
		}
	}
	return out
}

// ofTree are the states that a search came to, those that ended among them, each with its V under the judge. What was cut off is none: no
// way to answer asks what it is worth.
func (r *Roller) ofTree(g grown, judge JudgeFunc) []valuemodel.Reached {
	b := backup{grown: g, judge: judge, edges: make(map[*state][]int), values: make(map[*state]float64)}
	nodes := g.tree.Nodes()
	b.visits = make([]int, len(nodes))
	var order []*state // as they were come to
	for i, n := range nodes {
		if n.Visits == 0 {
			continue
		}
		b.visits[i] = n.Visits
		if s := g.tree.State(i); !slices.Contains(order, s) {
			order = append(order, s)
		}
		if i > 0 {
			parent := g.tree.State(n.Parent)
			b.edges[parent] = append(b.edges[parent], i)
		}
	}
	for _, s := range order {
		if s.far != nil && !slices.Contains(order, s.far) {
			order = append(order, s.far)
		}
	}
	var out []valuemodel.Reached
	for _, s := range order {
		if value, known := b.value(s); known && s.end != cut {
			tokens := s.tokens
			if s.end == stopped {
				tokens = tokens[:len(tokens)-1]
			}
			out = append(out, valuemodel.Reached{Tokens: slices.Concat(g.prompt, tokens), Target: value, Ended: s.end != open, Logp: s.logp})
		}
	}
	return out
}

// backup computes the values of a searched graph's states again, under a judge that may have been another's than the search's.
type backup struct {
	grown
	judge JudgeFunc
	// edges are the nodes that lead on from a state, visits their N.
	edges  map[*state][]int
	visits []int
	values map[*state]float64
}

// value is what the state's own evaluation came to and the values of what follows it, each with its visits. known is false where nothing
// came to an end.
func (b *backup) value(s *state) (value float64, known bool) {
	if value, known = b.values[s]; known {
		return value, true
	}
	sum, n := 0.0, 0
	end := s
	if s.end == open {
		end = s.far
	}
	if end != nil {
		sum, n = b.judge(b.problem, end.text), 1
	}
	for _, i := range b.edges[s] {
		if v, ok := b.value(b.tree.State(i)); ok {
			sum, n = sum+float64(b.visits[i])*v, n+b.visits[i]
		}
	}
	if n == 0 {
		return 0, false
	}
	b.values[s] = sum / float64(n)
	return b.values[s], true
}

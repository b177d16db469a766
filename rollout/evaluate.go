package rollout

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/task"
)

// Mode is how a problem is answered for measurement. Values are stored; append only.
type Mode string

// The modes.
const (
	// ModeGreedy takes the likeliest token at each position.
	ModeGreedy Mode = "greedy"
	// ModeSearch takes the best line of a tree search, as large as it is configured.
	ModeSearch Mode = "search"
	// ModeBestOf draws completions until the budget is spent and takes the one of the most worth.
	ModeBestOf Mode = "best_of"
	// ModeMajority draws completions until the budget is spent and takes the answer that most of them give.
	ModeMajority Mode = "majority"
	// ModeBeam keeps the states of the highest values after each step.
	ModeBeam Mode = "beam"
	// ModeLookahead takes the step whose best next step has the highest value.
	ModeLookahead Mode = "lookahead"
	// ModePUCT searches a tree by PUCT until the budget is spent.
	ModePUCT Mode = "puct"
	// ModeGumbel searches a tree by Gumbel selection until the budget is spent.
	ModeGumbel Mode = "gumbel"
)

// EvaluateInput asks how well the policy answers.
type EvaluateInput struct {
	Problems []hone.Problem
	Mode     Mode
	// Seed is the run's; greedy answers don't depend on it.
	Seed uint64
	// Budget is the most tokens to generate for a problem, those of dropped candidates included; at least 1 for the modes of
	// [Spending], and not looked at in the others.
	Budget int
	// Leaves is the number of walks under way in one tree for ModePUCT and ModeGumbel; 0 is as configured. Unshared lets each branch of
	// the tree keep its own states.
	Leaves   int
	Unshared bool
	// Judge guides the search, in every mode but ModeGreedy and ModeMajority. Nil measures what the policy and its value head find by
	// themselves; a judge that knows the answer measures whether the search can reach it at all.
	Judge JudgeFunc
	// Progress counts problems where Mode is ModeGreedy, simulations where it is ModeSearch, and tokens elsewhere.
	Progress ProgressFunc
}

// Answer is one problem's.
type Answer struct {
	Problem hone.Problem `json:"problem"`
	// Completion is the text, without the end of sequence.
	Completion string       `json:"completion"`
	Verdict    task.Verdict `json:"verdict"`
	// Tokens is the length of the completion, end of sequence included.
	Tokens int `json:"tokens"`
	// Generated is the number of tokens that finding it took; greedy, it is Tokens.
	Generated int `json:"generated"`
}

// Evaluation is the answers in the order of the problems.
type Evaluation struct {
	Answers []Answer `json:"answers"`
}

// Count is the number of answers of that outcome.
func (e Evaluation) Count(outcome hone.Outcome) int {
	n := 0
	for _, a := range e.Answers {
		if a.Verdict.Outcome == outcome {
			n++
		}
	}
	return n
}

// Accuracy is the share of all problems answered right, in [0, 1]; 0 for no problems.
func (e Evaluation) Accuracy() float64 {
	if len(e.Answers) == 0 {
		return 0
	}
	return float64(e.Count(hone.OutcomeRight)) / float64(len(e.Answers))
}

// Tokens is the total length of the completions.
func (e Evaluation) Tokens() int {
	n := 0
	for _, a := range e.Answers {
		n += a.Tokens
	}
	return n
}

// Generated is the total number of tokens that finding them took.
func (e Evaluation) Generated() int {
	n := 0
	for _, a := range e.Answers {
		n += a.Generated
	}
	return n
}

// Evaluate answers each problem once and has the task verify the answers. A search uses no root noise, whatever the configuration,
// and the stream hone.Seed(seed, "evaluate", problem id). Errors are as in [Roller.Search]; an unknown mode is [hone.ErrInvalid].
func (r *Roller) Evaluate(ctx context.Context, in EvaluateInput) (Evaluation, error) {
	quests := make([]*quest, len(in.Problems))
	for i, p := range in.Problems {
		prompt, err := r.prompt(p)
		if err != nil {
			return Evaluation{}, fmt.Errorf("evaluate: %w", err)
		}
		quests[i] = &quest{problem: p, prompt: prompt, seed: hone.Seed(in.Seed, "evaluate", p.ID())}
	}
	var err error
	out := Evaluation{Answers: make([]Answer, 0, len(quests))}
	switch in.Mode {
	case ModeGreedy:
		err = r.answerGreedily(ctx, quests, func(q *quest, result decode.Result) {
			out.Answers = append(out.Answers, r.answer(q, result.Tokens))
			in.Progress.report(len(out.Answers), len(quests))
		})
	case ModeSearch:
		var lines []grown
		lines, err = r.grow(ctx, quests, r.quiet(in.Judge, in.Progress))
		for _, g := range lines {
			out.Answers = append(out.Answers, r.answer(g.quest, g.tokens))
		}
	default:
		var lines []grown
		lines, err = r.spend(ctx, quests, in)
		for _, g := range lines {
			out.Answers = append(out.Answers, r.answer(g.quest, g.tokens))
		}
	}
	if err != nil {
		return Evaluation{}, fmt.Errorf("evaluate: %w", err)
	}
	return out, nil
}

// quiet is a growth without root noise.
func (r *Roller) quiet(judge JudgeFunc, progress ProgressFunc) growth {
	search := r.cfg.Search
	search.Tree.NoiseFraction = 0
	return growth{search: search, judge: judge, progress: progress}
}

// answerGreedily decodes a batch of quests at a time, and gives each result with its quest, in order.
func (r *Roller) answerGreedily(ctx context.Context, quests []*quest, take func(*quest, decode.Result)) error {
	for lo := 0; lo < len(quests); lo += r.cfg.Batch {
		batch := quests[lo:min(lo+r.cfg.Batch, len(quests))]
		requests := make([]decode.Request, len(batch))
		for i, q := range batch {
			requests[i] = decode.Request{Prompt: q.prompt, Seed: q.seed, MaxTokens: r.cfg.MaxTokens}
		}
		results, err := r.generate(ctx, requests)
		if err != nil {
			return err
		}
		for i, q := range batch {
			q.generated += len(results[i].Tokens)
			take(q, results[i])
		}
	}
	return nil
}

func (r *Roller) answer(q *quest, tokens []hone.TokenID) Answer {
	text := r.tokenizer.Decode(tokens)
	return Answer{
		Problem: q.problem, Completion: text, Verdict: r.task.Verify(q.problem, text),
		Tokens: len(tokens), Generated: q.generated,
	}
}

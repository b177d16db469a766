package rollout

import (
	"context"
	"fmt"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/mcts"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/task"
)

// SolveInput asks for one problem's solution, with what led to it.
type SolveInput struct {
	Origin
	Problem hone.Problem
	Mode    Mode
	// Budget, Leaves and Unshared are as in [EvaluateInput].
	Budget   int
	Leaves   int
	Unshared bool
	// Judge guides the search, in every mode but ModeGreedy and ModeMajority; nil leaves it to the value head.
	Judge JudgeFunc
	// Progress is as in [EvaluateInput].
	Progress ProgressFunc
	// Lines is the most lines of the tree to return, >= 0.
	Lines int
}

// Solution is an answer, its verdict, and what the search considered.
type Solution struct {
	Trajectory hone.Trajectory
	Verdict    task.Verdict
	// Lines are the best lines from each first step that was tried, the most visited first; empty where nothing was searched.
	Lines []Line
	Work  Work
}

// Line is a way down the tree, first step first.
type Line []Move

// Move is one step of a line.
type Move struct {
	// Step is the step's text, marked as in [Found].
	Step string `json:"step"`
	// Visits is N, the simulations that took it; Q is their mean return; Prior is P, the policy's probability of it among the
	// candidates, flattened where the search has a budget ([SearchConfig.PriorTemperature]).
	Visits int     `json:"visits"`
	Q      float64 `json:"q"`
	Prior  float64 `json:"prior"`
	// Terminal tells that the text ended with it.
	Terminal bool `json:"terminal"`
}

// Solve answers one problem. A search goes without root noise. The trajectory is for reading, with sample 0 for its identity;
// its log-probabilities are the policy's at temperature 1. Errors are as in [Roller.Evaluate].
func (r *Roller) Solve(ctx context.Context, in SolveInput) (Solution, error) {
	quests, err := r.quests(in.Origin, []Slot{{Problem: in.Problem}})
	if err != nil {
		return Solution{}, fmt.Errorf("solve: %w", err)
	}
	var out Solution
	switch in.Mode {
	case ModeGreedy:
		out, err = r.solveGreedily(ctx, in, quests)
	default:
		out, err = r.solveBySearch(ctx, in, quests)
	}
	if err != nil {
		return Solution{}, fmt.Errorf("solve: %w", err)
	}
	out.Verdict = r.task.Verify(in.Problem, out.Trajectory.Text)
	return out, nil
}

func (r *Roller) solveGreedily(ctx context.Context, in SolveInput, quests []*quest) (Solution, error) {
	var out Solution
	var fault error
	err := r.answerGreedily(ctx, quests, func(q *quest, result decode.Result) {
		d := draft{origin: in.Origin, problem: q.problem, prompt: q.prompt, seed: q.seed}
		out.Trajectory, fault = r.sampled(d, result)
		out.Work.Generated = q.generated
	})
	if err == nil {
		err = fault
	}
	return out, err
}

func (r *Roller) solveBySearch(ctx context.Context, in SolveInput, quests []*quest) (Solution, error) {
	var lines []grown
	var err error
	if in.Mode == ModeSearch {
		lines, err = r.grow(ctx, quests, r.quiet(in.Judge, in.Progress))
	} else {
		lines, err = r.spend(ctx, quests, EvaluateInput{
			Mode: in.Mode, Budget: in.Budget, Leaves: in.Leaves, Unshared: in.Unshared, Judge: in.Judge, Progress: in.Progress,
		})
	}
	if err != nil {
		return Solution{}, err
	}
	trajectories, err := r.searched(ctx, in.Origin, lines)
	if err != nil {
		return Solution{}, err
	}
	out := Solution{Trajectory: trajectories[0], Work: lines[0].work()}
	tree := lines[0].tree
	if tree == nil {
		return out, nil
	}
	for _, nodes := range tree.Lines(in.Lines) {
		out.Lines = append(out.Lines, newLine(tree, nodes))
	}
	return out, nil
}

func newLine(tree *mcts.Tree[*state], nodes []int) Line {
	line := make(Line, len(nodes))
	for i, at := range nodes {
		n := tree.Node(at)
		line[i] = Move{Step: n.Action, Visits: n.Visits, Q: n.Q, Prior: n.Prior, Terminal: n.Terminal}
	}
	return line
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/activities"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/countdown"
	"github.com/hone-rl/hone/task/game24"
)

// testPuzzles are the Game of 24 puzzles that are kept for evaluation beside the held-out ones (Yao et al. 2023,
// arXiv:2305.10601).
type testPuzzles struct {
	// path is the file they are from, "" where there is none.
	path string
	list [][]int
}

// readTestPuzzles reads the file given by flag, or the one in the usual places if there is one.
func (a *app) readTestPuzzles(flag string) (testPuzzles, error) {
	path := flag
	if path == "" {
		path = a.findTestPuzzles()
	}
	if path == "" {
		return testPuzzles{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return testPuzzles{}, fmt.Errorf("test puzzles: %w", err)
	}
	defer f.Close()
	ranked, err := game24.ReadPuzzles(f)
	if err != nil {
		return testPuzzles{}, fmt.Errorf("test puzzles %s: %w", path, err)
	}
	list, err := game24.YaoPuzzles(ranked)
	if err != nil {
		return testPuzzles{}, fmt.Errorf("test puzzles %s: %w", path, err)
	}
	return testPuzzles{path: path, list: list}, nil
}

func (a *app) findTestPuzzles() string {
	shared := a.getenv("HONE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	path := filepath.Join(shared, "data", "game24", "24.csv")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// trainingSet is the digest of the problems that a job trains on when the puzzles are kept out.
func trainingSet(job activities.Job, keep [][]int) (string, error) {
	var t task.Task
	var err error
	switch job.Task {
	case game24.Name:
		cfg := job.Game24
		cfg.Yao = keep
		t, err = game24.New(cfg)
	default:
		t, err = countdown.New(job.Countdown)
	}
	if err != nil {
		return "", err
	}
	train, err := t.Problems(hone.SplitTrain)
	return task.Digest(train), err
}

// fit chooses, for a stored run, the puzzles that were kept out of its training set, which the activities must see as it was: these
// ones, those that its job holds or that were saved beside it, or none. A training set that is neither is [hone.ErrInvalid].
func (p testPuzzles) fit(run storage.Run, job activities.Job, d data) (kept [][]int, err error) {
	if job.Problems != "" { // the list of what it trains on is stored, and was made without them
		return job.Game24.Yao, nil
	}
	candidates := [][][]int{nil}
	for _, list := range [][][]int{savedPuzzles(d.puzzles(run.Name)), p.list, job.Game24.Yao} {
		if len(list) > 0 {
			candidates = slices.Insert(candidates, 0, list)
		}
	}
	for _, list := range candidates {
		digest, err := trainingSet(job, list)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", run.Name, err)
		}
		if digest == run.Dataset {
			return list, nil
		}
	}
	return nil, fmt.Errorf("run %s was trained on other problems than this hone can make again; if it was given a list of test puzzles, "+
		"give the same with --yao: %w", run.Name, hone.ErrInvalid)
}

// savePuzzles keeps the list with the run, so that its training set can be made again wherever the file has gone.
func savePuzzles(path string, list [][]int) error {
	if len(list) == 0 {
		return nil
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("encode test puzzles: %w", err)
	}
	return writeFile(path, raw, 0o644)
}

// savedPuzzles are those of savePuzzles, nil where there are none; a damaged list fits no run.
func savedPuzzles(path string) [][]int {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var list [][]int
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// measurable reports, before hours go into a run, that its plan measures test puzzles whose list is not at hand.
func (t *training) measurable() error {
	plan := t.config.Plan
	for _, m := range slices.Concat(plan.Start, plan.Every, plan.Final) {
		if m.Split == game24.SplitYao && len(t.keep) == 0 {
			return fmt.Errorf("plan: split %s needs the list of puzzles, which is not at hand: give 24.csv of Yao et al. 2023 with --yao: %w",
				game24.SplitYao, hone.ErrInvalid)
		}
	}
	return nil
}

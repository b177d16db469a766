package main

import (
	"fmt"
	"os"
	"path/filepath"

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

// fit chooses, for a stored run, whether the puzzles were kept out of its training set: the activities must see the same set.
// kept tells that they were. A set that is neither is [hone.ErrInvalid].
func (p testPuzzles) fit(run storage.Run, job activities.Job) (list [][]int, kept bool, err error) {
	var tried []string
	for _, list := range [][][]int{p.list, nil} {
		digest, err := trainingSet(job, list)
		if err != nil {
			return nil, false, fmt.Errorf("run %s: %w", run.Name, err)
		}
		if digest == run.Dataset {
			return list, list != nil, nil
		}
		tried = append(tried, digest)
	}
	return nil, false, fmt.Errorf("run %s was trained on problems that this hone can't make again (digest %s, here %v); "+
		"if it was given a list of test puzzles, give the same with --yao: %w", run.Name, run.Dataset, tried, hone.ErrInvalid)
}

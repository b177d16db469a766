package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/pglocal"
)

// A cycle of a run: samples are stored as they come, then version, targets and metrics move together.
func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// head is version 1, 1 trajectory stored: Answer: (5 * (10 - 4)) - 6 = 24
}

func example(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "hone-example-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := pglocal.Start(ctx, pglocal.Options{Dir: dir, Fast: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(ctx)) }()
	if err := server.EnsureDatabase(ctx, "hone"); err != nil {
		return err
	}
	s, err := storage.Open(ctx, server.URL("hone"), storage.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()

	run, err := s.CreateRun(ctx, storage.NewRun{Name: "first", Config: []byte(`{"cycles": 1}`), Seed: 1})
	if err != nil {
		return err
	}
	fence, err := s.AcquireLease(ctx, run.ID, "trainer", hour)
	if err != nil {
		return err
	}
	if err := s.PublishFirst(ctx, run.ID, fence, storage.First{Version: versionOf(0)}); err != nil {
		return err
	}
	if err := s.StartIteration(ctx, storage.Iteration{Run: run.ID, Iteration: 0, Behaviour: 0, Prompts: 1}); err != nil {
		return err
	}
	sampled := hone.Trajectory{
		ID:      hone.TrajectoryID{Run: run.ID, Iteration: 0, Sample: 0},
		Problem: hone.Problem{Task: "game24", Key: "4 5 6 10", Prompt: "Use 4 5 6 10 to make 24.\n"},
		Source:  hone.SourceSample, Finish: hone.FinishStop, Text: "Answer: (5 * (10 - 4)) - 6 = 24",
		Tokens: []hone.TokenID{7, 1}, Logp: []float32{-0.5, -0.1}, Values: []float32{0.4, 0.6},
	}
	shard := storage.Shard{Key: storage.ShardKey{Run: run.ID}, Trajectories: []hone.Trajectory{sampled}}
	if err := s.SaveShard(ctx, shard); err != nil {
		return err
	}
	version, err := s.CommitCycle(ctx, storage.Commit{
		Run: run.ID, Iteration: 0, From: 0, Fence: fence, Version: versionOf(1),
		Prompts: []storage.PromptEnd{{Slot: 0, Problem: sampled.Problem, State: storage.PromptTrained}},
		Targets: []storage.Target{{Sample: 0, Reward: 1, Advantages: []float32{0.6, 0.4}, Returns: []float32{1, 1}}},
		Metrics: map[string]float64{"reward": 1},
	})
	if err != nil {
		return err
	}
	stored, err := s.LoadIteration(ctx, run.ID, 0)
	if err != nil {
		return err
	}
	fmt.Printf("head is version %d, %d trajectory stored: %s\n", version, len(stored), stored[0].Text)
	return nil
}

package activities

import "github.com/hone-rl/hone/storage"

// Reads is how far back the updates and rollouts of a run read, and what its first cycles take from another run: what retention must leave.
// It implements [storage.Reader].
func Reads(run storage.Run) (storage.Reads, error) {
	job, err := decodeJob(run.Config)
	if err != nil {
		return storage.Reads{}, err
	}
	n := 0
	if job.Algorithm == AlgorithmRejection {
		n = job.Rejection.Window - 1
	}
	if cache := job.Rollout.Search.Cache; cache.Bytes > 0 {
		n = max(n, cache.Cycles+job.Rollout.Staleness)
	}
	if job.PPO.CriticPretrain > 0 {
		n = max(n, job.PPO.CriticWarmup)
	}
	out := storage.Reads{Back: max(n, job.Rollout.Staleness, job.PPO.Importance.MaxStaleness)}
	if f := job.FromScoring; f.Run != "" {
		out.Loan = storage.Loan{Run: f.Run, From: f.From, To: f.To, Version: f.Version}
	}
	return out, nil
}

package activities

import "github.com/hone-rl/hone/storage"

// Lookback is how many iterations before the one under way the updates of a run read, and how many versions before the head they may need
// to go on: what retention must leave. It implements [storage.Lookback].
func Lookback(run storage.Run) (int, error) {
	job, err := decodeJob(run.Config)
	if err != nil {
		return 0, err
	}
	n := 0
	if job.Algorithm == AlgorithmRejection {
		n = job.Rejection.Window - 1
	}
	if job.PPO.CriticPretrain > 0 {
		n = max(n, job.PPO.CriticWarmup)
	}
	return max(n, job.Rollout.Staleness, job.PPO.Importance.MaxStaleness), nil
}

// Package hone holds the nouns that every part of hone speaks of: a [Problem] to solve, the [Step]s of reasoning about it, a
// [Trajectory] of them as it was sampled, and the [Breakdown] of its reward.
//
// hone post-trains reasoning language models with reinforcement learning. A run is a durable loop of cycles (rollout, reward,
// PPO update), ordered by Temporal, recorded in Postgres, with the policy in Gorgonia's graph. This package holds no behaviour
// beyond validation and arithmetic on its own types, and imports the standard library alone.
package hone

package workflows

import (
	"fmt"
	"slices"

	"github.com/hone-rl/hone"
)

// Role is a kind of work that a process is deployed for.
type Role string

// The roles.
const (
	// RoleRollout samples and evaluates: it needs processors, and the weights of the version that samples.
	RoleRollout Role = "rollout"
	// RoleLearner trains, and keeps the order of runs: it needs memory, and the optimiser's state.
	RoleLearner Role = "learner"
	// RoleReward scores.
	RoleReward Role = "reward"
	// RoleAll is all of them.
	RoleAll Role = "all"
)

// Roles are all of them.
func Roles() []Role { return []Role{RoleRollout, RoleLearner, RoleReward, RoleAll} }

// AllQueues are the queues that together take all of hone's work.
func AllQueues() []string { return []string{QueueControl, QueueTrain, QueueReward, QueueRollout} }

// Queues are those that the roles poll, each once. No role, or one that there is not, is [hone.ErrInvalid].
func Queues(roles ...Role) ([]string, error) {
	wanted := make(map[string]bool)
	for _, role := range roles {
		var some []string
		switch role {
		case RoleRollout:
			some = []string{QueueRollout}
		case RoleLearner:
			some = []string{QueueControl, QueueTrain}
		case RoleReward:
			some = []string{QueueReward}
		case RoleAll:
			some = AllQueues()
		default:
			return nil, fmt.Errorf("role %q: want one of %q: %w", role, Roles(), hone.ErrInvalid)
		}
		for _, queue := range some {
			wanted[queue] = true
		}
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("no role: want some of %q: %w", Roles(), hone.ErrInvalid)
	}
	return slices.DeleteFunc(AllQueues(), func(queue string) bool { return !wanted[queue] }), nil
}

package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/hone-rl/hone/activities"
)

// layersOf are the reward layers' means among a cycle's metrics: the stack's own in its order, others after them.
func layersOf(m map[string]float64) []activities.LayerMean {
	var out []activities.LayerMean
	take := func(layer string) {
		if mean, ok := m["reward_"+layer]; ok {
			out = append(out, activities.LayerMean{Layer: layer, Mean: mean})
		}
	}
	known := []string{"correctness", "step", "efficiency", "noise"}
	for _, layer := range known {
		take(layer)
	}
	notLayers := []string{"mean", "std", "shaping", "charge"} // of the rewards that the update read
	for _, name := range slices.Sorted(maps.Keys(m)) {
		layer, ok := strings.CutPrefix(name, "reward_")
		if ok && !slices.Contains(known, layer) && !slices.Contains(notLayers, layer) {
			take(layer)
		}
	}
	return out
}

// secondsOf is the time that one kind of work took, over all shards and rounds.
func secondsOf(m map[string]float64, name string) float64 {
	total := m[name]
	for _, other := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(other, name+"_shard_") || strings.HasPrefix(other, name+"_round_") {
			total += m[other]
		}
	}
	return total
}

// rate is n a second, 0 where no time was measured.
func rate(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return n / seconds
}

// workSeconds is the time that a cycle's activities took: their times begin with "seconds_" and don't overlap.
func workSeconds(m map[string]float64) float64 {
	total := 0.0
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(name, "seconds_") {
			total += m[name]
		}
	}
	return total
}

package activities

import (
	"context"
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/rollout"
)

// recollection is what the searches of a cycle remember: a cache.
type recollection struct {
	iteration int
	paths     *rollout.Paths
}

// paths are what a cycle's searches remember of the cycles before it; nil where nothing is. They are made of the cycles whose updates led
// to the version that searches: those are complete before it is there, so that every shard, whenever and wherever it is searched,
// remembers the same.
func (s *session) paths(ctx context.Context, iteration int) (*rollout.Paths, error) {
	cache := s.job.Rollout.Search.Cache
	if cache.Bytes == 0 {
		return nil, nil //nolint:nilnil // nothing to remember is no error
	}
	s.recalling.Lock()
	defer s.recalling.Unlock()
	if s.recalled.paths != nil && s.recalled.iteration == iteration {
		return s.recalled.paths, nil
	}
	paths := rollout.NewPaths(s.task, s.train, cache.Bytes)
	behaviour := s.job.behaviour(iteration)
	for cycle := max(0, behaviour-cache.Cycles); cycle < behaviour; cycle++ {
		scored, err := s.earlier(ctx, cycle)
		if err != nil {
			return nil, err
		}
		paths.Learn(scored)
	}
	s.recalled = recollection{iteration: iteration, paths: paths}
	return paths, nil
}

// The metrics of searches that a cycle adds up. Those of each search are named by its slot, since its shard may be another one tomorrow.
const (
	metricSearchTokens = "search_tokens"
	metricSearchStates = "search_states"
	metricCacheHits    = "cache_hits"
)

// effort is what the searches of a shard took and remembered, by the names of doc/metrics.md.
func (h *shard) effort(found []rollout.Found, paths *rollout.Paths) map[string]float64 {
	out := make(map[string]float64)
	if paths != nil {
		out["cache_states"], out["cache_bytes"] = float64(paths.Len()), float64(paths.Bytes())
	}
	for i, f := range found {
		slot := h.searched[i].Index
		out[slotMetric(metricSearchTokens, slot)] = float64(f.Work.Generated)
		if paths != nil {
			out[slotMetric(metricSearchStates, slot)] = float64(f.Work.Evaluations)
			out[slotMetric(metricCacheHits, slot)] = float64(f.Work.Recalled)
		}
	}
	return out
}

// slotMetric is the name of a slot's own metric.
func slotMetric(name string, slot int) string { return fmt.Sprintf("%s_slot_%d", name, slot) }

// efforts are the sums over the searches of a cycle with these trajectories, and what the decoder wrote for all of it.
func (s *session) efforts(ctx context.Context, iteration int, scored []hone.Scored) (map[string]float64, error) {
	stored, err := s.deps.Store.IterationMetrics(ctx, s.run, iteration)
	if err != nil {
		return nil, err
	}
	out := make(map[string]float64)
	for _, name := range []string{metricSearchTokens, metricSearchStates, metricCacheHits} {
		for key, value := range stored {
			if strings.HasPrefix(key, name+"_slot_") {
				out[name] += value // whole numbers, so that their order changes nothing
			}
		}
	}
	if searched, ok := out[metricSearchTokens]; ok {
		out["written_tokens"] = searched
		for i := range scored {
			if t := &scored[i].Trajectory; t.Source != hone.SourceSearch {
				out["written_tokens"] += float64(len(t.Tokens))
			}
		}
	}
	return out, nil
}

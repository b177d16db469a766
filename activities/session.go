package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/token"
	"github.com/hone-rl/hone/policy/weights"
	"github.com/hone-rl/hone/reward"
	"github.com/hone-rl/hone/reward/stack"
	"github.com/hone-rl/hone/rollout"
	"github.com/hone-rl/hone/storage"
	"github.com/hone-rl/hone/storage/blob"
)

// session is one run in one process: what follows from its job, and the learner in memory. The learner is a cache: a process that
// doesn't have it loads it, and the bits are the same.
type session struct {
	deps  Deps
	run   hone.RunID
	job   Job
	shape policy.Config
	task  problems
	train []hone.Problem
	token token.Tokenizer
	stack *reward.Stack
	// algorithm is how its updates learn.
	algorithm algorithm
	// changes are what the job has others than the run was created with. changed is the same run under the newest changes that were asked
	// for; nil where there are none. The activities' lock guards it.
	changes []storage.Change
	changed *session

	// mu guards the learner, for as long as an update takes.
	mu      sync.Mutex
	learner *learner
	// aside guards sampler, the policy that samples beside an update: a cache too.
	aside   sync.Mutex
	sampler sampler
	// deals guards orders, the permutations made so far.
	deals  sync.Mutex
	orders map[string][]int
	// recalling guards recalled.
	recalling sync.Mutex
	recalled  recollection
}

// learner is the policy that is being trained, in memory.
type learner struct {
	// version is the one that params and optimiser are at.
	version   int
	params    *policy.Params
	optimiser *policy.AdamW
	updater   updater
}

// sampler is the policy of a version, in memory.
type sampler struct {
	version int
	params  *policy.Params
}

func newSession(ctx context.Context, d Deps, run hone.RunID, job Job) (*session, error) {
	s := &session{deps: d, run: run, job: job, orders: make(map[string][]int)}
	var err error
	if s.shape, err = job.shape(); err != nil {
		return nil, err
	}
	if s.algorithm, err = job.algorithm(); err != nil {
		return nil, err
	}
	if s.token, err = token.Open(Tokenizer); err != nil {
		return nil, err
	}
	if s.task, err = job.newTask(d.Yao); err != nil {
		return nil, err
	}
	if job.Problems == "" {
		s.train, err = s.task.Problems(hone.SplitTrain)
	} else {
		s.train, err = s.listed(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(s.train) == 0 {
		return nil, fmt.Errorf("task %s has no training problems under this configuration: %w", job.Task, hone.ErrInvalid)
	}
	s.stack, err = stack.NewWith(job.Reward, s.task, RewardModels(ctx, d.Kernels, d.Blobs))
	return s, err
}

// problem is the index-th problem of an endless deal: every pass over the training problems is a fresh permutation, named by the
// purpose and the pass, so that any problem of any cycle can be told without going through those before.
func (s *session) problem(purpose string, index int) hone.Problem {
	pass, at := index/len(s.train), index%len(s.train)
	name := fmt.Sprintf("%s/%d", purpose, pass)
	s.deals.Lock()
	defer s.deals.Unlock()
	order, ok := s.orders[name]
	if !ok {
		order = hone.Rand(hone.Seed(s.job.Seed, "order", purpose, pass)).Perm(len(s.train))
		s.orders[name] = order
	}
	return s.train[order[at]]
}

// searches is the number of prompts of an iteration that are searched. The control experiment has none: search learns from the
// verifier, and there nothing may.
func (s *session) searches() int {
	if s.job.Reward.Noise {
		return 0
	}
	return s.job.Searched
}

// subset is up to limit problems of a split, chosen by the seed, in the split's order; 0 means all.
func (s *session) subset(split hone.Split, limit int) ([]hone.Problem, error) {
	all, err := s.task.Problems(split)
	if err != nil || limit <= 0 || limit >= len(all) {
		return all, err
	}
	chosen := hone.Rand(hone.Seed(s.job.Seed, "subset", string(split))).Perm(len(all))[:limit]
	slices.Sort(chosen)
	out := make([]hone.Problem, limit)
	for i, c := range chosen {
		out[i] = all[c]
	}
	return out, nil
}

// roller samples and searches with a version of the policy, as a cycle does.
func (s *session) roller(ctx context.Context, version, cycle int) (*rollout.Roller, error) {
	return s.rollerOf(ctx, version, s.job.sampling(cycle), "")
}

// rollerOf is one configured otherwise. It goes by the values of a stored model; "" is the policy's own head.
func (s *session) rollerOf(ctx context.Context, version int, cfg rollout.Config, model blob.Digest) (*rollout.Roller, error) {
	params, err := s.sampling(ctx, version)
	if err != nil {
		return nil, err
	}
	engine, err := decode.New(params, s.token, s.deps.Kernels, decode.Options{Precision: s.job.Rollout.Precision})
	if err != nil {
		return nil, err
	}
	roller, err := rollout.New(engine, s.token, s.task, cfg)
	if err != nil || model == "" {
		return roller, err
	}
	values, err := loadValueModel(ctx, s.deps.Blobs, model, s.deps.Kernels)
	if err != nil {
		return nil, err
	}
	return roller.Valued(values), nil
}

// sampling is the policy of a version to sample with. Where no update runs beside it may be the learner's own.
func (s *session) sampling(ctx context.Context, version int) (*policy.Params, error) {
	if s.job.Rollout.Staleness == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.learner != nil && s.learner.version == version {
			return s.learner.params, nil
		}
		return s.loaded(ctx, version)
	}
	s.aside.Lock()
	defer s.aside.Unlock()
	if s.sampler.params != nil && s.sampler.version == version {
		return s.sampler.params, nil
	}
	params, err := s.loaded(ctx, version)
	if err != nil {
		return nil, err
	}
	s.sampler = sampler{version: version, params: params}
	return params, nil
}

// loaded is the policy of a version, from the blob store.
func (s *session) loaded(ctx context.Context, version int) (*policy.Params, error) {
	stored, err := s.deps.Store.Version(ctx, s.run, version)
	if err != nil {
		return nil, err
	}
	params, err := loadWeights(ctx, s.deps.Blobs, stored.Weights)
	if err != nil {
		return nil, fmt.Errorf("version %d of run %s: %w", version, s.run, err)
	}
	return params, nil
}

// origin says where the trajectories of an iteration come from.
func (s *session) origin(iteration, behaviour int) rollout.Origin {
	return rollout.Origin{
		Run: s.run, Iteration: iteration, Behaviour: behaviour, Seed: s.job.Seed, Fingerprint: s.job.fingerprint(s.deps.Kernels),
	}
}

// judge is 1 for a right answer and 0 for any other: what search works towards.
func (s *session) judge(p hone.Problem, completion string) float64 {
	if s.task.Verify(p, completion).Outcome == hone.OutcomeRight {
		return 1
	}
	return 0
}

// loadWeights reads a policy from the blob store, verified.
func loadWeights(ctx context.Context, blobs blob.Store, digest blob.Digest) (*policy.Params, error) {
	return loadBlob(ctx, blobs, digest, func(r io.Reader) (*policy.Params, error) {
		params, _, err := weights.Load(r)
		return params, err
	})
}

// loadOptimiser reads an optimiser's state from the blob store, verified.
func loadOptimiser(ctx context.Context, blobs blob.Store, digest blob.Digest) (policy.AdamWState, error) {
	return loadBlob(ctx, blobs, digest, func(r io.Reader) (policy.AdamWState, error) {
		state, _, err := weights.LoadState(r)
		return state, err
	})
}

func loadBlob[T any](ctx context.Context, blobs blob.Store, digest blob.Digest, read func(io.Reader) (T, error)) (value T, err error) {
	r, err := blobs.Open(ctx, digest)
	if err != nil {
		return value, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if value, err = read(r); err != nil {
		return value, fmt.Errorf("blob %s: %w", digest, err)
	}
	return value, nil
}

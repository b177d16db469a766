package ppo

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/kernel"
)

// Learner runs updates of one policy's parameters. It owns the graph and the loss in it, which are built once a size and used
// by every update. It is not safe for concurrent use.
type Learner struct {
	params  *policy.Params
	set     *kernel.Set
	loss    *Loss
	trainer *policy.Trainer
	// parts are those of the policy whose gradients' norms are told apart.
	parts []part
	// before is memory for the parameters that an update begins with.
	before []float32
}

// NewLearner makes a learner that changes params in place. c gives what is part of the graph: ValueDetached and Checkpoint. temperature is
// that of sampling, > 0: logits are divided by it before log-probabilities and entropies are taken, as the sampler did.
func NewLearner(params *policy.Params, set *kernel.Set, c Config, temperature float32) (*Learner, error) {
	loss := NewLoss(Config{}, 0) // each update sets its own
	trainer, err := policy.NewTrainer(params, set, policy.TrainerOptions{
		Temperature: temperature, ValueDetached: c.ValueDetached, Checkpoint: c.Checkpoint, Loss: loss,
	})
	if err != nil {
		return nil, fmt.Errorf("ppo trainer: %w", err)
	}
	return &Learner{params: params, set: set, loss: loss, trainer: trainer, parts: parts(params)}, nil
}

// UpdateInput is what an update is a function of, beside the parameters.
type UpdateInput struct {
	// Config must be valid.
	Config Config
	// Optimizer holds the moments; its state is part of the policy version.
	Optimizer *policy.AdamW
	// Reference scores tokens under the policy that divergence is measured from. It may be nil where Beta is 0.
	Reference *policy.Trainer
	// Trajectories come in any order.
	Trajectories []Scored
	// Branches are, for [advantage.Tree] alone, what the search tree says of each step of a trajectory, [S]. Searched lines are then
	// trained on by the policy gradient and not by imitation, and no other trajectory may be among them.
	Branches map[hone.TrajectoryID][]advantage.Branch
	// Seed is the start of the random streams that order the minibatches.
	Seed uint64
	// Beta is the coefficient of the divergence, >= 0: Config.KLCoef at first, then what the last update returned.
	Beta float64
	// EntropyCoef is the coefficient of the entropy where Config.EntropyTarget steers it: Config.EntropyCoef at first, then what the last
	// update returned. It is not read where there is no target.
	EntropyCoef float64
	// Version is that of the policy that learns, which trajectories name as their behaviour.
	Version int
	// Number is that of the update in its run, from 0: the first Config.CriticWarmup of them train the value head alone.
	Number int
	// ValueOnly trains the value head alone and leaves the policy as it is, bit for bit, as long as the optimiser has moved nothing but
	// the value head: a critic learns so from stored trajectories, of whatever version.
	ValueOnly bool
	// MaxTokens is the most tokens that a completion could have had, for Shaping.OverlongBuffer; above that where it is used.
	MaxTokens int
	// LearningRate is what the schedule says of this cycle, > 0. It is the same for all steps of an update.
	LearningRate float64
	// Progress, if not nil, is called after each piece of work.
	Progress func(Progress)
}

// Progress is how far an update has come.
type Progress struct {
	// Phase is "reference" while the reference scores, then "update".
	Phase string
	// Done of Total are batches of the reference, then minibatches.
	Done, Total int
}

// Result is what an update leaves behind, beside the changed parameters.
type Result struct {
	Stats Stats
	// Beta is the coefficient for the next update.
	Beta float64
	// EntropyCoef is that of the entropy for the next update: the controller's, or what Config says where nothing steers it.
	EntropyCoef float64
	// Targets has one entry for each trajectory that the policy gradient was trained on, in the order of their ids.
	Targets []Targets
	// Skipped are the steps that were not taken, for a person to look at.
	Skipped []SkippedStep
}

// Targets is what an update made of a trajectory: every number that the loss read of it. Slices are [T].
type Targets struct {
	ID hone.TrajectoryID
	// Rewards are the task's, less the charge for divergence.
	Rewards []float32
	// Advantages are whitened.
	Advantages []float32
	// Returns are not.
	Returns []float32
	// LogpRef is the reference's log-probability of each token; empty without a reference.
	LogpRef []float32
}

// SkippedStep is a step that was not taken because something in it was not finite.
type SkippedStep struct {
	// Epoch and Minibatch count from 0.
	Epoch     int `json:"epoch"`
	Minibatch int `json:"minibatch"`
	// Samples are the ids of the trajectories in it.
	Samples []hone.TrajectoryID `json:"samples"`
	// Reason says what was not finite.
	Reason string `json:"reason"`
}

// Update runs one cycle's learning: the reference's log-probabilities, rewards and advantages, then Config.Epochs passes over the
// trajectories in Config.Minibatches steps each.
//
// Minibatches are whole trajectories, dealt anew each epoch from a permutation of its own stream. One larger than
// Config.BatchTokens goes through the graph in parts, which are all divided by the tokens of the whole. Each epoch starts from
// what the sampler recorded: old log-probabilities and values stay as they were. Before each step the minibatch's divergence from
// the sampling policy is compared with Config.TargetKL, and once it exceeds it neither this step nor another is taken. A step whose
// loss or gradient is not finite is left out, counted and named; if that happens to every step the update is
// [hone.ErrNonFinite], and the result holds the steps.
//
// The result and the parameters are the same, bit for bit, for the same input in whatever order the trajectories come. After an
// error the parameters and the optimiser may have changed: go back to the version that the update began from. Other errors are
// those of Config.Validate, of trajectories whose parts do not fit ([hone.ErrInvalid]), and ctx's.
func (l *Learner) Update(ctx context.Context, in UpdateInput) (Result, error) {
	if err := in.validate(); err != nil {
		return Result{}, err
	}
	c := in.Config
	if c.EntropyTarget > 0 {
		c.EntropyCoef = in.EntropyCoef
	}
	valueOnly := in.ValueOnly || in.Number < c.CriticWarmup
	if in.ValueOnly {
		c.Importance.MaxStaleness = in.Version
	}
	samples, imitations, census, err := gather(in.Trajectories, c, in.Version)
	if err != nil {
		return Result{}, err
	}
	for _, s := range samples {
		s.branches = in.Branches[s.trajectory.ID]
	}
	if err := in.scoreReference(ctx, samples); err != nil {
		return Result{}, err
	}
	weighed, err := l.weigh(ctx, samples, c)
	if err != nil {
		return Result{}, err
	}
	raw, err := estimate(samples, c, in.Beta, in.MaxTokens)
	if err != nil {
		return Result{}, err
	}
	var stats Stats
	stats.Census = census
	stats.KLCoef, stats.LearningRate, stats.EntropyCoef = in.Beta, in.LearningRate, c.EntropyCoef
	stats.describe(samples, imitations, raw)
	stats.weighed = weighed

	l.loss.objective = newObjective(c, in.Beta)
	l.loss.objective.valueOnly = valueOnly
	l.keep()
	run := &descent{learner: l, in: in, stats: &stats, seen: newTally()}
	if err := run.epochs(ctx, samples, imitations); err != nil {
		return Result{Skipped: run.skipped}, err
	}
	stats.UpdateRatio = relativeChange(l.set, l.before, l.params.Flat())
	stats.observe(run.seen, in.Reference != nil)

	result := Result{Stats: stats, Beta: in.Beta, Skipped: run.skipped, Targets: targets(samples, in.Reference != nil)}
	if in.Reference != nil {
		result.Stats.KLRefTrajectory = divergenceFromReference(samples)
		controller := Controller{Target: c.KLTarget, Horizon: c.KLHorizon}
		if result.Beta, err = controller.Next(in.Beta, result.Stats.KLRefTrajectory, len(samples)); err != nil {
			return Result{}, err
		}
	}
	controller := EntropyController{Target: c.EntropyTarget, Step: c.EntropyStep}
	if result.EntropyCoef, err = controller.Next(c.EntropyCoef, stats.Entropy); err != nil {
		return Result{}, err
	}
	return result, nil
}

// keep copies the parameters.
func (l *Learner) keep() {
	now := l.params.Flat()
	if l.before == nil {
		l.before = make([]float32, len(now))
	}
	const grain = 1 << 16
	l.set.Parallel(len(now), grain, func(lo, hi int) { copy(l.before[lo:hi], now[lo:hi]) })
}

// weigh scores all samples with the policy as it is where Config.Importance asks for it, and makes their weights of that.
func (l *Learner) weigh(ctx context.Context, samples []*sample, c Config) (weighed, error) {
	if c.Importance.Truncate == 0 {
		return weighed{}, nil
	}
	var seen weighed
	for _, run := range split(samples, c.BatchTokens) {
		scores, err := score(ctx, l.trainer, run, "log-probability at the start")
		if err != nil {
			return seen, fmt.Errorf("ppo importance: %w", err)
		}
		for i, s := range run {
			s.logpOld = scores[i]
			var truncated int
			s.importance, truncated = c.Importance.weights(s.logpOld, s.logpSampler, c.Loss)
			seen.add(s, truncated)
		}
	}
	return seen, nil
}

// score is the log-probabilities of the samples' tokens under the policy of t. They must fit a batch.
func score(ctx context.Context, t *policy.Trainer, samples []*sample, what string) ([][]float64, error) {
	batch, firsts := pack(samples)
	scores, err := t.Evaluate(ctx, batch.batch)
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(samples))
	for i, s := range samples {
		if out[i], err = widen(s.room, what, scores.Logp[firsts[i]:firsts[i]+len(s.logpSampler)]); err != nil {
			return nil, fmt.Errorf("trajectory %v: %w", s.trajectory.ID, err)
		}
	}
	return out, nil
}

// validate reports every fault of the input beside its trajectories.
func (in UpdateInput) validate() error {
	errs := []error{in.Config.Validate()}
	if in.Optimizer == nil {
		errs = append(errs, fmt.Errorf("ppo update: no optimiser: %w", hone.ErrInvalid))
	}
	if !(in.Beta >= 0) || math.IsInf(in.Beta, 0) {
		errs = append(errs, fmt.Errorf("ppo update: beta is %v, must be at least 0: %w", in.Beta, hone.ErrInvalid))
	}
	if in.Beta > 0 && in.Reference == nil {
		errs = append(errs, fmt.Errorf("ppo update: beta is %v and there is no reference: %w", in.Beta, hone.ErrInvalid))
	}
	if in.Config.EntropyTarget > 0 && (!(in.EntropyCoef >= 0) || math.IsInf(in.EntropyCoef, 0)) {
		errs = append(errs, fmt.Errorf("ppo update: entropy coefficient is %v, must be at least 0: %w", in.EntropyCoef, hone.ErrInvalid))
	}
	if buffer := in.Config.Shaping.OverlongBuffer; buffer > 0 && in.MaxTokens <= buffer {
		errs = append(errs, fmt.Errorf("ppo update: the token limit is %d, must be above shaping.overlong_buffer %d: %w",
			in.MaxTokens, buffer, hone.ErrInvalid))
	}
	if !(in.LearningRate > 0) || math.IsInf(in.LearningRate, 0) {
		errs = append(errs, fmt.Errorf("ppo update: learning rate is %v, must be above 0: %w", in.LearningRate, hone.ErrInvalid))
	}
	return errors.Join(errs...)
}

// report tells how far the update has come.
func (in UpdateInput) report(phase string, done, total int) {
	if in.Progress != nil {
		in.Progress(Progress{Phase: phase, Done: done, Total: total})
	}
}

// scoreReference fills logpRef of all samples; without a reference it is the sampler's, which no number is made from.
func (in UpdateInput) scoreReference(ctx context.Context, samples []*sample) error {
	if in.Reference == nil {
		for _, s := range samples {
			s.logpRef = s.logpSampler
		}
		return nil
	}
	runs := split(samples, in.Config.BatchTokens)
	for i, run := range runs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("ppo reference: %w", err)
		}
		scores, err := score(ctx, in.Reference, run, "reference logp")
		if err != nil {
			return fmt.Errorf("ppo reference: %w", err)
		}
		for j, s := range run {
			s.logpRef = scores[j]
		}
		in.report("reference", i+1, len(runs))
	}
	return nil
}

// divergenceFromReference is the mean over samples of sum_t K1(logpSampler, logpRef).
func divergenceFromReference(samples []*sample) float64 {
	total := 0.0
	for _, s := range samples {
		for t := range s.logpSampler {
			total += K1(s.logpSampler[t], s.logpRef[t])
		}
	}
	return total / float64(len(samples))
}

// targets is what is kept of each sample.
func targets(samples []*sample, reference bool) []Targets {
	out := make([]Targets, len(samples))
	tokens := 0
	for _, s := range samples {
		tokens += len(s.rewards)
	}
	const columns = 4
	r := arena[float32]{free: make([]float32, columns*tokens)}
	for i, s := range samples {
		out[i] = Targets{
			ID: s.trajectory.ID, Rewards: narrow(&r, s.rewards), Advantages: narrow(&r, s.advantages), Returns: narrow(&r, s.returns),
		}
		if reference {
			out[i].LogpRef = narrow(&r, s.logpRef)
		}
	}
	return out
}

// narrow is the values in float32.
func narrow(r *arena[float32], values []float64) []float32 {
	out := r.take(len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

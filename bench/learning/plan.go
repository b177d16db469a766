package main

import (
	"fmt"
	"slices"
	"strconv"
)

// named is what can be chosen on the command line.
type named interface{ id() string }

func namesOf[T named](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.id()
	}
	return out
}

// method is one way to learn.
type method struct {
	name, title string
	// sets are what makes it of the preset, as of hone train --set.
	sets []string
	// demonstrated tells that it learns from demonstrations and not from what it generates: its tokens are theirs.
	demonstrated bool
	// without is the method that this one is with search; "" for one that searches nothing.
	without string
}

func (m method) id() string { return m.name }

// task is what is learned.
type task struct {
	name, title, preset string
	// methods are those compared by name; empty means all. The winner of the first task comes to them.
	methods []string
	// sets are what the task changes of its preset.
	sets []string
}

func (t task) id() string { return t.name }

const (
	methodSupervised = "supervised"
	methodPPO        = "ppo"
	shortCycles      = 2
)

func tasksAll() []task {
	return []task{
		{name: "game24", title: "Game of 24", preset: "demo", sets: []string{"start.solve=0.2", "start.walk=0.8"}},
		{name: "countdown", title: "Countdown", preset: "countdown-1m", methods: []string{methodSupervised, methodPPO, "rloo", "rloo_search"}},
	}
}

// methodsAll are the methods in the order of the table. Estimators without a value head leave it untrained.
func methodsAll() []method {
	estimator := func(name, title string) method {
		return method{name: name, title: title, sets: []string{"ppo.advantage=" + name, "ppo.value_coef=0"}}
	}
	rloo := estimator("rloo", "RLOO")
	rejection := method{name: "rejection", title: "rejection sampling", sets: []string{"algorithm=rejection"}}
	return []method{
		{name: methodSupervised, title: "supervised only", demonstrated: true, sets: []string{
			// One sample of a few problems a cycle: they are scored for the record and cost next to nothing.
			"algorithm=supervised", "supervised.traces=1024", "prompts=16", "rollout.group=1",
		}},
		rejection,
		estimator("grpo", "GRPO"),
		rloo,
		estimator("reinforce_pp", "REINFORCE++"),
		{name: methodPPO, title: "PPO (GAE)", sets: []string{
			"ppo.advantage=gae", "ppo.lambda=1", "ppo.value_coef=1", "ppo.value_detached=true",
		}},
		searching(rloo),
		searching(rejection),
	}
}

// searching is a method with a part of its tokens spent on tree search, whose right lines are imitated: three quarters of the problems
// are sampled, and as many others are searched, within 400 tokens each. A search stops at the first right answer, so that it takes about
// as many tokens on the whole as the samples that it stands for.
func searching(m method) method {
	return method{name: m.name + "_search", title: m.title + " and search", without: m.name, sets: append(slices.Clone(m.sets),
		"prompts=48", "searched=48", "ppo.imitation_coef=0.3",
		"rollout.search.forks=true", "rollout.search.rollout=1", "rollout.search.tree.offers=true", "rollout.search.tree.share=true",
		"rollout.search.tree.close=true", "rollout.search.tree.noise_fraction=0", "rollout.search.tree.budget=400",
		"rollout.search.tree.simulations=6400", "rollout.search.candidates=4",
	)}
}

// common is what all runs have beside their preset: the same update around each estimator, no search, and greedy evaluations.
func common() []string {
	return []string{
		"searched=0", "prompts=64", "rollout.group=16",
		"ppo.truncation=terminal", "ppo.group_spread=0.5", "ppo.epochs=1", "ppo.minibatches=4", "ppo.entropy_coef=0.01",
		"ppo.kl_coef=0.01", "ppo.kl_target=0", "ppo.learning_rate=3e-4", "ppo.warmup=5", "reward.step=0.3",
		"plan.eval_every=5", "plan.shards=2", "plan.parallel=1",
		"plan.start=[{split: heldout, mode: greedy}]", "plan.every=[{split: heldout, mode: greedy}]",
		"plan.final=[{split: heldout, mode: greedy}]",
	}
}

// shortSets make a run of seconds.
func shortSets() []string {
	return []string{
		"policy.width=32", "policy.layers=1", "policy.heads=2", "policy.kv_heads=1", "policy.hidden=64", "game24.wide=0",
		"countdown.train=200", "countdown.held_out=20", "start.traces=40", "start.sft.epochs=1", "supervised.traces=20", "prompts=4",
		"rollout.search.tree.budget=60",
		"rollout.group=2", "rollout.max_tokens=32", "plan.eval_every=1",
	}
}

// spec is one run.
type spec struct {
	task   task
	method method
	seed   int
}

func (s spec) name() string { return fmt.Sprintf("%s-%s-%d", s.task.name, s.method.name, s.seed) }

// sets are all --set of the run, in order: later ones win.
func (s spec) sets(short bool) []string {
	out := slices.Concat(common(), s.task.sets, s.method.sets)
	if short {
		out = append(out, shortSets()...)
	}
	return out
}

// train is the command line after hone.
func (s spec) train(o options) []string {
	args := []string{
		"train", "--preset", s.task.preset, "--seed", strconv.Itoa(s.seed), "--run", s.name(), "--cycles", strconv.Itoa(o.cycles),
		"--data-dir", o.data(s),
	}
	if o.pgBin != "" {
		args = append(args, "--pg-bin", o.pgBin)
	}
	if o.yao != "" && s.task.name == tasksAll()[0].name {
		args = append(args, "--yao", o.yao)
	}
	for _, set := range s.sets(o.short) {
		args = append(args, "--set", set)
	}
	return args
}

// plan is the runs that are known from the start, seed by seed so that an interrupted comparison is a whole one with fewer seeds; tasks
// with longer runs first.
func plan(o options) []spec {
	var out []spec
	for _, seed := range o.seeds {
		for _, t := range slices.Backward(tasksAll()) {
			for _, m := range methodsAll() {
				if slices.Contains(o.tasks, t.name) && slices.Contains(o.methods, m.name) &&
					(len(t.methods) == 0 || slices.Contains(t.methods, m.name)) {
					out = append(out, spec{t, m, seed})
				}
			}
		}
	}
	return out
}

// planWinner is what the other tasks have to show of the first one's winner; nothing while that is not known.
func planWinner(o options, records []record) []spec {
	first := tasksAll()[0]
	for _, s := range plan(o) {
		if s.task.name == first.name && !finished(records, s, o.cycles) {
			return nil
		}
	}
	winner, ok := winnerOf(records, first)
	var out []spec
	for _, seed := range o.seeds {
		for _, t := range tasksAll()[1:] {
			if ok && slices.Contains(o.tasks, t.name) && !slices.Contains(t.methods, winner.name) {
				out = append(out, spec{t, winner, seed})
			}
		}
	}
	return out
}

// finished tells whether there is a record of the whole run.
func finished(records []record, s spec, cycles int) bool {
	return slices.ContainsFunc(records, func(r record) bool { return r.Run == s.name() && r.Finished && r.Cycles == cycles })
}

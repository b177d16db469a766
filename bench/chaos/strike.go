package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// struck is one strike and what it cost.
type struck struct {
	kind string
	kill bool
	at   time.Time
	// pid is that of the process that was killed, 0 for none.
	pid int
	// lost are the seconds of sampling that had to be done again by it, still those until the run moved on.
	lost, still float64
}

// kind is a way to strike.
type kind struct {
	name   string
	kill   bool
	weight int
	// do strikes, and says whom it killed; false means that there was nothing to strike at.
	do func(p *place, rng *rand.Rand) (pid int, ok bool)
}

// kinds are the ways that are drawn from.
func kinds() []kind {
	one := func(pick func(p *place, rng *rand.Rand) *process) func(*place, *rand.Rand) (int, bool) {
		return func(p *place, rng *rand.Rand) (int, bool) {
			victim := pick(p, rng)
			pid := victim.running()
			return pid, pid != 0 && victim.kill()
		}
	}
	disturb := func(do func(p *place, rng *rand.Rand)) func(*place, *rand.Rand) (int, bool) {
		return func(p *place, rng *rand.Rand) (int, bool) {
			do(p, rng)
			return 0, true
		}
	}
	seconds := func(rng *rand.Rand, most float64) time.Duration {
		return time.Duration(rng.Float64() * most * float64(time.Second))
	}
	return []kind{
		{"kill rollout worker", true, 32, one(func(p *place, rng *rand.Rand) *process { return p.rollouts[rng.IntN(len(p.rollouts))] })},
		{"kill learner", true, 20, one(func(p *place, rng *rand.Rand) *process { return p.learners[rng.IntN(len(p.learners))] })},
		{"kill Temporal server", true, 14, one(func(p *place, _ *rand.Rand) *process { return p.temporal })},
		{"kill Postgres", true, 10, func(p *place, _ *rand.Rand) (int, bool) { return 0, p.killPostmaster() }},
		{"kill Postgres and its owner", true, 4, one(func(p *place, _ *rand.Rand) *process { return p.postgres })},
		{"kill follower", true, 4, one(func(p *place, _ *rand.Rand) *process { return p.trainer })},
		{"cut workers from Postgres", false, 4, disturb(func(p *place, rng *rand.Rand) { p.host(rng).toDatabase.refuse(seconds(rng, 4)) })},
		{"cut workers from Temporal", false, 4, disturb(func(p *place, rng *rand.Rand) { p.host(rng).toTemporal.refuse(seconds(rng, 4)) })},
		{"cut Temporal from Postgres", false, 4, disturb(func(p *place, rng *rand.Rand) { p.fromTemporal.refuse(seconds(rng, 4)) })},
		{"slow links", false, 4, disturb(func(p *place, rng *rand.Rand) {
			h := p.host(rng)
			for _, l := range []*link{h.toDatabase, h.toTemporal, p.fromTemporal} {
				l.slow(seconds(rng, 0.2), seconds(rng, 8))
			}
		})},
	}
}

// hostKinds are the ways to strike at hosts: half of them die for a while, and half can't be reached for a while.
func hostKinds(ctx context.Context) []kind {
	return []kind{
		{"kill host", true, 1, func(p *place, rng *rand.Rand) (int, bool) {
			return 0, p.host(rng).kill(time.Duration(5+rng.IntN(10)) * time.Second)
		}},
		{"part host from the network", false, 1, func(p *place, rng *rand.Rand) (int, bool) {
			h := p.host(rng)
			return 0, h.part(ctx, time.Duration(5+rng.IntN(20))*time.Second) == nil
		}},
	}
}

// host is one of the place's.
func (p *place) host(rng *rand.Rand) *host { return p.hosts[rng.IntN(len(p.hosts))] }

// draw picks a kind by weight.
func draw(rng *rand.Rand, all []kind) kind {
	sum := 0
	for _, k := range all {
		sum += k.weight
	}
	at := rng.IntN(sum)
	for _, k := range all {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	return all[len(all)-1]
}

// fullFor is how long the disk stays full.
const fullFor = 5 * time.Second

// fillDisk leaves no byte of the place's disk for a while.
func (p *place) fillDisk() error {
	name := filepath.Join(p.dir, "fill")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(fmt.Errorf("fill the disk: %w", err), f.Close(), os.Remove(name))
	}
	<-time.After(fullFor)
	return errors.Join(f.Close(), os.Remove(name))
}

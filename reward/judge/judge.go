// Package judge is the layer that asks an HTTP endpoint what a trajectory is worth.
//
// Two protocols are spoken. The generic one posts a batch, and gets a score in [0, 1] and a reason for each item, by id:
//
//	POST url  {"items": [{"id": "0", "task": "...", "problem": "...", "completion": "...", "steps": ["...", ...]}, ...]}
//	          {"items": [{"id": "0", "score": 0.7, "reason": "..."}, ...]}
//
// The other is that of OpenAI's chat completions: url/chat/completions gets the rubric and the completion, and the answer's text must hold
// {"score": 0.7, "reason": "..."}.
//
// An endpoint may be slow, wrong or gone. Each request has a deadline; what another try can mend (no answer, 429, 5xx, garbage) is
// tried again with growing pauses, or after the time that the endpoint asks for, and what is left is [hone.ErrUnavailable]: a judgement
// is had or it isn't, and no score is made up. Answers are kept by problem and text, so that a trajectory is judged once a process.
// Differs from other layers: nothing makes an endpoint answer the same twice, so a replay is told to keep the stored judgement.
package judge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/reward"
)

// Name is the layer's name.
const Name = "judge"

// Protocol is how an endpoint is spoken to.
type Protocol string

// The protocols.
const (
	ProtocolGeneric Protocol = "generic"
	ProtocolOpenAI  Protocol = "openai"
)

// Config is the endpoint and the patience with it. Zero numbers mean the default.
type Config struct {
	// URL is http or https; of OpenAI's protocol the part before /chat/completions.
	URL string `json:"url" yaml:"url"`
	// Protocol is "generic" or "openai".
	Protocol Protocol `json:"protocol" yaml:"protocol"`
	// Model and Rubric are for OpenAI's protocol: the model's name, and what to judge by.
	Model  string `json:"model,omitempty" yaml:"model,omitempty"`
	Rubric string `json:"rubric,omitempty" yaml:"rubric,omitempty"`
	// KeyEnv names the environment variable whose value is sent as a bearer token; a key itself has no place in a configuration.
	KeyEnv string `json:"key_env,omitempty" yaml:"key_env,omitempty"`
	// Batch is the most items of a generic request, in [1, 1024]; 0 means 16. Linger is how many milliseconds an item waits for others, 0
	// means 5.
	Batch  int `json:"batch,omitempty" yaml:"batch,omitempty"`
	Linger int `json:"linger_ms,omitempty" yaml:"linger_ms,omitempty"`
	// Timeout is that of one request, in milliseconds; 0 means 30,000.
	Timeout int `json:"timeout_ms,omitempty" yaml:"timeout_ms,omitempty"`
	// Tries is how often a request is sent, in [1, 10]; 0 means 3. Pause is the time before the second, in milliseconds, and doubles;
	// 0 means 200.
	Tries int `json:"tries,omitempty" yaml:"tries,omitempty"`
	Pause int `json:"pause_ms,omitempty" yaml:"pause_ms,omitempty"`
	// Cache is how many judgements are kept; 0 means 65,536.
	Cache int `json:"cache,omitempty" yaml:"cache,omitempty"`
}

// filled is the configuration with its defaults.
func (c Config) filled() Config {
	for _, f := range []struct {
		field *int
		value int
	}{{&c.Batch, 16}, {&c.Linger, 5}, {&c.Timeout, 30000}, {&c.Tries, 3}, {&c.Pause, 200}, {&c.Cache, 1 << 16}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if c.Protocol == ProtocolOpenAI {
		c.Batch = 1 // a chat judges one
	}
	return c
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(format+": %w", append(args, hone.ErrInvalid)...))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		bad("url %q: want http://host or https://host", c.URL)
	}
	if c.Protocol != ProtocolGeneric && c.Protocol != ProtocolOpenAI {
		bad("protocol %q: want %q or %q", c.Protocol, ProtocolGeneric, ProtocolOpenAI)
	}
	if c.Protocol == ProtocolOpenAI && (c.Model == "" || c.Rubric == "") {
		bad("protocol %q: want a model and a rubric", c.Protocol)
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{
		{"batch", c.Batch, 1024},
		{"linger_ms", c.Linger, 60000},
		{"timeout_ms", c.Timeout, 3600000},
		{"tries", c.Tries, 10},
		{"pause_ms", c.Pause, 60000},
		{"cache", c.Cache, 1 << 24},
	} {
		if f.value < 0 || f.value > f.most {
			bad("%s %d: want 0 (the default) to %d", f.name, f.value, f.most)
		}
	}
	return errors.Join(faults...)
}

// Options are what a configuration file doesn't hold.
type Options struct {
	// Key is sent as a bearer token; empty is none.
	Key string
	// Client sends requests; nil is one without a proxy's or a cookie's state.
	Client *http.Client
}

// Layer asks the endpoint. It is safe for concurrent use, and gathers what is asked at once into batches.
type Layer struct {
	cfg    Config
	key    string
	client *http.Client

	mu      sync.Mutex
	pending *batch
	known   map[[sha256.Size]byte]answer
	order   [][sha256.Size]byte // of known, the oldest first
}

var _ reward.Layer = (*Layer)(nil)

// New is the layer; nothing is asked yet.
func New(cfg Config, o Options) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("judge configuration: %w", err)
	}
	if o.Key == "" && cfg.KeyEnv != "" {
		if o.Key = os.Getenv(cfg.KeyEnv); o.Key == "" {
			return nil, fmt.Errorf("judge: the environment variable %s of key_env is empty: %w", cfg.KeyEnv, hone.ErrInvalid)
		}
	}
	client := o.Client
	if client == nil {
		client = &http.Client{}
	}
	return &Layer{cfg: cfg.filled(), key: o.Key, client: client, known: make(map[[sha256.Size]byte]answer)}, nil
}

// Name is "judge".
func (l *Layer) Name() string { return Name }

// Judge gives one term in [0, 1], on the last step. A trajectory without steps gets none, and is not asked about.
func (l *Layer) Judge(ctx context.Context, p hone.Problem, traj hone.Trajectory) (reward.Judgement, error) {
	if len(traj.Steps) == 0 {
		return reward.Judgement{}, nil
	}
	key := sha256.Sum256([]byte(strconv.Itoa(len(p.ID())) + p.ID() + traj.Text))
	l.mu.Lock()
	found, ok := l.known[key]
	l.mu.Unlock()
	if !ok {
		var err error
		if found, err = l.ask(ctx, p, traj); err != nil {
			return reward.Judgement{}, fmt.Errorf("judge %s: %w", l.cfg.URL, err)
		}
		l.keep(key, found)
	}
	return reward.Judgement{Terms: []hone.Term{{Step: len(traj.Steps) - 1, Score: found.score, Reason: found.reason}}}, nil
}

// keep stores an answer in the place of the oldest where there is no room.
func (l *Layer) keep(key [sha256.Size]byte, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.known[key]; ok {
		return
	}
	if len(l.order) >= l.cfg.Cache {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
	l.known[key] = a
	l.order = append(l.order, key)
}

// batch is a request that gathers items.
type batch struct {
	items []item
	// full is closed when no more fit, done when the answers are there.
	full, done chan struct{}
	answers    []answer
	err        error
}

// ask puts the trajectory into a batch. Who opens a batch sends it, and the others wait for it; it is sent without regard to the opener's
// context, so that one who gives up takes nobody with him.
func (l *Layer) ask(ctx context.Context, p hone.Problem, traj hone.Trajectory) (answer, error) {
	steps := make([]string, len(traj.Steps))
	for i, s := range traj.Steps {
		steps[i] = s.Text
	}
	l.mu.Lock()
	b := l.pending
	opened := b == nil
	if opened {
		b = &batch{full: make(chan struct{}), done: make(chan struct{})}
		l.pending = b
	}
	at := len(b.items)
	b.items = append(b.items, item{ID: strconv.Itoa(at), Task: p.Task, Problem: p.Prompt, Completion: traj.Text, Steps: steps})
	if len(b.items) == l.cfg.Batch {
		l.pending = nil
		close(b.full)
	}
	l.mu.Unlock()
	if opened {
		go l.send(context.WithoutCancel(ctx), b)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	if b.err != nil {
		return answer{}, b.err
	}
	return b.answers[at], nil
}

// send waits for the batch to fill, and asks.
func (l *Layer) send(ctx context.Context, b *batch) {
	wait(ctx, time.Duration(l.cfg.Linger)*time.Millisecond, b.full)
	l.mu.Lock()
	if l.pending == b {
		l.pending = nil
	}
	l.mu.Unlock()
	b.answers, b.err = l.try(ctx, b.items)
	close(b.done)
}

// wait returns after d, or when c is closed.
func wait(ctx context.Context, d time.Duration, c <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-c:
	case <-ctx.Done():
	}
}

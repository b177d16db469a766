// Package job says what the comparison with PyTorch measures: tasks, sizes of policies, the data that both sides make for
// themselves, how many operations a step takes, and the form in which a measurement is reported. Both bench/engine, which
// measures hone, and bench/compare, which runs the contestants in turn, are written in its terms; bench/engine.py keeps the same
// flags, tokens and names.
//
// Letters: B sequences, P tokens of a prompt, C tokens of a completion, T = P + C, V vocabulary, D width.
package job

import (
	"flag"
	"fmt"
	"strconv"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy"
	"github.com/hone-rl/hone/policy/token"
)

// Task is a kind of measurement.
type Task string

// The tasks.
const (
	// Update is one step of PPO: the old scores under the policy, the reference's, advantages, the clipped loss forward and
	// backward, AdamW.
	Update Task = "update"
	// Supervised is one step on the completions' cross-entropy: forward, backward, AdamW.
	Supervised Task = "supervised"
	// Sample draws C tokens for each of B prompts with a cache.
	Sample Task = "sample"
	// Peak is a large square matrix product on all threads.
	Peak Task = "peak"
	// Bandwidth reads, and adds, arrays that no cache holds.
	Bandwidth Task = "bandwidth"
	// Check computes log-probabilities, losses and gradients for comparison with float64.
	Check Task = "check"
	// Export writes the weights, for the other side to load.
	Export Task = "export"
)

// Job is one measurement: the flags of one process.
type Job struct {
	Task Task   `json:"task"`
	Size string `json:"size,omitempty"`
	// Batch is B, Prompt is P, New is C.
	Batch  int `json:"batch,omitempty"`
	Prompt int `json:"prompt,omitempty"`
	New    int `json:"new,omitempty"`
	// Warmup steps go before the Steps that count.
	Warmup int `json:"warmup,omitempty"`
	Steps  int `json:"steps,omitempty"`
	// Threads is the number of processors to use.
	Threads int `json:"threads,omitempty"`
	// Folder is where weights and checks lie.
	Folder string `json:"-"`
}

// Flags binds the job to the flags of a command line.
func (j *Job) Flags(f *flag.FlagSet) {
	f.StringVar((*string)(&j.Task), "task", "", "what to measure")
	f.StringVar(&j.Size, "size", Size1M, "size of the policy: 1m, 10m or 100m")
	f.IntVar(&j.Batch, "batch", 1, "sequences")
	f.IntVar(&j.Prompt, "prompt", 16, "tokens of a prompt")
	f.IntVar(&j.New, "new", 48, "tokens of a completion")
	f.IntVar(&j.Warmup, "warmup", 1, "steps before those that count")
	f.IntVar(&j.Steps, "steps", 1, "steps that count")
	f.IntVar(&j.Threads, "threads", 2, "processors to use")
	f.StringVar(&j.Folder, "folder", ".", "where weights and checks lie")
}

// Args is the command line that Flags reads.
func (j Job) Args() []string {
	args := []string{"--task=" + string(j.Task), "--size=" + j.Size, "--folder=" + j.Folder}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"batch", j.Batch},
		{"prompt", j.Prompt},
		{"new", j.New},
		{"warmup", j.Warmup},
		{"steps", j.Steps},
		{"threads", j.Threads},
	} {
		args = append(args, "--"+f.name+"="+strconv.Itoa(f.value))
	}
	return args
}

// Length is T, the tokens of a sequence.
func (j Job) Length() int { return j.Prompt + j.New }

// Tokens is what one step's rate counts: all tokens of a training step, prompts included; the new ones of sampling.
func (j Job) Tokens() int {
	if j.Task == Sample {
		return j.Batch * j.New
	}
	return j.Batch * j.Length()
}

// The sizes of policies.
const (
	Size1M   = policy.Preset1M
	Size10M  = policy.Preset10M
	Size100M = "100m"
)

// Config is the shape of a size: the product's presets with its vocabulary, and one of a hundred million with a vocabulary of
// 32,000, as Llama's.
func Config(size string) (policy.Config, error) {
	if size != Size100M {
		return policy.Preset(size, token.Arithmetic().Vocab())
	}
	c := policy.DefaultConfig()
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden, c.Context = 32000, 768, 12, 12, 4, 2048, 1024
	return c, c.Validate()
}

// Params are the weights that all measurements of a size begin with. The value head, which fresh policies have at zero, is drawn too:
// its gradient would otherwise not reach the transformer.
func Params(size string) (*policy.Params, error) {
	c, err := Config(size)
	if err != nil {
		return nil, err
	}
	p, err := policy.Init(c, 1)
	if err != nil {
		return nil, err
	}
	r := hone.Rand(2)
	head := p.Tensor("value_head.weight")
	for i := range head {
		head[i] = float32(r.NormFloat64() * 0.02)
	}
	return p, nil
}

// Token is token t of sequence b, in [0, vocab): a hash that is quick to write in any language.
func Token(b, t, vocab int) hone.TokenID {
	x := uint32(b)*2654435761 + uint32(t)*40503 + 12345
	x ^= x >> 16
	x *= 0x45d9f3b
	x ^= x >> 16
	return hone.TokenID(x % uint32(vocab))
}

// Sequence is the first n tokens of sequence b.
func Sequence(b, n, vocab int) []hone.TokenID {
	out := make([]hone.TokenID, n)
	for t := range out {
		out[t] = Token(b, t, vocab)
	}
	return out
}

// Result is what one process reports, as one line of JSON.
type Result struct {
	Job
	// Engine is hone, eager, compiled or transformers.
	Engine string `json:"engine"`
	// Seconds is how long the counted steps took together.
	Seconds float64 `json:"seconds,omitempty"`
	// PeakBytes is the largest resident memory of the process.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
	// Allocs is the number of heap objects made in a step; hone's alone.
	Allocs float64 `json:"allocs,omitempty"`
	// Figures are what Peak, Bandwidth and Check find, by name.
	Figures map[string]float64 `json:"figures,omitempty"`
	// About names versions and kernels.
	About map[string]string `json:"about,omitempty"`
	// Error says why there is no measurement.
	Error string `json:"error,omitempty"`
}

// Rate is tokens a second.
func (r Result) Rate() float64 { return float64(r.Tokens()*r.Steps) / r.Seconds }

// String names the job for a person.
func (j Job) String() string {
	switch j.Task {
	case Update, Supervised, Sample:
		return fmt.Sprintf("%s %s, %d x (%d + %d) tokens", j.Task, j.Size, j.Batch, j.Prompt, j.New)
	case Peak, Bandwidth:
		return string(j.Task)
	case Check, Export:
	}
	return fmt.Sprintf("%s %s", j.Task, j.Size)
}

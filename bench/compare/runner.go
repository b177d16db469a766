package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hone-rl/hone/bench/job"
	"github.com/hone-rl/hone/policy/decode"
	"github.com/hone-rl/hone/policy/kernel"
	"golang.org/x/sys/unix"
)

// measured is a line of the raw file: a result, or in the first line what is known of the machine and the command.
type measured struct {
	job.Result

	// Foreign is the share of the machine's processors that other programs used while this one ran, in [0, 1].
	Foreign float64 `json:"foreign"`
	// Disturbed says that others used too much, and that the run was taken again: it is in no median.
	Disturbed bool `json:"disturbed,omitempty"`
	// Note is set in the first line alone.
	Note *note `json:"note,omitempty"`
}

// runner starts processes one after the other.
type runner struct {
	work, engine, python string
	threads              int
	// hasty takes no run again.
	hasty bool
	// done counts the runs that an earlier command has left.
	done     map[entry]int
	raw, out io.Writer
}

// entry is what a run counts for.
type entry struct {
	job    job.Job
	engine string
}

// take tells whether one more run of the job is there already, and uses it up.
func (r *runner) take(j job.Job, engine string) bool {
	j.Folder = ""
	e := entry{j, engine}
	if r.done[e] == 0 {
		return false
	}
	r.done[e]--
	return true
}

// errOther is a raw file of another state of the code.
var errOther = errors.New("the last measurements were of another commit")

// measuredAlready counts the good runs of a raw file that this commit has made.
func measuredAlready(ctx context.Context, raw string) (map[entry]int, error) {
	runs, err := readRuns(raw)
	if err != nil {
		return nil, err
	}
	if now := commit(ctx); len(runs) == 0 || runs[0].Note == nil || runs[0].Note.Commit != now {
		return nil, fmt.Errorf("%s, now %s: %w", raw, now, errOther)
	}
	done := map[entry]int{}
	for _, m := range runs[1:] {
		if m.Error == "" && !m.Disturbed {
			done[entry{m.Job, m.Engine}]++
		}
	}
	return done, nil
}

// disturbed is the share of the processors that others may use before a run is taken again, at most retries times. PyTorch's threads
// wait for each other by spinning: with one of two processors taken, it runs at a tenth of its speed or less.
const (
	disturbed = 0.05
	retries   = 2
)

// patience is the longest that a single process may take.
const patience = 20 * time.Minute

// all measures each case reps times, the contestants in turn, each round beginning with another one.
func (r *runner) all(ctx context.Context, cases []contest, reps int) error {
	exported := map[string]bool{}
	for _, c := range cases {
		c.Threads, c.Folder = r.threads, filepath.Join(r.work, c.Size)
		if c.Size != "" && !exported[c.Size] {
			exported[c.Size] = true
			j := c.Job
			j.Task = job.Export
			if m := r.one(ctx, j, hone); m.Error != "" {
				return fmt.Errorf("%v: %s: %w", j, m.Error, errRun)
			}
		}
		if c.Task == job.Check {
			if r.take(c.Job, eager) {
				continue
			}
			if err := r.check(ctx, c.Job); err != nil {
				return err
			}
			continue
		}
		for rep := range reps {
			for i := range c.engines {
				engine := c.engines[(i+rep)%len(c.engines)]
				if r.take(c.Job, engine) {
					continue
				}
				if err := r.repeat(ctx, c.Job, engine, fmt.Sprintf("%d/%d", rep+1, reps)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// repeat measures once, and again while others disturb it.
func (r *runner) repeat(ctx context.Context, j job.Job, engine, count string) error {
	for try := 0; ; try++ {
		m := r.one(ctx, j, engine)
		m.Disturbed = m.Foreign > disturbed && try < retries && !r.hasty
		if err := r.keep(m, count); err != nil || !m.Disturbed {
			return err
		}
	}
}

// check has hone write its numbers and PyTorch compare them. Only the latter's result is kept.
func (r *runner) check(ctx context.Context, j job.Job) error {
	m := r.one(ctx, j, hone)
	if m.Error == "" {
		m = r.one(ctx, j, eager)
	}
	return r.keep(m, "1/1")
}

// keep writes a run to the raw file and a line for the person who waits.
func (r *runner) keep(m measured, count string) error {
	if err := json.NewEncoder(r.raw).Encode(m); err != nil {
		return fmt.Errorf("write raw result: %w", err)
	}
	var said string
	switch {
	case m.Error != "":
		said = "failed: " + m.Error
	case len(m.Figures) > 0:
		said = brief(m.Figures)
	default:
		said = fmt.Sprintf("%.0f tokens/s", m.Rate())
	}
	fmt.Fprintf(r.out, "%s %v, %s %s: %s (others %.0f %%)\n", time.Now().Format(time.TimeOnly), m.Job, m.Engine, count, said, 100*m.Foreign)
	return nil
}

// brief is the figures by name, but not each of many losses.
func brief(figures map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		if !strings.HasPrefix(name, "loss_") {
			parts = append(parts, fmt.Sprintf("%s %.3g", name, figures[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// errRun is a measurement that could not be taken.
var errRun = errors.New("measurement failed")

// one runs a process to its end. What goes wrong is in the result.
func (r *runner) one(ctx context.Context, j job.Job, engine string) measured {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := measured{Result: job.Result{Job: j, Engine: engine}}
	cmd := exec.CommandContext(ctx, r.engine, j.Args()...)
	if slices.Contains([]string{eager, compiled, transformers, transformersBF16}, engine) {
		cmd = exec.CommandContext(ctx, r.python, append([]string{"bench/engine.py"}, j.Args()...)...)
	}
	cmd.Env = r.environment()
	switch engine {
	case compiled:
		cmd.Args = append(cmd.Args, "--compile")
	case amx:
		cmd.Env = append(cmd.Env, kernel.Environment+"="+kernel.NameAMX)
	case bf16, transformersBF16:
		cmd.Args = append(cmd.Args, "--precision="+string(decode.BF16))
	}
	var said, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &failed
	before, began := busy(), time.Now()
	err := cmd.Run()
	if err == nil {
		err = json.Unmarshal(lastLine(said.Bytes()), &m.Result)
	}
	if err != nil {
		m.Error = fmt.Sprintf("%v: %s", err, tail(failed.Bytes()))
		return m
	}
	if engine == amx || engine == bf16 { // which are hone with another name
		m.Engine, m.About = engine, map[string]string{strings.Replace(engine, hone, "kernels", 1): m.About["kernels"]}
	}
	own := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.Foreign = max(0, float64(busy()-before-own)/float64(time.Since(began))/float64(r.threads))
	return m
}

// environment is ours without what some machines set for their own ends and which halves OpenBLAS (doc/bench), with a folder for what
// torch.compile keeps.
func (r *runner) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OPENBLAS_CORETYPE=") || strings.HasPrefix(v, "OPENBLAS_L2_SIZE=")
	})
	return append(env,
		"TORCHINDUCTOR_CACHE_DIR="+filepath.Join(r.work, "inductor"),
		"TORCHINDUCTOR_COMPILE_THREADS=1", // workers of its own would count as others
		"HF_HUB_OFFLINE=1")
}

// lastLine is the last line that is not empty.
func lastLine(said []byte) []byte {
	said = bytes.TrimSpace(said)
	return said[bytes.LastIndexByte(said, '\n')+1:]
}

// busy is the time that the processors which this program may use have worked since the machine started; 0 where Linux doesn't say.
func busy() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	var ours unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		return 0
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var sum int64
	for line := range strings.Lines(string(stat)) {
		var cpu int
		var user, nice, system, idle, wait, irq, soft, steal int64
		if n, _ := fmt.Sscanf(line, "cpu%d %d %d %d %d %d %d %d %d",
			&cpu, &user, &nice, &system, &idle, &wait, &irq, &soft, &steal); n == 9 && ours.IsSet(cpu) {
			sum += user + nice + system + irq + soft + steal
		}
	}
	return time.Duration(sum) * tick
}

// readRuns reads a raw file.
func readRuns(name string) ([]measured, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var runs []measured
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m measured
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, len(runs)+1, err)
		}
		runs = append(runs, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return runs, nil
}

// failures joins what went wrong in the runs.
func failures(runs []measured) error {
	var failed []error
	for _, m := range runs {
		if m.Error != "" {
			failed = append(failed, fmt.Errorf("%v, %s: %s: %w", m.Job, m.Engine, m.Error, errRun))
		}
	}
	return errors.Join(failed...)
}

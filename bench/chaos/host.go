package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// host is a machine that workers run on: this one, or a network namespace with a cable to it and a data directory of its own.
type host struct {
	name string
	// dir is its data directory; the folder of weights below it is that of all hosts, as a shared file system would have it.
	dir string
	// space is the network namespace and cable this machine's end of the wire; "" for this machine itself.
	space, cable string
	// toDatabase and toTemporal are the links of its workers.
	toDatabase, toTemporal *link
	workers                []*process
}

// newHosts makes n network namespaces, or for 0 this machine.
func (p *place) newHosts(ctx context.Context, n int) error {
	if n == 0 {
		h := &host{name: "here", dir: filepath.Join(p.dir, "work")}
		p.hosts = append(p.hosts, h)
		return h.join(ctx, "127.0.0.1")
	}
	for i := range n {
		h := &host{
			name: fmt.Sprintf("host-%d", i+1), dir: filepath.Join(p.dir, fmt.Sprintf("host-%d", i+1)),
			space: fmt.Sprintf("chaos%d-%d", os.Getpid(), i+1), cable: fmt.Sprintf("ch%d-%d", os.Getpid()%1e6, i+1),
		}
		near, far := fmt.Sprintf("10.%d.%d.1", 200+i, os.Getpid()%250), fmt.Sprintf("10.%d.%d.2", 200+i, os.Getpid()%250)
		end := "far" + h.cable[2:]
		p.hosts = append(p.hosts, h)
		for _, line := range []string{
			"netns add " + h.space,
			"link add " + h.cable + " type veth peer name " + end + " netns " + h.space,
			"addr add " + near + "/24 dev " + h.cable,
			"link set " + h.cable + " up",
			"-n " + h.space + " addr add " + far + "/24 dev " + end,
			"-n " + h.space + " link set " + end + " up",
			"-n " + h.space + " link set lo up",
		} {
			if err := network(ctx, line); err != nil {
				return err
			}
		}
		if err := h.join(ctx, near); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(p.dir, "work", "blobs"), filepath.Join(h.dir, "blobs")); err != nil {
			return err
		}
	}
	return nil
}

// join makes the links, which listen where the host can reach them.
func (h *host) join(ctx context.Context, at string) (err error) {
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return err
	}
	if h.toDatabase, err = newLink(ctx, at); err == nil {
		h.toTemporal, err = newLink(ctx, at)
	}
	return err
}

// network runs ip(8).
func network(ctx context.Context, line string) error {
	said, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, said)
	}
	return nil
}

// leave takes the namespace down, and the wire with it.
func (h *host) leave(ctx context.Context) error {
	if h.space == "" {
		return nil
	}
	return network(ctx, "netns delete "+h.space)
}

// command is a call of hone on the host, with its servers and its data directory.
func (h *host) command(ctx context.Context, hone string, args ...string) *exec.Cmd {
	args = append(args, "--data-dir", h.dir, "--database-url", databaseURL(h.toDatabase), "--temporal-address", h.toTemporal.address())
	cmd := command(ctx, hone, args...)
	if h.space != "" { // ip becomes the program, so that its process id is the program's
		inside := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", h.space, hone}, args...)...)
		inside.Env = cmd.Env
		return inside
	}
	return cmd
}

// kill ends all processes of the host by SIGKILL, which come back after so long.
func (h *host) kill(away time.Duration) bool {
	some := false
	for _, w := range h.workers {
		w.stay(away)
		some = w.kill() || some
	}
	return some
}

// part pulls the wire for so long: what is sent is lost, and nobody is told.
func (h *host) part(ctx context.Context, during time.Duration) error {
	if err := network(ctx, "link set "+h.cable+" down"); err != nil {
		return err
	}
	select {
	case <-time.After(during):
	case <-ctx.Done():
	}
	return network(context.WithoutCancel(ctx), "link set "+h.cable+" up")
}

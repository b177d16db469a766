package pglocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hone-rl/hone"
)

// cluster makes the data directory of a server that has none.
type cluster struct {
	binaries Binaries
	layout   layout
	account  account
	options  Options
}

// clusterVersion is the major version that wrote the data directory, or 0 if there is none.
func clusterVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(data); err == nil {
			return 0, fmt.Errorf("%s exists but is not a PostgreSQL data directory (no PG_VERSION); move it away: %w", data, hone.ErrCorrupt)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version of %s: %w", data, err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("PG_VERSION of %s is %q, want a number: %w", data, b, hone.ErrCorrupt)
	}
	return v, nil
}

// initialise makes the cluster under another name and renames it when it is whole, so that a killed one never looks usable.
func (c cluster) initialise(ctx context.Context) error {
	tmp := c.layout.initTmp
	if err := os.RemoveAll(tmp); err != nil {
		return dirError(c.layout.dir, err)
	}
	fill := c.initdb
	if c.options.InitCache != "" {
		fill = c.copyCached
	}
	if err := fill(ctx, tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, c.layout.data); err != nil {
		return dirError(c.layout.dir, err)
	}
	return syncDir(c.layout.dir)
}

// initdb runs the program of that name.
func (c cluster) initdb(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return dirError(dir, err)
	}
	if err := c.account.owns(dir); err != nil {
		return dirError(dir, err)
	}
	args := []string{"-D", dir, "-U", superuser, "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"}
	if c.options.Fast {
		args = append(args, "--no-sync")
	}
	var out bytes.Buffer
	// wait ends the whole process group when ctx ends, not the one process.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.binaries.path("initdb"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = filepath.Dir(dir), environment(), &out, &out
	cmd.SysProcAttr = attributes(c.account, syscall.SIGKILL)
	p, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, accountError(c.account, dir, err))
	}
	if err := p.wait(ctx, syscall.SIGKILL); err != nil {
		said := strings.TrimSpace(out.String())
		if diskFull(said) {
			return dirError(dir, fmt.Errorf("%w\n%s", syscall.ENOSPC, said))
		}
		return fmt.Errorf("initdb in %s: %w: %w\n%s", dir, hone.ErrUnavailable, err, said)
	}
	return nil
}

// copyCached copies the cached cluster of this version, initialising that one first if there is none.
func (c cluster) copyCached(ctx context.Context, dir string) error {
	cache := c.options.InitCache
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return dirError(cache, err)
	}
	cached := filepath.Join(cache, fmt.Sprintf("cluster-%s-%d", c.binaries.Version, c.account.uid))
	if _, err := os.Stat(cached); err != nil {
		tmp, err := os.MkdirTemp(cache, "init-*")
		if err != nil {
			return dirError(cache, err)
		}
		defer os.RemoveAll(tmp)
		if err := os.Chmod(tmp, 0o755); err != nil {
			return dirError(cache, err)
		}
		if err := c.initdb(ctx, filepath.Join(tmp, "data")); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tmp, "data"), cached); err != nil && !errors.Is(err, os.ErrExist) { // present: another was first
			return dirError(cache, err)
		}
	}
	return filepath.WalkDir(cached, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(cached, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if d.IsDir() {
			err = os.Mkdir(to, 0o700)
		} else {
			err = copyFile(path, to)
		}
		return errors.Join(err, c.account.owns(to))
	})
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// syncDir makes a rename in the directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return dirError(dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hone-rl/hone"
)

// data is a data directory:
//
//	path/
//	  owner.lock   held by flock by the process that runs the private servers; says its role and process id
//	  server.json  how to reach them; written by the owner, and void without it
//	  postgres/    the private Postgres
//	  blobs/       weights, under their digests
//	  cache/       those of a blob store elsewhere that were fetched
//	  runs/NAME/   config.yaml: the configuration that the run was last started with;
//	               test-puzzles.json: the puzzles that were kept out of its training set
//	  log/         hone.log
type data struct{ path string }

func (d data) postgres() string         { return filepath.Join(d.path, "postgres") }
func (d data) blobs() string            { return filepath.Join(d.path, "blobs") }
func (d data) cache() string            { return filepath.Join(d.path, "cache") }
func (d data) log() string              { return filepath.Join(d.path, "log", "hone.log") }
func (d data) config(run string) string { return filepath.Join(d.path, "runs", run, "config.yaml") }
func (d data) puzzles(run string) string {
	return filepath.Join(d.path, "runs", run, "test-puzzles.json")
}
func (d data) serverFile() string { return filepath.Join(d.path, "server.json") }
func (d data) lockFile() string   { return filepath.Join(d.path, "owner.lock") }

// openData is the data directory that the flags and the environment name; it is created.
func (a *app) openData() (data, error) {
	path := a.dataDir
	if path == "" {
		path = a.getenv("HONE_DATA_DIR")
	}
	if path == "" {
		path = a.defaultDataDir()
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return data{}, fmt.Errorf("data directory: %w", err)
	}
	d := data{path: path}
	// The account that runs Postgres must be able to pass through.
	if err := os.MkdirAll(path, 0o755); err != nil {
		return d, d.fail(err)
	}
	return d, nil
}

// fail says what is wrong with the directory.
func (d data) fail(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("data directory %s: the disk is full; free some space or choose another with --data-dir: %w: %w",
			d.path, hone.ErrUnavailable, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("data directory %s can't be used; choose one that this user can write to with --data-dir: %w: %w",
			d.path, hone.ErrInvalid, err)
	default:
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
}

// leastFree is the free space, in bytes, below which no training starts: two write-ahead segments of each database and some
// cycles. A disk that fills up later harms nothing, but a run that can't even begin should say so at once.
const leastFree = 200 << 20

// free is the space left on the directory's disk, in bytes.
func (d data) free() (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.path, &s); err != nil {
		return 0, d.fail(err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// requireSpace refuses a disk that is as good as full.
func (d data) requireSpace() error {
	left, err := d.free()
	if err == nil && left < leastFree {
		err = d.fail(fmt.Errorf("%d MB are free, a run needs %d: %w", left>>20, leastFree>>20, syscall.ENOSPC))
	}
	return err
}

// inspect keeps a file beside a run's configuration, for a person to look at.
func (d data) inspect(run, name string, content []byte) error {
	at := filepath.Dir(d.config(run))
	err := os.MkdirAll(at, 0o755)
	if err == nil {
		err = writeFile(filepath.Join(at, name), content, 0o644)
	}
	if err != nil {
		return d.fail(err)
	}
	return nil
}

// role is what the owner of a data directory is doing with it.
type role string

const (
	roleTrain  role = "train"
	roleServer role = "server"
	// roleWork is a worker, which uses servers and runs none.
	roleWork role = "worker"
	// roleLook is a command that reads the record and leaves.
	roleLook role = "look"
)

// serverRecord is server.json.
type serverRecord struct {
	PID               int       `json:"pid"`
	Role              role      `json:"role"`
	Run               string    `json:"run,omitempty"`
	Version           string    `json:"version"`
	Started           time.Time `json:"started"`
	DatabaseURL       string    `json:"database_url"`
	TemporalAddress   string    `json:"temporal_address,omitempty"`
	TemporalNamespace string    `json:"temporal_namespace,omitempty"`
	BlobURL           string    `json:"blob_url,omitempty"`
}

// ownership is the right to run servers in a data directory. The kernel drops it when the process ends, however it ends.
type ownership struct {
	data data
	file *os.File
	once sync.Once
}

// holder is what the lock file says of who has the lock.
type holder struct {
	role role
	pid  int
}

func (h holder) String() string {
	if h.pid == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d (hone %s)", h.pid, h.role)
}

// tryOwn takes the lock, or says who has it.
func (d data) tryOwn(as role) (*ownership, holder, error) {
	f, err := os.OpenFile(d.lockFile(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, holder{}, d.fail(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer f.Close()
		var h holder
		if text, err := os.ReadFile(d.lockFile()); err == nil {
			// What doesn't parse is being written: the holder is then another process.
			_, _ = fmt.Sscanf(string(text), "%s %d", &h.role, &h.pid)
		}
		return nil, h, nil
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%s %d\n", as, os.Getpid()), 0)
	}
	if err != nil {
		f.Close()
		return nil, holder{}, d.fail(err)
	}
	return &ownership{data: d, file: f}, holder{}, nil
}

// publish says how to reach the servers.
func (o *ownership) publish(r serverRecord) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode server record: %w", err)
	}
	// Only for its owner: the address of a database of the user's may hold a password.
	if err := writeFile(o.data.serverFile(), append(raw, '\n'), 0o600); err != nil {
		return o.data.fail(err)
	}
	return nil
}

// release gives the directory up. Releasing again does nothing.
func (o *ownership) release() {
	if o == nil {
		return
	}
	o.once.Do(func() {
		_ = os.Remove(o.data.serverFile()) // void without the lock
		_ = unix.Flock(int(o.file.Fd()), unix.LOCK_UN)
		o.file.Close()
	})
}

// running is the record of the process h, which has the lock.
func (d data) running(h holder) (serverRecord, bool) {
	var r serverRecord
	raw, err := os.ReadFile(d.serverFile())
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return r, false
	}
	return r, r.PID == h.pid
}

const (
	// claimPatience is how long to wait for an owner that is on its way in or out.
	claimPatience = 30 * time.Second
	claimInterval = 50 * time.Millisecond
)

// claim makes this process the owner, or finds the servers of another: those of hone server for everyone, and those of a
// training process for who only looks. A second training process is [hone.ErrConflict].
func (d data) claim(ctx context.Context, as role) (*ownership, *serverRecord, error) {
	deadline := time.NewTimer(claimPatience)
	defer deadline.Stop()
	again := time.NewTicker(claimInterval)
	defer again.Stop()
	var before holder
	for seen := 0; ; {
		own, by, err := d.tryOwn(as)
		if own != nil || err != nil {
			return own, nil, err
		}
		stays := by.role == roleServer && as != roleServer || by.role == roleTrain && as == roleLook
		if r, ok := d.running(by); ok && stays {
			return nil, &r, nil
		}
		// For a moment after the lock has changed hands, the file still names the owner before.
		if seen++; by != before {
			before, seen = by, 1
		}
		if seen >= 3 && by.role != roleLook && !stays && by.pid != 0 {
			return nil, nil, d.taken(by)
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return nil, nil, d.taken(by)
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func (d data) taken(by holder) error {
	return fmt.Errorf("data directory %s is in use by %s; wait for it, stop it, or choose another with --data-dir: %w",
		d.path, by, hone.ErrConflict)
}

// alive tells whether the process that wrote the record still owns the directory.
func (d data) alive(r serverRecord) bool {
	f, err := os.Open(d.lockFile())
	if err != nil {
		return false
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return false // closing gives it back
	}
	text, err := os.ReadFile(d.lockFile())
	return err == nil && strings.TrimSpace(string(text)) == fmt.Sprintf("%s %d", r.Role, r.PID)
}

// served is the record of the directory's owner, if one is there and serves.
func (d data) served() (serverRecord, bool) {
	var r serverRecord
	raw, err := os.ReadFile(d.serverFile())
	if err != nil || json.Unmarshal(raw, &r) != nil {
		return r, false
	}
	return r, d.alive(r)
}

// writeFile replaces a file as a whole.
func writeFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

package pglocal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/hone-rl/hone"
)

// ownerLock is the right to run the server of a directory. The kernel drops it when the holder ends, however it ends.
type ownerLock struct {
	file *os.File
	once sync.Once
}

// acquireOwnerLock takes the lock of dir, or reports at once who has it. The file stays when the lock is released: removing it
// would let two processes lock two files of the same name.
func acquireOwnerLock(dir string) (*ownerLock, error) {
	name := filepath.Join(dir, "owner.lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, dirError(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		holder := "another process"
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			holder = "process " + strings.TrimSpace(string(b))
		}
		return nil, fmt.Errorf("%s is in use by %s; stop that one or choose another data directory: %w", dir, holder, hone.ErrConflict)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, dirError(dir, err)
	}
	return &ownerLock{file: f}, nil
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// release gives the lock back. Releasing again does nothing. Closing alone would leave the lock with a child that is being
// started at this moment by anyone in this process: until it executes its program, it has a copy of the file.
func (l *ownerLock) release() {
	l.once.Do(func() {
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // closing does it too, in a moment
		l.file.Close()
	})
}

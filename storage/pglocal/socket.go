package pglocal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hone-rl/hone"
)

// maxSocketPath is what the kernel takes for a Unix socket, without the closing zero byte.
const maxSocketPath = 107

// socketDir makes the directory of the socket: dir/run, or a short name under /tmp where that is too long for a socket.
func socketDir(dir string, who account) (string, error) {
	run := filepath.Join(dir, "run")
	if len(filepath.Join(run, ".s.PGSQL."+strconv.Itoa(port))) > maxSocketPath {
		sum := sha256.Sum256([]byte(dir))
		run = "/tmp/hone-" + hex.EncodeToString(sum[:8])
	}
	if err := os.Mkdir(run, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", dirError(dir, err)
	}
	// Whoever else could have made this directory could also listen in it.
	info, err := os.Lstat(run)
	if err != nil {
		return "", dirError(dir, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || (int(st.Uid) != os.Geteuid() && int(st.Uid) != who.uid) {
		return "", fmt.Errorf("socket directory %s belongs to someone else; remove it: %w", run, hone.ErrInvalid)
	}
	if err := errors.Join(os.Chmod(run, 0o700), who.owns(run)); err != nil {
		return "", dirError(dir, err)
	}
	return run, nil
}

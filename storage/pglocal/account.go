package pglocal

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hone-rl/hone"
)

// account is who the server runs as. The zero value is the owner itself.
type account struct {
	// drop tells that the owner is root and the server runs as uid and gid.
	drop     bool
	uid, gid int
	// namespace tells that uid and gid are names within a user namespace that stand for root: files belong to root, yet the
	// server doesn't see itself as root.
	namespace bool
}

// owns gives a path to the account, where files would otherwise belong to root.
func (a account) owns(path string) error {
	if !a.drop || a.namespace {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// chooseAccount decides who runs the server of l: whoever owns the existing cluster, else the first account that will do.
func chooseAccount(l layout) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	a, err := systemAccount()
	if err != nil {
		return account{}, err
	}
	info, err := os.Stat(l.data)
	switch {
	case err == nil:
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return account{drop: true, uid: int(st.Uid), gid: int(st.Gid)}, nil
		}
		a.namespace = true
	case errors.Is(err, os.ErrNotExist):
		a.namespace = !reachable(l.dir, a)
	default:
		return account{}, dirError(l.dir, err)
	}
	if a.namespace && !namespaces {
		return account{}, fmt.Errorf("postgres does not run as root, and account %d can't enter %s; "+
			"choose a directory all of whose parents others may pass through, such as /var/lib/hone: %w", a.uid, l.dir, hone.ErrInvalid)
	}
	return a, nil
}

// systemAccount is postgres, else nobody. PostgreSQL needs an account that has a name.
func systemAccount() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil && uid != 0 {
			return account{drop: true, uid: uid, gid: gid}, nil
		}
	}
	return account{}, fmt.Errorf("postgres does not run as root, and there is no account postgres or nobody to run it as: %w",
		hone.ErrNotFound)
}

// reachable tells whether the account may pass through dir and all its parents.
func reachable(dir string, a account) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		bit := os.FileMode(0o001)
		switch {
		case int(st.Uid) == a.uid:
			bit = 0o100
		case int(st.Gid) == a.gid:
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

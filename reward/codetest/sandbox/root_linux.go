package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// box is the folder where programs start, the only one they can write to.
const box = "/box"

// enterRoot makes the current folder, which is empty, the root of a system of files that holds what the program may see, and nothing of
// what was there before.
func enterRoot(p Program) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"make mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mount the root", func() error {
			return unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=755")
		}},
		{"show what may be read", func() error { return show(root, p) }},
		{"mount the box", func() error {
			size := fmt.Sprintf("size=%d,nr_inodes=4096,mode=1777", p.Limits.Files)
			return mountAt(root+box, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, size)
		}},
		{"point to the box", func() error { return os.Symlink(box, root+"/tmp") }},
		{"see processes", func() error { return seeProcesses(root) }}, // as long as the old /proc is there, which vouches for the new
		{"enter the root", func() error {
			return errors.Join(unix.Chdir(root), unix.PivotRoot(".", "."), unix.Unmount(".", unix.MNT_DETACH), unix.Chdir("/"))
		}},
		{"make the root read-only", func() error {
			return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
		}},
		{"name the host", func() error { return unix.Sethostname([]byte("box")) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// seeProcesses mounts /proc of the new namespace, and forbids namespaces within it, which would give a program privileges in one of its
// own. Where the system has hidden parts of /proc it allows no new one, and the program goes without.
func seeProcesses(root string) error {
	err := mountAt(root+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return errors.Join(err, write(root+"/proc/sys/user/max_user_namespaces", "0"))
}

func mountAt(path, kind string, flags uintptr, options string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return unix.Mount(kind, path, kind, flags, options) //nolint:wrapcheck // the caller says what for
}

// show binds what may be read, and the devices that programs expect.
func show(root string, p Program) error {
	for _, path := range p.Optional {
		if err := bind(root, path, unix.MOUNT_ATTR_NODEV); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, path := range p.Read {
		if err := bind(root, path, unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/urandom"} {
		if err := bind(root, path, 0); err != nil {
			return err
		}
	}
	return nil
}

// bind shows a path of the system at the same place under the root, read-only with all that is mounted below it. A link is shown as one.
func bind(root, path string, attributes uint64) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	at := filepath.Join(root, path)
	if _, err := os.Lstat(at); err == nil {
		return nil // it lies within another
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, at)
	case info.IsDir():
		err = os.Mkdir(at, 0o755)
	default:
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	err = unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | attributes,
	})
	if err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	return nil
}

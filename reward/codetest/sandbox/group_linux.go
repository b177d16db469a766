package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hone-rl/hone"
)

// What the process in the middle needs beside the program.
const (
	middleMemory    = 512 << 20
	middleProcesses = 32
)

// group is a control group of one run; the zero group is none.
type group struct {
	path string
	dir  *os.File
}

// newGroup makes the group where the program asks for one.
func newGroup(p Program) (g group, err error) {
	if p.Cgroup == "" {
		return g, nil
	}
	if g.path, err = os.MkdirTemp(p.Cgroup, "hone-"); err != nil {
		return g, fmt.Errorf("control group: %w: %w", err, hone.ErrUnavailable)
	}
	for _, limit := range []struct {
		file  string
		value int64
	}{
		{"memory.max", p.Limits.Memory + middleMemory},
		{"memory.swap.max", 0},
		{"pids.max", int64(p.Limits.Processes) + middleProcesses},
	} {
		// No O_CREATE: a file that isn't there is a controller that isn't on.
		err := write(filepath.Join(g.path, limit.file), strconv.FormatInt(limit.value, 10))
		if err != nil && limit.file != "memory.swap.max" {
			g.remove()
			return group{}, fmt.Errorf("control group %s: %w: want one of version 2 with the controllers memory and pids: %w",
				p.Cgroup, err, hone.ErrUnavailable)
		}
	}
	if g.dir, err = os.Open(g.path); err != nil {
		g.remove()
		return group{}, fmt.Errorf("control group: %w: %w", err, hone.ErrUnavailable)
	}
	return g, nil
}

// join starts a process within the group.
func (g group) join(attr *syscall.SysProcAttr) {
	if g.dir != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
	}
}

// remove ends the group and whatever is in it.
func (g group) remove() {
	if g.path == "" {
		return
	}
	_ = write(filepath.Join(g.path, "cgroup.kill"), "1")
	if g.dir != nil {
		g.dir.Close()
	}
	_ = os.Remove(g.path)
}

func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}

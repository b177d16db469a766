//go:build !linux

package pglocal

import (
	"os/exec"
	"strconv"
	"strings"
)

// runsOn tells whether the process is a server of this data directory, and not another that was given the same number.
func runsOn(pid int, data string) bool {
	line, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(line), data)
}

package pglocal

import (
	"bytes"
	"os"
	"slices"
	"strconv"
)

// runsOn tells whether the process is a server of this data directory, and not another that was given the same number.
func runsOn(pid int, data string) bool {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(bytes.Split(line, []byte{0}), func(arg []byte) bool { return string(arg) == data })
}

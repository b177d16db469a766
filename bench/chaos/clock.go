package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clock is that of Postgres, by whose time leases end. The clocks of the Go programs can't be stepped alone: they ask the kernel, not a
// library.
type clock struct {
	// bin holds postgres and initdb that see the clock.
	bin  string
	file string
}

// newClock makes programs that run with libfaketime.
func newClock(dir string) (*clock, error) {
	found, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("%w: no libfaketime; apt install libfaketime", os.ErrNotExist)
	}
	folder, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	c := &clock{bin: filepath.Join(dir, "pg-bin"), file: filepath.Join(dir, "clock")}
	if err := os.MkdirAll(c.bin, 0o755); err != nil {
		return nil, err
	}
	script := fmt.Sprintf("#!/bin/sh\nexport LD_PRELOAD=%s FAKETIME_TIMESTAMP_FILE=%s FAKETIME_CACHE_DURATION=1 "+
		"FAKETIME_DONT_FAKE_MONOTONIC=1\nexec %s/postgres \"$@\"\n", found[0], c.file, folder)
	initdb := fmt.Sprintf("#!/bin/sh\nexec %s/initdb \"$@\"\n", folder)
	for name, text := range map[string]string{"postgres": script, "initdb": initdb} {
		if err := os.WriteFile(filepath.Join(c.bin, name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	err = c.step(0)
	return c, err
}

// postgresFolder is where the newest Postgres of this machine is.
func postgresFolder() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", err //nolint:wrapcheck // it names what was looked for
	}
	return filepath.Dir(path), nil
}

// step sets how far the clock is from the true time.
func (c *clock) step(by time.Duration) error {
	return os.WriteFile(c.file, fmt.Appendf(nil, "%+d\n", int(by.Seconds())), 0o644)
}

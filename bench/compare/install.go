package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// requirements is what the virtual environment holds, relative to the repository's root.
const requirements = "bench/requirements.txt"

// errInstall is the reason for measuring nothing.
var errInstall = errors.New("PyTorch can't be installed, so there is nothing to compare with")

// install makes the virtual environment, unless it holds the same requirements already, and returns its interpreter.
func install(ctx context.Context, python, work string, out io.Writer) (string, error) {
	folder := filepath.Join(work, "venv")
	interpreter, stamp := filepath.Join(folder, "bin", "python"), filepath.Join(folder, "requirements.txt")
	want, err := os.ReadFile(requirements)
	if err != nil {
		return "", fmt.Errorf("%w (run from the repository's root)", err)
	}
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, want) {
		return interpreter, nil
	}
	fmt.Fprintf(out, "installing %s in %s; PyTorch brings about 6 GB with it\n", requirements, folder)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{python, "-m", "venv", "--clear", folder},
		{interpreter, "-m", "pip", "install", "--quiet", "--requirement", requirements},
	} {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %v: %w\n%s", errInstall, cmd.Args, err, tail(said))
		}
	}
	return interpreter, os.WriteFile(stamp, want, 0o644) //nolint:gosec // G703: the work folder is the caller's to choose
}

// tail is the end of what a program said, which has its reason.
func tail(said []byte) []byte {
	const most = 2000
	said = bytes.TrimSpace(said)
	return said[max(0, len(said)-most):]
}

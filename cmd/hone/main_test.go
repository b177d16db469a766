//go:build !e2e

package main

import (
	"os"
	"testing"

	"github.com/hone-rl/hone/reward/codetest/sandbox"
)

func TestMain(m *testing.M) {
	if code, is := sandbox.Init(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

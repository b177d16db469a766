// Command hone trains small reasoning policies by reinforcement learning, and looks at what they learned.
//
// This package is wiring: flags, servers to start and to stop, what a person sees, and exit codes. Nothing in it is reusable,
// and nothing imports it.
//
// Exit codes: 0 done, 1 an error, 2 a command line that can't be understood, 3 a replay that changed something,
// 4 a record that does not hold together, 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hone-rl/hone/reward/codetest/sandbox"
	"github.com/hone-rl/hone/storage/fault"
)

const (
	exitError       = 1
	exitUsage       = 2
	exitChanged     = 3
	exitUnsound     = 4
	exitInterrupted = 130
)

// stopPatience is how long an interrupted process may take to stop in order. Everything that it keeps can bear being cut off, and
// the private Postgres ends with its owner.
const stopPatience = 4500 * time.Millisecond

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

func main() {
	if code, is := sandbox.Init(); is { // this process stands between a stack that tests programs and a program
		os.Exit(code)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup wants it
		signal.Notify(signals, syscall.SIGHUP)
	}
	a := &app{program: os.Args[0], stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	go func() {
		<-signals
		cancel(errInterrupted)
		select {
		case <-signals:
		case <-time.After(stopPatience + time.Duration(a.drain.Load())):
		}
		os.Exit(exitInterrupted)
	}()
	if text := os.Getenv(fault.Env); text != "" {
		plan, err := fault.Parse(text)
		if err != nil {
			fmt.Fprintf(os.Stderr, "hone: %s: %s\n", fault.Env, describe(err))
			os.Exit(exitUsage)
		}
		ctx = fault.With(ctx, plan)
	}
	os.Exit(a.run(ctx, os.Args[1:]))
}

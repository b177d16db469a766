package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/telemetry"
)

// app is one call of the program: its streams, its environment and the flags that all commands share.
type app struct {
	// program is how the program was called, for commands that it proposes.
	program        string
	args           []string
	stdout, stderr io.Writer
	getenv         func(string) string

	// understood is set once a command's flags and arguments are; errors before are of usage.
	understood bool
	// parted is set once an interrupted command has said how to go on.
	parted bool
	// drain is what a worker takes to stop in order beyond [stopPatience], in nanoseconds.
	drain atomic.Int64

	dataDir          string
	databaseURL      string
	temporalAddress  string
	temporalSpace    string
	temporalTLS      tlsFlags
	blobURL          string
	cacheBytes       int64
	postgresBinaries string
	json             bool
	verbose          bool
	logFormat        string
	logLevel         string
	metricsAddress   string

	// watched is how a process that works is watched; nil for others.
	watched *watched
}

// defaultCacheBytes holds a few versions of a policy of a hundred million parameters, with their optimiser.
const defaultCacheBytes = 8 << 30

// run does what the arguments say and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	root := a.command() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanged):
		return exitChanged
	case errors.Is(err, errUnsound):
		fmt.Fprintf(a.stderr, "hone: %s\n", describe(err))
		return exitUnsound
	case errors.Is(context.Cause(ctx), errInterrupted):
		if !a.parted {
			fmt.Fprintf(a.stderr, "hone: %s\n", errInterrupted)
		}
		return exitInterrupted
	}
	fmt.Fprintf(a.stderr, "hone: %s\n", describe(err))
	if !a.understood {
		fmt.Fprintf(a.stderr, "      %s --help lists commands and flags\n", a.program)
		return exitUsage
	}
	return exitError
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "hone",
		Short: "Train small reasoning policies by reinforcement learning",
		Long: `hone trains reasoning policies in cycles of rollout, reward and PPO update, run by Temporal and recorded in Postgres. With no
addresses given, it runs private servers of both for as long as it needs them.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		// Completion scripts are made for shells by packagers, who find the hidden command.
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.dataDir, "data-dir", "",
		"folder of weights and of the private servers (default $HONE_DATA_DIR, else "+a.defaultDataDir()+")")
	flags.StringVar(&a.databaseURL, "database-url", "",
		"address of a Postgres of yours, postgres://... (default $DATABASE_URL, else a private server)")
	flags.StringVar(&a.temporalAddress, "temporal-address", "",
		"host:port of a Temporal of yours (default $TEMPORAL_ADDRESS, else a private server)")
	flags.StringVar(&a.temporalSpace, "temporal-namespace", "",
		"Temporal's namespace (default $TEMPORAL_NAMESPACE, else "+defaultNamespace+")")
	a.temporalTLS.register(flags)
	flags.StringVar(&a.blobURL, "blob-url", "",
		"where weights are: file:///path, s3://bucket, gs://bucket or azblob://container (default $HONE_BLOB_URL, else the data directory)")
	flags.Int64Var(&a.cacheBytes, "cache-bytes", defaultCacheBytes, "how much of a blob store elsewhere is kept in the data directory")
	flags.StringVar(&a.postgresBinaries, "pg-bin", "", "folder of the programs postgres and initdb (default: found on this machine)")
	flags.BoolVar(&a.json, "json", false, "write JSON, for scripts")
	flags.BoolVar(&a.verbose, "verbose", false, "write the logs of all parts to standard error")
	flags.StringVar(&a.logLevel, "log-level", "",
		"write log lines of this level and above to standard error: debug, info, warn or error (default: warnings, to a file)")
	flags.StringVar(&a.logFormat, "log-format", string(telemetry.FormatText), "form of log lines: text or json")
	root.AddCommand(
		a.trainCommand(), a.workerCommand(),
		a.runsCommand(), a.statusCommand(), a.topCommand(), a.verifyCommand(),
		a.evalCommand(), a.solveCommand(), a.treeCommand(),
		a.scoreCommand(), a.replayCommand(), a.showCommand(), a.regenerateCommand(), a.reportCommand(), a.rewardCommand(), a.valueCommand(),
		a.pauseCommand(), a.resumeCommand(), a.stopCommand(), a.extendCommand(), a.setCommand(), a.forkCommand(), a.rollbackCommand(),
		a.gcCommand(), a.backupCommand(), a.restoreCommand(), a.migrateCommand(),
		a.scheduleCommand(),
		a.serverCommand(), a.deploymentCommand(), a.doctorCommand(), a.versionCommand(),
	)
	a.understand(root)
	return root
}

// understand notes, before a command below parent runs, that its command line was understood.
func (a *app) understand(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		a.understand(cmd)
		run := cmd.RunE
		if run == nil {
			continue // it only has others below it
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.understood = true
			return run(cmd, args)
		}
	}
}

// terminal is the file behind standard output where that is a terminal.
func (a *app) terminal() (*os.File, bool) {
	f, ok := a.stdout.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// propose is a command line of this program that goes with the flags of this one.
func (a *app) propose(args ...string) string {
	words := []string{a.program, args[0]}
	for _, flag := range []struct{ name, value string }{
		{"--data-dir", a.dataDir},
		{"--database-url", withoutPassword(a.databaseURL)},
		{"--temporal-address", a.temporalAddress},
		{"--blob-url", a.blobURL},
	} {
		if flag.value != "" {
			words = append(words, flag.name, flag.value)
		}
	}
	return commandLine(append(words, args[1:]...))
}

// again is the command line as it was typed.
func (a *app) again() string { return commandLine(append([]string{a.program}, a.args...)) }

// commandLine writes words so that a shell reads them as they are.
func commandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n'\"\\$&|;<>()*?[]#~`{}!") {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
			if !strings.ContainsAny(word, "\"\\$`!") {
				quoted[i] = `"` + word + `"`
			}
		}
	}
	return strings.Join(quoted, " ")
}

// describe is an error in words for a person: each of several faults on a line of its own, and none twice. The sentinels' names at
// the ends of lines are for programs.
func describe(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "":
		case len(lines) > 0 && strings.HasPrefix(line, "\t"): // as drivers go on
			if last := &lines[len(lines)-1]; !strings.Contains(*last, text) {
				*last += " " + text
			}
		case !slices.Contains(lines, text):
			lines = append(lines, text)
		}
	}
	for i, line := range lines {
		for _, sentinel := range []error{hone.ErrInvalid, hone.ErrConflict, hone.ErrUnavailable} {
			line = strings.TrimSuffix(line, ": "+sentinel.Error())
		}
		if strings.Contains(line, ";") { // which is followed by what to do
			line = strings.TrimSuffix(line, ": "+hone.ErrNotFound.Error())
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n      ")
}

// defaultDataDir is where data goes unless something else is said. As root it must be a place that the account of the private
// Postgres can reach, which /root is not.
func (a *app) defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/hone"
	}
	if dir := a.getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "hone")
	}
	if home := a.getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "hone")
	}
	return "hone-data"
}

// Command tree writes the page of the search's speed from what benchmarks have printed: the tree's own work with a free evaluator, and
// one tree over a policy with many walks under way at once. It measures nothing itself; make bench-tree does.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
		os.Exit(1)
	}
}

// errNothing is an input without the benchmarks that the page is of, errLine a line of one that can't be read.
var (
	errNothing = errors.New("no such benchmark in what was read")
	errLine    = errors.New("line of a benchmark")
)

func run(args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet("tree", flag.ContinueOnError)
	f.SetOutput(out)
	note := f.String("note", "", "what the page says of commit and machine")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	figures, err := read(in)
	if err != nil {
		return err
	}
	page, err := figures.page(*note)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, page); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

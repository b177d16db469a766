package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// report writes what each kind of strike cost.
func report(o options, out io.Writer, all []struck, took time.Duration) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\n%d kills and %d other strikes in %v: all ended by itself, verified, with the digests of undisturbed runs\n\n",
		kills(all), len(all)-kills(all), took.Round(time.Second))
	names := make([]string, 0, len(all))
	for _, s := range all {
		if !slices.Contains(names, s.kind) {
			names = append(names, s.kind)
		}
	}
	slices.Sort(names)
	fmt.Fprintf(&text, "%-30s %7s %22s %26s\n", "", "times", "sampling lost, s", "stood still, s")
	fmt.Fprintf(&text, "%-30s %7s %10s %11s %14s %11s\n", "", "", "median", "most", "median", "most")
	row := func(name string, of []struck) {
		lost, still := costs(of)
		fmt.Fprintf(&text, "%-30s %7d %10.2f %11.2f %14.1f %11.1f\n", name, len(of), median(lost), most(lost), median(still), most(still))
	}
	for _, name := range names {
		row(name, slices.DeleteFunc(slices.Clone(all), func(s struck) bool { return s.kind != name }))
	}
	row("all kills", slices.DeleteFunc(slices.Clone(all), func(s struck) bool { return !s.kill }))
	if _, err := io.WriteString(out, text.String()); err != nil || o.out == "" {
		return err
	}
	return os.WriteFile(o.out, []byte(text.String()), 0o644)
}

func costs(of []struck) (lost, still []float64) {
	for _, s := range of {
		lost, still = append(lost, s.lost), append(still, s.still)
	}
	slices.Sort(lost)
	slices.Sort(still)
	return lost, still
}

// median is that of sorted values, 0 for none.
func median(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// most is the largest of sorted values, 0 for none.
func most(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}

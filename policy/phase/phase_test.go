package phase_test

import (
	"context"
	"testing"

	"github.com/hone-rl/hone/policy/phase"
	"github.com/stretchr/testify/require"
)

// diary writes down what it hears.
type diary struct{ lines []string }

type inside struct{}

func (d *diary) Begin(ctx context.Context, name string) (context.Context, phase.Phase) {
	d.lines = append(d.lines, "begin "+name)
	return context.WithValue(ctx, inside{}, name), d
}
func (d *diary) Lap(part string) { d.lines = append(d.lines, "lap "+part) }
func (d *diary) End()            { d.lines = append(d.lines, "end") }

func TestAWatcherHearsOfItsContextsWork(t *testing.T) {
	t.Parallel()
	var d diary
	ctx, p := phase.Begin(phase.With(t.Context(), &d), "gradient")
	require.True(t, phase.Watched(p))
	require.Equal(t, "gradient", ctx.Value(inside{}), "the work's context is the watcher's")
	p.Lap("linear")
	p.End()
	require.Equal(t, []string{"begin gradient", "lap linear", "end"}, d.lines)
}

func TestWithoutAWatcherNothingIsAllocated(t *testing.T) { //nolint:paralleltest // counts allocations
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		same, p := phase.Begin(ctx, "gradient")
		p.Lap("linear")
		p.End()
		if same != ctx || phase.Watched(p) {
			panic("nobody watches")
		}
	}))
}

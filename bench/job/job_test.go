package job

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsReadWhatArgsWrite(t *testing.T) {
	t.Parallel()
	want := Job{Task: Update, Size: Size10M, Batch: 7, Prompt: 3, New: 5, Warmup: 2, Steps: 4, Threads: 9, Folder: "here"}
	var got Job
	f := flag.NewFlagSet("engine", flag.ContinueOnError)
	got.Flags(f)
	require.NoError(t, f.Parse(want.Args()))
	require.Equal(t, want, got)
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for size, want := range map[string]float64{Size1M: 0.94e6, Size10M: 9.5e6, Size100M: 100.1e6} {
		c, err := Config(size)
		require.NoError(t, err)
		require.InEpsilon(t, want, c.NumParams(), 0.02, size)
	}
	_, err := Config("1g")
	require.Error(t, err)
}

func TestTokensAreThoseOfTheTwin(t *testing.T) {
	t.Parallel()
	// From token_table of bench/engine.py.
	require.Equal(t, []int{27, 175, 150, 97, 14, 19}, ids(Sequence(0, 6, 279)))
	require.Equal(t, []int{20994, 23983, 15762, 3730, 13861, 9367}, ids(Sequence(63, 6, 32000)))
}

func ids[T ~int32](tokens []T) []int {
	out := make([]int, len(tokens))
	for i, t := range tokens {
		out[i] = int(t)
	}
	return out
}

// TestOperations counts a tiny policy's operations one by one.
func TestOperations(t *testing.T) {
	t.Parallel()
	c, err := Config(Size1M)
	require.NoError(t, err)
	c.Vocab, c.Width, c.Layers, c.Heads, c.KVHeads, c.Hidden = 10, 8, 2, 2, 1, 16
	j := Job{Task: Supervised, Batch: 3, Prompt: 2, New: 2}
	macs := 0
	for range j.Batch {
		for position := range j.Length() {
			for range c.Layers {
				macs += 8*8 + 2*4*8 + 8*8 + 3*8*16 // query, key and value, output, feed-forward
				macs += 2 * 8 * (position + 1)     // queries with keys, weights with values
			}
			macs += 8 // the value head
			if position >= 1 && position < 3 {
				macs += 10 * 8 // the output for the two tokens that are scored
			}
		}
	}
	require.Equal(t, float64(3*2*macs), j.Operations(c))
	require.Equal(t, float64(6*c.NumParams()*12), j.RuleOfThumb(c))
	j.Task = Update
	require.Equal(t, float64(5*2*macs), j.Operations(c))
}

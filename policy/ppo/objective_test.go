package ppo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
)

// batch is a made-up minibatch: some rows of each kind, log-ratios on both sides of every bound.
type batch struct {
	rows   Rows
	totals Totals
	out    outputs
}

// randomBatch has n rows, cycling through sample, none, sample, imitation. The rows of kind none hold NaN in every column.
func randomBatch(n int, rng *rand.Rand) batch {
	b := batch{rows: NewRows(n), out: makeOutputs(n)}
	for i := range n {
		b.rows.Kind[i] = []Kind{KindSample, KindNone, KindSample, KindImitation}[i%4]
		b.out.logp[i] = -3 * rng.Float64()
		b.out.entropy[i] = 2 * rng.Float64()
		b.out.value[i] = rng.NormFloat64()
		b.rows.LogpOld[i] = b.out.logp[i] + 0.4*rng.NormFloat64()
		b.rows.LogpRef[i] = b.out.logp[i] + 0.7*rng.NormFloat64()
		b.rows.Advantages[i] = rng.NormFloat64()
		b.rows.Returns[i] = rng.NormFloat64()
		b.rows.ValuesOld[i] = b.out.value[i] + 0.3*rng.NormFloat64()
		switch b.rows.Kind[i] {
		case KindNone:
			for _, column := range b.columns() {
				column[i] = math.NaN()
			}
		case KindSample:
			b.totals.Samples++
		case KindImitation:
			b.totals.Imitations++
		}
	}
	return b
}

func makeOutputs(n int) outputs {
	return outputs{logp: make([]float64, n), entropy: make([]float64, n), value: make([]float64, n)}
}

func makeSlopes(n int) slopes {
	return slopes{logp: make([]float64, n), entropy: make([]float64, n), value: make([]float64, n)}
}

// columns is every slice of numbers in the batch.
func (b batch) columns() [][]float64 {
	return [][]float64{
		b.out.logp, b.out.entropy, b.out.value,
		b.rows.LogpOld, b.rows.LogpRef, b.rows.Advantages, b.rows.Returns, b.rows.ValuesOld,
	}
}

// choices are the configurations that make the loss take each of its forms.
func choices() map[string]Config {
	base := DefaultConfig()
	base.EntropyCoef = 0.03
	base.KLCoef = 0.1
	edit := func(f func(*Config)) Config {
		c := base
		f(&c)
		return c
	}
	return map[string]Config{
		"kl in reward":  base,
		"kl k2 in loss": edit(func(c *Config) { c.KLPenalty = KLInLossK2 }),
		"kl k3 in loss": edit(func(c *Config) { c.KLPenalty = KLInLossK3 }),
		"dual clip":     edit(func(c *Config) { c.DualClip = 1.2 }),
		"no value clip": edit(func(c *Config) { c.ValueClip = 0 }),
		"no imitation":  edit(func(c *Config) { c.ImitationCoef = 0 }),
		"equal bounds":  edit(func(c *Config) { c.ClipHigh = c.ClipLow }),
		"policy alone": edit(func(c *Config) {
			c.Advantage, c.ValueCoef, c.EntropyCoef, c.KLCoef, c.ImitationCoef = advantage.RLOO, 0, 0, 0, 0
		}),
		"tight clipping": edit(func(c *Config) { c.ClipLow, c.ClipHigh, c.ValueClip = 0.01, 0.01, 0.01 }),
	}
}

// The loss has kinks where a bound begins to hold; a central difference of step 1e-6 over smooth pieces of curvature about 1 errs
// by about 1e-10, and the chance of a kink inside it is small and, the seed being fixed, seen not to happen.
const differenceTolerance = 1e-8

func TestLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	for name, cfg := range choices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, cfg.Validate())
			const n = 64
			b := randomBatch(n, hone.Rand(11))
			o := newObjective(cfg, cfg.KLCoef)
			d := makeSlopes(n)
			o.evaluate(b.rows, b.totals, b.out, d, newTally())

			scratch := makeSlopes(n)
			loss := func() float64 { return o.evaluate(b.rows, b.totals, b.out, scratch, newTally()) }
			const h = 1e-6
			for k, column := range [][]float64{b.out.logp, b.out.entropy, b.out.value} {
				slope := [][]float64{d.logp, d.entropy, d.value}[k]
				for i := range column {
					x := column[i]
					column[i] = x + h
					up := loss()
					column[i] = x - h
					down := loss()
					column[i] = x
					require.InDelta(t, (up-down)/(2*h), slope[i], differenceTolerance, "output %d row %d", k, i)
				}
			}
		})
	}
}

func TestChecklist02And08MaskedRowsTouchNoResult(t *testing.T) {
	t.Parallel()
	for name, cfg := range choices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 32
			o := newObjective(cfg, cfg.KLCoef)
			evaluate := func(fill float64) (float64, slopes, *tally) {
				b := randomBatch(n, hone.Rand(6))
				for i, kind := range b.rows.Kind {
					for _, column := range b.columns() {
						if kind == KindNone {
							column[i] = fill
						}
					}
					if kind == KindImitation { // of these only the graph's log-probability is read
						for _, column := range b.columns()[1:] {
							column[i] = fill
						}
					}
				}
				d, seen := makeSlopes(n), newTally()
				return o.evaluate(b.rows, b.totals, b.out, d, seen), d, seen
			}
			want, wantSlopes, wantSeen := evaluate(0)
			require.False(t, math.IsNaN(want))
			for _, fill := range []float64{math.NaN(), math.Inf(1), -1e300} {
				got, slopes, seen := evaluate(fill)
				require.Equal(t, want, got)
				require.Equal(t, wantSlopes, slopes)
				require.Equal(t, wantSeen, seen)
			}
		})
	}
}

func TestChecklist31PartsAddUpToTheWhole(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.KLPenalty = KLInLossK3
	const n, cut = 40, 13
	b := randomBatch(n, hone.Rand(3))
	o := newObjective(cfg, cfg.KLCoef)
	whole := makeSlopes(n)
	want := o.evaluate(b.rows, b.totals, b.out, whole, newTally())

	got := 0.0
	for _, r := range [][2]int{{0, cut}, {cut, n}} {
		rows := Rows{
			Kind: b.rows.Kind[r[0]:r[1]], LogpOld: b.rows.LogpOld[r[0]:r[1]], LogpRef: b.rows.LogpRef[r[0]:r[1]],
			Advantages: b.rows.Advantages[r[0]:r[1]], Returns: b.rows.Returns[r[0]:r[1]], ValuesOld: b.rows.ValuesOld[r[0]:r[1]],
		}
		out := outputs{logp: b.out.logp[r[0]:r[1]], entropy: b.out.entropy[r[0]:r[1]], value: b.out.value[r[0]:r[1]]}
		d := makeSlopes(r[1] - r[0])
		got += o.evaluate(rows, b.totals, out, d, newTally())
		require.Equal(t, whole.logp[r[0]:r[1]], d.logp)
		require.Equal(t, whole.entropy[r[0]:r[1]], d.entropy)
		require.Equal(t, whole.value[r[0]:r[1]], d.value)
	}
	require.InDelta(t, want, got, 1e-12)
}

// Only the token mean is ours. Minibatches are told apart from sequences by their totals, so the golden losses enter as a policy
// loss of -A*1 each.
func TestChecklist31GoldenAggregation(t *testing.T) {
	t.Parallel()
	type input struct {
		Losses [][]float64 `json:"losses"`
	}
	type want struct {
		TokenMean    float64 `json:"token_mean"`
		SequenceMean float64 `json:"sequence_mean_of_token_means"`
		SequenceSum  float64 `json:"sequence_mean_of_token_sums"`
	}
	g := readGolden[struct{}, input, want](t, "g8_aggregation.json")
	var losses []float64
	for _, sequence := range g.Input.Losses {
		losses = append(losses, sequence...)
	}
	n := len(losses)
	rows, out := NewRows(n), makeOutputs(n)
	for i, loss := range losses {
		rows.Kind[i], rows.Advantages[i] = KindSample, -loss
	}
	cfg := DefaultConfig()
	got := newObjective(cfg, 0).evaluate(rows, Totals{Samples: n}, out, makeSlopes(n), newTally())
	require.InDelta(t, g.Want.TokenMean, got, g.Tolerance)
	require.NotEqual(t, g.Want.TokenMean, g.Want.SequenceMean)
}

package ppo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/policy/advantage"
	"github.com/hone-rl/hone/policy/policytest"
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
		"kl in reward":           base,
		"kl k2 in loss":          edit(func(c *Config) { c.KLPenalty = KLInLossK2 }),
		"kl k3 in loss":          edit(func(c *Config) { c.KLPenalty = KLInLossK3 }),
		"kl k1 straight through": edit(func(c *Config) { c.KLPenalty = KLInLossK1Straight }),
		"kl k3 straight through": edit(func(c *Config) { c.KLPenalty = KLInLossK3Straight }),
		"dual clip":              edit(func(c *Config) { c.DualClip = 1.2 }),
		"no value clip":          edit(func(c *Config) { c.ValueClip = 0 }),
		"no imitation":           edit(func(c *Config) { c.ImitationCoef = 0 }),
		"equal bounds":           edit(func(c *Config) { c.ClipHigh = c.ClipLow }),
		"policy alone": edit(func(c *Config) {
			c.Advantage, c.ValueCoef, c.EntropyCoef, c.KLCoef, c.ImitationCoef = advantage.RLOO, 0, 0, 0, 0
		}),
		"tight clipping":   edit(func(c *Config) { c.ClipLow, c.ClipHigh, c.ValueClip = 0.01, 0.01, 0.01 }),
		"cispo":            edit(func(c *Config) { c.Loss = LossCISPO }),
		"cispo, open side": edit(func(c *Config) { c.Loss, c.ClipLow, c.KLPenalty = LossCISPO, 1, KLInLossK2 }),
		"gspo": edit(func(c *Config) {
			c.Loss, c.Aggregation, c.ClipLow, c.ClipHigh = LossGSPO, AggregateSequenceMean, 0.03, 0.04
		}),
		"sequence mean":    edit(func(c *Config) { c.Aggregation = AggregateSequenceMean }),
		"sequence sum":     edit(func(c *Config) { c.Aggregation, c.SequenceTokens = AggregateSequenceSum, 20 }),
		"importance":       edit(func(c *Config) { c.Importance.Truncate = 2 }),
		"importance, gspo": edit(func(c *Config) { c.Importance.Truncate, c.Loss, c.Aggregation = 2, LossGSPO, AggregateSequenceMean }),
	}
}

// sequenceRows is the number of rows of each sequence of a batch that is dressed.
const sequenceRows = 8

// dress gives the rows the columns that a configuration reads: sequences, the weights of its aggregation, and weights of importance that
// are the same for a sequence's tokens with gspo.
func (b *batch) dress(c Config, rng *rand.Rand) {
	n := len(b.rows.Kind)
	b.rows.Sequence, b.rows.Weight = make([]int, n), make([]float64, n)
	b.totals.Sequences = (n + sequenceRows - 1) / sequenceRows
	for i := range n {
		b.rows.Sequence[i] = i / sequenceRows
		sampled := 0
		for k := i / sequenceRows * sequenceRows; k < min(n, (i/sequenceRows+1)*sequenceRows); k++ {
			if b.rows.Kind[k] == KindSample {
				sampled++
			}
		}
		switch c.Aggregation {
		case AggregateSequenceMean:
			b.rows.Weight[i] = 1 / float64(sampled)
		case AggregateSequenceSum:
			b.rows.Weight[i] = 1 / float64(c.SequenceTokens)
		default:
			b.rows.Weight[i] = 1
		}
	}
	if c.Importance.Truncate > 0 {
		b.rows.Importance = make([]float64, n)
		for i := range n {
			b.rows.Importance[i] = 0.5 + rng.Float64()
			if c.Loss == LossGSPO && i%sequenceRows > 0 {
				b.rows.Importance[i] = b.rows.Importance[i-1]
			}
		}
	}
}

// slowLoss is the loss as the papers write it, sequence by sequence, where held is what a stop of the gradient holds fixed: the
// log-probabilities that weights of cispo are made of, and those at which a straight-through term has its value. Terms straight
// through are value(held) + k2(logp) - k2(held).
func slowLoss(c Config, b batch, logp, entropy, value, held []float64) float64 {
	loss, imitated := 0.0, 0.0
	for from := 0; from < len(logp); from += sequenceRows {
		var rows []int
		for i := from; i < min(len(logp), from+sequenceRows); i++ {
			if b.rows.Kind[i] == KindSample {
				rows = append(rows, i)
			}
			if b.rows.Kind[i] == KindImitation {
				imitated -= logp[i] / float64(b.totals.Imitations)
			}
		}
		importance := func(i int) float64 {
			if b.rows.Importance == nil {
				return 1
			}
			return b.rows.Importance[i]
		}
		bounded := func(rho, a float64) float64 {
			l := math.Max(-a*rho, -a*math.Min(math.Max(rho, 1-c.ClipLow), 1+c.ClipHigh))
			if c.DualClip > 0 && a < 0 {
				l = math.Min(l, -a*c.DualClip)
			}
			return l
		}
		var terms []float64
		meanDelta, meanAdvantage := 0.0, 0.0
		for _, i := range rows {
			meanDelta += (logp[i] - b.rows.LogpOld[i]) / float64(len(rows))
			meanAdvantage += b.rows.Advantages[i] / float64(len(rows))
		}
		for _, i := range rows {
			a := b.rows.Advantages[i]
			var term float64
			switch c.Loss {
			case LossCISPO:
				w := math.Exp(held[i] - b.rows.LogpOld[i])
				term = -math.Min(math.Max(w, 1-c.ClipLow), 1+c.ClipHigh) * a * logp[i]
			case LossGSPO:
				term = bounded(math.Exp(meanDelta), meanAdvantage)
			default:
				term = bounded(math.Exp(logp[i]-b.rows.LogpOld[i]), a)
			}
			term *= importance(i)
			v, old, target := value[i], b.rows.ValuesOld[i], b.rows.Returns[i]
			critic := (v - target) * (v - target)
			if c.ValueClip > 0 {
				near := math.Min(math.Max(v, old-c.ValueClip), old+c.ValueClip)
				critic = math.Max(critic, (near-target)*(near-target))
			}
			d, dHeld := logp[i]-b.rows.LogpRef[i], held[i]-b.rows.LogpRef[i]
			k3 := func(d float64) float64 { return math.Exp(-d) - 1 + d }
			kl := map[KLPenalty]float64{
				KLInLossK2: d * d / 2, KLInLossK3: k3(d),
				KLInLossK1Straight: dHeld + d*d/2 - dHeld*dHeld/2, KLInLossK3Straight: k3(dHeld) + d*d/2 - dHeld*dHeld/2,
			}[c.KLPenalty]
			terms = append(terms, term+c.ValueCoef*critic/2-c.EntropyCoef*entropy[i]+c.KLCoef*kl)
		}
		switch c.Aggregation {
		case AggregateSequenceMean:
			loss += total(terms) / float64(len(rows)) / float64(b.totals.Sequences)
		case AggregateSequenceSum:
			loss += total(terms) / float64(c.SequenceTokens) / float64(b.totals.Sequences)
		default:
			loss += total(terms) / float64(b.totals.Samples)
		}
	}
	return loss + c.ImitationCoef*imitated
}

// total adds up.
func total(terms []float64) float64 {
	t := 0.0
	for _, x := range terms {
		t += x
	}
	return t
}

// The loss has kinks where a bound begins to hold; a central difference of step 1e-6 over smooth pieces of curvature about 1 errs
// by about 1e-10, and the chance of a kink inside it is small and, the seed being fixed, seen not to happen.
const differenceTolerance = 1e-8

// Every form of the loss is the slow one, and its slopes are the slow one's central differences, with what a stop of the gradient holds
// held.
func TestLossFiniteDifferences(t *testing.T) {
	t.Parallel()
	for name, cfg := range choices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, cfg.Validate())
			const n = 64
			rng := hone.Rand(11)
			b := randomBatch(n, rng)
			b.dress(cfg, rng)
			o := newObjective(cfg, cfg.KLCoef)
			d := makeSlopes(n)
			got := o.evaluate(b.rows, b.totals, b.out, d, newTally())

			held := slices.Clone(b.out.logp)
			loss := func() float64 { return slowLoss(cfg, b, b.out.logp, b.out.entropy, b.out.value, held) }
			require.InDelta(t, loss(), got, 1e-12)
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
				b.dress(cfg, hone.Rand(7))
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

// Minibatches are told apart from sequences by their totals, so the golden losses enter as a policy loss of -A*1 each.
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
	g := policytest.ReadGolden[struct{}, input, want](t, "testdata/g8_aggregation.json")
	for aggregation, want := range map[Aggregation]float64{
		AggregateTokenMean: g.Want.TokenMean, AggregateSequenceMean: g.Want.SequenceMean, AggregateSequenceSum: g.Want.SequenceSum,
	} {
		cfg := DefaultConfig()
		cfg.Aggregation, cfg.ValueCoef = aggregation, 0
		var samples []*sample
		totals := Totals{Sequences: len(g.Input.Losses)}
		for i, sequence := range g.Input.Losses {
			one := scored(i, len(sequence), 0)
			s, err := newSample(new(room), &one, cfg)
			require.NoError(t, err)
			s.logpRef, s.returns = s.logpOld, make([]float64, len(sequence))
			for _, loss := range sequence {
				s.advantages = append(s.advantages, -loss)
			}
			totals.Samples += len(sequence)
			samples = append(samples, s)
		}
		got := 0.0
		for _, part := range split(samples, 7) { // whatever the parts
			p, _ := pack(part)
			n := len(p.rows.Kind)
			out := makeOutputs(n)
			copy(out.logp, p.rows.LogpOld)
			got += newObjective(cfg, 0).evaluate(p.rows, totals, out, makeSlopes(n), newTally())
		}
		require.InDelta(t, want, got, g.Tolerance, aggregation)
	}
}

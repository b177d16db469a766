package kernel_test

import (
	"math"
	"testing"

	"github.com/hone-rl/hone/policy/kernel"
	"github.com/stretchr/testify/require"
)

// rowTolerance bounds the float32 error of a row function against the same formula in float64: a few hundred roundings.
const rowTolerance = 2e-5

var rowCounts = []int{0, 1, 3, 130, 300}

func slowNorm(x, w []float32, eps float64) (y, rstd []float64) {
	width := len(w)
	for i := 0; i < len(x); i += width {
		square := 0.0
		for _, v := range x[i : i+width] {
			square += float64(v) * float64(v)
		}
		r := 1 / math.Sqrt(square/float64(width)+eps)
		rstd = append(rstd, r)
		for j, v := range x[i : i+width] {
			y = append(y, float64(v)*r*float64(w[j]))
		}
	}
	return y, rstd
}

func TestRMSNorm(t *testing.T) {
	t.Parallel()
	const eps = 1e-5
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, rows := range rowCounts {
			for _, width := range []int{1, 7, 64} {
				x, w, dy := normal(rng("x", rows, width), rows*width), normal(rng("w", width), width), normal(rng("d", rows), rows*width)
				y, rstd := make([]float32, len(x)), make([]float32, rows)
				n := kernel.Norm{Weight: w, Eps: eps}
				s.RMSNorm(n, y, x, rstd)
				want, wantRoot := slowNorm(x, w, eps)
				near(t, want, y, rowTolerance, "norm")
				near(t, wantRoot, rstd, rowTolerance, "rstd")

				dx, dw := make([]float32, len(x)), make([]float32, width)
				wantX, wantW := make([]float64, len(x)), make([]float64, width)
				for i := range rows {
					mean := 0.0
					for j := range width {
						k := i*width + j
						mean += float64(dy[k]) * float64(w[j]) * float64(x[k]) / float64(width)
					}
					r := wantRoot[i]
					for j := range width {
						k := i*width + j
						wantX[k] = r * (float64(dy[k])*float64(w[j]) - float64(x[k])*r*r*mean)
						wantW[j] += float64(dy[k]) * float64(x[k]) * r
					}
				}
				parts := normal(rng("dirt"), 3*width)
				starts := []int32{0, int32(rows / 3), int32(rows / 2), int32(rows)}
				s.RMSNormGrad(n, kernel.NormGrad{DX: dx, DWeight: parts, Starts: starts, DY: dy, X: x, Rstd: rstd})
				for i, v := range parts {
					dw[i%width] += v
				}
				near(t, wantX, dx, rowTolerance, "dx")
				near(t, wantW, dw, 10*rowTolerance, "dweight")
				s.RMSNorm(n, x, x, nil)
				near(t, want, x, rowTolerance, "in place")
			}
		}
	})
}

func TestRotary(t *testing.T) {
	t.Parallel()
	const heads, dim, positions, theta = 3, 16, 20, 100
	r := kernel.NewRotary(dim, positions, theta)
	for name, s := range sets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRotary(t, s, r, heads, dim, theta)
		})
	}
}

func testRotary(t *testing.T, s *kernel.Set, r *kernel.Rotary, heads, dim int, theta float64) {
	t.Helper()
	for _, position := range []int{0, 1, 19} {
		x := normal(rng(position), heads*dim)
		want := make([]float64, len(x))
		for h := range heads {
			for i := range dim / 2 {
				angle := float64(position) * math.Pow(theta, -2*float64(i)/float64(dim))
				a, b := float64(x[h*dim+i]), float64(x[h*dim+i+dim/2])
				want[h*dim+i] = a*math.Cos(angle) - b*math.Sin(angle)
				want[h*dim+i+dim/2] = b*math.Cos(angle) + a*math.Sin(angle)
			}
		}
		before := wide(x)
		r.Rotate(s, x, position)
		near(t, want, x, rowTolerance, "rotated")
		r.Unrotate(s, x, position)
		near(t, before, x, rowTolerance, "turned back")
	}
}

func TestRotaryScoresDependOnDistanceAlone(t *testing.T) {
	t.Parallel()
	const dim = 16
	s, r := kernel.Portable(), kernel.NewRotary(dim, 64, 10000)
	score := func(i, j int) float32 {
		q, k := normal(rng("q"), dim), normal(rng("k"), dim)
		r.Rotate(s, q, i)
		r.Rotate(s, k, j)
		return s.Dot(q, k)
	}
	require.InDelta(t, score(7, 3), score(60, 56), 1e-4)
}

func TestSwiGLU(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, rows := range rowCounts {
			for _, hidden := range []int{1, 9, 40} {
				x, dy := normal(rng(rows, hidden), rows*2*hidden), normal(rng("d", rows), rows*hidden)
				y, dx := make([]float32, rows*hidden), make([]float32, len(x))
				want, wantX := make([]float64, len(y)), make([]float64, len(x))
				for i := range rows {
					for j := range hidden {
						at, up := 2*i*hidden+j, (2*i+1)*hidden+j
						g, u, d := float64(x[at]), float64(x[up]), float64(dy[i*hidden+j])
						p := 1 / (1 + math.Exp(-g))
						want[i*hidden+j] = g * p * u
						wantX[at] = d * u * p * (1 + g*(1-p))
						wantX[up] = d * g * p
					}
				}
				s.SwiGLU(y, x, hidden)
				near(t, want, y, rowTolerance, "swiglu")
				s.SwiGLUGrad(dx, x, dy, hidden)
				near(t, wantX, dx, rowTolerance, "gradient")
			}
		}
		extreme := []float32{-200, 200, 1, 1}
		y := make([]float32, 2)
		s.SwiGLU(y, extreme, 2)
		require.Equal(t, []float32{0, 200}, y)
	})
}

// slowDistribution gives log(sum(exp(z))), the log-probabilities and the entropy in float64.
func slowDistribution(z []float32) (lse float64, logp []float64, entropy float64) {
	top := math.Inf(-1)
	for _, v := range z {
		top = max(top, float64(v))
	}
	total := 0.0
	for _, v := range z {
		total += math.Exp(float64(v) - top)
	}
	lse = top + math.Log(total)
	for _, v := range z {
		logp = append(logp, float64(v)-lse)
		entropy -= math.Exp(float64(v)-lse) * (float64(v) - lse)
	}
	return lse, logp, entropy
}

func TestDistribute(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, vocab := range []int{1, 2, 9, 300} {
			z := normal(rng(vocab), vocab)
			for i := range z {
				z[i] = z[i]*4 + 50
			}
			lse, logp, entropy := slowDistribution(z)
			weights := make([]float32, vocab)
			d := s.Distribute(z, weights)
			require.InDelta(t, lse, d.LogSum, 1e-5*lse)
			require.InDelta(t, entropy, d.Entropy(), 1e-4)
			p := append([]float32(nil), z...)
			s.Softmax(p)
			for i, l := range logp {
				require.InDelta(t, math.Exp(l), p[i], rowTolerance)
				require.InDelta(t, math.Exp(l), weights[i]/s.Sum(weights), rowTolerance)
			}
			for _, g := range [][2]float64{{1, 0}, {-2, 0.5}, {0, 1}, {0, 0}} {
				target := vocab / 2
				got := append([]float32(nil), z...)
				s.DistributeGrad(got, weights, d, target, float32(g[0]), float32(g[1]))
				want := make([]float64, vocab)
				for i, l := range logp {
					want[i] = -math.Exp(l) * (g[0] + g[1]*(l+entropy))
				}
				want[target] += g[0]
				near(t, want, got, 5*rowTolerance, "gradient")
			}
		}
	})
}

func TestEmbedding(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		const vocab = 11
		for _, rows := range rowCounts {
			for _, width := range []int{1, 65, 128} {
				r := rng("tokens", rows)
				tokens := make([]int32, rows)
				for i := range tokens {
					tokens[i] = int32(r.IntN(vocab))
				}
				table, dy := normal(r, vocab*width), normal(r, rows*width)
				y, dtable := make([]float32, rows*width), normal(r, vocab*width)
				want := wide(dtable)
				s.Embed(y, table, tokens, width)
				for i, token := range tokens {
					require.Equal(t, table[int(token)*width:(int(token)+1)*width], y[i*width:(i+1)*width])
					for j := range width {
						want[int(token)*width+j] += float64(dy[i*width+j])
					}
				}
				s.EmbedGrad(dtable, dy, tokens, width)
				near(t, want, dtable, rowTolerance, "gradient")
			}
		}
	})
}

func TestUpdateIsAdamW(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, n := range []int{0, 1, 77, 40000} {
			w, m, v := normal(rng("w"), n), make([]float32, n), make([]float32, n)
			want, wm, wv := wide(w), make([]float64, n), make([]float64, n)
			for step := 1; step <= 3; step++ {
				g := normal(rng("g", step), n)
				a := kernel.AdamW{
					Rate: 0.01, Decay: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-5, GradScale: 0.5,
					Correction1: float32(1 - math.Pow(0.9, float64(step))), Correction2: float32(1 - math.Pow(0.99, float64(step))),
				}
				s.Update(a, w, g, kernel.Moments{M: m, V: v})
				for i := range want {
					d := 0.5 * float64(g[i])
					wm[i] = 0.9*wm[i] + 0.1*d
					wv[i] = 0.99*wv[i] + 0.01*d*d
					want[i] -= 0.01 * 0.1 * want[i]
					want[i] -= 0.01 * (wm[i] / (1 - math.Pow(0.9, float64(step)))) / (math.Sqrt(wv[i]/(1-math.Pow(0.99, float64(step)))) + 1e-5)
				}
			}
			near(t, want, w, rowTolerance, "weights")
		}
	})
}

// The place of epsilon shows in the first step on a tiny gradient: outside the corrected root as in PyTorch it is -9.90e-4, inside
// the uncorrected one as in the first TensorFlow -7.60e-4.
func TestChecklist34UpdatePutsEpsilonWherePyTorchDoes(t *testing.T) {
	t.Parallel()
	w, m, v := []float32{0}, []float32{0}, []float32{0}
	a := kernel.AdamW{Rate: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, GradScale: 1, Correction1: 0.1, Correction2: 0.001}
	kernel.Portable().Update(a, w, []float32{1e-6}, kernel.Moments{M: m, V: v})
	require.InDelta(t, -9.90e-4, w[0], 5e-7)
}

func TestSquaredNormAndDistance(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *kernel.Set) {
		for _, n := range []int{0, 1, 1023, 5000} {
			x, y := normal(rng(n), n), normal(rng(n+1), n)
			norm, distance := 0.0, 0.0
			for i, v := range x {
				norm += float64(v) * float64(v)
				distance += (float64(v) - float64(y[i])) * (float64(v) - float64(y[i]))
			}
			require.InDelta(t, norm, s.SquaredNorm(x), 1e-6*float64(n))
			require.InDelta(t, distance, s.SquaredDistance(x, y), 2e-6*float64(n))
		}
	})
}

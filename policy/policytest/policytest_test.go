package policytest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone/policy/policytest"
)

// recorder is a test that may fail without failing this one.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) FailNow()              { panic(r) }

func fails(t *testing.T, gradient []float32) bool {
	t.Helper()
	x := []float32{1, -2, 0.5}
	loss := func() float64 { return float64(x[0]*x[0]) + 3*float64(x[1]) } // whose gradient is 2, 3, 0
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		policytest.Slopes(r, x, gradient, loss, 1e-3, 0)
		require.Equal(t, []float32{1, -2, 0.5}, x)
	}()
	return r.failed
}

func TestSlopesTellsRightGradientsFromWrongOnes(t *testing.T) {
	t.Parallel()
	require.False(t, fails(t, []float32{2, 3, 0}))
	require.True(t, fails(t, []float32{2.1, 3, 0}))
	require.True(t, fails(t, []float32{2, 3, 0.1}))
	require.True(t, fails(t, []float32{2, -3, 0}))
	require.True(t, fails(t, []float32{0, 0, 0}))
}

package latex_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task/latex"
)

func TestEqualAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{`\frac{1}{2}`, `0.5`},
		{`\frac12`, `\dfrac{1}{2}`},
		{`-\frac{3}{4}`, `\frac{-3}{4}`},
		{`1\frac{1}{2}`, `3/2`},
		{`1,234`, `1234`},
		{`1{,}234`, `1234`},
		{`$12`, `12`},
		{`12\%`, `12`},
		{`90^\circ`, `90`},
		{`5\text{ cm}`, `5`},
		{`5\text{ cm}^2`, `5`},
		{`\sqrt{12}`, `2\sqrt{3}`},
		{`\sqrt{4}`, `2`},
		{`\frac{1}{\sqrt{2}}`, `\frac{\sqrt{2}}{2}`},
		{`\sqrt{3+2\sqrt{2}}`, `1+\sqrt{2}`},
		{`\sqrt[3]{54}`, `3\sqrt[3]{2}`},
		{`2^{1/2}`, `\sqrt2`},
		{`\sqrt{2}\cdot\sqrt{3}`, `\sqrt6`},
		{`8^{2/3}`, `4`},
		{`2\pi`, `\pi\cdot 2`},
		{`e^2`, `e\cdot e`},
		{`5!`, `120`},
		{`\binom{5}{2}`, `10`},
		{`|-3|`, `3`},
		{`(x+1)^2`, `x^2+2x+1`},
		{`(x-y)(x+y)`, `x^2-y^2`},
		{`\frac{x^2-1}{x-1}`, `x+1`},
		{`\sqrt{x^2}`, `x`},
		{`\sqrt{8}x`, `2\sqrt{2}x`},
		{`2^{n+1}`, `2\cdot 2^n`},
		{`x^{-1}`, `\frac1x`},
		{`\sin(2x)`, `\sin(x+x)`},
		{`\sin^2 x`, `(\sin x)^2`},
		{`a_1+a_2`, `a_2+a_1`},
		{`x=5`, `5`},
		{`y = 2x + 3`, `2x+3`},
		{`f(x) = x^2`, `x^2`},
		{`2x+3y=6`, `4x+6y-12=0`},
		{`x \in [0, 1)`, `[0,1)`},
		{`(-\infty, 2]`, `\left(-\infty,2\right]`},
		{`(0,1)\cup(2,3)`, `(2,3) \cup (0,1)`},
		{`\{1,2,3\}`, `\{3, 2, 1\}`},
		{`1, 2`, `\{2,1\}`},
		{`1 \text{ and } 2`, `2, 1`},
		{`3\pm\sqrt2`, `3-\sqrt2, 3+\sqrt2`},
		{`\emptyset`, `\{\}`},
		{`(1,2)`, `(1, \frac{4}{2})`},
		{`x < 5`, `5 > x`},
		{`1 \le x < 3`, `3 > x \ge 1`},
		{`\begin{pmatrix}1&2\\3&4\end{pmatrix}`, `\begin{bmatrix} 1 & 2 \\ 3 & \frac{8}{2} \end{bmatrix}`},
		{`\text{Yes}`, `yes`},
		{`\text{(B)}`, `\text{B}`},
		{`10^{30}`, `1` + strings.Repeat("0", 30)},
		{`2^{100}-1`, `1267650600228229401496703205375`},
		{`3−1`, `2`},
		{`2×3`, `6`},
	} {
		equal, err := latex.Equal(c[0], c[1])
		require.NoError(t, err, c)
		require.True(t, equal, "%s is %s", c[0], c[1])
		equal, err = latex.Equal(c[1], c[0])
		require.NoError(t, err, c)
		require.True(t, equal, "%s is %s", c[1], c[0])
	}
}

func TestUnequalAnswers(t *testing.T) {
	t.Parallel()
	root2 := new(big.Float).SetPrec(1000)
	root2.Sqrt(root2.SetInt64(2))
	for _, c := range [][2]string{
		{`\frac{1}{3}`, `0.3333333333333333333333333`},
		{`\sqrt{2}`, `1.4142135623730951`},
		{`\sqrt{2}`, root2.Text('f', 250)},
		{`\pi`, `3.14159265358979323846264338327950288419716939937510582097494`},
		{`\pi`, `\frac{355}{113}`},
		{`x^2+2x+1`, `x^2+2x+2`},
		{`(x+y)^2`, `x^2+y^2`},
		{`x`, `y`},
		{`\sin x`, `\cos x`},
		{`\sin 2x`, `2\sin x`},
		{`[0,1]`, `[0,1)`},
		{`(1,2)`, `(2,1)`},
		{`\{1,2\}`, `\{1,2,3\}`},
		{`\{1,1,2\}`, `\{1,3\}`},
		{`x<5`, `x>5`},
		{`x<5`, `x\le 5`},
		{`2x+3y=6`, `2x+3y=7`},
		{`\infty`, `-\infty`},
		{`5`, `5, 6`},
		{`5`, `\text{five}`},
		{`\begin{pmatrix}1&2\\3&4\end{pmatrix}`, `\begin{pmatrix}1&3\\2&4\end{pmatrix}`},
		{`3\pm\sqrt2`, `3+\sqrt2`},
		{`-x`, `x`},
		{`\sqrt{3}`, `-\sqrt{3}`},
		{`\sqrt{x}`, `-\sqrt{x}`},
		{`2305843009216971839x`, `0`}, // the first prime
	} {
		equal, err := latex.Equal(c[0], c[1])
		require.NoError(t, err, c)
		require.False(t, equal, "%s is not %s", c[0], c[1])
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`\frac{1}`, `(1,2`, `2 3`, `\sqrt{`, `1+`, `\unknown{3}`, `\begin{array}1\end{array}`, `\{1`, `２`, strings.Repeat("(", 100),
		strings.Repeat("1+", 1000) + "1", strings.Repeat("9", 500), `x^^2`, `=`, `)`,
	} {
		_, err := latex.Equal(text, "1")
		require.ErrorIs(t, err, hone.ErrInvalid, text)
	}
	// Powers that would fill memory have no value, and are equal to nothing but to themselves modulo primes.
	equal, err := latex.Equal(`9^{9^{9}}`, `9^{9^{8}}`)
	require.NoError(t, err)
	require.False(t, equal)
	equal, err = latex.Equal(`\frac{1}{0}`, `\frac{2}{0}`)
	require.NoError(t, err)
	require.False(t, equal)
}

// TestPolynomialsAreComparedByTheirCoefficients expands random products of linear factors by hand and compares.
func TestPolynomialsAreComparedByTheirCoefficients(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		roots := rapid.SliceOfN(rapid.IntRange(-9, 9), 1, 6).Draw(t, "roots")
		coefficients := []*big.Int{big.NewInt(1)} // lowest first
		var product strings.Builder
		for _, r := range roots {
			product.WriteString("(x-(" + big.NewInt(int64(r)).String() + "))")
			next := make([]*big.Int, len(coefficients)+1)
			for i := range next {
				next[i] = new(big.Int)
			}
			for i, c := range coefficients {
				next[i+1].Add(next[i+1], c)
				next[i].Sub(next[i], new(big.Int).Mul(c, big.NewInt(int64(r))))
			}
			coefficients = next
		}
		write := func() string {
			var out strings.Builder
			for i, c := range coefficients {
				out.WriteString("+(" + c.String() + ")x^{" + big.NewInt(int64(i)).String() + "}")
			}
			return out.String()
		}
		equal, err := latex.Equal(product.String(), write())
		require.NoError(t, err)
		require.True(t, equal)
		at := rapid.IntRange(0, len(roots)).Draw(t, "at")
		coefficients[at].Add(coefficients[at], big.NewInt(rapid.SampledFrom([]int64{-1, 1, 7}).Draw(t, "by")))
		equal, err = latex.Equal(product.String(), write())
		require.NoError(t, err)
		require.False(t, equal)
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	tk := latex.New()
	p, err := tk.Pose("What is half?", `\boxed{\frac{1}{2}}`)
	require.NoError(t, err)
	for completion, want := range map[string]hone.Outcome{
		`So \boxed{0.5}.`:                hone.OutcomeRight,
		`The answer is $\frac{2}{4}$.`:   hone.OutcomeRight,
		`#### 1/2`:                       hone.OutcomeRight,
		"The answer is 2.\n\\boxed{1/2}": hone.OutcomeRight,
		"\\boxed{1/3}\n\\boxed{1/2}":     hone.OutcomeWrong,
		`\boxed{1/2 \text{ or } 1/3}`:    hone.OutcomeWrong,
		`\boxed{\frac{1}{2}`:             hone.OutcomeUnparsable,
		`It is a half.`:                  hone.OutcomeUnparsable,
		`\boxed{９}`:                      hone.OutcomeUnparsable,
	} {
		v := tk.Verify(p, completion)
		require.Equal(t, want, v.Outcome, "%s: %s", completion, v.Reason)
	}
	_, err = tk.Pose("?", "")
	require.ErrorIs(t, err, hone.ErrInvalid)
}

func FuzzEqual(f *testing.F) {
	for _, s := range []string{
		`\frac{1}{2}`, `\sqrt[3]{x^{2^y}}`, `\{1,\infty\}\cup[0,1)`, `x_1^{-1/2}!`,
		`\begin{pmatrix}1&2\\3\end{pmatrix}`, `|\sin^2 x|`,
	} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		first, err := latex.Equal(a, b)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			return
		}
		second, err := latex.Equal(b, a)
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
}

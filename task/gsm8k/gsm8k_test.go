package gsm8k_test

import (
	"errors"
	"go/constant"
	"go/token"
	"go/types"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hone-rl/hone"
	"github.com/hone-rl/hone/task"
	"github.com/hone-rl/hone/task/gsm8k"
)

// solved is the public data set, 7,473 problems of its training file and 1,319 of its test file; the test is skipped where it is absent.
func solved(t testing.TB) []gsm8k.Solved {
	t.Helper()
	shared := os.Getenv("HONE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	if !filepath.IsAbs(shared) { // it is relative to the root of the repository
		shared = filepath.Join("..", "..", shared)
	}
	var all []gsm8k.Solved
	for _, name := range []string{"train.jsonl", "test.jsonl"} {
		path := filepath.Join(shared, "data", "gsm8k", name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("%s is absent: set HONE_SHARED to the folder that holds data/gsm8k", path)
		}
		require.NoError(t, err)
		part, err := gsm8k.Read(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		all = append(all, part...)
	}
	require.Len(t, all, 7473+1319)
	return all
}

func TestEveryReferenceSolutionIsRight(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	for _, s := range solved(t) {
		require.Equal(t, hone.OutcomeRight, tk.Verify(s.Problem, s.Solution).Outcome, s.Solution)
		again, err := tk.Problem(s.Problem.Key)
		require.NoError(t, err)
		require.Equal(t, s.Problem, again)
	}
}

// annotation is the text between the marks, as the data has it.
var annotation = regexp.MustCompile(`<<([^<>]*)>>`)

// alone judges one annotation by itself.
func alone(t *testing.T, tk *gsm8k.Task, text string) task.StepCheck {
	t.Helper()
	p, err := tk.Pose("?", "1")
	require.NoError(t, err)
	checks := tk.Check(p, "<<"+text+">>")
	require.Len(t, checks, 1)
	return checks[0]
}

func TestAnnotatedStepsOfTheDataAreTrue(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	count, refused := 0, 0
	for _, s := range solved(t) {
		for _, m := range annotation.FindAllStringSubmatch(s.Solution, -1) {
			count++
			if c := alone(t, tk, m[1]); !c.Parsed || !c.True {
				refused++
				t.Logf("not accepted: %s: %s", m[1], c.Reason)
			}
		}
	}
	require.Equal(t, 27998, count)
	t.Logf("accepted %d of %d annotated steps", count-refused, count)
	require.LessOrEqual(t, refused, count/100)
}

// exact is the value of an expression by the Go compiler's constants, which are exact; integers are written as decimals so that
// division is not that of integers.
func exact(t *testing.T, expression string) (constant.Value, bool) {
	t.Helper()
	decimal := regexp.MustCompile(`\d*\.?\d+`).ReplaceAllStringFunc(strings.ReplaceAll(expression, "//", "/"), func(n string) string {
		n = strings.TrimLeft(n, "0")
		switch {
		case n == "":
			return "0.0"
		case strings.Contains(n, "."):
			return "0" + n
		}
		return n + ".0"
	})
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, decimal)
	if err != nil || v.Value == nil {
		return nil, false
	}
	return v.Value, true
}

func TestMutatedStepsAreRefused(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	var steps []string
	for _, s := range solved(t) {
		for _, m := range annotation.FindAllStringSubmatch(s.Solution, -1) {
			steps = append(steps, m[1])
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const want = 10000
	mutated := make(map[string]bool)
	for len(mutated) < want {
		text := []byte(steps[rng.IntN(len(steps))])
		at := rng.IntN(len(text))
		switch c := text[at]; {
		case c >= '0' && c <= '9':
			text[at] = '0' + (c-'0'+byte(1+rng.IntN(9)))%10
		case strings.IndexByte("+-*/", c) >= 0:
			text[at] = "+-*/"[rng.IntN(4)]
		default:
			continue
		}
		left, right, _ := strings.Cut(string(text), "=")
		a, ok := exact(t, left)
		b, ok2 := exact(t, right)
		if !ok || !ok2 || constant.Compare(a, token.EQL, b) { // no expression any more, or still true
			continue
		}
		mutated[string(text)] = true
		c := alone(t, tk, string(text))
		require.False(t, c.True, "%s was accepted", text)
		require.False(t, c.Good())
	}
}

func TestAnswersInManyForms(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	for _, c := range []struct {
		name, reference, completion string
		want                        hone.Outcome
	}{
		{"the data's form", "72", "#### 72", hone.OutcomeRight},
		{"words", "72", "So the answer is 72 clips.", hone.OutcomeRight},
		{"a box", "72", `Thus \boxed{72}.`, hone.OutcomeRight},
		{"money", "1234.50", "#### $1,234.50", hone.OutcomeRight},
		{"money, no cents", "1,234", "The answer is: $1234.00", hone.OutcomeRight},
		{"negative money", "-5", "#### -$5", hone.OutcomeRight},
		{"minus sign of typesetting", "-5", "#### −5", hone.OutcomeRight},
		{"fraction", "0.75", "#### 3/4", hone.OutcomeRight},
		{"mixed number", "1.5", "The answer is 1 1/2 cups", hone.OutcomeRight},
		{"percent", "50", "#### 50%", hone.OutcomeRight},
		{"percent as a share", "0.5", "#### 50%", hone.OutcomeRight},
		{"unit before", "20", "#### about 20 km", hone.OutcomeRight},
		{"zeros", "7", "#### 7.00", hone.OutcomeRight},
		{"leading point", "0.5", "#### .5", hone.OutcomeRight},
		{"the first in the task's form counts", "5", "#### 4\n#### 5", hone.OutcomeWrong},
		{"the task's form before words", "5", "The answer is 4.\n#### 5", hone.OutcomeRight},
		{"the last in words counts", "5", "The answer is 4. No, the answer is 5.", hone.OutcomeRight},
		{"other", "72", "#### 27", hone.OutcomeWrong},
		{"a choice of two", "72", "#### 71 or 72", hone.OutcomeWrong},
		{"the same twice", "72", "#### 72 = 72", hone.OutcomeRight},
		{"sign", "5", "#### -5", hone.OutcomeWrong},
		{"none", "72", "I do not know.", hone.OutcomeUnparsable},
		{"no number", "72", "#### many", hone.OutcomeUnparsable},
		{"power", "1267650600228229401496703205376", "#### 2^100", hone.OutcomeUnparsable},
		{"power of a small number", "32", "#### 2**5", hone.OutcomeUnparsable},
		{"huge", "72", "#### 99999999999999999999999999", hone.OutcomeUnparsable},
		{"fullwidth digits", "72", "#### ７２", hone.OutcomeUnparsable},
		{"empty", "72", "", hone.OutcomeUnparsable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := tk.Pose("How many?", c.reference)
			if err != nil {
				require.ErrorIs(t, err, hone.ErrInvalid)
				return
			}
			v := tk.Verify(p, c.completion)
			require.Equal(t, c.want, v.Outcome, v.Reason)
			require.NotEmpty(t, v.Reason)
		})
	}
}

func TestStepsAreJudged(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	p, err := tk.Pose("Ann has 48 clips and sells half as many again in May. How many clips does she sell in both months?", "72")
	require.NoError(t, err)
	for _, c := range []struct {
		name, completion string
		bad              map[int]string // reasons by step; every other step is good
	}{
		{"good", "In May <<48/2=24>>24.\nBoth: 48 + 24 = 72 clips.\n#### 72\n", nil},
		{"words and signs", "48 ÷ 2 = 24\n$48 + $24 = $72\n#### 72", nil},
		{"false annotation", "<<48/2=25>>25\n48+24=72\n#### 72", map[int]string{0: "48/2 is 24, not 25"}},
		{"false prose", "48 / 2 = 24\n48 + 24 = 73\n#### 73", map[int]string{1: "48+24 is 72, not 73", 2: "no step comes to 73"}},
		{"rounded", "48 / 7 = 6.86", map[int]string{0: "48/7 is 48/7, not 343/50"}},
		{"by zero", "48 / 0 = 24", map[int]string{0: "48/0=24: division by zero"}},
		{"open annotation", "<<48/2=24", map[int]string{0: `annotation "48/2=24" has no end, want <<48/2=24>>`}},
		{"repeated", "48/2 = 24\n48/2 = 24\n", map[int]string{1: "repeats step 1"}},
		{"said again in other words", "48/2 = 24\nThat is: 48 / 2 = 24\n", map[int]string{1: "48/2=24 computes nothing new"}},
		{"identity", "48/2 = 24\n24 + 0 = 24\n24*1=24\n24=24", map[int]string{
			1: "24+0=24 computes nothing new", 2: "24*1=24 computes nothing new",
		}},
		{"smuggled", "37 + 35 = 72\n#### 72", map[int]string{
			0: "uses 37, which is neither in the question nor a result", 1: "an answer without work",
		}},
		{"without work", "#### 72", map[int]string{0: "an answer without work"}},
		{"after the answer", "48/2 = 24\n48+24 = 72\n#### 72\n72/2 = 36", map[int]string{3: "comes after the answer"}},
		{"the question", "how many clips does she sell in both months?", map[int]string{0: "copies the question"}},
		{"blank", "\n48/2 = 24", map[int]string{0: "says nothing"}},
		{"digits of another script", "48/2 = ２4", map[int]string{0: "has digits other than 0 to 9"}},
		{"algebra is not read", "2x + 3 = 9\nThere are 5 apples * 2 = 10 apples", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checks := tk.Check(p, c.completion)
			require.Len(t, checks, len(tk.Steps(c.completion)))
			for i, check := range checks {
				require.Equal(t, c.bad[i] == "", check.Good(), "step %d: %s", i, check.Reason)
				if c.bad[i] != "" {
					require.Equal(t, c.bad[i], check.Reason, "step %d", i)
				}
			}
			state, _ := tk.State(p, c.completion)
			require.Equal(t, checks[len(checks)-1].State, state)
		})
	}
}

// TestChainsOfAssumptions follows an assumption over what is derived from it to the conclusion, which may only rest on it once it is
// confirmed.
func TestChainsOfAssumptions(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	p, err := tk.Pose("Hens and rabbits have 35 heads and 94 legs. How many hens are there?", "23")
	require.NoError(t, err)
	for _, c := range []struct {
		name, completion string
		reasons          []string // by step; those that begin with ! are of steps that are not good
	}{
		{"tried and confirmed", "Suppose there are 23 hens.\n35 - 23 = 12 rabbits\n23 * 2 + 12 * 4 = 94 legs\n#### 23", []string{
			"an assumption", "35-23=12 is true, under the assumption of step 1",
			"23*2+12*4=94 is true, under the assumption of step 1, which holds, since 94 is known without it", "states no arithmetic",
		}},
		{"never confirmed", "Suppose there are 23 hens.\n35 - 23 = 12 rabbits\n#### 23", []string{
			"an assumption", "35-23=12 is true, under the assumption of step 1",
			"!23 rests on the assumption of step 1, which no step confirms",
		}},
		{"derived from what was never confirmed", "Assume 17 of them.\n17 + 6 = 23\n#### 23", []string{
			"an assumption", "17+6=23 is true, under the assumption of step 1",
			"!23 rests on the assumption of step 1, which no step confirms",
		}},
		{"the answer assumed", "Let's say there are 23.\n#### 23", []string{
			"an assumption", "!23 rests on the assumption of step 1, which no step confirms",
		}},
		{"two assumptions", "Suppose 17 hens.\nSuppose 19 rabbits.\n17 + 19 = 36\n#### 36", []string{
			"an assumption", "an assumption", "17+19=36 is true, under the assumptions of 2 steps, the first of them step 1",
			"!36 rests on the assumptions of 2 steps, the first of them step 1, which no step confirms",
		}},
		{"a variable", "Let x be the hens.\n94 / 2 = 47\n47 - 35 = 12\n35 - 12 = 23\n#### 23", []string{
			"an assumption", "94/2=47 is true", "47-35=12 is true", "35-12=23 is true", "states no arithmetic",
		}},
		{"not supposed at all", "There are 17 of them.\n17 + 6 = 23", []string{
			"states no arithmetic", "!uses 17, which is neither in the question nor a result",
		}},
		{"assumed, and found without", "Suppose there are 23 hens.\n94 / 2 = 47\n47 - 35 = 12\n35 - 12 = 23\n#### 23", []string{
			"an assumption", "94/2=47 is true", "47-35=12 is true", "35-12=23 is true", "states no arithmetic",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checks := tk.Check(p, c.completion)
			require.Len(t, checks, len(c.reasons))
			for i, check := range checks {
				reason, bad := strings.CutPrefix(c.reasons[i], "!")
				require.Equal(t, reason, check.Reason, "step %d", i)
				require.Equal(t, !bad, check.Good(), "step %d", i)
				require.Equal(t, reason == "an assumption", check.Kind == task.StepAssumption, "step %d", i)
			}
		})
	}
}

func TestForeignProblems(t *testing.T) {
	t.Parallel()
	tk := gsm8k.New(nil)
	foreign := hone.Problem{Task: "no such task", Key: "72\n?"}
	require.Equal(t, hone.OutcomeUnparsable, tk.Verify(foreign, "#### 72").Outcome)
	require.Zero(t, tk.Need(foreign))
	require.False(t, tk.Check(foreign, "#### 72")[0].Good())
	_, err := tk.Pose("?", "seventy")
	require.ErrorIs(t, err, hone.ErrInvalid)
	_, err = tk.Problems(hone.SplitTrain)
	require.ErrorIs(t, err, hone.ErrNotFound)
}

func FuzzJudge(f *testing.F) {
	f.Add("72", "In May <<48/2=24>>24.\n48 + 24 = 72\n#### 72")
	f.Add("-3/4", "<<((((1=1>>\n\\boxed{{{}\n#### $-−1,00.5.5%")
	f.Add("50%", "1 x 1 x ( 2 ÷ 0 = 3 // 4 = 5\nanswer is .")
	tk := gsm8k.New(nil)
	f.Fuzz(func(t *testing.T, reference, completion string) {
		p, err := tk.Pose(completion, reference)
		if err != nil {
			require.ErrorIs(t, err, hone.ErrInvalid)
			return
		}
		v := tk.Verify(p, completion)
		require.Contains(t, []hone.Outcome{hone.OutcomeRight, hone.OutcomeWrong, hone.OutcomeUnparsable}, v.Outcome)
		require.Len(t, tk.Check(p, completion), len(tk.Steps(completion)))
		require.Equal(t, hone.OutcomeRight, tk.Verify(p, "#### "+reference).Outcome)
	})
}

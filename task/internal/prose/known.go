package prose

import (
	"strings"

	"github.com/hone-rl/hone/task/arith"
)

// words are numbers that a question writes in letters, and those that its words imply.
var words = map[string][]int64{ //nolint:gochecknoglobals // a table
	"one": {1}, "two": {2}, "three": {3}, "four": {4}, "five": {5}, "six": {6}, "seven": {7}, "eight": {8}, "nine": {9}, "ten": {10},
	"eleven": {11}, "twelve": {12}, "thirteen": {13}, "fourteen": {14}, "fifteen": {15}, "sixteen": {16}, "seventeen": {17},
	"eighteen": {18}, "nineteen": {19}, "twenty": {20}, "thirty": {30}, "forty": {40}, "fifty": {50}, "sixty": {60}, "seventy": {70},
	"eighty": {80}, "ninety": {90}, "hundred": {100}, "thousand": {1000}, "million": {1000000}, "dozen": {12}, "dozens": {12},
	"score": {20}, "foot": {12}, "feet": {12}, "inches": {12}, "yard": {3, 36}, "yards": {3, 36}, "mile": {5280}, "miles": {5280},
	"pound": {16}, "pounds": {16}, "ounces": {16, 128}, "gallon": {4, 16, 128}, "gallons": {4, 16, 128}, "cups": {16},
	"cents": {25, 50, 75}, "quarter": {25}, "quarters": {25}, "angles": {90, 180, 360}, "triangle": {180}, "degrees": {90, 180, 360},
}

// common are those that anyone may use: counts up to ten, of days, hours, minutes, months, weeks and parts of a hundred or a
// thousand.
var common = []int64{ //nolint:gochecknoglobals // a table
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 20, 21, 24, 25, 28, 30, 31, 50, 52, 60, 100, 120, 360, 364, 365, 366, 1000, 3600,
}

// known are the numbers that a solution may use so far: those of the question, common ones, and results.
type known struct {
	values map[arith.Number]bool
}

func newKnown(question string) *known {
	k := &known{values: make(map[arith.Number]bool)}
	for _, n := range common {
		k.values[arith.Int(n)] = true
	}
	lower := strings.ToLower(question)
	for word := range strings.FieldsFuncSeq(lower, func(r rune) bool { return r < 'a' || r > 'z' }) {
		for _, n := range words[word] {
			k.values[arith.Int(n)] = true
		}
	}
	k.read(lower)
	return k
}

// read adds the numbers written in the text. A hundred and ten may be written as a sum, so pairs of neighbours in words are not
// needed: each part is known by itself.
func (k *known) read(text string) {
	quantities(text, func(q Quantity, written string) {
		k.put(q.Value)
		if num, den, slash := strings.Cut(written, "/"); slash { // 3/4 is also 3 and 4
			k.read(num)
			k.read(den)
		}
	})
}

// quantities finds the numbers written in the text, as they are written.
func quantities(text string, each func(q Quantity, written string)) {
	for i := 0; i < len(text); {
		if !isDigit(text[i]) && text[i] != '.' || i > 0 && isDigit(text[i-1]) {
			i++
			continue
		}
		q, rest, ok := CutQuantity(text[i:])
		if !ok {
			i++
			continue
		}
		each(q, text[i:len(text)-len(rest)])
		i = len(text) - len(rest)
	}
}

// put adds a number, with what is at once clear from it: its hundredth, and what is left of a whole.
func (k *known) put(n arith.Number) {
	k.values[n] = true
	share := Quantity{Value: n}.hundredth()
	k.values[share] = true
	for _, of := range []struct{ whole, part arith.Number }{{arith.Int(1), n}, {arith.Int(1), share}, {arith.Int(100), n}} {
		for _, op := range []arith.Op{arith.Minus, arith.Plus} {
			if rest, err := op.Apply(of.whole, of.part); err == nil {
				k.values[rest] = true
			}
		}
	}
}

// has tells whether a number is known, up to its sign.
func (k *known) has(n arith.Number) bool {
	if k.values[n] || k.values[n.Neg()] {
		return true
	}
	// A fraction or a decimal below one of small parts is words: a quarter, 0.5, 3/8.
	return n.Den() > 1 && n.Den() <= 100 && k.values[arith.Int(n.Den())]
}

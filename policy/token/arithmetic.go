package token

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hone-rl/hone"
)

// arithmeticName changes whenever arithmeticWords or arithmeticIntegers does: stored ids would mean other text.
const arithmeticName = "arithmetic-v1"

// arithmeticIntegers is the number of integers, from 0 up, that are one piece each. Longer numbers are several pieces.
const arithmeticIntegers = 256

// arithmeticWords are the pieces beside the integers, in the order of their ids. A line end is only ever the end of a piece,
// so a step of reasoning, which is a line, always covers whole tokens. The last two are needed where " = " takes the space
// before them: with them, whatever a policy writes can be encoded again.
var arithmeticWords = []string{ //nolint:gochecknoglobals // a table, never written
	"Use ", " to make ", ".\n",
	" + ", " - ", " * ", " / ", " = ",
	" (left: ", ")\n", "back", "Answer: ",
	"(", ")", "+", "-", "*", "/", "=", " ", "\n",
	"(left: ", "to make ",
}

// Arithmetic is the vocabulary of the arithmetic tasks (game24, countdown). Ids 0 to 255 are the integers themselves, 256 is
// EOS, and the words of prompts and steps follow.
func Arithmetic() *Vocabulary {
	v := &Vocabulary{
		name: arithmeticName,
		eos:  arithmeticIntegers,
		ids:  make(map[string]hone.TokenID, arithmeticIntegers+len(arithmeticWords)),
	}
	for n := range arithmeticIntegers {
		v.add(strconv.Itoa(n))
	}
	v.pieces = append(v.pieces, "")
	quoted := make([]string, len(arithmeticWords))
	for i, word := range arithmeticWords {
		v.add(word)
		quoted[i] = strconv.Quote(word)
	}
	v.allowed = fmt.Sprintf("the integers 0 to %d and %s", arithmeticIntegers-1, strings.Join(quoted, " "))
	return v
}

// add gives the next id to a piece.
func (v *Vocabulary) add(piece string) {
	v.ids[piece] = hone.TokenID(len(v.pieces))
	v.pieces = append(v.pieces, piece)
	v.longest = max(v.longest, len(piece))
}

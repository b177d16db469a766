package latex

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
)

// The bounds of an answer.
const (
	maxLength = 2048
	maxTokens = 512
	maxDepth  = 32
)

// token is a number (digits with a point), a command without its backslash, or a single character, by its first byte.
type token struct {
	text    string
	command bool
	number  bool
	// after is true where a space stands before.
	after bool
}

// dropped are commands that say how something looks.
var dropped = map[string]bool{ //nolint:gochecknoglobals // a table
	"left": true, "right": true, "displaystyle": true, "quad": true, "qquad": true, "big": true, "Big": true, "bigl": true, "bigr": true,
	",": true, "!": true, ";": true, ":": true, " ": true, "(": true, ")": true, "$": true, "%": true, "circ": true, "degree": true,
	"limits": true, "textstyle": true, "boldsymbol": true, "mathbf": true,
}

// renamed are commands with another name for the same.
var renamed = map[string]string{ //nolint:gochecknoglobals // a table
	"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "geq": "ge", "leqslant": "le", "geqslant": "ge", "lt": "<", "gt": ">",
	"varnothing": "emptyset", "infinity": "infty", "lbrace": "{", "rbrace": "}", "ast": "*", "neq": "ne", "land": ",", "lor": ",",
	"bmatrix": "matrix", "pmatrix": "matrix", "vmatrix": "matrix", "arccos": "acos", "arcsin": "asin", "arctan": "atan",
}

// spelled are characters beyond ASCII that stand for commands.
var spelled = strings.NewReplacer( //nolint:gochecknoglobals // a table
	"−", "-", "–", "-", "×", `\times `, "÷", `\div `, "·", `\cdot `, "π", `\pi `, "√", `\sqrt `, "∞", `\infty `, "≤", `\le `, "≥", `\ge `,
	"∪", `\cup `, "∈", `\in `, "±", `\pm `, "°", "", "{,}", ",", `^{\circ}`, "", `^\circ`, "", "$", "", "%", "", "~", " ",
)

// scan cuts text into tokens.
func scan(text string) ([]token, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("answer of %d bytes, want at most %d: %w", len(text), maxLength, hone.ErrInvalid)
	}
	s := strings.TrimSuffix(strings.TrimSpace(spelled.Replace(text)), ".")
	var out []token
	for space := false; s != ""; {
		if len(out) == maxTokens {
			return nil, fmt.Errorf("answer of more than %d parts: %w", maxTokens, hone.ErrInvalid)
		}
		c := s[0]
		switch {
		case c == ' ' || c == '\t' || c == '\n':
			space, s = true, s[1:]
			continue
		case c > 127:
			return nil, fmt.Errorf("character at %q: want ASCII or a sign of mathematics: %w", clip(s), hone.ErrInvalid)
		case c == '\\':
			name := command(s[1:])
			s = s[1+len(name):]
			if as, ok := renamed[name]; ok {
				name = as
			}
			if !dropped[name] && name != "" {
				out = append(out, token{text: name, command: true, after: space})
			}
		case digit(c) || c == '.' && len(s) > 1 && digit(s[1]):
			n := number(s)
			out = append(out, token{text: strings.ReplaceAll(s[:n], ",", ""), number: true, after: space})
			s = s[n:]
		default:
			out = append(out, token{text: s[:1], after: space})
			s = s[1:]
		}
		space = false
	}
	return out, nil
}

// command is the name of a command: letters, or one other character; two backslashes end a row.
func command(s string) string {
	n := 0
	for n < len(s) && letter(s[n]) {
		n++
	}
	if n == 0 && s != "" {
		n = 1
	}
	return s[:n]
}

// number is the length of the number at the front of s. Commas group three digits where each group but the first has three.
func number(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	for n > 0 && n <= 3 || n > 3 && strings.Contains(s[:n], ",") {
		if len(s) < n+4 || s[n] != ',' || !digit(s[n+1]) || !digit(s[n+2]) || !digit(s[n+3]) || len(s) > n+4 && digit(s[n+4]) {
			break
		}
		n += 4
	}
	if n+1 < len(s) && s[n] == '.' && digit(s[n+1]) {
		for n++; n < len(s) && digit(s[n]); n++ {
		}
	}
	return n
}

func digit(c byte) bool  { return c >= '0' && c <= '9' }
func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// clip shows text that may be long.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

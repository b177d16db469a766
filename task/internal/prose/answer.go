package prose

import "strings"

// phrases introduce an answer in words.
var phrases = []string{"answer is", "answer:", "answer ="} //nolint:gochecknoglobals // a table

// AfterPhrase is the answer of a line that gives it in words or in a box: what follows the last "answer is" or "answer:", or stands
// in the last \boxed{}.
func AfterPhrase(line string) (answer string, found bool) {
	if body, ok := Boxed(line); ok {
		return body, true
	}
	const most = 4096 // bytes of a line, from its end, in which an answer is looked for
	if len(line) > most {
		line = line[len(line)-most:]
	}
	lower := asciiLower(line)
	at := -1
	for _, phrase := range phrases {
		if i := strings.LastIndex(lower, phrase); i >= 0 {
			at = max(at, i+len(phrase))
		}
	}
	if at < 0 {
		return "", false
	}
	return strings.TrimSpace(strings.TrimLeft(line[at:], ": *")), true
}

// Boxed is what stands in the last \boxed{} of the text.
func Boxed(text string) (body string, found bool) {
	at := strings.LastIndex(text, `\boxed`)
	if at < 0 {
		return "", false
	}
	rest := strings.TrimLeft(text[at+len(`\boxed`):], " ")
	rest, open := strings.CutPrefix(rest, "{")
	if !open {
		return "", false
	}
	depth := 1
	for i := range len(rest) {
		switch rest[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return strings.TrimSpace(rest[:i]), true
			}
		}
	}
	return "", false
}

// asciiLower is lower case that keeps every byte's place.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// maxQuantities is how many numbers of an answer are read; more than one is already too many.
const maxQuantities = 8

// Quantities are the numbers in a text that may have words around them. Fault says why they can't be told.
func Quantities(text string) (all []Quantity, fault string) {
	for i := 0; i < len(text) && len(all) < maxQuantities; {
		if i > 0 && (isLetter(text[i-1]) || isDigit(text[i-1])) || !starts(text[i:]) {
			i++
			continue
		}
		q, rest, ok := CutQuantity(text[i:])
		if !ok {
			if isDigit(text[i]) {
				return nil, "the number is too large: " + clip(text[i:])
			}
			i++
			continue
		}
		if goesOn(rest) {
			return nil, "the number goes on with " + clip(rest)
		}
		all = append(all, q)
		i = len(text) - len(rest)
	}
	return all, ""
}

// starts tells whether a quantity may begin here.
func starts(s string) bool {
	return isDigit(s[0]) || strings.IndexByte("-$.\\", s[0]) >= 0 || strings.HasPrefix(s, "−") ||
		strings.HasPrefix(s, "€") || strings.HasPrefix(s, "£")
}

// goesOn tells whether what follows a number makes another of it: a second point, a power, an exponent.
func goesOn(rest string) bool {
	if len(rest) < 2 {
		return false
	}
	switch rest[0] {
	case '.':
		return isDigit(rest[1])
	case '^', '*', 'e', 'E':
		return isDigit(rest[1]) || strings.IndexByte("*+-{", rest[1]) >= 0
	}
	return false
}

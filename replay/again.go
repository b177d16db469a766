package replay

import (
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Difference is the first place where a trajectory that was generated again is not the stored one.
type Difference struct {
	ID hone.TrajectoryID `json:"id"`
	// What differs: "prompt", "tokens", "logp", "values", "bootstrap", "finish" or "text".
	What string `json:"what"`
	// At is the token, -1 where the difference is of none.
	At int `json:"at"`
	// Stored and Again are both sides there.
	Stored string `json:"stored"`
	Again  string `json:"again"`
	// Why says what may explain it.
	Why string `json:"why"`
}

// String is the difference on a line.
func (d Difference) String() string {
	at := ""
	if d.At >= 0 {
		at = fmt.Sprintf(" at token %d", d.At)
	}
	return fmt.Sprintf("%s: %s differs%s: stored %s, again %s; %s", d.ID, d.What, at, d.Stored, d.Again, d.Why)
}

// Compare holds a trajectory that was generated again, on the kernels of that fingerprint, against the stored one, bit for bit.
func Compare(stored, again hone.Trajectory, fingerprint string) (d Difference, same bool) {
	d = Difference{ID: stored.ID, At: -1, Why: "the kernels are the same, so the program or the weights are not those that generated it"}
	if fingerprint != stored.Fingerprint {
		d.Why = fmt.Sprintf("it was generated on kernels %s, and again on %s", stored.Fingerprint, fingerprint)
	}
	ids := func(what string, a, b []hone.TokenID) bool {
		for i := range max(len(a), len(b)) {
			if i >= len(a) || i >= len(b) || a[i] != b[i] {
				d.What, d.At, d.Stored, d.Again = what, i, tokenAt(a, i), tokenAt(b, i)
				return true
			}
		}
		return false
	}
	floats := func(what string, a, b []float32) bool {
		for i := range a {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				d.What, d.At, d.Stored, d.Again = what, i, fmt.Sprint(a[i]), fmt.Sprint(b[i])
				return true
			}
		}
		return false
	}
	switch {
	case ids("prompt", stored.Prompt, again.Prompt), ids("tokens", stored.Tokens, again.Tokens):
	case floats("logp", stored.Logp, again.Logp), floats("values", stored.Values, again.Values):
	case math.Float32bits(stored.Bootstrap) != math.Float32bits(again.Bootstrap):
		d.What, d.Stored, d.Again = "bootstrap", fmt.Sprint(stored.Bootstrap), fmt.Sprint(again.Bootstrap)
	case stored.Finish != again.Finish:
		d.What, d.Stored, d.Again = "finish", string(stored.Finish), string(again.Finish)
	case stored.Text != again.Text:
		d.What, d.Stored, d.Again = "text", fmt.Sprintf("%q", stored.Text), fmt.Sprintf("%q", again.Text)
	default:
		return Difference{}, true
	}
	return d, false
}

func tokenAt(ids []hone.TokenID, i int) string {
	if i >= len(ids) {
		return "the end"
	}
	return fmt.Sprint(ids[i])
}

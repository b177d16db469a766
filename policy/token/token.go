// Package token turns text into token ids and back. The arithmetic tasks have a vocabulary of their own, [Arithmetic]: a few
// hundred pieces of text, matched greedily, so that a number, an operator with its spaces or a line's end is one token and a
// whole solution of Game of 24 is about 45. Tokenizers of imported models will meet the same [Tokenizer] interface.
//
// The package does not know about batches, padding or masks: there is no padding token, and callers keep lengths instead.
package token

import (
	"fmt"
	"strings"

	"github.com/hone-rl/hone"
)

// Tokenizer maps text to ids in [0, Vocab()) and back. It is immutable and safe for concurrent use. For every text that
// Encode accepts, Decode(Encode(text)) is the text, byte for byte. The reverse need not hold: a policy may write "12" as the
// pieces "1" and "2", and encoding the text again gives the one piece "12"; so tokens that were sampled are stored as they
// were sampled and are never made again from text.
type Tokenizer interface {
	// Name identifies the vocabulary and its version, such as "arithmetic-v1". It is stored with every run: equal names mean
	// equal ids for ever.
	Name() string
	// Vocab is V, the number of ids.
	Vocab() int
	// EOS is the id that ends a sequence. No text encodes to it.
	EOS() hone.TokenID
	// Encode gives the ids of text, without EOS. Text that the vocabulary can't write is hone.ErrInvalid, and the error names
	// the byte, its offset and what is allowed.
	Encode(text string) ([]hone.TokenID, error)
	// Decode is the concatenation of the ids' pieces.
	Decode(ids []hone.TokenID) string
	// Piece is the text that one id adds to Decode: empty for EOS, U+FFFD for an id outside [0, Vocab()).
	Piece(id hone.TokenID) string
}

// Open gives the tokenizer of that name, as it was stored with a run. An unknown name is hone.ErrNotFound.
func Open(name string) (Tokenizer, error) {
	if name == arithmeticName {
		return Arithmetic(), nil
	}
	return nil, fmt.Errorf("tokenizer %q, have %q: %w", name, arithmeticName, hone.ErrNotFound)
}

// Vocabulary is a Tokenizer over a fixed list of pieces: at each offset the longest piece that matches is taken.
type Vocabulary struct {
	name   string
	eos    hone.TokenID
	pieces []string
	// ids finds a piece's id; EOS is not in it.
	ids map[string]hone.TokenID
	// longest is the length in bytes of the longest piece.
	longest int
	// allowed says in words what Encode can match, for its error.
	allowed string
}

var _ Tokenizer = (*Vocabulary)(nil)

// Name identifies the vocabulary and its version.
func (v *Vocabulary) Name() string { return v.name }

// Vocab is V, the number of ids, EOS included.
func (v *Vocabulary) Vocab() int { return len(v.pieces) }

// EOS is the id that ends a sequence.
func (v *Vocabulary) EOS() hone.TokenID { return v.eos }

// Encode matches the longest piece at each offset. A byte at which no piece matches is hone.ErrInvalid.
func (v *Vocabulary) Encode(text string) ([]hone.TokenID, error) {
	ids := make([]hone.TokenID, 0, len(text)/2+1)
	for at := 0; at < len(text); {
		id, size := v.match(text[at:])
		if size == 0 {
			return nil, fmt.Errorf("%s: byte %q (0x%02x) at offset %d: no piece matches there; allowed are %s: %w",
				v.name, text[at:at+1], text[at], at, v.allowed, hone.ErrInvalid)
		}
		ids = append(ids, id)
		at += size
	}
	return ids, nil
}

// match finds the longest piece at the start of text; size 0 means none.
func (v *Vocabulary) match(text string) (id hone.TokenID, size int) {
	for size = min(v.longest, len(text)); size > 0; size-- {
		if id, ok := v.ids[text[:size]]; ok {
			return id, size
		}
	}
	return 0, 0
}

// Decode is the concatenation of the ids' pieces.
func (v *Vocabulary) Decode(ids []hone.TokenID) string {
	var b strings.Builder
	b.Grow(3 * len(ids))
	for _, id := range ids {
		b.WriteString(v.Piece(id))
	}
	return b.String()
}

// Piece is the text of one id: empty for EOS, U+FFFD for an id outside [0, V).
func (v *Vocabulary) Piece(id hone.TokenID) string {
	if id < 0 || int(id) >= len(v.pieces) {
		return "\uFFFD"
	}
	return v.pieces[id]
}

package storage

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Packed breakdowns, little-endian: what a replay found of a trajectory, outcome and number of steps excepted, which have columns.
//
//	version uint16, layers uint16, and for each layer
//	  name (uint16 and bytes), weight float64, terms uint32, and for each term
//	    step uint32, score float64, reason (uint32 and bytes)
const breakdownVersion = 1

func packBreakdown(b hone.Breakdown) ([]byte, error) {
	size := 4
	for _, l := range b.Layers {
		size += 14 + len(l.Layer)
		if len(l.Layer) > math.MaxUint16 || len(b.Layers) > math.MaxUint16 {
			return nil, fmt.Errorf("%d layers, one of a name of %d bytes: want at most %d: %w",
				len(b.Layers), len(l.Layer), math.MaxUint16, hone.ErrInvalid)
		}
		for _, t := range l.Terms {
			size += 16 + len(t.Reason)
		}
	}
	out := make([]byte, 0, size)
	out = binary.LittleEndian.AppendUint16(out, breakdownVersion)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(b.Layers)))
	for _, l := range b.Layers {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(l.Layer)))
		out = append(out, l.Layer...)
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(l.Weight))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(l.Terms)))
		for _, t := range l.Terms {
			out = binary.LittleEndian.AppendUint32(out, uint32(t.Step))
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(t.Score))
			out = binary.LittleEndian.AppendUint32(out, uint32(len(t.Reason)))
			out = append(out, t.Reason...)
		}
	}
	return out, nil
}

// unpackBreakdown reads the layers into b.
func unpackBreakdown(packed []byte, b *hone.Breakdown) error {
	r := breakdownReader{rest: packed}
	if v := r.uint(2); v != breakdownVersion {
		return fmt.Errorf("packed breakdown of version %d, want %d: %w", v, breakdownVersion, hone.ErrCorrupt)
	}
	layers := int(r.uint(2))
	for i := 0; i < layers && !r.short; i++ {
		l := hone.LayerScore{Layer: string(r.bytes(int(r.uint(2))))}
		l.Weight = math.Float64frombits(r.uint(8))
		terms := int(r.uint(4))
		l.Terms = make([]hone.Term, 0, min(terms, len(r.rest)/16))
		for j := 0; j < terms && !r.short; j++ {
			t := hone.Term{Step: int(r.uint(4)), Score: math.Float64frombits(r.uint(8))}
			t.Reason = string(r.bytes(int(r.uint(4))))
			l.Terms = append(l.Terms, t)
		}
		b.Layers = append(b.Layers, l)
	}
	if r.short || len(r.rest) > 0 {
		return fmt.Errorf("packed breakdown of %d bytes: %w", len(packed), hone.ErrCorrupt)
	}
	return nil
}

// breakdownReader reads from the front; short is set where there was not enough.
type breakdownReader struct {
	rest  []byte
	short bool
}

func (r *breakdownReader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.short, r.rest = true, nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *breakdownReader) uint(n int) uint64 {
	var wide [8]byte
	copy(wide[:], r.bytes(n))
	return binary.LittleEndian.Uint64(wide[:])
}

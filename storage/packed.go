package storage

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hone-rl/hone"
)

// Packed columns: T numbers of 4 bytes each, column after column, little-endian on every machine.
//
//	offset  0        2        4        8
//	        version  columns  T        column 0 ... column columns-1
//
// Version and columns are uint16, T is uint32, and the rest is [columns][T] of 4 bytes.
const (
	packedVersion = 1
	packedHeader  = 8
)

func appendPackedHeader(b []byte, columns, n int) []byte {
	b = binary.LittleEndian.AppendUint16(b, packedVersion)
	b = binary.LittleEndian.AppendUint16(b, uint16(columns))
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

// packIDs packs ids [T].
func packIDs(ids []hone.TokenID) []byte {
	b := appendPackedHeader(make([]byte, 0, packedHeader+4*len(ids)), 1, len(ids))
	return appendIDs(b, ids)
}

// packTokens packs ids, logp and values, each [T].
func packTokens(ids []hone.TokenID, logp, values []float32) []byte {
	b := appendPackedHeader(make([]byte, 0, packedHeader+12*len(ids)), 3, len(ids))
	return appendFloats(appendFloats(appendIDs(b, ids), logp), values)
}

// packFloats packs two columns, each [T].
func packFloats(first, second []float32) []byte {
	b := appendPackedHeader(make([]byte, 0, packedHeader+8*len(first)), 2, len(first))
	return appendFloats(appendFloats(b, first), second)
}

func appendIDs(b []byte, ids []hone.TokenID) []byte {
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

func appendFloats(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// unpack checks the header and the length, and returns the columns' bytes.
func unpack(b []byte, columns int) (body []byte, n int, err error) {
	if len(b) < packedHeader {
		return nil, 0, fmt.Errorf("packed columns of %d bytes, want at least %d: %w", len(b), packedHeader, hone.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint16(b); v != packedVersion {
		return nil, 0, fmt.Errorf("packed columns of version %d, want %d: %w", v, packedVersion, hone.ErrCorrupt)
	}
	if c := binary.LittleEndian.Uint16(b[2:]); int(c) != columns {
		return nil, 0, fmt.Errorf("%d packed columns, want %d: %w", c, columns, hone.ErrCorrupt)
	}
	n = int(binary.LittleEndian.Uint32(b[4:]))
	if want := uint64(packedHeader) + 4*uint64(columns)*uint64(n); uint64(len(b)) != want {
		return nil, 0, fmt.Errorf("%d packed columns of %d numbers in %d bytes, want %d: %w", columns, n, len(b), want, hone.ErrCorrupt)
	}
	return b[packedHeader:], n, nil
}

func unpackIDs(b []byte) ([]hone.TokenID, error) {
	body, n, err := unpack(b, 1)
	if err != nil {
		return nil, err
	}
	return idColumn(body, n), nil
}

func unpackTokens(b []byte) (ids []hone.TokenID, logp, values []float32, err error) {
	body, n, err := unpack(b, 3)
	if err != nil {
		return nil, nil, nil, err
	}
	return idColumn(body, n), floatColumn(body[4*n:], n), floatColumn(body[8*n:], n), nil
}

func unpackFloats(b []byte) (first, second []float32, err error) {
	body, n, err := unpack(b, 2)
	if err != nil {
		return nil, nil, err
	}
	return floatColumn(body, n), floatColumn(body[4*n:], n), nil
}

func idColumn(body []byte, n int) []hone.TokenID {
	ids := make([]hone.TokenID, n)
	for i := range ids {
		ids[i] = hone.TokenID(binary.LittleEndian.Uint32(body[4*i:]))
	}
	return ids
}

func floatColumn(body []byte, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(body[4*i:]))
	}
	return x
}

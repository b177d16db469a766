package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hone-rl/hone"
)

// maxHeader is the largest header in bytes that the format allows.
const maxHeader = 100 << 20

// maxData is more bytes than any policy has; offsets stay far from overflow.
const maxData = 1 << 50

// metadataKey is the header's entry for free text.
const metadataKey = "__metadata__"

// place is a tensor's entry in the header.
type place struct {
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	// Offsets are where the tensor begins and ends, in bytes from the end of the header.
	Offsets [2]int64 `json:"data_offsets"`
}

// tensor is a name, a shape and, when writing, the values.
type tensor struct {
	name  string
	shape []int
	data  []float32
}

// places are the entries for tensors that follow each other without gaps, and their size in bytes together.
func places(tensors []tensor) (entries map[string]place, size int64, err error) {
	entries = make(map[string]place, len(tensors))
	for _, t := range tensors {
		length := int64(4)
		for _, d := range t.shape {
			length *= int64(d)
		}
		entries[t.name] = place{DType: "F32", Shape: t.shape, Offsets: [2]int64{size, size + length}}
		if size += length; size > maxData {
			return nil, 0, fmt.Errorf("tensors take more than %d bytes: %w", int64(maxData), hone.ErrCorrupt)
		}
	}
	return entries, size, nil
}

// encodeHeader is the JSON with its keys sorted, padded with spaces to a multiple of eight bytes, as the format recommends.
func encodeHeader(entries map[string]place, meta map[string]string) ([]byte, error) {
	all := make(map[string]any, len(entries)+1)
	for name, p := range entries {
		all[name] = p
	}
	all[metadataKey] = meta
	header, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	header = append(header, bytes.Repeat([]byte{' '}, -len(header)&7)...)
	if len(header) > maxHeader {
		return nil, fmt.Errorf("header has %d bytes, must have at most %d: %w", len(header), maxHeader, hone.ErrInvalid)
	}
	return header, nil
}

// readHeader reads the header and takes it apart. It trusts nothing: memory grows with what is read, not with what is promised.
func readHeader(r io.Reader) (entries map[string]place, meta map[string]string, err error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, nil, cut("length of the header", err)
	}
	length := int64(binary.LittleEndian.Uint64(prefix[:]))
	if length < 2 || length > maxHeader {
		return nil, nil, fmt.Errorf("header of %d bytes, must be 2 to %d: %w", uint64(length), maxHeader, hone.ErrCorrupt)
	}
	raw, err := io.ReadAll(io.LimitReader(r, length))
	if err == nil && int64(len(raw)) < length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, nil, cut("header", err)
	}
	var all map[string]json.RawMessage
	if err := strict(raw, &all); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if err := strict(all[metadataKey], &meta); err != nil {
		return nil, nil, fmt.Errorf("header's metadata: %w", err)
	}
	delete(all, metadataKey)
	entries = make(map[string]place, len(all))
	for name, part := range all {
		var p place
		if err := strict(part, &p); err != nil {
			return nil, nil, fmt.Errorf("header's tensor %q: %w", name, err)
		}
		entries[name] = p
	}
	return entries, meta, nil
}

// strict decodes one JSON value without unknown fields and with nothing after it, or says [hone.ErrCorrupt].
func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", err, hone.ErrCorrupt)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one value: %w", hone.ErrCorrupt)
	}
	return nil
}

// match requires the entries that were read to be exactly those expected: same tensors, shapes and places, so no overlap and no gap.
func match(got, want map[string]place) error {
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			return fmt.Errorf("tensor %s is missing: %w", name, hone.ErrCorrupt)
		}
		if g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || g.Offsets != w.Offsets {
			return fmt.Errorf("tensor %s is %s %v at %v, want %s %v at %v: %w",
				name, g.DType, g.Shape, g.Offsets, w.DType, w.Shape, w.Offsets, hone.ErrCorrupt)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			return fmt.Errorf("tensor %q is none of the policy's: %w", name, hone.ErrCorrupt)
		}
	}
	return nil
}

// cut says that a file ends early, or hands on the reader's own error.
func cut(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file ends within the %s: %w", what, hone.ErrCorrupt)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

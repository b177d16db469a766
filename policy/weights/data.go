package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hone-rl/hone"
)

// chunk is the number of float32 that are converted at a time.
const chunk = 1 << 14

// write puts the whole file out.
func write(w io.Writer, tensors []tensor, meta map[string]string) error {
	entries, _, err := places(tensors)
	if err != nil {
		return err
	}
	header, err := encodeHeader(entries, meta)
	if err != nil {
		return err
	}
	buffer := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for _, t := range tensors {
		for _, v := range t.data {
			if len(buffer) >= 4*chunk {
				if _, err := w.Write(buffer); err != nil {
					return fmt.Errorf("write weights: %w", err)
				}
				buffer = buffer[:0]
			}
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
	}
	if _, err := w.Write(buffer); err != nil {
		return fmt.Errorf("write weights: %w", err)
	}
	return nil
}

// readData reads size bytes of float32, after which the file must end. Memory grows with what is there.
func readData(r io.Reader, size int64) ([]float32, error) {
	var data []float32
	buffer := make([]byte, 4*chunk)
	for left := size; left > 0; {
		part := buffer[:min(left, int64(len(buffer)))]
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, cut("tensors", err)
		}
		for i := 0; i < len(part); i += 4 {
			data = append(data, math.Float32frombits(binary.LittleEndian.Uint32(part[i:])))
		}
		left -= int64(len(part))
	}
	switch n, err := io.ReadFull(r, buffer[:1]); {
	case n > 0:
		return nil, fmt.Errorf("file goes on after its tensors: %w", hone.ErrCorrupt)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("read end of file: %w", err)
	}
	return data, nil
}

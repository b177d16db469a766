package kernel

import (
	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// tiles32 adds A*B to C, or sets C to it if add is 0: blocks of 32 rows of A, next bytes apart, by 32 columns of B, over so many steps, as
// packTileRow and packTileColumn leave them. ldc is in bytes.
//
//go:noescape
func tiles32(steps int, a, b, c *float32, ldc, add, blocks, next int)

// tiles16 does so for the first 16 rows of a block.
//
//go:noescape
func tiles16(steps int, a, b, c *float32, ldc, add int)

// splitRows writes the high and the low parts of so many rows of src, stride bytes apart, of k elements, at most 32, and zeros beyond them:
// 64 bytes a row each, to bytes apart.
//
//go:noescape
func splitRows(high, low *float32, to int, src *float32, stride, rows, k int)

// splitPairs does so for 16 pairs of rows, of which there are k, at most 32; the others count as zeros. The two numbers of a pair in a
// column, of which there are at most 16, become neighbours.
//
//go:noescape
func splitPairs(high, low *float32, to int, src *float32, stride, k, columns int)

// mergeTiles sets so many rows of C, of columns columns, at most 32, to alpha*sums, + beta*C if add is not 0. ldc is in bytes; rows of
// sums are 128 bytes apart.
//
//go:noescape
func mergeTiles(c *float32, ldc int, sums *float32, rows, columns int, alpha, beta float32, add int)

// Linux lets a process use the tiles' state once it has asked.
const (
	archReqXcompPerm = 0x1023
	xfeatureTileData = 18
)

// hasTiles tells whether the processor multiplies tiles of bfloat16, and the system lets this process do so.
func hasTiles() bool {
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXBF16 || !hasWide() {
		return false
	}
	_, _, err := unix.Syscall(unix.SYS_ARCH_PRCTL, archReqXcompPerm, xfeatureTileData, 0)
	return err == 0
}

// turn writes element j of 16 rows of 16, 64 bytes apart, to place i of row j, 128 bytes apart.
func turn(to, from []float32) { transposeAVX512(&to[0], &from[0], 64, 16, 128) }

func newTiles() (products, bool) {
	if !hasTiles() {
		return nil, false
	}
	return new(tiles), true
}

// Asm writes the assembly of policy/kernel's matrix products: `make asm` runs it. It is a module of its own, so that the generator
// is no dependency of hone.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's programs read as assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

const float = 4

// The instruction sets, and the numbers 0 to 15 in memory.
var (
	wide   = machine{"AVX512", 16, 14, ZMM}
	narrow = machine{"AVX2", 8, 6, YMM}
	lanes  Mem
)

// machine is one instruction set. A panel of B is two registers wide.
type machine struct {
	suffix string
	lanes  int
	// rows is the most rows of C that one call works on.
	rows     int
	register func() reg.VecVirtual
}

func main() {
	ConstraintExpr("amd64")
	lanes = GLOBL("lanes", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i)))
	}
	for _, m := range []machine{wide, narrow} {
		for r := 1; r <= m.rows; r++ {
			m.product(r)
		}
	}
	packRows512()
	packRows256()
	for _, m := range []machine{wide, narrow} {
		m.transpose()
		m.copies("copyStrips", 1)
		m.copies("copyPanels", 2)
	}
	Generate()
}

// product multiplies a strip of so many rows of A with panels of B, one after the other. Two elements along k are taken in one turn of the
// loop, since decoding instructions is what limits it where two threads share a core.
func (m machine) product(rows int) {
	TEXT(fmt.Sprintf("product%dx%d%s", rows, 2*m.lanes, m.suffix), NOSPLIT,
		"func(k int, a *float32, pitch int, b *float32, apart int, c *float32, ldc int, alpha, beta float32, add, columns int, "+
			"next *float32, second, step, jump int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("product%dx%d%s is C = alpha*A*B + beta*C for %d rows of C, see productFunc.", rows, 2*m.lanes, m.suffix, rows))
	Label("panel")
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	pitch := Load(Param("pitch"), GP64())
	b := Load(Param("b"), GP64())
	sums := make([][2]reg.VecVirtual, rows)
	for i := range sums {
		for j := range sums[i] {
			sums[i][j] = m.register()
			m.zero(sums[i][j])
		}
	}
	low, high, x := m.register(), m.register(), m.register()
	m.fetch(rows)
	next, second, step := Load(Param("next"), GP64()), Load(Param("second"), GP64()), Load(Param("step"), GP64())
	BTQ(Imm(0), k)
	JCC(LabelRef("pairs"))
	m.multiply(0, a, b, sums, low, high, x)
	ADDQ(pitch, a)
	ADDQ(U32(uint32(2*m.lanes*float)), b)
	Label("pairs")
	after := GP64()
	LEAQ(Mem{Base: a, Index: pitch, Scale: 1}, after)
	SHRQ(Imm(1), k)
	JZ(LabelRef("done"))
	Label("loop")
	PREFETCHT0(Mem{Base: next})
	PREFETCHT0(Mem{Base: next, Index: second, Scale: 1})
	ADDQ(step, next)
	m.multiply(0, a, b, sums, low, high, x)
	m.multiply(1, after, b, sums, low, high, x)
	LEAQ(Mem{Base: a, Index: pitch, Scale: 2}, a)
	LEAQ(Mem{Base: after, Index: pitch, Scale: 2}, after)
	ADDQ(U32(uint32(4*m.lanes*float)), b)
	DECQ(k)
	JNZ(LabelRef("loop"))
	Label("done")
	m.finish(sums, low, high, x)

	Label("more")
	m.move("b", "apart")
	m.move("next", "jump")
	width := GP64()
	MOVQ(U32(uint32(2*m.lanes*float)), width)
	ADDQ(width, address("c"))
	SHRQ(Imm(2), width)
	SUBQ(width, address("columns"))
	JG(LabelRef("panel"))
	VZEROUPPER()
	RET()
}

// move adds one parameter to another, in memory.
func (m machine) move(name, by string) {
	ADDQ(Load(Param(by), GP64()), address(name))
}

// address is where a parameter is.
func address(name string) Mem {
	mem, err := Param(name).Resolve()
	check(err)
	return mem.Addr
}

// multiply adds the products of one element along k: those of the strip are at a, those of the panel at b, or after them. Of AVX-512
// every other row is a memory operand of its multiplications: reading it twice takes ports that are idle, and saves an instruction.
func (m machine) multiply(after int, a, b reg.Register, sums [][2]reg.VecVirtual, low, high, x reg.VecVirtual) {
	line := 2 * m.lanes * float * after
	VMOVUPS(Mem{Base: b, Disp: line}, low)
	VMOVUPS(Mem{Base: b, Disp: line + m.lanes*float}, high)
	for i, sum := range sums {
		element := Mem{Base: a, Disp: i * float}
		if m.lanes == 16 && i%2 == 0 {
			VFMADD231PS_BCST(element, low, sum[0])
			VFMADD231PS_BCST(element, high, sum[1])
			continue
		}
		VBROADCASTSS(element, x)
		VFMADD231PS(low, x, sum[0])
		VFMADD231PS(high, x, sum[1])
	}
}

// fetch asks for the memory of C, so that it has arrived when the sums are written.
func (m machine) fetch(rows int) {
	ptr, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	for range rows {
		for line := 0; line < 2*m.lanes*float; line += 64 {
			PREFETCHT0(Mem{Base: ptr, Disp: line})
		}
		ADDQ(ldc, ptr)
	}
}

func (m machine) zero(v reg.VecVirtual) {
	if m.lanes == 16 {
		VPXORD(v, v, v)
		return
	}
	VXORPS(v, v, v)
}

// finish writes the sums to C. Registers a, b and c are free.
func (m machine) finish(sums [][2]reg.VecVirtual, a, b, c reg.VecVirtual) {
	ptr := Load(Param("c"), GP64())
	ldc := Load(Param("ldc"), GP64())
	add := Load(Param("add"), GP64())
	columns, whole := Load(Param("columns"), GP64()), GP64()
	MOVQ(U32(uint32(2*m.lanes)), whole)
	CMPQ(columns, whole)
	CMOVQGT(whole, columns)
	alpha := a
	VBROADCASTSS(address("alpha"), alpha)
	for i := range sums {
		for j := range sums[i] {
			VMULPS(alpha, sums[i][j], sums[i][j])
		}
	}
	beta := b
	VBROADCASTSS(address("beta"), beta)
	if m.lanes == 16 {
		m.finishMasked(sums, ptr, ldc, add, columns, beta, c)
		return
	}
	m.finishNarrow(sums, ptr, ldc, add, columns, beta, c)
}

// finishNarrow writes whole panels plainly, since masked writes of AVX2 are slow on some processors, and others by masks.
func (m machine) finishNarrow(sums [][2]reg.VecVirtual, ptr, ldc, add, columns reg.Register, beta, c reg.VecVirtual) {
	at := func(j int) Mem { return Mem{Base: ptr, Disp: j * m.lanes * float} }
	CMPQ(columns, Imm(uint64(2*m.lanes)))
	JNE(LabelRef("part"))
	TESTQ(add, add)
	JZ(LabelRef("write"))
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) {
		VFMADD231PS(at(j), beta, sum)
		VMOVUPS(sum, at(j))
	})
	JMP(LabelRef("more"))
	Label("write")
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) { VMOVUPS(sum, at(j)) })
	JMP(LabelRef("more"))

	Label("part")
	mask := m.laneMasks(columns)
	TESTQ(add, add)
	JZ(LabelRef("writepart"))
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) {
		VMASKMOVPS(at(j), mask[j], c)
		VFMADD231PS(beta, c, sum)
		VMASKMOVPS(sum, mask[j], at(j))
	})
	JMP(LabelRef("more"))
	Label("writepart")
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) { VMASKMOVPS(sum, mask[j], at(j)) })
}

// each does something with each register of sums; ptr is at its row.
func (m machine) each(sums [][2]reg.VecVirtual, ptr, ldc reg.Register, do func(j int, sum reg.VecVirtual)) {
	for i := range sums {
		for j := range sums[i] {
			do(j, sums[i][j])
		}
		ADDQ(ldc, ptr)
	}
}

// laneMasks makes two masks of the first columns of a panel: ones in the lanes.
func (m machine) laneMasks(columns reg.Register) (mask [2]reg.VecVirtual) {
	count := YMM()
	MOVQ(columns, count.AsX())
	VPBROADCASTD(count.AsX(), count)
	for j := range mask {
		mask[j] = YMM()
		VMOVDQU(lanes.Offset(j*m.lanes*float), mask[j])
		VPCMPGTD(mask[j], count, mask[j])
	}
	return mask
}

// masks makes two masks of the first columns of a panel: ones in the low bits.
func masks(columns reg.Register) (low, high reg.Register) {
	bits, one := GP64(), GP64()
	MOVQ(U64(1), one)
	SHLXQ(columns, one, bits)
	DECQ(bits)
	low, high = K(), K()
	KMOVW(bits.As32(), low)
	SHRQ(Imm(16), bits)
	KMOVW(bits.As32(), high)
	return low, high
}

func (m machine) finishMasked(sums [][2]reg.VecVirtual, ptr, ldc, add, columns reg.Register, beta, c reg.VecVirtual) {
	low, high := masks(columns)
	mask := []reg.Register{low, high}
	at := func(j int) Mem { return Mem{Base: ptr, Disp: j * m.lanes * float} }
	TESTQ(add, add)
	JZ(LabelRef("write"))
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) {
		VMOVUPS_Z(at(j), mask[j], c)
		VFMADD231PS(beta, c, sum)
		VMOVUPS(sum, mask[j], at(j))
	})
	JMP(LabelRef("more"))
	Label("write")
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) { VMOVUPS(sum, mask[j], at(j)) })
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

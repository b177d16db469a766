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
	wide   = machine{"AVX512", 16, 12, ZMM}
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
	transpose512()
	packStrip512()
	packRows256()
	transpose256()
	Generate()
}

// product multiplies rows rows of A with one panel of B.
func (m machine) product(rows int) {
	TEXT(fmt.Sprintf("product%dx%d%s", rows, 2*m.lanes, m.suffix), NOSPLIT,
		"func(k int, a *float32, row, col int, b, c *float32, ldc int, alpha, beta float32, add, columns int, next *float32, step int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("product%dx%d%s is C = alpha*A*B + beta*C for %d rows of C, see productFunc.", rows, 2*m.lanes, m.suffix, rows))
	k := Load(Param("k"), GP64())
	a := Load(Param("a"), GP64())
	row := Load(Param("row"), GP64())
	col := Load(Param("col"), GP64())
	b := Load(Param("b"), GP64())

	// One pointer for each three rows, which are at 0, 1 and 2 strides from it.
	pointers := []reg.GPVirtual{a.(reg.GPVirtual)}
	for i := 3; i < rows; i += 3 {
		p := GP64()
		MOVQ(pointers[len(pointers)-1], p)
		ADDQ(row, p)
		ADDQ(row, p)
		ADDQ(row, p)
		pointers = append(pointers, p)
	}
	element := func(i int) Mem {
		p := Mem{Base: pointers[i/3]}
		if i%3 > 0 {
			p.Index, p.Scale = row, uint8(i%3)
		}
		return p
	}

	sums := make([][2]reg.VecVirtual, rows)
	for i := range sums {
		for j := range sums[i] {
			sums[i][j] = m.register()
			m.zero(sums[i][j])
		}
	}
	low, high, x := m.register(), m.register(), m.register()
	m.fetch(rows)
	next, step := Load(Param("next"), GP64()), Load(Param("step"), GP64())
	TESTQ(k, k)
	JZ(LabelRef("done"))
	Label("loop")
	VMOVUPS(Mem{Base: b}, low)
	VMOVUPS(Mem{Base: b, Disp: m.lanes * float}, high)
	PREFETCHT0(Mem{Base: next})
	ADDQ(step, next)
	for i := range rows {
		VBROADCASTSS(element(i), x)
		VFMADD231PS(low, x, sums[i][0])
		VFMADD231PS(high, x, sums[i][1])
	}
	ADDQ(Imm(uint64(2*m.lanes*float)), b)
	for _, p := range pointers {
		ADDQ(col, p)
	}
	DECQ(k)
	JNZ(LabelRef("loop"))
	Label("done")

	m.finish(sums, low, high, x)
	VZEROUPPER()
	RET()
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
	columns := Load(Param("columns"), GP64())
	alpha := a
	mem, err := Param("alpha").Resolve()
	check(err)
	VBROADCASTSS(mem.Addr, alpha)
	for i := range sums {
		for j := range sums[i] {
			VMULPS(alpha, sums[i][j], sums[i][j])
		}
	}
	beta := b
	mem, err = Param("beta").Resolve()
	check(err)
	VBROADCASTSS(mem.Addr, beta)
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
	VZEROUPPER()
	RET()
	Label("write")
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) { VMOVUPS(sum, at(j)) })
	VZEROUPPER()
	RET()

	Label("part")
	mask := m.laneMasks(columns)
	TESTQ(add, add)
	JZ(LabelRef("writepart"))
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) {
		VMASKMOVPS(at(j), mask[j], c)
		VFMADD231PS(beta, c, sum)
		VMASKMOVPS(sum, mask[j], at(j))
	})
	VZEROUPPER()
	RET()
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
	VZEROUPPER()
	RET()
	Label("write")
	m.each(sums, ptr, ldc, func(j int, sum reg.VecVirtual) { VMOVUPS(sum, mask[j], at(j)) })
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

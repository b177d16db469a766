// Asm writes the assembly of policy/kernel's matrix products: `make asm` runs it. It is a module of its own, so that the generator
// is no dependency of hone.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build" //nolint:revive,staticcheck // avo's programs read as assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

const float = 4

// lanes are the numbers 0 to 15.
var lanes Mem

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
	wide := machine{"AVX512", 16, 12, ZMM}
	narrow := machine{"AVX2", 8, 6, YMM}
	for _, m := range []machine{wide, narrow} {
		for r := 1; r <= m.rows; r++ {
			m.product(r)
		}
	}
	packRows512(wide)
	transpose512(wide)
	packStrip512()
	packRows256(narrow)
	transpose256(narrow)
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

func packRows512(m machine) {
	TEXT("packRowsAVX512", NOSPLIT, "func(dst, src *float32, stride, k, columns int)")
	Pragma("noescape")
	Doc("packRowsAVX512 copies the first columns (at most 32) of k rows of src, stride bytes apart, to rows of 32; the rest is 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	low, high := masks(Load(Param("columns"), GP64()))
	a, b := ZMM(), ZMM()
	Label("loop")
	VMOVUPS_Z(Mem{Base: src}, low, a)
	VMOVUPS_Z(Mem{Base: src, Disp: 64}, high, b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: 64})
	ADDQ(stride, src)
	ADDQ(Imm(128), dst)
	DECQ(k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func packStrip512() {
	TEXT("packStripAVX512", NOSPLIT, "func(dst, src *float32, stride, k, rows int)")
	Pragma("noescape")
	Doc("packStripAVX512 copies the first rows (at most 16) elements of k rows of src, stride bytes apart, one after the other.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	rows := Load(Param("rows"), GP64())
	mask, _ := masks(rows)
	a := ZMM()
	Label("loop")
	VMOVUPS_Z(Mem{Base: src}, mask, a)
	VMOVUPS(a, mask, Mem{Base: dst})
	ADDQ(stride, src)
	LEAQ(Mem{Base: dst, Index: rows, Scale: float}, dst)
	DECQ(k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func packRows256(m machine) {
	TEXT("packRowsAVX2", NOSPLIT, "func(dst, src *float32, stride, k, columns int)")
	Pragma("noescape")
	Doc("packRowsAVX2 copies the first columns (at most 16) of k rows of src, stride bytes apart, to rows of 16; the rest is 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	mask := m.laneMasks(Load(Param("columns"), GP64()))
	a, b := YMM(), YMM()
	Label("loop")
	VMASKMOVPS(Mem{Base: src}, mask[0], a)
	VMASKMOVPS(Mem{Base: src, Disp: 32}, mask[1], b)
	VMOVUPS(a, Mem{Base: dst})
	VMOVUPS(b, Mem{Base: dst, Disp: 32})
	ADDQ(stride, src)
	ADDQ(Imm(64), dst)
	DECQ(k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose512 turns 16 rows into 16 columns of a panel.
func transpose512(m machine) {
	TEXT("transposeAVX512", NOSPLIT, "func(dst, src *float32, stride, k int)")
	Pragma("noescape")
	Doc("transposeAVX512 writes element j of 16 rows of src, stride bytes apart, to the first 16 of row j of dst, whose rows have 32.",
		"k, the number of elements, is a multiple of 16 and not 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	three := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	pointers := []reg.Register{src}
	for range 3 {
		p := GP64()
		LEAQ(Mem{Base: pointers[len(pointers)-1], Index: stride, Scale: 4}, p)
		pointers = append(pointers, p)
	}
	Label("loop")
	var r [16]reg.VecVirtual
	for i := range r {
		at := Mem{Base: pointers[i/4]}
		switch i % 4 {
		case 1:
			at.Index, at.Scale = stride, 1
		case 2:
			at.Index, at.Scale = stride, 2
		case 3:
			at.Index, at.Scale = three, 1
		}
		r[i] = ZMM()
		VMOVUPS(at, r[i])
	}
	var t [16]reg.VecVirtual
	for i := 0; i < 16; i += 2 {
		t[i], t[i+1] = ZMM(), ZMM()
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	var u [16]reg.VecVirtual
	for g := 0; g < 16; g += 4 {
		for j := range 4 {
			u[g+j] = ZMM()
		}
		VUNPCKLPD(t[g+2], t[g], u[g])
		VUNPCKHPD(t[g+2], t[g], u[g+1])
		VUNPCKLPD(t[g+3], t[g+1], u[g+2])
		VUNPCKHPD(t[g+3], t[g+1], u[g+3])
	}
	for j := range 4 {
		even0, even1, odd0, odd1 := ZMM(), ZMM(), ZMM(), ZMM()
		VSHUFF32X4(Imm(0x88), u[4+j], u[j], even0)
		VSHUFF32X4(Imm(0x88), u[12+j], u[8+j], even1)
		VSHUFF32X4(Imm(0xdd), u[4+j], u[j], odd0)
		VSHUFF32X4(Imm(0xdd), u[12+j], u[8+j], odd1)
		for i, from := range [][2]reg.VecVirtual{{even0, even1}, {odd0, odd1}} {
			column := ZMM()
			VSHUFF32X4(Imm(0x88), from[1], from[0], column)
			VMOVUPS(column, Mem{Base: dst, Disp: (j + 4*i) * 128})
			column = ZMM()
			VSHUFF32X4(Imm(0xdd), from[1], from[0], column)
			VMOVUPS(column, Mem{Base: dst, Disp: (8 + j + 4*i) * 128})
		}
	}
	for _, p := range pointers {
		ADDQ(Imm(64), p)
	}
	ADDQ(U32(16*128), dst)
	SUBQ(Imm(16), k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose256 turns 8 rows into 8 columns of a panel.
func transpose256(m machine) {
	TEXT("transposeAVX2", NOSPLIT, "func(dst, src *float32, stride, k int)")
	Pragma("noescape")
	Doc("transposeAVX2 writes element j of 8 rows of src, stride bytes apart, to the first 8 of row j of dst, whose rows have 16. k, the",
		"number of elements, is a multiple of 8 and not 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	three, upper := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	LEAQ(Mem{Base: src, Index: stride, Scale: 4}, upper)
	pointers := []reg.Register{src, upper}
	Label("loop")
	var r [8]reg.VecVirtual
	for i := range r {
		at := Mem{Base: pointers[i/4]}
		switch i % 4 {
		case 1:
			at.Index, at.Scale = stride, 1
		case 2:
			at.Index, at.Scale = stride, 2
		case 3:
			at.Index, at.Scale = three, 1
		}
		r[i] = YMM()
		VMOVUPS(at, r[i])
	}
	var t [8]reg.VecVirtual
	for i := 0; i < 8; i += 2 {
		t[i], t[i+1] = YMM(), YMM()
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	var u [8]reg.VecVirtual
	for g := 0; g < 8; g += 4 {
		for j := range 4 {
			u[g+j] = YMM()
		}
		VUNPCKLPD(t[g+2], t[g], u[g])
		VUNPCKHPD(t[g+2], t[g], u[g+1])
		VUNPCKLPD(t[g+3], t[g+1], u[g+2])
		VUNPCKHPD(t[g+3], t[g+1], u[g+3])
	}
	for j := range 4 {
		for half, selector := range []uint64{0x20, 0x31} {
			column := YMM()
			VPERM2F128(Imm(selector), u[4+j], u[j], column)
			VMOVUPS(column, Mem{Base: dst, Disp: (4*half + j) * 64})
		}
	}
	for _, p := range pointers {
		ADDQ(Imm(32), p)
	}
	ADDQ(U32(8*64), dst)
	SUBQ(Imm(8), k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

package main

import (
	. "github.com/mmcloughlin/avo/build"   //nolint:revive,staticcheck // avo's programs read as assembly
	. "github.com/mmcloughlin/avo/operand" //nolint:revive,staticcheck // likewise
	"github.com/mmcloughlin/avo/reg"
)

func packRows512() {
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

func packRows256() {
	TEXT("packRowsAVX2", NOSPLIT, "func(dst, src *float32, stride, k, columns int)")
	Pragma("noescape")
	Doc("packRowsAVX2 copies the first columns (at most 16) of k rows of src, stride bytes apart, to rows of 16; the rest is 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	mask := narrow.laneMasks(Load(Param("columns"), GP64()))
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

// fours loads as many rows as there are lanes, four to a pointer and stride apart (three is three strides), and turns them by fours: in
// each quarter of register 4g+j, of four lanes, is column j of that quarter of rows 4g to 4g+3.
func fours(m machine, pointers []reg.Register, stride, three reg.Register) []reg.VecVirtual {
	r, t, u := make([]reg.VecVirtual, m.lanes), make([]reg.VecVirtual, m.lanes), make([]reg.VecVirtual, m.lanes)
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
		r[i] = m.register()
		VMOVUPS(at, r[i])
	}
	for i := 0; i < m.lanes; i += 2 {
		t[i], t[i+1] = m.register(), m.register()
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for g := 0; g < m.lanes; g += 4 {
		for j := range 4 {
			u[g+j] = m.register()
		}
		VUNPCKLPD(t[g+2], t[g], u[g])
		VUNPCKHPD(t[g+2], t[g], u[g+1])
		VUNPCKLPD(t[g+3], t[g+1], u[g+2])
		VUNPCKHPD(t[g+3], t[g+1], u[g+3])
	}
	return u
}

// transpose512 turns 16 rows into 16 columns of a panel.
func transpose512() {
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
	u := fours(wide, pointers, stride, three)
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
func transpose256() {
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
	u := fours(narrow, pointers, stride, three)
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

package main

import (
	"fmt"

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

// copies writes what packs rows as they are: strips, one register wide, and panels, of two.
func (m machine) copies(name string, registers int) {
	TEXT(name+m.suffix, NOSPLIT, "func(dst, src *float32, stride, k, step, count, apart int)")
	Pragma("noescape")
	width := registers * m.lanes
	Doc(fmt.Sprintf("%s copies %d elements from src on, and from each of count places that are step bytes apart, to places that are apart", name+m.suffix, width),
		fmt.Sprintf("bytes apart; and so for k rows of src, stride bytes apart, and of dst, %d.", width*float))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	step, count, apart := Load(Param("step"), GP64()), Load(Param("count"), GP64()), Load(Param("apart"), GP64())
	from, to, left := GP64(), GP64(), GP64()
	Label("row")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(count, left)
	Label("place")
	for i := range registers {
		a := m.register()
		VMOVUPS(Mem{Base: from, Disp: i * m.lanes * float}, a)
		VMOVUPS(a, Mem{Base: to, Disp: i * m.lanes * float})
	}
	ADDQ(step, from)
	ADDQ(apart, to)
	DECQ(left)
	JNZ(LabelRef("place"))
	ADDQ(stride, src)
	ADDQ(U32(uint32(width*float)), dst)
	DECQ(k)
	JNZ(LabelRef("row"))
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

// transpose turns as many rows as there are lanes into columns, four columns at a time: register i of these gets the fours of rows i, i+4
// and so on, one in each of its quarters, where they are turned.
func (m machine) transpose() {
	TEXT("transpose"+m.suffix, NOSPLIT, "func(dst, src *float32, stride, k, pitch int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("transpose%s writes element j of %d rows of src, stride bytes apart, to %d from j*pitch bytes of dst on. k, the number of",
		m.suffix, m.lanes, m.lanes), "elements, is a multiple of 4 and not 0.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	stride, k := Load(Param("stride"), GP64()), Load(Param("k"), GP64())
	pitch, three := Load(Param("pitch"), GP64()), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	pointers := []reg.Register{src}
	for range m.lanes/4 - 1 {
		p := GP64()
		LEAQ(Mem{Base: pointers[len(pointers)-1], Index: stride, Scale: 4}, p)
		pointers = append(pointers, p)
	}
	Label("loop")
	var r, t [4]reg.VecVirtual
	for i := range r {
		r[i] = m.register()
		for quarter, p := range pointers {
			at := Mem{Base: p}
			switch i {
			case 1:
				at.Index, at.Scale = stride, 1
			case 2:
				at.Index, at.Scale = stride, 2
			case 3:
				at.Index, at.Scale = three, 1
			}
			switch {
			case quarter == 0:
				VMOVUPS(at, r[i].AsX())
			case m.lanes == 16:
				VINSERTF32X4(Imm(uint64(quarter)), at, r[i], r[i])
			default:
				VINSERTF128(Imm(uint64(quarter)), at, r[i], r[i])
			}
		}
	}
	for i := range t {
		t[i] = m.register()
	}
	VUNPCKLPS(r[1], r[0], t[0])
	VUNPCKHPS(r[1], r[0], t[1])
	VUNPCKLPS(r[3], r[2], t[2])
	VUNPCKHPS(r[3], r[2], t[3])
	for j := range 4 {
		column := m.register()
		if j%2 == 0 {
			VUNPCKLPD(t[2+j/2], t[j/2], column)
		} else {
			VUNPCKHPD(t[2+j/2], t[j/2], column)
		}
		VMOVUPS(column, Mem{Base: dst})
		ADDQ(pitch, dst)
	}
	for _, p := range pointers {
		ADDQ(Imm(16), p)
	}
	SUBQ(Imm(4), k)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

#include "go_asm.h"
#include "textflag.h"

// PANEL adds the products of a pair of elements, the even one in Z20 and the odd one in Z21, with two lines of a panel: even sums are e and
// f, odd ones o and p.
#define PANEL(line, after, e, f, o, p) \
	VMOVDQU32 line, Z18; \
	VMOVDQU32 after, Z19; \
	VPSLLD $16, Z18, Z16; \
	VPSLLD $16, Z19, Z17; \
	VPANDD Z31, Z18, Z18; \
	VPANDD Z31, Z19, Z19; \
	VFMADD231PS Z16, Z20, e; \
	VFMADD231PS Z17, Z20, f; \
	VFMADD231PS Z18, Z21, o; \
	VFMADD231PS Z19, Z21, p

// CLEAR sets a panel's sums over a step to zero.
#define CLEAR(e, f, o, p) \
	VPXORD e, e, e; \
	VPXORD f, f, f; \
	VPXORD o, o, o; \
	VPXORD p, p, p

// SUM adds them to c and d.
#define SUM(e, f, o, p, c, d) \
	VADDPS o, e, e; \
	VADDPS p, f, f; \
	VADDPS e, c, c; \
	VADDPS f, d, d

// func halfRowAVX512(s *halfStrip)
// Sums over a step in Z0 to Z15, C in Z22 to Z29.
TEXT ·halfRowAVX512(SB), NOSPLIT, $16-8
	MOVQ s+0(FP), R12
	// What is below the smallest normal number counts as zero.
	STMXCSR 0(SP)
	MOVL 0(SP), AX
	ORL  $0x8040, AX
	MOVL AX, 8(SP)
	LDMXCSR 8(SP)
	MOVL $0xFFFF0000, AX
	VPBROADCASTD AX, Z31
	MOVQ halfStrip_a(R12), DX
	MOVQ halfStrip_b(R12), BX
	MOVQ halfStrip_c(R12), DI
	MOVQ halfStrip_steps(R12), CX
	MOVQ halfStrip_apart(R12), R8
	LEAQ (R8)(R8*2), R9
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23
	VPXORD Z24, Z24, Z24
	VPXORD Z25, Z25, Z25
	VPXORD Z26, Z26, Z26
	VPXORD Z27, Z27, Z27
	VPXORD Z28, Z28, Z28
	VPXORD Z29, Z29, Z29
	CMPQ halfStrip_add(R12), $0
	JEQ  step
	VMOVUPS (DI), Z22
	VMOVUPS 64(DI), Z23
	VMOVUPS 128(DI), Z24
	VMOVUPS 192(DI), Z25
	VMOVUPS 256(DI), Z26
	VMOVUPS 320(DI), Z27
	VMOVUPS 384(DI), Z28
	VMOVUPS 448(DI), Z29

step:
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)
	CLEAR(Z12, Z13, Z14, Z15)
	MOVQ $const_halfStep/2, AX

pair:
	VPBROADCASTD (DX), Z21
	VPSLLD $16, Z21, Z20
	VPANDD Z31, Z21, Z21
	PANEL((BX), 64(BX), Z0, Z1, Z2, Z3)
	PANEL((BX)(R8*1), 64(BX)(R8*1), Z4, Z5, Z6, Z7)
	PANEL((BX)(R8*2), 64(BX)(R8*2), Z8, Z9, Z10, Z11)
	PANEL((BX)(R9*1), 64(BX)(R9*1), Z12, Z13, Z14, Z15)
	ADDQ $128, BX
	ADDQ $4, DX
	DECQ AX
	JNZ  pair
	SUM(Z0, Z1, Z2, Z3, Z22, Z23)
	SUM(Z4, Z5, Z6, Z7, Z24, Z25)
	SUM(Z8, Z9, Z10, Z11, Z26, Z27)
	SUM(Z12, Z13, Z14, Z15, Z28, Z29)
	DECQ CX
	JNZ  step
	VMOVUPS Z22, (DI)
	VMOVUPS Z23, 64(DI)
	VMOVUPS Z24, 128(DI)
	VMOVUPS Z25, 192(DI)
	VMOVUPS Z26, 256(DI)
	VMOVUPS Z27, 320(DI)
	VMOVUPS Z28, 384(DI)
	VMOVUPS Z29, 448(DI)
	LDMXCSR 0(SP)
	VZEROUPPER
	RET

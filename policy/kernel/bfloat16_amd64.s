#include "go_asm.h"
#include "textflag.h"

// func roundAVX512(to *BFloat16, x *float32, n int)
TEXT ·roundAVX512(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x7FFF, AX
	VPBROADCASTD AX, Z31
	MOVL $1, AX
	VPBROADCASTD AX, Z30
	MOVL $0x7F800000, AX
	VPBROADCASTD AX, Z29
	MOVL $0x00400000, AX
	VPBROADCASTD AX, Z28
	MOVL $0x80000000, AX
	VPBROADCASTD AX, Z27
	MOVQ CX, R8
	ADDQ $31, R8
	ANDQ $~31, R8            // what is written
	MOVL $0xFFFF, R9
	KMOVW R9, K1

round:
	CMPQ CX, $16
	JGE  load
	XORL R9, R9              // the lanes that are left
	TESTQ CX, CX
	JLE  lanes
	MOVL $1, R9
	SHLXL CX, R9, R9
	DECL R9

lanes:
	KMOVW R9, K1

load:
	VMOVUPS.Z (SI), K1, Z0
	VPSRLD $16, Z0, Z1
	VPANDD Z30, Z1, Z1
	VPADDD Z31, Z1, Z1
	VPADDD Z0, Z1, Z1        // rounded
	VPTESTNMD Z29, Z0, K2    // too small
	VPANDD Z27, Z0, K2, Z1
	VCMPPS $3, Z0, Z0, K3    // not a number
	VPORD Z28, Z0, K3, Z1
	VPSRLD $16, Z1, Z1
	VPMOVDW Z1, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	SUBQ $16, R8
	JG   round
	VZEROUPPER
	RET

// PAIRS takes two lines of the panel apart, from offset(BX): even elements to Z16 and Z17, odd ones to Z18 and Z19.
#define PAIRS(offset) \
	VMOVDQU32 offset(BX), Z18; \
	VMOVDQU32 offset+64(BX), Z19; \
	VPSLLD $16, Z18, Z16; \
	VPSLLD $16, Z19, Z17; \
	VPANDD Z31, Z18, Z18; \
	VPANDD Z31, Z19, Z19

// ROW adds a row's products with them: its pair of elements is at place, its even sums are e and f, its odd ones o and p.
#define ROW(place, e, f, o, p) \
	VPBROADCASTD place, Z21; \
	VPSLLD $16, Z21, Z20; \
	VPANDD Z31, Z21, Z21; \
	VFMADD231PS Z16, Z20, e; \
	VFMADD231PS Z17, Z20, f; \
	VFMADD231PS Z18, Z21, o; \
	VFMADD231PS Z19, Z21, p

// CLEAR sets a row's sums to zero.
#define CLEAR(e, f, o, p) \
	VPXORD e, e, e; \
	VPXORD f, f, f; \
	VPXORD o, o, o; \
	VPXORD p, p, p

// SUM adds a row's sums to c and d.
#define SUM(e, f, o, p, c, d) \
	VADDPS o, e, e; \
	VADDPS p, f, f; \
	VADDPS e, c, c; \
	VADDPS f, d, d

// func halfAVX512(s *halfStrip)
// Four rows at a time: sums over a step in Z0 to Z15, C in Z22 to Z29; and then one row at a time.
TEXT ·halfAVX512(SB), NOSPLIT, $16-8
	MOVQ s+0(FP), R12
	// What is below the smallest normal number counts as zero.
	STMXCSR 0(SP)
	MOVL 0(SP), AX
	ORL  $0x8040, AX
	MOVL AX, 8(SP)
	LDMXCSR 8(SP)
	MOVL $0xFFFF0000, AX
	VPBROADCASTD AX, Z31
	MOVQ halfStrip_first(R12), AX
	KMOVW AX, K1
	MOVQ halfStrip_second(R12), AX
	KMOVW AX, K2
	MOVQ halfStrip_a(R12), SI
	MOVQ halfStrip_lda(R12), R8
	LEAQ (R8)(R8*2), R9
	MOVQ halfStrip_c(R12), DI
	MOVQ halfStrip_ldc(R12), R10
	LEAQ (R10)(R10*2), R11
	MOVQ halfStrip_rows(R12), R13

four:
	CMPQ R13, $4
	JLT  one
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23
	VPXORD Z24, Z24, Z24
	VPXORD Z25, Z25, Z25
	VPXORD Z26, Z26, Z26
	VPXORD Z27, Z27, Z27
	VPXORD Z28, Z28, Z28
	VPXORD Z29, Z29, Z29
	CMPQ halfStrip_add(R12), $0
	JEQ  begun
	VMOVUPS.Z (DI), K1, Z22
	VMOVUPS.Z 64(DI), K2, Z23
	VMOVUPS.Z (DI)(R10*1), K1, Z24
	VMOVUPS.Z 64(DI)(R10*1), K2, Z25
	VMOVUPS.Z (DI)(R10*2), K1, Z26
	VMOVUPS.Z 64(DI)(R10*2), K2, Z27
	VMOVUPS.Z (DI)(R11*1), K1, Z28
	VMOVUPS.Z 64(DI)(R11*1), K2, Z29

begun:
	MOVQ halfStrip_b(R12), BX
	MOVQ halfStrip_steps(R12), CX
	MOVQ SI, DX

step:
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)
	CLEAR(Z12, Z13, Z14, Z15)
	MOVQ $16, AX

pair:
	PAIRS(0)
	ROW((DX), Z0, Z1, Z2, Z3)
	ROW((DX)(R8*1), Z4, Z5, Z6, Z7)
	ROW((DX)(R8*2), Z8, Z9, Z10, Z11)
	ROW((DX)(R9*1), Z12, Z13, Z14, Z15)
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
	VMOVUPS Z22, K1, (DI)
	VMOVUPS Z23, K2, 64(DI)
	VMOVUPS Z24, K1, (DI)(R10*1)
	VMOVUPS Z25, K2, 64(DI)(R10*1)
	VMOVUPS Z26, K1, (DI)(R10*2)
	VMOVUPS Z27, K2, 64(DI)(R10*2)
	VMOVUPS Z28, K1, (DI)(R11*1)
	VMOVUPS Z29, K2, 64(DI)(R11*1)
	LEAQ (SI)(R8*4), SI
	LEAQ (DI)(R10*4), DI
	SUBQ $4, R13
	JMP  four

one:
	TESTQ R13, R13
	JEQ  done
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23
	CMPQ halfStrip_add(R12), $0
	JEQ  begunOne
	VMOVUPS.Z (DI), K1, Z22
	VMOVUPS.Z 64(DI), K2, Z23

begunOne:
	MOVQ halfStrip_b(R12), BX
	MOVQ halfStrip_steps(R12), CX
	MOVQ SI, DX

stepOne:
	CLEAR(Z0, Z1, Z2, Z3)
	MOVQ $16, AX

pairOne:
	PAIRS(0)
	ROW((DX), Z0, Z1, Z2, Z3)
	ADDQ $128, BX
	ADDQ $4, DX
	DECQ AX
	JNZ  pairOne
	SUM(Z0, Z1, Z2, Z3, Z22, Z23)
	DECQ CX
	JNZ  stepOne
	VMOVUPS Z22, K1, (DI)
	VMOVUPS Z23, K2, 64(DI)
	ADDQ R8, SI
	ADDQ R10, DI
	DECQ R13
	JMP  one

done:
	LDMXCSR 0(SP)
	VZEROUPPER
	RET

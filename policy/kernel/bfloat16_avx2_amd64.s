#include "go_asm.h"
#include "textflag.h"

// NEAREST rounds 8 elements to the lower halves of the lanes of y.
#define NEAREST(place, y) \
	VMOVUPS place, Y2; \
	VPSRLD $16, Y2, y; \
	VPAND Y14, y, y; \
	VPADDD Y15, y, y; \
	VPADDD Y2, y, y; \
	VPAND Y13, Y2, Y3; \
	VPCMPEQD Y10, Y3, Y3; \
	VPAND Y11, Y2, Y4; \
	VBLENDVPS Y3, Y4, y, y; \
	VCMPPS $3, Y2, Y2, Y3; \
	VPOR Y12, Y2, Y4; \
	VBLENDVPS Y3, Y4, y, y; \
	VPSRLD $16, y, y

// LANES sets all lanes of a register.
#define LANES(value, x, y) \
	MOVL value, AX; \
	VMOVD AX, x; \
	VPBROADCASTD x, y

// func roundAVX2(to *BFloat16, x *float32, n int)
TEXT ·roundAVX2(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	LANES($0x7FFF, X15, Y15)
	LANES($1, X14, Y14)
	LANES($0x7F800000, X13, Y13) // with none of these, too small
	LANES($0x00400000, X12, Y12) // what makes a quiet NaN
	LANES($0x80000000, X11, Y11)
	VPXOR Y10, Y10, Y10

round:
	NEAREST((SI), Y0)
	NEAREST(32(SI), Y1)
	VPACKUSDW Y1, Y0, Y0
	VPERMQ $0xD8, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JG   round
	VZEROUPPER
	RET

// COLUMNS takes 16 columns of a line of the panel apart: even elements to Y8 and Y9, odd ones to Y10 and Y11.
#define COLUMNS(offset) \
	VMOVDQU offset(BX), Y10; \
	VMOVDQU offset+32(BX), Y11; \
	VPSLLD $16, Y10, Y8; \
	VPSLLD $16, Y11, Y9; \
	VPAND Y15, Y10, Y10; \
	VPAND Y15, Y11, Y11

// PAIR takes a pair of elements of a row apart: the even one to Y12, the odd one to Y13.
#define PAIR(place) \
	VPBROADCASTD place, Y13; \
	VPSLLD $16, Y13, Y12; \
	VPAND Y15, Y13, Y13

// PRODUCTS adds their products to even sums e and f and odd ones o and p.
#define PRODUCTS(e, f, o, p) \
	VFMADD231PS Y8, Y12, e; \
	VFMADD231PS Y9, Y12, f; \
	VFMADD231PS Y10, Y13, o; \
	VFMADD231PS Y11, Y13, p

// CLEAR sets sums to zero.
#define CLEAR(e, f, o, p) \
	VXORPS e, e, e; \
	VXORPS f, f, f; \
	VXORPS o, o, o; \
	VXORPS p, p, p

// SUM adds even and odd sums to 8 elements of C.
#define SUM(e, o, place) \
	VADDPS o, e, e; \
	VMOVUPS place, Y14; \
	VADDPS e, Y14, Y14; \
	VMOVUPS Y14, place

// func halfAVX2(s *halfStrip)
// Two rows with half a panel at a time, and then one row with all of it: sums over a step in Y0 to Y7, C in memory.
TEXT ·halfAVX2(SB), NOSPLIT, $16-8
	MOVQ s+0(FP), R12
	// What is below the smallest normal number counts as zero.
	STMXCSR 0(SP)
	MOVL 0(SP), AX
	ORL  $0x8040, AX
	MOVL AX, 8(SP)
	LDMXCSR 8(SP)
	LANES($0xFFFF0000, X15, Y15)
	MOVQ halfStrip_a(R12), SI
	MOVQ halfStrip_lda(R12), R8
	MOVQ halfStrip_c(R12), DI
	MOVQ halfStrip_ldc(R12), R10
	MOVQ halfStrip_rows(R12), R13

two:
	CMPQ R13, $2
	JLT  one
	XORQ R9, R9              // where the half panel begins, in bytes, in B as in C

half:
	MOVQ halfStrip_b(R12), BX
	ADDQ R9, BX
	LEAQ (DI)(R9*1), R11
	MOVQ halfStrip_steps(R12), CX
	MOVQ SI, DX

step:
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	MOVQ $const_halfStep/2, AX

pair:
	COLUMNS(0)
	PAIR((DX))
	PRODUCTS(Y0, Y1, Y2, Y3)
	PAIR((DX)(R8*1))
	PRODUCTS(Y4, Y5, Y6, Y7)
	ADDQ $128, BX
	ADDQ $4, DX
	DECQ AX
	JNZ  pair
	SUM(Y0, Y2, (R11))
	SUM(Y1, Y3, 32(R11))
	SUM(Y4, Y6, (R11)(R10*1))
	SUM(Y5, Y7, 32(R11)(R10*1))
	DECQ CX
	JNZ  step
	ADDQ $64, R9
	CMPQ R9, $64
	JEQ  half
	LEAQ (SI)(R8*2), SI
	LEAQ (DI)(R10*2), DI
	SUBQ $2, R13
	JMP  two

one:
	TESTQ R13, R13
	JEQ  done
	MOVQ halfStrip_b(R12), BX
	MOVQ halfStrip_steps(R12), CX
	MOVQ SI, DX

stepOne:
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	MOVQ $const_halfStep/2, AX

pairOne:
	PAIR((DX))
	COLUMNS(0)
	PRODUCTS(Y0, Y1, Y2, Y3)
	COLUMNS(64)
	PRODUCTS(Y4, Y5, Y6, Y7)
	ADDQ $128, BX
	ADDQ $4, DX
	DECQ AX
	JNZ  pairOne
	SUM(Y0, Y2, (DI))
	SUM(Y1, Y3, 32(DI))
	SUM(Y4, Y6, 64(DI))
	SUM(Y5, Y7, 96(DI))
	DECQ CX
	JNZ  stepOne

done:
	LDMXCSR 0(SP)
	VZEROUPPER
	RET

#include "textflag.h"

// Constants, eight lanes each: the clamps, log2(e), ln2 in two parts, the Taylor coefficients of e^r, and the exponent's bias.
#define LANES(name, bits) \
	DATA name<>+0(SB)/4, $bits \
	DATA name<>+4(SB)/4, $bits \
	DATA name<>+8(SB)/4, $bits \
	DATA name<>+12(SB)/4, $bits \
	DATA name<>+16(SB)/4, $bits \
	DATA name<>+20(SB)/4, $bits \
	DATA name<>+24(SB)/4, $bits \
	DATA name<>+28(SB)/4, $bits \
	GLOBL name<>(SB), RODATA|NOPTR, $32

LANES(highest, 0x42b20000) // 89
LANES(lowest, 0xc2d20000) // -105
LANES(log2e, 0x3fb8aa3b) // 1.44269504
LANES(ln2high, 0x3f318000) // 0.693359375
LANES(ln2low, 0xb95e8083) // -2.12194440e-4
LANES(c7, 0x39500d01) // 1/5040
LANES(c6, 0x3ab60b61) // 1/720
LANES(c5, 0x3c088889) // 1/120
LANES(c4, 0x3d2aaaab) // 1/24
LANES(c3, 0x3e2aaaab) // 1/6
LANES(c2, 0x3f000000) // 1/2
LANES(one, 0x3f800000) // 1
LANES(bias, 0x0000007f) // 127

// CONSTANTS loads what EXP needs: Y8 to Y15.
#define CONSTANTS \
	VMOVUPS highest<>(SB), Y8 \
	VMOVUPS lowest<>(SB), Y9 \
	VMOVUPS log2e<>(SB), Y10 \
	VMOVUPS ln2high<>(SB), Y11 \
	VMOVUPS ln2low<>(SB), Y12 \
	VMOVUPS one<>(SB), Y13 \
	VMOVUPS bias<>(SB), Y14 \
	VMOVUPS c7<>(SB), Y15

// EXP replaces the lanes of Y0 by their exponentials and uses Y1 to Y3. The clamps take x as the second source, which is what VMINPS and
// VMAXPS return when a lane is NaN. 2^n is applied in two halves, so that results below the smallest normal number and above the
// largest come out right.
#define EXP \
	VMINPS Y0, Y8, Y0 \
	VMAXPS Y0, Y9, Y0 \
	VMULPS Y10, Y0, Y1 \
	VROUNDPS $0, Y1, Y1 \
	VFNMADD231PS Y11, Y1, Y0 \
	VFNMADD231PS Y12, Y1, Y0 \
	VMOVAPS Y15, Y2 \
	VFMADD213PS c6<>(SB), Y0, Y2 \
	VFMADD213PS c5<>(SB), Y0, Y2 \
	VFMADD213PS c4<>(SB), Y0, Y2 \
	VFMADD213PS c3<>(SB), Y0, Y2 \
	VFMADD213PS c2<>(SB), Y0, Y2 \
	VFMADD213PS Y13, Y0, Y2 \
	VFMADD213PS Y13, Y0, Y2 \
	VCVTPS2DQ Y1, Y1 \
	VPSRAD $1, Y1, Y3 \
	VPSUBD Y3, Y1, Y1 \
	VPADDD Y14, Y3, Y3 \
	VPADDD Y14, Y1, Y1 \
	VPSLLD $23, Y3, Y3 \
	VPSLLD $23, Y1, Y1 \
	VMULPS Y3, Y2, Y2 \
	VMULPS Y1, Y2, Y0

// SUM adds the lanes of Y4 into X4, in a fixed order, and uses X5.
#define SUM \
	VEXTRACTF128 $1, Y4, X5 \
	VADDPS X5, X4, X4 \
	VHADDPS X4, X4, X4 \
	VHADDPS X4, X4, X4

// func expAVX2(x *float32, n int)
TEXT ·expAVX2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	CONSTANTS

exploop:
	CMPQ CX, $8
	JLT expdone
	VMOVUPS (DI), Y0
	EXP
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JMP exploop

expdone:
	VZEROUPPER
	RET

// func expSumAVX2(x *float32, n int, shift float32) float32
// Sixteen sums, as the wider registers have: those of the upper eight are in Y7.
TEXT ·expSumAVX2(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS shift+16(FP), Y6
	CONSTANTS
	VXORPS Y4, Y4, Y4
	VXORPS Y7, Y7, Y7

sumloop:
	CMPQ CX, $16
	JLT sumrest
	VADDPS (DI), Y6, Y0
	EXP
	VADDPS Y0, Y4, Y4
	VMOVUPS Y0, (DI)
	VADDPS 32(DI), Y6, Y0
	EXP
	VADDPS Y0, Y7, Y7
	VMOVUPS Y0, 32(DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JMP sumloop

sumrest:
	CMPQ CX, $8
	JLT sumdone
	VADDPS (DI), Y6, Y0
	EXP
	VADDPS Y0, Y4, Y4
	VMOVUPS Y0, (DI)

sumdone:
	VADDPS Y7, Y4, Y4
	SUM
	VMOVSS X4, ret+24(FP)
	VZEROUPPER
	RET

// func swigluAVX2(y, gate, up *float32, n int)
TEXT ·swigluAVX2(SB), NOSPLIT, $0-32
	MOVQ y+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ up+16(FP), DX
	MOVQ n+24(FP), CX
	CONSTANTS

gluloop:
	CMPQ CX, $8
	JLT gludone
	VMOVUPS (SI), Y4
	VXORPS Y0, Y0, Y0
	VSUBPS Y4, Y0, Y0
	EXP
	VADDPS Y13, Y0, Y0
	VDIVPS Y0, Y4, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JMP gluloop

gludone:
	VZEROUPPER
	RET

// func swigluGradAVX2(dgate, dup, gate, up, dy *float32, n int)
// With p = 1/(1+exp(-g)) and e = dy*p: dup = e*g, dgate = e*u*(1 + g*(1-p)).
TEXT ·swigluGradAVX2(SB), NOSPLIT, $0-48
	MOVQ dgate+0(FP), DI
	MOVQ dup+8(FP), BX
	MOVQ gate+16(FP), SI
	MOVQ up+24(FP), DX
	MOVQ dy+32(FP), AX
	MOVQ n+40(FP), CX
	CONSTANTS

gradloop:
	CMPQ CX, $8
	JLT graddone
	VMOVUPS (SI), Y4
	VXORPS Y0, Y0, Y0
	VSUBPS Y4, Y0, Y0
	EXP
	VADDPS Y13, Y0, Y0
	VDIVPS Y0, Y13, Y0
	VMULPS (AX), Y0, Y5
	VMULPS Y4, Y5, Y6
	VMOVUPS Y6, (BX)
	VSUBPS Y0, Y13, Y0
	VFMADD213PS Y13, Y4, Y0
	VMULPS (DX), Y5, Y5
	VMULPS Y0, Y5, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, BX
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, AX
	SUBQ $8, CX
	JMP gradloop

graddone:
	VZEROUPPER
	RET

// func normAVX2(y, x, weight *float32, n int, r float32)
// y = x * r * weight
TEXT ·normAVX2(SB), NOSPLIT, $0-36
	MOVQ y+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ weight+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS r+32(FP), Y6

normloop:
	CMPQ CX, $8
	JLT normdone
	VMULPS (SI), Y6, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JMP normloop

normdone:
	VZEROUPPER
	RET

// func dot3AVX2(x, y, z *float32, n int) float32
TEXT ·dot3AVX2(SB), NOSPLIT, $0-36
	MOVQ x+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ z+16(FP), DX
	MOVQ n+24(FP), CX
	VXORPS Y4, Y4, Y4

dotloop:
	CMPQ CX, $8
	JLT dotdone
	VMOVUPS (DI), Y0
	VMULPS (SI), Y0, Y0
	VFMADD231PS (DX), Y0, Y4
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JMP dotloop

dotdone:
	SUM
	VMOVSS X4, ret+32(FP)
	VZEROUPPER
	RET

// func normGradAVX2(dx, sums, dy, weight, x *float32, n int, r, scale float32)
// sums += dy*x*r, dx = r*(dy*weight - x*scale)
TEXT ·normGradAVX2(SB), NOSPLIT, $0-56
	MOVQ dx+0(FP), DI
	MOVQ sums+8(FP), BX
	MOVQ dy+16(FP), AX
	MOVQ weight+24(FP), DX
	MOVQ x+32(FP), SI
	MOVQ n+40(FP), CX
	VBROADCASTSS r+48(FP), Y6
	VBROADCASTSS scale+52(FP), Y7

ngloop:
	CMPQ CX, $8
	JLT ngdone
	VMOVUPS (AX), Y0
	VMOVUPS (SI), Y1
	VMULPS Y1, Y0, Y2
	VMOVUPS (BX), Y3
	VFMADD231PS Y6, Y2, Y3
	VMOVUPS Y3, (BX)
	VMULPS (DX), Y0, Y0
	VFNMADD231PS Y7, Y1, Y0
	VMULPS Y6, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, BX
	ADDQ $32, AX
	ADDQ $32, DX
	ADDQ $32, SI
	SUBQ $8, CX
	JMP ngloop

ngdone:
	VZEROUPPER
	RET

// The same in registers of 16 lanes. The last eight elements, if n is no multiple of 16, are in the lower lanes: mask K1.

#define CONSTANTS512 \
	VBROADCASTSS highest<>(SB), Z8 \
	VBROADCASTSS lowest<>(SB), Z9 \
	VBROADCASTSS log2e<>(SB), Z10 \
	VBROADCASTSS ln2high<>(SB), Z11 \
	VBROADCASTSS ln2low<>(SB), Z12 \
	VBROADCASTSS one<>(SB), Z13 \
	VPBROADCASTD bias<>(SB), Z14 \
	VBROADCASTSS c7<>(SB), Z15 \
	VBROADCASTSS c6<>(SB), Z16 \
	VBROADCASTSS c5<>(SB), Z17 \
	VBROADCASTSS c4<>(SB), Z18 \
	VBROADCASTSS c3<>(SB), Z19 \
	VBROADCASTSS c2<>(SB), Z20

// EXP512 replaces the lanes of Z0 by their exponentials, by the steps of EXP, and uses Z1 to Z3.
#define EXP512 \
	VMINPS Z0, Z8, Z0 \
	VMAXPS Z0, Z9, Z0 \
	VMULPS Z10, Z0, Z1 \
	VRNDSCALEPS $0, Z1, Z1 \
	VFNMADD231PS Z11, Z1, Z0 \
	VFNMADD231PS Z12, Z1, Z0 \
	VMOVAPS Z15, Z2 \
	VFMADD213PS Z16, Z0, Z2 \
	VFMADD213PS Z17, Z0, Z2 \
	VFMADD213PS Z18, Z0, Z2 \
	VFMADD213PS Z19, Z0, Z2 \
	VFMADD213PS Z20, Z0, Z2 \
	VFMADD213PS Z13, Z0, Z2 \
	VFMADD213PS Z13, Z0, Z2 \
	VCVTPS2DQ Z1, Z1 \
	VPSRAD $1, Z1, Z3 \
	VPSUBD Z3, Z1, Z1 \
	VPADDD Z14, Z3, Z3 \
	VPADDD Z14, Z1, Z1 \
	VPSLLD $23, Z3, Z3 \
	VPSLLD $23, Z1, Z1 \
	VMULPS Z3, Z2, Z2 \
	VMULPS Z1, Z2, Z0

// LANES16 makes K1 the lanes of the next step of at most 16 of the CX elements that are left.
#define LANES16 \
	MOVL $0xffff, R8 \
	MOVL $0xff, R9 \
	CMPQ CX, $16 \
	CMOVLLT R9, R8 \
	KMOVW R8, K1

// func expSumAVX512(x *float32, n int, shift float32) float32
TEXT ·expSumAVX512(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS shift+16(FP), Z6
	CONSTANTS512
	VPXORD Z4, Z4, Z4

sumloop512:
	CMPQ CX, $8
	JLT sumdone512
	LANES16
	VMOVUPS.Z (DI), K1, Z0
	VADDPS Z0, Z6, Z0
	EXP512
	VADDPS Z0, Z4, K1, Z4
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JMP sumloop512

sumdone512:
	VEXTRACTF64X4 $1, Z4, Y7
	VADDPS Y7, Y4, Y4
	SUM
	VMOVSS X4, ret+24(FP)
	VZEROUPPER
	RET

// func expPrefixAVX512(x *float32, n int, shift float32) float32
// Lanes beyond n count as 0 and become 0, up to the next multiple of 8; nothing is computed of what they hold, since the exponential of
// a score that is hidden is too small for a normal number, which takes the processor a hundred times as long.
TEXT ·expPrefixAVX512(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS shift+16(FP), Z6
	CONSTANTS512
	VPXORD Z4, Z4, Z4

prefixloop512:
	CMPQ CX, $1
	JLT prefixdone512
	MOVL $16, R10
	CMPQ CX, R10
	CMOVQLT CX, R10
	MOVL $0xffff, R8
	BZHIL R10, R8, R9
	KMOVW R9, K1
	MOVL $0xff, R9
	CMPQ R10, $8
	CMOVLLE R9, R8
	KMOVW R8, K2
	VMOVUPS.Z (DI), K1, Z0
	VADDPS.Z Z0, Z6, K1, Z0
	EXP512
	VADDPS Z0, Z4, K1, Z4
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS Z0, K2, (DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JMP prefixloop512

prefixdone512:
	VEXTRACTF64X4 $1, Z4, Y7
	VADDPS Y7, Y4, Y4
	SUM
	VMOVSS X4, ret+24(FP)
	VZEROUPPER
	RET

// func swigluAVX512(y, gate, up *float32, n int)
TEXT ·swigluAVX512(SB), NOSPLIT, $0-32
	MOVQ y+0(FP), DI
	MOVQ gate+8(FP), SI
	MOVQ up+16(FP), DX
	MOVQ n+24(FP), CX
	CONSTANTS512

gluloop512:
	CMPQ CX, $8
	JLT gludone512
	LANES16
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z (DX), K1, Z5
	VPXORD Z0, Z0, Z0
	VSUBPS Z4, Z0, Z0
	EXP512
	VADDPS Z13, Z0, Z0
	VDIVPS Z0, Z4, Z0
	VMULPS Z5, Z0, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, DI
	ADDQ $64, SI
	ADDQ $64, DX
	SUBQ $16, CX
	JMP gluloop512

gludone512:
	VZEROUPPER
	RET

// func swigluGradAVX512(dgate, dup, gate, up, dy *float32, n int)
TEXT ·swigluGradAVX512(SB), NOSPLIT, $0-48
	MOVQ dgate+0(FP), DI
	MOVQ dup+8(FP), BX
	MOVQ gate+16(FP), SI
	MOVQ up+24(FP), DX
	MOVQ dy+32(FP), AX
	MOVQ n+40(FP), CX
	CONSTANTS512

gradloop512:
	CMPQ CX, $8
	JLT graddone512
	LANES16
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z (AX), K1, Z7
	VMOVUPS.Z (DX), K1, Z21
	VPXORD Z0, Z0, Z0
	VSUBPS Z4, Z0, Z0
	EXP512
	VADDPS Z13, Z0, Z0
	VDIVPS Z0, Z13, Z0
	VMULPS Z7, Z0, Z5
	VMULPS Z4, Z5, Z6
	VMOVUPS Z6, K1, (BX)
	VSUBPS Z0, Z13, Z0
	VFMADD213PS Z13, Z4, Z0
	VMULPS Z21, Z5, Z5
	VMULPS Z0, Z5, Z0
	VMOVUPS Z0, K1, (DI)
	ADDQ $64, DI
	ADDQ $64, BX
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, AX
	SUBQ $16, CX
	JMP gradloop512

graddone512:
	VZEROUPPER
	RET

// func rotateAVX2(x, sin, cos *float32, half, heads int, sign float32)
TEXT ·rotateAVX2(SB), NOSPLIT, $0-44
	MOVQ x+0(FP), DI
	MOVQ sin+8(FP), SI
	MOVQ cos+16(FP), DX
	MOVQ half+24(FP), CX
	MOVQ heads+32(FP), R8
	VBROADCASTSS sign+40(FP), Y6
	SHLQ $2, CX

headloop:
	XORQ AX, AX
	LEAQ (DI)(CX*1), BX

turnloop:
	VMOVUPS (DX)(AX*1), Y0
	VMULPS (SI)(AX*1), Y6, Y1
	VMOVUPS (DI)(AX*1), Y2
	VMOVUPS (BX)(AX*1), Y3
	VMULPS Y0, Y2, Y4
	VMULPS Y1, Y3, Y5
	VSUBPS Y5, Y4, Y4
	VMOVUPS Y4, (DI)(AX*1)
	VMULPS Y0, Y3, Y4
	VMULPS Y1, Y2, Y5
	VADDPS Y5, Y4, Y4
	VMOVUPS Y4, (BX)(AX*1)
	ADDQ $32, AX
	CMPQ AX, CX
	JLT turnloop
	LEAQ (DI)(CX*2), DI
	DECQ R8
	JNZ headloop
	VZEROUPPER
	RET

// func adamwAVX2(w, grad, m, v *float32, n int, c *adamwFactors)
TEXT ·adamwAVX2(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), DI
	MOVQ grad+8(FP), SI
	MOVQ m+16(FP), DX
	MOVQ v+24(FP), BX
	MOVQ n+32(FP), CX
	MOVQ c+40(FP), AX
	VBROADCASTSS 0(AX), Y7
	VBROADCASTSS 4(AX), Y8
	VBROADCASTSS 8(AX), Y9
	VBROADCASTSS 12(AX), Y10
	VBROADCASTSS 16(AX), Y11
	VBROADCASTSS 20(AX), Y12
	VBROADCASTSS 24(AX), Y13
	VBROADCASTSS 28(AX), Y14
	VBROADCASTSS 32(AX), Y15

adamwloop:
	VMULPS (SI), Y7, Y0
	VMULPS (DX), Y8, Y1
	VMULPS Y9, Y0, Y2
	VADDPS Y2, Y1, Y1
	VMOVUPS Y1, (DX)
	VMULPS (BX), Y10, Y2
	VMULPS Y11, Y0, Y3
	VMULPS Y0, Y3, Y3
	VADDPS Y3, Y2, Y2
	VMOVUPS Y2, (BX)
	VSQRTPS Y2, Y2
	VMULPS Y14, Y2, Y2
	VADDPS Y15, Y2, Y2
	VMULPS Y13, Y1, Y1
	VDIVPS Y2, Y1, Y1
	VMULPS (DI), Y12, Y0
	VSUBPS Y1, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, BX
	SUBQ $8, CX
	JNZ adamwloop
	VZEROUPPER
	RET

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

// func expAVX2(x *float32, n int)
// n is a multiple of 8. The clamps take x as the second source, which is what VMINPS and VMAXPS return when a lane is NaN.
// 2^n is applied in two halves, so that results below the smallest normal number and above the largest come out right.
TEXT ·expAVX2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VMOVUPS highest<>(SB), Y8
	VMOVUPS lowest<>(SB), Y9
	VMOVUPS log2e<>(SB), Y10
	VMOVUPS ln2high<>(SB), Y11
	VMOVUPS ln2low<>(SB), Y12
	VMOVUPS one<>(SB), Y13
	VMOVUPS bias<>(SB), Y14
	VMOVUPS c7<>(SB), Y15

loop:
	CMPQ CX, $8
	JLT done
	VMOVUPS (DI), Y0
	VMINPS Y0, Y8, Y0
	VMAXPS Y0, Y9, Y0
	VMULPS Y10, Y0, Y1
	VROUNDPS $0, Y1, Y1
	VFNMADD231PS Y11, Y1, Y0
	VFNMADD231PS Y12, Y1, Y0
	VMOVAPS Y15, Y2
	VFMADD213PS c6<>(SB), Y0, Y2
	VFMADD213PS c5<>(SB), Y0, Y2
	VFMADD213PS c4<>(SB), Y0, Y2
	VFMADD213PS c3<>(SB), Y0, Y2
	VFMADD213PS c2<>(SB), Y0, Y2
	VFMADD213PS Y13, Y0, Y2
	VFMADD213PS Y13, Y0, Y2
	VCVTPS2DQ Y1, Y1
	VPSRAD $1, Y1, Y3
	VPSUBD Y3, Y1, Y1
	VPADDD Y14, Y3, Y3
	VPADDD Y14, Y1, Y1
	VPSLLD $23, Y3, Y3
	VPSLLD $23, Y1, Y1
	VMULPS Y3, Y2, Y2
	VMULPS Y1, Y2, Y2
	VMOVUPS Y2, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JMP loop

done:
	VZEROUPPER
	RET

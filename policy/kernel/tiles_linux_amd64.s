#include "textflag.h"

// The instructions of AMX, which the assembler has no names for, on fixed registers. Tiles 0 to 3 are sums, 4 and 5 rows of A, 6 and 7
// columns of B.

// TILECONFIG loads the configuration at AX.
#define TILECONFIG BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0x00
#define TILERELEASE BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0xC0
#define TILEZERO(t) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $(0xC0+8*t)

// LOADA and LOADB load a tile from offset(AX) and offset(BX), its rows DX bytes apart.
#define LOADA(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x10; LONG $offset
#define LOADB(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x13; LONG $offset

// LOADC and STOREC move a tile from or to offset(DI), its rows SI bytes apart; LOADD and STORED the same at offset(R8).
#define LOADC(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x37; LONG $offset
#define STOREC(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7A; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x37; LONG $offset
#define LOADD(t, offset) BYTE $0xC4; BYTE $0xC2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x30; LONG $offset
#define STORED(t, offset) BYTE $0xC4; BYTE $0xC2; BYTE $0x7A; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x30; LONG $offset

// DOT6 and DOT7 add the products of the rows of tile a with the columns of tile 6 or 7 to tile c.
#define DOT6(c, a) BYTE $0xC4; BYTE $0xE2; BYTE $0x4A; BYTE $0x5C; BYTE $(0xC0+8*c+a)
#define DOT7(c, a) BYTE $0xC4; BYTE $0xE2; BYTE $0x42; BYTE $0x5C; BYTE $(0xC0+8*c+a)

// Palette 1; eight tiles of 16 rows of 64 bytes.
DATA config<>+0(SB)/8, $1
DATA config<>+8(SB)/8, $0
DATA config<>+16(SB)/8, $0x0040004000400040
DATA config<>+24(SB)/8, $0x0040004000400040
DATA config<>+32(SB)/8, $0
DATA config<>+40(SB)/8, $0
DATA config<>+48(SB)/8, $0x1010101010101010
DATA config<>+56(SB)/8, $0
GLOBL config<>(SB), RODATA|NOPTR, $64

// func tiles32(steps int, a, b, c *float32, ldc, add, blocks, next int)
TEXT ·tiles32(SB), NOSPLIT, $0-64
	LEAQ config<>(SB), AX
	TILECONFIG               // which takes as long as some steps: once for all blocks
	MOVQ a+8(FP), R10
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), SI
	MOVQ add+40(FP), R9
	MOVQ blocks+48(FP), R11
	MOVQ $128, DX

block32:
	MOVQ steps+0(FP), CX
	MOVQ R10, AX
	MOVQ b+16(FP), BX
	MOVQ SI, R8
	SHLQ $4, R8
	ADDQ DI, R8              // row 16 of C
	TESTQ R9, R9
	JEQ  zero32
	LOADC(0, 0)
	LOADC(1, 64)
	LOADD(2, 0)
	LOADD(3, 64)
	JMP  loop32

zero32:
	TILEZERO(0)
	TILEZERO(1)
	TILEZERO(2)
	TILEZERO(3)

loop32:
	LOADA(4, 0)
	LOADB(6, 0)
	LOADB(7, 64)
	DOT6(0, 4)
	LOADA(5, 2048)
	DOT7(1, 4)
	DOT6(2, 5)
	DOT7(3, 5)
	LOADB(6, 2048)
	LOADB(7, 2112)
	DOT6(0, 4)
	DOT7(1, 4)
	DOT6(2, 5)
	DOT7(3, 5)
	LOADA(4, 64)
	LOADB(6, 0)
	LOADB(7, 64)
	DOT6(0, 4)
	LOADA(5, 2112)
	DOT7(1, 4)
	DOT6(2, 5)
	DOT7(3, 5)
	ADDQ $4096, AX
	ADDQ $4096, BX
	DECQ CX
	JNZ  loop32
	STOREC(0, 0)
	STOREC(1, 64)
	STORED(2, 0)
	STORED(3, 64)
	ADDQ next+56(FP), R10
	MOVQ SI, R8
	SHLQ $5, R8
	ADDQ R8, DI              // row 32 of C
	DECQ R11
	JNZ  block32
	TILERELEASE
	RET

// func tiles16(steps int, a, b, c *float32, ldc, add int)
TEXT ·tiles16(SB), NOSPLIT, $0-48
	LEAQ config<>(SB), AX
	TILECONFIG
	MOVQ steps+0(FP), CX
	MOVQ a+8(FP), AX
	MOVQ b+16(FP), BX
	MOVQ c+24(FP), DI
	MOVQ ldc+32(FP), SI
	MOVQ add+40(FP), R9
	MOVQ $128, DX
	TESTQ R9, R9
	JEQ  zero16
	LOADC(0, 0)
	LOADC(1, 64)
	JMP  loop16

zero16:
	TILEZERO(0)
	TILEZERO(1)

loop16:
	LOADA(4, 0)
	LOADA(5, 64)
	LOADB(6, 0)
	LOADB(7, 64)
	DOT6(0, 4)
	DOT7(1, 4)
	LOADB(2, 2048)
	LOADB(3, 2112)
	// Tiles 2 and 3 hold the low parts of B: tile 0 += 4 * 2, tile 1 += 4 * 3.
	BYTE $0xC4; BYTE $0xE2; BYTE $0x6A; BYTE $0x5C; BYTE $0xC4
	BYTE $0xC4; BYTE $0xE2; BYTE $0x62; BYTE $0x5C; BYTE $0xCC
	DOT6(0, 5)
	DOT7(1, 5)
	ADDQ $4096, AX
	ADDQ $4096, BX
	DECQ CX
	JNZ  loop16
	STOREC(0, 0)
	STOREC(1, 64)
	TILERELEASE
	RET

// CONSTANTS sets what SPLIT needs.
#define CONSTANTS \
	MOVL $0x7FFF, AX; \
	VPBROADCASTD AX, Z31; \
	MOVL $1, AX; \
	VPBROADCASTD AX, Z30; \
	MOVL $0xFFFF0000, AX; \
	VPBROADCASTD AX, Z29; \
	MOVL $0x00400000, AX; \
	VPBROADCASTD AX, Z28

// ROUND makes r of x: x rounded to the nearest bfloat16, ties to even, in the upper halves; the lower halves are rubbish.
#define ROUND(x, r) \
	VPSRLD $16, x, r; \
	VPANDD Z30, r, r; \
	VPADDD Z31, r, r; \
	VPADDD x, r, r

// SPLIT makes high and low of x, as ROUND does. A NaN stays one; what is not finite has no low part.
#define SPLIT(x, high, low) \
	ROUND(x, high); \
	VCMPPS $3, x, x, K3; \
	VPORD Z28, x, K3, high; \
	VPANDD Z29, high, Z27; \
	VSUBPS Z27, x, Z27; \
	VCMPPS $7, Z27, Z27, K3; \
	VMOVAPS.Z Z27, K3, Z27; \
	ROUND(Z27, low)

// func splitRows(high, low *float32, to int, src *float32, stride, rows, k int)
TEXT ·splitRows(SB), NOSPLIT, $0-56
	CONSTANTS
	MOVQ high+0(FP), DI
	MOVQ low+8(FP), SI
	MOVQ to+16(FP), R8
	MOVQ src+24(FP), R9
	MOVQ stride+32(FP), R10
	MOVQ rows+40(FP), R11
	MOVQ k+48(FP), CX
	MOVQ $1, AX
	SHLXQ CX, AX, AX
	DECQ AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2

row:
	VMOVUPS.Z (R9), K1, Z0
	VMOVUPS.Z 64(R9), K2, Z1
	SPLIT(Z0, Z2, Z3)
	SPLIT(Z1, Z4, Z5)
	VPSRLD $16, Z2, Z2
	VPSRLD $16, Z3, Z3
	VPSRLD $16, Z4, Z4
	VPSRLD $16, Z5, Z5
	VPMOVDW Z2, (DI)
	VPMOVDW Z4, 32(DI)
	VPMOVDW Z3, (SI)
	VPMOVDW Z5, 32(SI)
	ADDQ R8, DI
	ADDQ R8, SI
	ADDQ R10, R9
	DECQ R11
	JNZ  row
	VZEROUPPER
	RET

// func splitPairs(high, low *float32, to int, src *float32, stride, k, columns int)
TEXT ·splitPairs(SB), NOSPLIT, $0-56
	CONSTANTS
	MOVQ high+0(FP), DI
	MOVQ low+8(FP), SI
	MOVQ to+16(FP), R8
	MOVQ src+24(FP), R9
	MOVQ stride+32(FP), R10
	MOVQ k+40(FP), R11
	MOVQ columns+48(FP), CX
	MOVQ $1, AX
	SHLXQ CX, AX, AX
	DECQ AX
	KMOVW AX, K1
	MOVQ $16, R12

pair:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	CMPQ R11, $1
	JLT  split
	VMOVUPS.Z (R9), K1, Z0
	JEQ  split
	VMOVUPS.Z (R9)(R10*1), K1, Z1

split:
	SPLIT(Z0, Z2, Z3)
	SPLIT(Z1, Z4, Z5)
	VPSRLD $16, Z2, Z2
	VPSRLD $16, Z3, Z3
	VPANDD Z29, Z4, Z4
	VPANDD Z29, Z5, Z5
	VPORD Z4, Z2, Z2
	VPORD Z5, Z3, Z3
	VMOVUPS Z2, (DI)
	VMOVUPS Z3, (SI)
	ADDQ R8, DI
	ADDQ R8, SI
	LEAQ (R9)(R10*2), R9
	SUBQ $2, R11
	DECQ R12
	JNZ  pair
	VZEROUPPER
	RET

// func mergeTiles(c *float32, ldc int, sums *float32, rows, columns int, alpha, beta float32, add int)
TEXT ·mergeTiles(SB), NOSPLIT, $0-56
	MOVQ c+0(FP), DI
	MOVQ ldc+8(FP), R8
	MOVQ sums+16(FP), SI
	MOVQ rows+24(FP), R9
	MOVQ columns+32(FP), CX
	VBROADCASTSS alpha+40(FP), Z0
	VBROADCASTSS beta+44(FP), Z1
	MOVQ add+48(FP), R10
	MOVQ $1, AX
	SHLXQ CX, AX, AX
	DECQ AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2
	TESTQ R10, R10
	JEQ  write

merge:
	VMULPS (SI), Z0, Z2
	VMULPS 64(SI), Z0, Z3
	VMOVUPS.Z (DI), K1, Z4
	VMOVUPS.Z 64(DI), K2, Z5
	VFMADD231PS Z1, Z4, Z2
	VFMADD231PS Z1, Z5, Z3
	VMOVUPS Z2, K1, (DI)
	VMOVUPS Z3, K2, 64(DI)
	ADDQ R8, DI
	ADDQ $128, SI
	DECQ R9
	JNZ  merge
	VZEROUPPER
	RET

write:
	VMULPS (SI), Z0, Z2
	VMULPS 64(SI), Z0, Z3
	VMOVUPS Z2, K1, (DI)
	VMOVUPS Z3, K2, 64(DI)
	ADDQ R8, DI
	ADDQ $128, SI
	DECQ R9
	JNZ  write
	VZEROUPPER
	RET

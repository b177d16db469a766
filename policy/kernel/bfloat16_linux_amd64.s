#include "go_asm.h"
#include "textflag.h"

// The instructions of AMX, which the assembler has no names for, on fixed registers. Tiles 0 to 3 are sums, 4 and 5 rows of A, 6 and 7
// columns of B.

// TILECONFIG loads the configuration at R12.
#define TILECONFIG BYTE $0xC4; BYTE $0xC2; BYTE $0x78; BYTE $0x49; BYTE $0x04; BYTE $0x24
#define TILERELEASE BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0xC0
#define TILEZERO(t) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $(0xC0+8*t)

// LOADA and LOADE load a tile from AX and from R8, its rows DX bytes apart; LOADB from offset(BX), its rows SI bytes apart.
#define LOADA(t) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x04+8*t); BYTE $0x10
#define LOADE(t) BYTE $0xC4; BYTE $0xC2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x04+8*t); BYTE $0x10
#define LOADB(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x33; LONG $offset

// LOADC and STOREC move a tile from or to offset(DI), its rows CX bytes apart; LOADD and STORED the same at offset(R9).
#define LOADC(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x0F; LONG $offset
#define STOREC(t, offset) BYTE $0xC4; BYTE $0xE2; BYTE $0x7A; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x0F; LONG $offset
#define LOADD(t, offset) BYTE $0xC4; BYTE $0xC2; BYTE $0x7B; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x09; LONG $offset
#define STORED(t, offset) BYTE $0xC4; BYTE $0xC2; BYTE $0x7A; BYTE $0x4B; BYTE $(0x84+8*t); BYTE $0x09; LONG $offset

// DOT6 and DOT7 add the products of the rows of tile a with the columns of tile 6 or 7 to tile c.
#define DOT6(c, a) BYTE $0xC4; BYTE $0xE2; BYTE $0x4A; BYTE $0x5C; BYTE $(0xC0+8*c+a)
#define DOT7(c, a) BYTE $0xC4; BYTE $0xE2; BYTE $0x42; BYTE $0x5C; BYTE $(0xC0+8*c+a)

// ASK prepares AHEAD, R12 being the call.
#define ASK \
	MOVQ halfBlocks_turns(R12), R13; \
	MOVQ R13, turns-8(SP); \
	MOVQ halfBlocks_next(R12), R13; \
	MOVQ halfBlocks_apart(R12), R15; \
	LEAQ (R13)(R15*2), R14

// AHEAD asks for a turn of lines in each of four places, R15 bytes apart, from R13 on, and R12 goes.
#define AHEAD(turn, done) \
	MOVQ turns-8(SP), R12; \
turn: \
	DECQ R12; \
	JLT  done; \
	PREFETCHT1 (R13); \
	PREFETCHT1 (R13)(R15*1); \
	PREFETCHT1 (R14); \
	PREFETCHT1 (R14)(R15*1); \
	ADDQ $64, R13; \
	ADDQ $64, R14; \
	JMP  turn; \
done:

// func halfTiles32(p *halfBlocks)
TEXT ·halfTiles32(SB), NOSPLIT, $8-8
	MOVQ p+0(FP), R12
	TILECONFIG               // the configuration is the first field
	MOVQ halfBlocks_a(R12), AX
	MOVQ halfBlocks_lda(R12), DX
	MOVQ halfBlocks_c(R12), DI
	MOVQ halfBlocks_ldc(R12), CX
	MOVQ halfBlocks_blocks(R12), R11
	MOVQ $128, SI
	ASK

block:
	MOVQ p+0(FP), R12
	MOVQ AX, R8
	MOVQ DX, R10
	SHLQ $4, R10
	ADDQ R10, R8             // row 16 of A
	MOVQ DI, R9
	MOVQ CX, R10
	SHLQ $4, R10
	ADDQ R10, R9             // row 16 of C
	MOVQ halfBlocks_b(R12), BX
	MOVQ halfBlocks_steps(R12), R10
	CMPQ halfBlocks_add(R12), $0
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
	LOADA(4)
	LOADB(6, 0)
	LOADB(7, 64)
	AHEAD(turn32, asked32)
	DOT6(0, 4)
	LOADE(5)
	DOT7(1, 4)
	DOT6(2, 5)
	DOT7(3, 5)
	ADDQ $64, AX
	ADDQ $64, R8
	ADDQ $2048, BX
	DECQ R10
	JNZ  loop32
	STOREC(0, 0)
	STOREC(1, 64)
	STORED(2, 0)
	STORED(3, 64)
	// On to the next 32 rows.
	MOVQ p+0(FP), R12
	MOVQ halfBlocks_steps(R12), R10
	SHLQ $6, R10
	SUBQ R10, AX
	MOVQ DX, R10
	SHLQ $5, R10
	ADDQ R10, AX
	MOVQ CX, R10
	SHLQ $5, R10
	ADDQ R10, DI
	DECQ R11
	JNZ  block
	TILERELEASE
	RET

// func halfTiles16(p *halfBlocks)
TEXT ·halfTiles16(SB), NOSPLIT, $8-8
	MOVQ p+0(FP), R12
	TILECONFIG
	MOVQ halfBlocks_a(R12), AX
	MOVQ halfBlocks_lda(R12), DX
	MOVQ halfBlocks_b(R12), BX
	MOVQ halfBlocks_c(R12), DI
	MOVQ halfBlocks_ldc(R12), CX
	MOVQ halfBlocks_steps(R12), R10
	MOVQ $128, SI
	ASK
	CMPQ halfBlocks_add(R12), $0
	JEQ  zero16
	LOADC(0, 0)
	LOADC(1, 64)
	JMP  loop16

zero16:
	TILEZERO(0)
	TILEZERO(1)

loop16:
	LOADA(4)
	LOADB(6, 0)
	LOADB(7, 64)
	AHEAD(turn16, asked16)
	DOT6(0, 4)
	DOT7(1, 4)
	ADDQ $64, AX
	ADDQ $2048, BX
	DECQ R10
	JNZ  loop16
	STOREC(0, 0)
	STOREC(1, 64)
	TILERELEASE
	RET

// func halfScores(p *halfPanels)
TEXT ·halfScores(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), R12
	TILECONFIG
	MOVQ halfPanels_lda(R12), DX
	MOVQ halfPanels_c(R12), DI
	MOVQ halfPanels_ldc(R12), CX
	MOVQ halfPanels_panels(R12), R13
	MOVQ halfPanels_count(R12), R11
	MOVQ $128, SI

keys:
	MOVQ halfPanels_a(R12), AX
	MOVQ (R13), BX
	MOVQ halfPanels_steps(R12), R10
	TILEZERO(0)
	TILEZERO(1)

keyStep:
	LOADA(4)
	LOADB(6, 0)
	LOADB(7, 64)
	DOT6(0, 4)
	DOT7(1, 4)
	ADDQ $64, AX
	ADDQ $2048, BX
	DECQ R10
	JNZ  keyStep
	STOREC(0, 0)
	STOREC(1, 64)
	ADDQ $128, DI
	ADDQ $24, R13            // the next slice
	DECQ R11
	JNZ  keys
	TILERELEASE
	RET

// func halfMix(p *halfPanels)
TEXT ·halfMix(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), R12
	TILECONFIG
	MOVQ halfPanels_a(R12), AX
	MOVQ halfPanels_lda(R12), DX
	MOVQ halfPanels_c(R12), DI
	MOVQ halfPanels_ldc(R12), CX
	MOVQ halfPanels_column(R12), R8
	ADDQ R8, DI
	SHLQ $4, R8              // 128 bytes of out are 2048 of a panel
	MOVQ halfPanels_panels(R12), R13
	MOVQ halfPanels_count(R12), R11
	MOVQ $128, SI
	TILEZERO(0)
	TILEZERO(1)

values:
	MOVQ (R13), BX
	ADDQ R8, BX
	LOADA(4)
	LOADB(6, 0)
	LOADB(7, 64)
	DOT6(0, 4)
	DOT7(1, 4)
	ADDQ $64, AX
	ADDQ $24, R13            // the next slice
	DECQ R11
	JNZ  values
	STOREC(0, 0)
	STOREC(1, 64)
	TILERELEASE
	RET

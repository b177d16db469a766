#include "textflag.h"

// func scoresAVX2(scores, query, keys *float32, n, width int, scale float32)
// scores[t] = scale * (query . keys[t]) for t < n; keys is [n, width], width a multiple of 8.
TEXT ·scoresAVX2(SB), NOSPLIT, $0-44
	MOVQ scores+0(FP), DI
	MOVQ query+8(FP), SI
	MOVQ keys+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ width+32(FP), R8
	MOVSS scale+40(FP), X15
	VBROADCASTSS X15, X15
	SHLQ $2, R8              // bytes of a row
	LEAQ (R8)(R8*2), R9      // bytes of three rows

four:
	CMPQ CX, $4
	JLT  one
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	XORQ AX, AX
	MOVQ DX, BX

fourColumns:
	VMOVUPS (SI)(AX*1), Y4
	VFMADD231PS (BX), Y4, Y0
	VFMADD231PS (BX)(R8*1), Y4, Y1
	VFMADD231PS (BX)(R8*2), Y4, Y2
	VFMADD231PS (BX)(R9*1), Y4, Y3
	ADDQ $32, BX
	ADDQ $32, AX
	CMPQ AX, R8
	JLT  fourColumns
	VHADDPS Y1, Y0, Y0
	VHADDPS Y3, Y2, Y2
	VHADDPS Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VMULPS X15, X0, X0
	VMOVUPS X0, (DI)
	ADDQ $16, DI
	LEAQ (DX)(R8*4), DX
	SUBQ $4, CX
	JMP  four

one:
	TESTQ CX, CX
	JEQ  done
	VXORPS Y0, Y0, Y0
	XORQ AX, AX

oneColumns:
	VMOVUPS (SI)(AX*1), Y4
	VFMADD231PS (DX)(AX*1), Y4, Y0
	ADDQ $32, AX
	CMPQ AX, R8
	JLT  oneColumns
	VHADDPS Y0, Y0, Y0
	VHADDPS Y0, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDSS X1, X0, X0
	VMULSS X15, X0, X0
	VMOVSS X0, (DI)
	ADDQ $4, DI
	ADDQ R8, DX
	DECQ CX
	JMP  one

done:
	VZEROUPPER
	RET

// func mixAVX2(out, weights, values *float32, n, width int)
// out += sum over t < n of weights[t] * values[t]; values is [n, width], width a multiple of 8.
TEXT ·mixAVX2(SB), NOSPLIT, $0-40
	MOVQ out+0(FP), DI
	MOVQ weights+8(FP), SI
	MOVQ values+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ width+32(FP), R8
	SHLQ $2, R8
	XORQ AX, AX              // byte offset of the columns

columns32:
	MOVQ R8, R9
	SUBQ AX, R9
	CMPQ R9, $128
	JLT  columns8
	LEAQ (DX)(AX*1), BX
	VMOVUPS (DI)(AX*1), Y0
	VMOVUPS 32(DI)(AX*1), Y1
	VMOVUPS 64(DI)(AX*1), Y2
	VMOVUPS 96(DI)(AX*1), Y3
	XORQ R10, R10

rows32:
	CMPQ R10, CX
	JGE  store32
	VBROADCASTSS (SI)(R10*4), Y4
	VFMADD231PS (BX), Y4, Y0
	VFMADD231PS 32(BX), Y4, Y1
	VFMADD231PS 64(BX), Y4, Y2
	VFMADD231PS 96(BX), Y4, Y3
	ADDQ R8, BX
	INCQ R10
	JMP  rows32

store32:
	VMOVUPS Y0, (DI)(AX*1)
	VMOVUPS Y1, 32(DI)(AX*1)
	VMOVUPS Y2, 64(DI)(AX*1)
	VMOVUPS Y3, 96(DI)(AX*1)
	ADDQ $128, AX
	JMP  columns32

columns8:
	CMPQ AX, R8
	JGE  finished
	LEAQ (DX)(AX*1), BX
	VMOVUPS (DI)(AX*1), Y0
	XORQ R10, R10

rows8:
	CMPQ R10, CX
	JGE  store8
	VBROADCASTSS (SI)(R10*4), Y4
	VFMADD231PS (BX), Y4, Y0
	ADDQ R8, BX
	INCQ R10
	JMP  rows8

store8:
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ $32, AX
	JMP  columns8

finished:
	VZEROUPPER
	RET

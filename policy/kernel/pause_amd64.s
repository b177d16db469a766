#include "textflag.h"

// func pause()
TEXT ·pause(SB), NOSPLIT, $0-0
	MOVQ $8, AX

again:
	PAUSE
	DECQ AX
	JNZ  again
	RET

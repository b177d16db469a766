package kernel

// rowAVX512 and rowAVX2 multiply a row with two or rowStreams panels, with the bits of the kernels for strips.
//
//go:noescape
func rowAVX512(k, count int, x, panels *float32, apart int, y *float32, add int)

//go:noescape
func rowAVX2(k, count int, x, panels *float32, apart int, y *float32, add int)

package kernel

// rowAVX512 and rowAVX2 multiply a row with two or rowStreams panels, with the bits of the kernels for strips.
//
//go:noescape
func rowAVX512(r *rowPanels)

//go:noescape
func rowAVX2(r *rowPanels)

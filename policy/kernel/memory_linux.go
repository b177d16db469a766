package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page: what one entry of the table of translations covers then.
const hugePage = 2 << 20

// HugePages is n zeros, in huge pages where they fill any and the system gives them. Memory that is read in small pieces here and
// there is then found without a walk through the page tables.
func HugePages(n int) []float32 {
	if 4*n < hugePage {
		return make([]float32, n)
	}
	x := make([]float32, n+hugePage/4)
	skip := int(-uintptr(unsafe.Pointer(&x[0]))&(hugePage-1)) / 4
	x = x[skip : skip+n : skip+n]
	whole := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*n&^(hugePage-1))
	_ = unix.Madvise(whole, unix.MADV_HUGEPAGE) // advice: without it the memory is as good, only slower
	return x
}

package kernel

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/hone-rl/hone"
	"github.com/viterin/vek"
)

// The names that [Set.Name] gives and that the environment variable HONE_KERNELS takes.
const (
	NameOpenBLAS = "openblas"
	NamePortable = "portable"
)

// Environment is the variable that chooses the set: "openblas" (an error where there is none), "portable", or empty for the best.
const Environment = "HONE_KERNELS"

// Set is one implementation of the kernels. It is safe for concurrent use and is never closed: a library stays open for the
// life of the process.
type Set struct {
	name        string
	fingerprint string
	gemm        gemmFunc
	vectors     vectors
	scratch     sync.Pool
	// jobs are idle states of Parallel.
	jobs sync.Pool
}

// gemmFunc computes a product whose slices have been checked and are not empty.
type gemmFunc func(p Product, a, b, c []float32)

// Open is the set that the environment variable HONE_KERNELS names; if it is empty, OpenBLAS if the machine has it, else
// the portable set. Errors wrap hone.ErrInvalid (unknown name) or hone.ErrUnavailable (openblas wanted and not found).
func Open() (*Set, error) {
	switch name := os.Getenv(Environment); name {
	case NamePortable:
		return Portable(), nil
	case NameOpenBLAS:
		return OpenBLAS()
	case "":
		if s, err := OpenBLAS(); err == nil {
			return s, nil
		}
		return Portable(), nil
	default:
		return nil, fmt.Errorf("%s=%q: want %q, %q or nothing: %w", Environment, name, NameOpenBLAS, NamePortable, hone.ErrInvalid)
	}
}

// Portable is the set written in Go alone. It needs nothing from the machine and is slower by a factor of ten or more.
func Portable() *Set {
	return &Set{
		name:        NamePortable,
		fingerprint: fmt.Sprintf("portable/1 %s/%s", runtime.GOOS, runtime.GOARCH),
		gemm:        portableGemm,
		vectors:     portableVectors(),
	}
}

// OpenBLAS is the set on the system's OpenBLAS, with one thread inside the library: goroutines split the work. The error wraps
// hone.ErrUnavailable where no library is found.
func OpenBLAS() (*Set, error) {
	lib, err := openLibrary()
	if err != nil {
		return nil, err
	}
	s := &Set{name: NameOpenBLAS, gemm: lib.gemm, vectors: portableVectors()}
	simd := "go"
	if vek.Info().Acceleration && hasSIMD() {
		s.vectors = simdVectors()
		simd = "avx2"
	}
	rows := "alike"
	if !s.rowsAlike() {
		rows = "placed"
	}
	s.fingerprint = fmt.Sprintf("openblas/1 core=%s config=%q vectors=%s rows=%s %s/%s",
		lib.core, lib.config, simd, rows, runtime.GOOS, runtime.GOARCH)
	return s, nil
}

// Name is "openblas" or "portable".
func (s *Set) Name() string { return s.name }

// Fingerprint names everything about the set that can change the bits of a result: the library, its version and the processor
// core it was made for. "rows=alike" says that equal rows of a product get equal bits wherever they stand, "rows=placed" that they need
// not. It is stored with what was computed.
func (s *Set) Fingerprint() string { return s.fingerprint }

// borrow gives a scratch slice of n float32, not zeroed; the caller hands the pointer back with release.
func (s *Set) borrow(n int) *[]float32 {
	p, ok := s.scratch.Get().(*[]float32)
	if !ok {
		p = new([]float32)
	}
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
	return p
}

func (s *Set) release(p *[]float32) { s.scratch.Put(p) }

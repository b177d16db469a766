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
	NameAMX      = "amx"
	NameAVX512   = "avx512"
	NameAVX2     = "avx2"
	NameOpenBLAS = "openblas"
	NamePortable = "portable"
)

// Environment is the variable that chooses the set by its name (an error where the machine hasn't got it), or is empty for the best.
const Environment = "HONE_KERNELS"

// Set is one implementation of the kernels. It is safe for concurrent use and is never closed: a library stays open for the
// life of the process.
type Set struct {
	name        string
	fingerprint string
	// alike: see RowsAlike.
	alike     bool
	tolerance float64
	products  products
	vectors   vectors
	halves    halves
	scratch   sync.Pool
	// jobs are idle states of Parallel, helpers its goroutines.
	jobs    sync.Pool
	helpers helpers
	// Likewise of what calls it.
	norms       works[normWork]
	normGrads   works[normGradWork]
	gates       works[gateWork]
	attends     works[attendWork]
	attendGrads works[attendGradWork]
	updates     works[updateWork]
	sums        works[sumWork]
	embedGrads  works[embedGradWork]
}

// products is a set's way of multiplying.
type products interface {
	// multiply computes a product whose slices have been checked and are not empty, on one goroutine or on all.
	multiply(s *Set, p Product, a, b, c []float32, parallel bool)
	// packWeight fills w from its rows.
	packWeight(w *Weight, rows []float32)
	// packedLen, packGrain and packRowsOf are about the rows that weights are multiplied with, see [Set.PackRows].
	packedLen(m, in int) int
	packGrain(m int) int
	packRowsOf(to, x []float32, m, in, first, last int)
	// linear multiplies packed rows with a weight, see [Set.LinearPacked].
	linear(s *Set, w *Weight, first, last int, y []float32, ldy int, packed []float32, m int, add bool)
}

// Open is the set that the environment variable HONE_KERNELS names; if it is empty, the first that the machine has of: assembly
// for AVX-512, assembly for AVX2, OpenBLAS, portable. Errors wrap hone.ErrInvalid (unknown name) or hone.ErrUnavailable (one that the
// machine hasn't got).
func Open() (*Set, error) {
	switch name := os.Getenv(Environment); name {
	case NamePortable:
		return Portable(), nil
	case NameOpenBLAS:
		return OpenBLAS()
	case NameAMX:
		return AMX()
	case NameAVX512, NameAVX2:
		return Assembly(name)
	case "":
		if own := panelSets(); len(own) > 0 {
			return assembly(own[0]), nil
		}
		if s, err := OpenBLAS(); err == nil {
			return s, nil
		}
		return Portable(), nil
	default:
		return nil, fmt.Errorf("%s=%q: want %q, %q, %q, %q, %q or nothing: %w",
			Environment, name, NameAMX, NameAVX512, NameAVX2, NameOpenBLAS, NamePortable, hone.ErrInvalid)
	}
}

// Assembly is one of the sets of our own, NameAVX512 or NameAVX2. They give the same bits. The error wraps hone.ErrUnavailable where
// the processor hasn't got the instructions.
func Assembly(name string) (*Set, error) {
	for _, p := range panelSets() {
		if p.name == name {
			return assembly(p), nil
		}
	}
	return nil, fmt.Errorf("kernels %s: not on this processor: %w", name, hone.ErrUnavailable)
}

func assembly(p *panels) *Set {
	s := &Set{
		name: p.name, alike: true, tolerance: singleTolerance, products: p, vectors: simdVectors(), halves: allHalves()[0],
		fingerprint: fmt.Sprintf("assembly/1 %s rows=alike %s/%s", p.name, runtime.GOOS, runtime.GOARCH),
	}
	if p.name == NameAVX512 {
		s.vectors = wideVectors()
	}
	return s
}

// AMX multiplies in the processor's tiles of bfloat16, each number split into two of them: to 2^-16 of a product, where the other sets
// have 2^-24, and several times as fast. The error wraps hone.ErrUnavailable where the processor or the system hasn't got them.
func AMX() (*Set, error) {
	p, ok := newTiles()
	if !ok {
		return nil, fmt.Errorf("kernels %s: not on this processor: %w", NameAMX, hone.ErrUnavailable)
	}
	return &Set{
		name: NameAMX, alike: true, tolerance: splitTolerance, products: p, vectors: wideVectors(), halves: allHalves()[0],
		fingerprint: fmt.Sprintf("assembly/1 %s bfloat16x3 rows=alike %s/%s", NameAMX, runtime.GOOS, runtime.GOARCH),
	}, nil
}

// Portable is the set written in Go alone. It needs nothing from the machine and is slower by a factor of ten or more.
func Portable() *Set {
	return &Set{
		name:        NamePortable,
		alike:       true,
		tolerance:   singleTolerance,
		fingerprint: fmt.Sprintf("portable/1 %s/%s", runtime.GOOS, runtime.GOARCH),
		products:    libraryProducts{portableGemm},
		vectors:     portableVectors(),
		halves:      plainHalves(),
	}
}

// OpenBLAS is the set on the system's OpenBLAS, with one thread inside the library: goroutines split the work. The error wraps
// hone.ErrUnavailable where no library is found.
func OpenBLAS() (*Set, error) {
	lib, err := openLibrary()
	if err != nil {
		return nil, err
	}
	s := &Set{
		name: NameOpenBLAS, tolerance: singleTolerance, products: libraryProducts{lib.gemm}, vectors: portableVectors(), halves: allHalves()[0],
	}
	simd := "go"
	if vek.Info().Acceleration && hasSIMD() {
		s.vectors = simdVectors()
		simd = "avx2"
	}
	rows := "alike"
	if s.alike = s.rowsAlike(); !s.alike {
		rows = "placed"
	}
	s.fingerprint = fmt.Sprintf("openblas/1 core=%s config=%q vectors=%s rows=%s %s/%s",
		lib.core, lib.config, simd, rows, runtime.GOOS, runtime.GOARCH)
	return s, nil
}

// Name is one of the names above.
func (s *Set) Name() string { return s.name }

// Fingerprint names everything about the set that can change the bits of a result: the library, its version and the processor
// core it was made for. "rows=alike" says that equal rows of a product get equal bits wherever they stand, "rows=placed" that they need
// not. It is stored with what was computed.
func (s *Set) Fingerprint() string { return s.fingerprint }

// RowsAlike tells whether equal rows of a product get equal bits wherever they stand, as the fingerprint says.
func (s *Set) RowsAlike() bool { return s.alike }

// Tolerance is what, times sqrt(k) and the size of the result, bounds the error of a sum of k products: rounding errors add up like a
// random walk. It is 1e-6 for float32, and 2e-5 for NameAMX.
func (s *Set) Tolerance() float64 { return s.tolerance }

// Borrow gives a scratch slice of n float32, not zeroed; the caller hands the pointer back with Release.
func (s *Set) Borrow(n int) *[]float32 {
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

// Release takes back what Borrow gave.
func (s *Set) Release(p *[]float32) { s.scratch.Put(p) }

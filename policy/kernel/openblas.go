//go:build linux || darwin || freebsd

package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/hone-rl/hone"
)

// library is an open OpenBLAS with 32-bit integers in its interface.
type library struct {
	sgemm        uintptr
	core, config string
	args         sync.Pool
}

// libraryNames are tried in order; the loader searches its own path.
//
//nolint:gochecknoglobals // table
var libraryNames = []string{"libopenblas.so.0", "libopenblas.so", "libopenblas.dylib", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib"}

// openLibrary opens OpenBLAS and holds it to one thread.
func openLibrary() (*library, error) {
	var failures []error
	for _, name := range libraryNames {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		lib, err := bind(handle)
		if err == nil {
			return lib, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", name, err))
	}
	return nil, fmt.Errorf("open OpenBLAS (Debian: apt-get install libopenblas0): %w: %w", errors.Join(failures...), hone.ErrUnavailable)
}

func bind(handle uintptr) (*library, error) {
	symbols := map[string]uintptr{"sgemm_": 0, "openblas_set_num_threads": 0, "openblas_get_corename": 0, "openblas_get_config": 0}
	for name := range symbols {
		address, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		symbols[name] = address
	}
	purego.SyscallN(symbols["openblas_set_num_threads"], 1)
	core, _, _ := purego.SyscallN(symbols["openblas_get_corename"])
	config, _, _ := purego.SyscallN(symbols["openblas_get_config"])
	lib := &library{sgemm: symbols["sgemm_"], core: cString(core), config: strings.TrimSpace(cString(config))}
	if strings.Contains(lib.config, "USE64BITINT") {
		return nil, fmt.Errorf("64-bit integers in the interface (%s): %w", lib.config, hone.ErrUnavailable)
	}
	return lib, nil
}

// cString copies a C string that the library owns.
func cString(address uintptr) string {
	if address == 0 {
		return ""
	}
	p := *(*unsafe.Pointer)(unsafe.Pointer(&address))
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// gemmArgs are the scalar arguments of sgemm_, which takes all of them by address.
type gemmArgs struct {
	m, n, k, lda, ldb, ldc int32
	alpha, beta            float32
	transA, transB         byte
}

// gemm calls the Fortran interface, which is column-major: a row-major C is a column-major C transposed, so the operands change
// places.
func (l *library) gemm(p Product, a, b, c []float32) {
	args, ok := l.args.Get().(*gemmArgs)
	if !ok {
		args = new(gemmArgs)
	}
	*args = gemmArgs{
		m: int32(p.M), n: int32(p.N), k: int32(p.K), lda: int32(p.LDA), ldb: int32(p.LDB), ldc: int32(p.LDC),
		alpha: p.Alpha, beta: p.Beta, transA: letter(p.TransA), transB: letter(p.TransB),
	}
	purego.SyscallN(l.sgemm,
		uintptr(unsafe.Pointer(&args.transB)), uintptr(unsafe.Pointer(&args.transA)),
		uintptr(unsafe.Pointer(&args.n)), uintptr(unsafe.Pointer(&args.m)), uintptr(unsafe.Pointer(&args.k)),
		uintptr(unsafe.Pointer(&args.alpha)),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&args.ldb)),
		uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&args.lda)),
		uintptr(unsafe.Pointer(&args.beta)),
		uintptr(unsafe.Pointer(&c[0])), uintptr(unsafe.Pointer(&args.ldc)))
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	runtime.KeepAlive(c)
	l.args.Put(args)
}

func letter(transposed bool) byte {
	if transposed {
		return 'T'
	}
	return 'N'
}

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Init is the process in the middle, where this process was started to be it; is tells so, and the main function then ends with the code
// and does nothing else.
func Init() (code int, is bool) {
	if len(os.Args) != 1 || os.Args[0] != initName || os.Getenv(marker) == "" {
		return 0, false
	}
	// What this process was born with is not the program's.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 1, true
	}
	runtime.LockOSThread() // privileges and tracing are a thread's
	replies := json.NewEncoder(os.Stdout)
	err := replies.Encode(reply{Ready: true})
	if err == nil {
		err = obey(os.Stdin, replies)
	}
	if err == nil {
		return 0, true
	}
	if err := replies.Encode(reply{Fault: err.Error()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1, true
}

// obey does what the order says.
func obey(in io.Reader, replies *json.Encoder) error {
	var o order
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	k := keeper{order: o, box: box}
	if o.Program.Unsandboxed {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		k.box = dir
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("adopt orphans: %w", err)
		}
	} else if err := enterRoot(o.Program); err != nil {
		return err
	}
	if err := renounce(!o.Program.Unsandboxed); err != nil {
		return err
	}
	if err := os.Setenv("PATH", path); err != nil { // where commands are looked for
		return err
	}
	go func() { // the caller is gone when its end of the pipe is
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), in))
		k.sweep()
		os.Exit(0) //nolint:revive // nobody hears what is going on, so it is ended
	}()
	for _, c := range o.Cases {
		result, err := k.run(c)
		if err != nil {
			return err
		}
		if err := replies.Encode(reply{Result: &result}); err != nil {
			return fmt.Errorf("reply: %w", err)
		}
		if result.End == OutOfTime || result.End == OutOfCPU {
			break
		}
	}
	return nil
}

// addrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
const addrNoRandomize = 0x0040000

// renounce takes from all that this thread starts what it could gain by running a file: privileges of set-uid files, and those that
// account 0 of a namespace has.
func renounce(bounding bool) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("renounce new privileges: %w", err)
	}
	// Addresses that a program prints are then the same twice.
	if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, addrNoRandomize, 0, 0); errno != 0 {
		return fmt.Errorf("keep addresses in place: %w", errno)
	}
	for c := uintptr(0); bounding; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && c > 0 { // there are no more
			break
		}
		if err != nil {
			return fmt.Errorf("renounce capability %d: %w", c, err)
		}
	}
	return nil
}

package kernel

import "golang.org/x/sys/unix"

// yield lets other threads and processes have the processor if they want it.
func yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Package sandbox runs programs that nobody vouches for: in namespaces of their own, without a network, seeing few files and no
// environment, under limits of time, memory, processes, files and output.
//
//	caller ── Run ──► the same binary, begun as [Init] ──► the program, once for each case
//	                  process 1 of new user, mount, pid,    no privileges, limits set before its
//	                  network, ipc and uts namespaces       first instruction
//
// The process in the middle mounts a root that holds read-only folders and one small writable one, starts the program stopped, sets its
// limits, lets it go, and kills whatever is left when it ends; when it ends itself, the kernel kills all that it held. A program that uses
// this package must call [Init] first in its main function.
//
// It is no virtual machine: the program talks to the same kernel. Linux only; elsewhere [Run] is [hone.ErrUnavailable].
package sandbox

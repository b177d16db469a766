//go:build !linux

package pglocal

import "syscall"

// namespaces tells that this system may run the server in a user namespace.
const namespaces = false

// attributes start a child as the account, in a process group of its own, so that ctrl-C reaches the owner alone. This system
// can't signal a child when its owner dies; the next start takes the orphan over.
func attributes(a account, _ syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

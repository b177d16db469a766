package pglocal

import "syscall"

// namespaces tells that this system may run the server in a user namespace.
const namespaces = true

// attributes start a child as the account, in a process group of its own (so that ctrl-C reaches the owner alone), to be sent
// the signal when the owner's thread ends.
func attributes(a account, onDeath syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath}
	if !a.drop {
		return attr
	}
	attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	if a.namespace {
		attr.Credential.NoSetGroups = true
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: a.uid, HostID: 0, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: a.gid, HostID: 0, Size: 1}}
	}
	return attr
}

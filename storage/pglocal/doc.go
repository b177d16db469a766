// Package pglocal runs a private PostgreSQL server from local binaries, for one data directory and one owner process.
//
// The server is a child process that listens on a Unix socket in a directory of mode 0700 and nowhere else. It never outlives
// its owner: [Server.Stop] shuts it down in order, and when the owner is killed outright, the kernel sends the server the same
// signal (Linux; elsewhere the next [Start] takes the orphan over). A second process on the same directory is refused at once.
//
//	Options.Dir/
//	  data/        the cluster; never deleted, never upgraded by this package
//	  init.tmp/    a cluster being initialised; renamed to data when it is whole
//	  run/         the socket, unless the path is too long for one
//	  log/         postgres.log, and postgres.log.1 from before the last rotation
//	  owner.lock   held by flock; contains the owner's process id
//
// PostgreSQL refuses to run as root. A root owner therefore runs it as the account postgres or nobody, or, where that account
// can't reach the directory, as root's stand-in in a user namespace.
//
// The package opens no database of the application's and knows no schema; it does not listen on TCP and does not manage roles.
package pglocal

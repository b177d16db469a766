#!/usr/bin/env bash
# Checks what hone needs from the machine and installs what is missing, saying so.
#
#   tools/setup.sh demo    Go, PostgreSQL's binaries, OpenBLAS
#   tools/setup.sh test    the same, make, and a C compiler: `go test -race` needs cgo, for that build alone
#
# It never asks for a password: as root, or where `sudo -n` works, it installs with apt-get; otherwise it prints the one line to
# type and stops. Run again, it finds everything and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

have_go() {
	local want
	want=$(awk '$1 == "go" { print $2; exit }' go.mod)
	if ! command -v go >/dev/null; then
		say "Go is not on the PATH; hone needs Go $want or newer: https://go.dev/dl" >&2
		return 1
	fi
	# An older Go fetches the version that go.mod names by itself, unless it was told not to.
	if ! go env GOVERSION >/dev/null; then
		say "this Go is older than $want and can't fetch a newer one; install Go $want or newer: https://go.dev/dl" >&2
		return 1
	fi
}

# hone looks in the same places; see storage/pglocal.
have_postgres() {
	command -v initdb >/dev/null && command -v postgres >/dev/null && return
	compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || compgen -G '/usr/pgsql-*/bin/postgres' >/dev/null
}

have_openblas() {
	compgen -G '/usr/lib/*/libopenblas*.so*' >/dev/null || compgen -G '/usr/lib64/libopenblas*.so*' >/dev/null ||
		compgen -G '/opt/homebrew/opt/openblas/lib/*' >/dev/null
}

have_avx2() { [[ $(uname -m) == x86_64 ]] && grep -qw avx2 /proc/cpuinfo 2>/dev/null; }

have_cc() { printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | ${CC:-gcc} -x c -o /dev/null - 2>/dev/null; }

install() {
	local as=()
	if ! command -v apt-get >/dev/null; then
		say "missing: $*. These are Debian's names; install the same with this system's package manager and try again." >&2
		return 1
	fi
	if [[ $(id -u) -ne 0 ]]; then
		if ! sudo -n true 2>/dev/null; then
			say "missing: $*. Type this line, then try again:" >&2
			printf '\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends %s\n\n' "$*" >&2
			return 1
		fi
		as=(sudo -n)
	fi
	say "installing with apt-get: $*"
	# The package lists of a fresh image are empty or old: fetch them only if the first try fails.
	apt() { "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null; }
	apt install -y --no-install-recommends "$@" 2>/dev/null || { apt update && apt install -y --no-install-recommends "$@"; }
}

main() {
	local purpose=${1:-} missing=()
	if [[ $purpose != demo && $purpose != test ]]; then
		say "usage: tools/setup.sh demo|test" >&2
		return 2
	fi
	have_go
	# A demo on a server of yours (DATABASE_URL) needs no binaries here; the tests start servers of their own.
	[[ $purpose == demo && -n ${DATABASE_URL:-} ]] || have_postgres || missing+=(postgresql)
	# hone multiplies by itself on processors with AVX2; the tests compare it with the library.
	have_openblas || { [[ $purpose == demo ]] && have_avx2; } || missing+=(libopenblas0-pthread)
	if [[ $purpose == test ]]; then
		have_cc || missing+=(gcc libc6-dev)
		command -v make >/dev/null || missing+=(make)
	fi
	if ((${#missing[@]})); then
		if ! install "${missing[@]}"; then
			[[ ${missing[*]} == libopenblas0-pthread ]] || return 1
			say "going on without OpenBLAS: hone's portable kernels give a working policy, several times slower"
		fi
	fi
	say "ready ($(go env GOVERSION))"
}

main "$@"

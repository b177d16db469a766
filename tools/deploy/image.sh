#!/usr/bin/env bash
# Assembles the file system of the image (deploy/Dockerfile) from a built binary and what distroless's base has of it, and runs it as the image
# would be: as user 65532, on a read-only root, in namespaces of its own, without capabilities. It needs no container engine; it needs root or
# user namespaces, and says so where there are neither.
set -euo pipefail
binary=$(realpath "${1:?usage: image.sh BINARY}")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

mkdir -p "$root"/{usr/bin,etc/ssl/certs,var/lib/hone,tmp,proc,dev,lib64}
cp "$binary" "$root/usr/bin/hone"
# glibc, as distroless/base-nossl has it: the binary asks for nothing else.
ldd "$binary" | awk '/=> \// { print $3 } /^\t\/lib/ { print $1 }' | while read -r library; do
	case $(basename "$library") in
	libc.so.* | libdl.so.* | libpthread.so.* | ld-linux-*) install -D "$(realpath "$library")" "$root$library" ;;
	*) echo "image: $binary needs $library, which distroless/base-nossl has not" >&2; exit 1 ;;
	esac
done
echo 'nonroot:x:65532:65532::/home/nonroot:/sbin/nologin' >"$root/etc/passwd"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

if [ "$(id -u)" = 0 ]; then
	apart=(unshare --mount --pid --fork --ipc --uts --net)
elif unshare --user --map-users=auto true 2>/dev/null; then
	apart=(unshare --user --map-root-user --map-users=auto --map-groups=auto --mount --pid --fork --ipc --uts --net)
else
	echo 'image: not run: neither root nor user namespaces here' >&2
	exit 0
fi
# inside runs one command in the image: what it may write to is what the chart and the compose file give it.
inside() {
	"${apart[@]}" bash -c '
		set -e
		root=$1; shift
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
		mount -t tmpfs -o uid=65532,gid=65532 tmpfs "$root/var/lib/hone"
		mount -o remount,bind,ro "$root"
		exec env -i PATH=/usr/sbin:/usr/bin:/bin HONE_DATA_DIR=/var/lib/hone \
			setpriv --no-new-privs chroot --userspec=65532:65532 --groups=65532 "$root" "$@"' image "$root" "$@"
}
# expect runs a command that must end with that code and say these words.
expect() {
	local code=$1 words=$2 said got=0
	shift 2
	said=$(inside "$@" 2>&1) || got=$?
	if [ "$got" != "$code" ] || ! grep -q -- "$words" <<<"$said"; then
		printf 'image: %s ended with %s and said:\n%s\nwant %s and "%s"\n' "$*" "$got" "$said" "$code" "$words" >&2
		exit 1
	fi
}

hone=/usr/bin/hone
expect 0 '^hone ' $hone version
expect 1 'self-check passed' $hone doctor # which misses a Postgres of its own, and finds all else
# The command of the image: it waits for its servers, says which is away, and ends in order.
expect 1 '127.0.0.1:1' $hone worker --role all --wait 0s --database-url 'postgres://hone@127.0.0.1:1/hone?connect_timeout=1' --temporal-address 127.0.0.1:2
# What has to be computed is computed there as here.
cat >"$root/samples.jsonl" <<'SAMPLES'
{"problem": "4 5 6 10", "completion": "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\nAnswer: (5 * (10 - 4)) - 6 = 24\n"}
SAMPLES
chmod 644 "$root/samples.jsonl"
expect 0 'right' $hone score /samples.jsonl --task game24
echo "image: $(du -sh "$root" | cut -f1) run as user 65532 on a read-only root"

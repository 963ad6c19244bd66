#!/bin/sh
# The packages this project needs, in sets: build, check, analyze, vm, package.
#
#   deps.sh require SET..   fail when one is missing, and say how to get it
#   deps.sh ensure SET..    install what is missing, if anything
#   deps.sh install SET..   the same, with a word when nothing is, and optional packages too
#
# Debian and Ubuntu (apt-get), Fedora (dnf). Elsewhere the names are printed for a person to find.
# Runs before anything is installed: plain sh, awk and the package manager.
set -u
cd "$(dirname "$0")/../.." || exit 1

# Set, name in Debian and Ubuntu, names in Fedora ("-": nothing to install there). A "?" after the
# set: useful, not in every release. Set "name": only how Fedora calls a package of another list.
table='
build     gcc               gcc
build     binutils          binutils
build     make              make
build     diffutils         diffutils
build     findutils         findutils
build     pkg-config        pkgconf-pkg-config
build     libc6-dev         glibc-devel
build     libevent-dev      libevent-devel
build     libseccomp-dev    libseccomp-devel
build     libcap-dev        libcap-devel
build     libbsd-dev        libbsd-devel
build     libinih-dev       inih-devel
build     libsystemd-dev    systemd-devel
build     libjson-c-dev     json-c-devel
check     check             check-devel
analyze   clang             clang
analyze   clang-format      clang-tools-extra
analyze   clang-tidy        clang-tools-extra
analyze   cppcheck          cppcheck
analyze   valgrind          valgrind
analyze   mandoc            mandoc
analyze   shellcheck        ShellCheck
analyze   systemd           systemd
analyze   libc6-dbg         -
analyze   libgcc-s1         libasan libubsan libtsan
analyze?  libclang-rt-dev   compiler-rt
package   debhelper         -
package   dpkg-dev          -
package   lintian           -
name      busybox-static    busybox
name      libelf-dev        elfutils-libelf-devel
name      libssl-dev        openssl-devel
name      qemu-system-x86   qemu-system-x86-core
name      seabios           seabios-bin
name      xz-utils          xz
'
vm_packages=tests/vm/packages

say() { echo "deps: $*" >&2; }

# system: which package manager speaks here
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
	system=debian
elif command -v dnf >/dev/null && command -v rpm >/dev/null; then
	system=fedora
else
	system=other
fi

# names SET..: the packages of the sets, one per line, in the words of this system
names() {
	{
		echo "$table"
		case " $* " in *" vm "*)
			# one name per line; # starts a comment
			sed 's/#.*//' "$vm_packages" 2>/dev/null | awk 'NF { print "vm", $1 }' ;;
		esac
	} | awk -v sets=" $* " -v os="$system" '
		NF == 0 { next }
		{ debian = $2; fedora = $2 }
		NF > 2 { fedora = $3; for (i = 4; i <= NF; i++) fedora = fedora "\n" $i }
		NF > 2 { known[debian] = fedora }
		NF == 2 && debian in known { fedora = known[debian] }
		index(sets, " " $1 " ") { name = os == "fedora" ? fedora : debian
			if (name != "-") print name }' | sort -u
}

# missing SET..: those of them that are not installed
missing() {
	wanted=$(names "$@")
	[ -n "$wanted" ] || return 0
	# shellcheck disable=SC2086 # one word per package
	case $system in
	debian) present=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
		awk '$2 == "installed" { print $1 }') ;;
	fedora) present=$(rpm -q --qf '%{NAME}\n' $wanted 2>/dev/null) ;;
	*) return 0 ;;
	esac
	printf '%s\n--\n%s\n' "$present" "$wanted" |
		awk '$0 == "--" { rest = 1; next } !rest { have[$0] = 1; next } !have[$0]'
}

# command_for PACKAGE..: what a person would type
command_for() {
	case $system in
	debian) echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" ;;
	fedora) echo "sudo dnf install -y $*" ;;
	*) echo "install what your system calls: $*" ;;
	esac
}

# as_root COMMAND..: by being root, or by a sudo that asks no password
as_root() {
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	else
		sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
	fi </dev/null
}

can_be_root() {
	[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

apt_update() {
	as_root apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update
}

# Package lists may be absent (a container) or old (a name that is gone): the second try is fresh.
apt_install() {
	updated=
	ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || { apt_update && updated=1; }
	for try in 1 2; do
		as_root apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
			install --no-install-recommends "$@" && return 0
		[ -z "$updated" ] && [ "$try" = 1 ] || return 1
		apt_update
		updated=1
	done
	return 1
}

# optional SET..: missing packages of "SET?" that this release has
optional() {
	[ "$system" = debian ] || return 0
	for set in "$@"; do
		for p in $(missing "$set?"); do
			apt-cache show "$p" >/dev/null 2>&1 && echo "$p"
		done
	done
}

# install_packages PACKAGE..
install_packages() {
	if ! can_be_root; then
		say "missing: $*"
		say "not root, and sudo asks for a password. Please run:"
		command_for "$@" >&2
		return 1
	fi
	say "installing: $*"
	case $system in
	debian) apt_install "$@" ;;
	fedora) as_root dnf -y install "$@" ;;
	esac || { say "could not install: $*"; return 1; }
}

verb=${1:-}
[ $# -gt 1 ] || { say "usage: deps.sh require|ensure|install SET.."; exit 2; }
shift
lacking=$(missing "$@" | tr '\n' ' ')

case $verb in
require)
	[ -n "$lacking" ] || exit 0
	say "missing: $lacking"
	say "\"make deps\" installs them, or: $(command_for "$lacking")"
	exit 1 ;;
ensure | install)
	if [ "$system" = other ]; then
		[ "$verb" = ensure ] || command_for "$(names "$@" | tr '\n' ' ')" >&2
		exit 0
	fi
	# shellcheck disable=SC2086 # one word per package
	[ -z "$lacking" ] || install_packages $lacking || exit 1
	[ "$verb" = install ] || exit 0
	extra=$(optional "$@" | tr '\n' ' ')
	# shellcheck disable=SC2086
	[ -z "$extra" ] || install_packages $extra || exit 1
	[ -n "$lacking$extra" ] || say "nothing is missing for: $*" ;;
*)
	say "unknown: $verb"
	exit 2 ;;
esac

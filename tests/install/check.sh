#!/usr/bin/env bash
# "make install" into a directory of its own: what is there and with which modes, a program built
# against it, the daemon run from it, and "make uninstall", which leaves nothing.
#
# IOB_BUILD says where the programs are (default: build). The last line is "N passed, N failed".
# shellcheck disable=SC2317 # check calls the functions
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

build=${IOB_BUILD:-$PWD/build}
here=tests/install
work=$(mktemp -d)
root=$work/root
daemon=
clean_up() {
	[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# The same flags as for the build, or everything would be built again: they come by MAKEFLAGS.
again() {
	make "$@" BUILD="$build" DESTDIR="$root" PREFIX=/usr/local >"$work/make.log" 2>&1 ||
		{ cat "$work/make.log"; return 1; }
}

passed=0 failed=0
# check NAME COMMAND..
check() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "install: FAIL: $name"
	fi
}

# Mode and path of what is there, and where links lead.
listing() {
	find "$root" -mindepth 1 \( -type l -printf 'link %P -> %l\n' -o -printf '%m %P\n' \) |
		LC_ALL=C sort -k 2
}

as_in_manifest() {
	diff <(grep -v '^#' $here/manifest) <(listing)
}

# What is built by one is installed by another, who must not leave files of his own there.
programs() { stat -c '%n %a %Y' "$build"/bin/* "$build"/libexec/* "$build"/lib/*; }
built_nothing() { [ "$(programs)" = "$built" ]; }

# A umask that forbids much must not make what is installed unreadable.
manifest_whatever_umask() (
	umask 077
	again install && as_in_manifest
)

unstripped_by_default() {
	readelf -S "$root/usr/local/sbin/iommu-brokerd" | grep -q debug_info
}

stripped_when_asked() {
	again install-strip &&
		! readelf -S "$root/usr/local/sbin/iommu-brokerd" | grep -q debug_info &&
		as_in_manifest
}

# Nothing of the lists, of the substitutions or of this machine may be left in a text.
texts_are_whole() {
	! grep -rnE '@[A-Z]+@' "$root" --include='*.service' --include='*.socket' --include='*.pc' \
		--include='*.conf' && ! grep -rnIF -e "$root" -e "$PWD" "$root"
}

pages_have_their_links() {
	local name bad=0
	while read -r name; do
		[ -e "$root/usr/local/share/man/man3/$name.3" ] ||
			{ echo "no manual page for $name"; bad=1; }
	done < <(sed -n 's/^[a-z].*[ *]\(iob_[a-z0-9_]*\)(.*/\1/p' "$root/usr/local/include/iommubroker.h")
	return $bad
}

config() {
	PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=$root/usr/local/lib/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" libiommubroker
}

# compile NAME FLAG..
compile() {
	# shellcheck disable=SC2046 # flags are words
	"${CC:-cc}" -Wall -Wextra -Werror ${SAN:+"-fsanitize=$SAN"} $(config --cflags) \
		-o "$work/$1" $here/client.c "${@:2}"
}

compiles_shared() {
	# shellcheck disable=SC2046
	compile shared $(config --libs) &&
		readelf -d "$work/shared" | grep -q 'NEEDED.*libiommubroker.so.1'
}

compiles_static() {
	# shellcheck disable=SC2046
	compile static $(config --static --libs | sed 's/-liommubroker/-l:libiommubroker.a/') &&
		! readelf -d "$work/static" | grep -q libiommubroker
}

says_version() {
	[ "$(config --modversion)" = "$("$root/usr/local/bin/iommuctl" --version | sed 's/.* //')" ]
}

# Its helpers it finds where they were installed: the build tree lies nowhere near.
start_daemon() {
	local conf=$root/etc/iommu-broker/iommu-broker.conf
	"$root/usr/local/sbin/iommu-brokerd" --config "$conf" --socket "$work/socket" \
		>"$work/daemon.log" 2>&1 &
	daemon=$!
	until [ -S "$work/socket" ] && "$root/usr/local/bin/iommuctl" -s "$work/socket" status \
		>/dev/null 2>&1; do
		kill -0 "$daemon" 2>/dev/null || { cat "$work/daemon.log"; daemon=; return 1; }
	done
}

write_configuration() {
	cat >"$root/etc/iommu-broker/iommu-broker.conf" <<-END
		[daemon]
		backend = sim
		[allow the one who tests]
		user = $(id -un)
		domains = yes
		device = *
	END
}

client_works() {
	LD_LIBRARY_PATH=$root/usr/local/lib "$work/$1" "$work/socket" | grep -q 'reaches 4096 bytes'
}

configuration_is_kept() {
	cp "$root/etc/iommu-broker/iommu-broker.conf" "$work/mine"
	again install && cmp "$work/mine" "$root/etc/iommu-broker/iommu-broker.conf"
}

leaves_mine() {
	again uninstall && cmp "$work/mine" "$root/etc/iommu-broker/iommu-broker.conf" &&
		[ "$(find "$root" ! -type d | wc -l)" -eq 1 ]
}

# Nothing but directories that are everybody's.
leaves_nothing() {
	rm -r "$root"
	again install && again uninstall && [ -z "$(find "$root" ! -type d)" ] &&
		! find "$root" -type d | grep 'broker'
}

built=$(programs)
check 'files, modes and links are as in the manifest' manifest_whatever_umask
check 'what was built is not built again' built_nothing
check 'programs keep their symbols' unstripped_by_default
check 'install-strip strips them' stripped_when_asked
check 'texts are whole' texts_are_whole
check 'each function has its manual page' pages_have_their_links
check 'a program is built with the shared library' compiles_shared
check 'a program is built with the static library' compiles_static
check 'pkg-config and iommuctl agree on the version' says_version
write_configuration
check 'the installed daemon starts' start_daemon
check 'the program with the shared library works' client_works shared
check 'the program with the static library works' client_works static
check 'a second install keeps the configuration' configuration_is_kept
check 'uninstall keeps a configuration that was changed' leaves_mine
check 'uninstall leaves nothing else' leaves_nothing
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

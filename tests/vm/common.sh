# shellcheck shell=bash
# Shared by the scripts of this folder; to be sourced.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034  # used by those who source this
vm_cache=${IOB_VM_CACHE:-$HOME/.cache/iommu-broker-vm}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 2; }

# Short name of the kernel configuration: comments and empty lines do not matter, what is read does.
config_key() {
	grep -E '^(CONFIG_|# CONFIG_[A-Z0-9_]+ is not set$)' "$vm_dir/kernel-iommufd.config" |
		sha256sum | cut -c1-12
}

# Name of the directory that root-image.sh makes in the cache. The link to one of several would be
# that of the checkout which was used last.
os_release() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }
root_name() {
	printf 'root-%s-%s\n' "$(os_release)" "$(sha256sum < "$vm_dir/root-image.sh" | cut -c1-12)"
}

# --- what the self-tests have in common ---------------------------------------------------------

# selftest_begin: sets $work, a directory with room for two stages, $failed and $uapi.
selftest_begin() {
	# Debian 12 has no linux/iommufd.h; the kernel built by kernels.sh brings it.
	uapi=$vm_cache/iommufd/uapi/include
	[ -e "$uapi/linux/iommufd.h" ] || die "$uapi has no linux/iommufd.h; run kernels.sh first"
	failed=0
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/stage" "$work/broken"
}

# build_program NAME DIRECTORY: from NAME.c. Dynamic, which tests that run.sh finds the libraries.
build_program() {
	mkdir -p "$2"
	"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wconversion -Werror -D_GNU_SOURCE \
		-isystem "$uapi" -o "$2/$1" "$vm_dir/$1.c"
}

# broken KIND WHAT STATUS GUEST-COMMAND [OPTION]...: run.sh must exit with STATUS
broken() {
	local kind=$1 what=$2 want=$3 got=0
	printf '#!/bin/sh\n%s\n' "$4" > "$work/broken/guest.sh"
	chmod +x "$work/broken/guest.sh"
	shift 4
	"$vm_dir/run.sh" "$kind" "$@" "$work/broken" > "$work/broken.log" 2>&1 || got=$?
	if [ "$got" -eq "$want" ]; then
		say "$kind: $what: status $got, as it should be"
	else
		say "$kind: $what: FAIL, status $got instead of $want"
		tail -n 20 "$work/broken.log" >&2
		# shellcheck disable=SC2034  # used by those who source this
		failed=1
	fi
}

#!/usr/bin/env bash
# binaries.sh BUILD    what the linked programs contain, and must not contain
set -u
cd "$(dirname "$0")/../.." || exit 1

build=$1
bad=0

complain() {
	printf 'binaries: %s\n' "$*"
	bad=1
}

# Names that FILE defines, one per line; FLAGS as of nm.
defined() {
	nm --defined-only -P "${@:2}" "$1" | awk 'NF > 2 { print $1 }'
}

# absent FILE PATTERN WHY
absent() {
	local found
	found=$(defined "$1" | grep -E "$2" | tr '\n' ' ')
	[ -z "$found" ] || complain "$1: $3: $found"
}

# No client byte is taken apart where a node can be opened.
absent "$build/libexec/iommu-broker-session" '^(glue_opener|opener|sysfs)_' 'the session opens nodes'
absent "$build/bin/iommu-brokerd" '^(operation_find|operation_take|interval_map_.*|glue_mapper_.*)$' \
	'the monitor does the work of a session'
absent "$build/bin/iommuctl" '^(glue|monitor|priv)_' 'iommuctl has code of the daemon'

# Of the library only iob_ is to be seen, and both forms show the same.
exported() {
	defined "$@" | grep -vE '^(LIBIOMMUBROKER|IOMMUBROKER)|^_|:$' | sed 's/@.*//' | sort -u
}
shared=$(exported "$build/lib/libiommubroker.so.1" -D)
static=$(exported "$build/lib/libiommubroker.a" -g)
other=$(printf '%s\n' "$shared" | grep -v '^iob_' | tr '\n' ' ')
[ -z "${other// /}" ] || complain "the library exports: $other"
[ -n "$shared" ] || complain 'the library exports nothing'
difference=$(diff <(printf '%s\n' "$shared") <(printf '%s\n' "$static")) ||
	complain "the shared (<) and the static (>) library differ: $difference"

# PIE, and nothing of the linkage writeable after the start.
for program in bin/iommu-brokerd bin/iommuctl libexec/iommu-broker-session \
	libexec/iommu-broker-sim; do
	readelf -hdl "$build/$program" >"$build/readelf.txt" || complain "$program: not there"
	for property in 'DYN ' 'GNU_RELRO' 'BIND_NOW\|NOW'; do
		grep -q "$property" "$build/readelf.txt" || complain "$program: no $property"
	done
	! grep -A1 'GNU_STACK' "$build/readelf.txt" | grep -q 'RWE' ||
		complain "$program: executable stack"
done

# A source in no list of the Makefile is dead.
while IFS= read -r -d '' source; do
	[ -e "$build/obj/${source%.c}.o" ] || complain "$source: belongs to no program"
done < <(find proto daemon kernel-glue client -name '*.c' -print0 | sort -z)

exit "$bad"

#!/usr/bin/env bash
# analyze.sh BUILD FLAG..    everything that finds faults without running the programs
#
# clang-tidy (.clang-tidy) and cppcheck over the sources, shellcheck over the scripts, mandoc over the
# manual pages, systemd over its units, and a look at what the linked programs contain. FLAG..: what
# the preprocessor needs. No findings are allowed.
# shellcheck disable=SC2317 # step calls the functions
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

build=$1
shift
export TIDY_FLAGS="-Itests/tools/model $*"
jobs=$(nproc)
failed=0

# step NAME COMMAND..
step() {
	local name=$1 begin=$SECONDS verdict=clean
	shift
	"$@" || verdict=FINDINGS failed=1
	printf 'analyze: %-10s %s (%d s)\n' "$name" "$verdict" $((SECONDS - begin))
}

sources() {
	find proto daemon kernel-glue client -name '*.c' -print0 | sort -z
}

# One file for each run: clang-tidy mixes up the functions of several. It is quiet when all is well.
tidy() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	sources | xargs -0 -r -n 1 -P "$jobs" sh -c '
		[ "$1" != proto/fault.c ] || TIDY_FLAGS="-DMODEL_NOT_FAULT $TIDY_FLAGS"
		findings=$(clang-tidy --quiet "$1" -- $TIDY_FLAGS 2>&1) && exit 0
		printf "%s\n" "$findings"
		exit 1' tidy
}

# What is suppressed, clang and valgrind know better: cppcheck does not see that a call fills what a
# struct iovec points to, nor that a pointer to a local is gone before the local is.
check() {
	local headers=()
	for h in queue tree; do
		headers+=(--include="$(pkg-config --variable=includedir libbsd)/bsd/sys/$h.h")
	done
	mkdir -p "$build/cppcheck"
	find proto daemon kernel-glue client tests -name '*.c' -print0 | sort -z |
		xargs -0 -r cppcheck --quiet -j "$jobs" --std=c11 --platform=unix64 \
			--cppcheck-build-dir="$build/cppcheck" --error-exitcode=1 --inline-suppr \
			--enable=warning,performance,portability -I. -I"$build/include" \
			-D_GNU_SOURCE= --suppress=missingInclude --suppress=missingIncludeSystem \
			--suppress=uninitvar --suppress=autoVariables \
			"${headers[@]}"
}

# Whatever begins with #! and names a shell.
scripts() {
	local all
	mapfile -d '' all < <(find . -path './build*' -prune -o -path ./.git -prune -o -type f -print0 |
		xargs -0 awk 'FNR == 1 { if (/^#!.*sh( |$)/) printf "%s%c", FILENAME, 0; nextfile }' |
		sort -z)
	shellcheck -x -P SCRIPTDIR -S warning "${all[@]}"
}

# What mandoc takes for meant: a macro that encloses the rest of its line, twice in one line, nests; a
# word of a heading that is a macro's name ("In") is that macro, unless \& precedes it.
macros_misread() {
	awk '/^\./ {
			for (i = 1; i <= NF; i++)
				if ($i ~ /^\.?[ABDPQS]q$/ && seen[substr($i, length($i) - 1)]++) bad = 1
		}
		/^\.S[hs] / { for (i = 2; i <= NF; i++) if ($i ~ /^[A-Z][a-z]$/) bad = 1 }
		bad { print FILENAME ":" FNR ": not what it looks like: " $0; found = 1 }
		{ bad = 0; delete seen }
		END { exit !found }' "$@"
}

# The page of the protocol is a digest: what it must not do is forget an operation or a code.
manuals() {
	local pages name bad=0
	mapfile -d '' pages < <(find man -name '*.[1-8]' -print0 | sort -z)
	mandoc -T lint -W warning "${pages[@]}" || bad=1
	! macros_misread "${pages[@]}" || bad=1
	while read -r name; do
		grep -qwF -- "$name" man/iommu-broker-protocol.7 ||
			{ echo "man/iommu-broker-protocol.7: no $name"; bad=1; }
	done < <(sed -nE 's/^\| (0x[0-9a-f]{4}|[0-9]+) \| (event )?([A-Z_]+) \|.*/\3/p' proto/PROTOCOL.md)
	return $bad
}

# As they are installed; what starts with them has to be there.
units() {
	local root
	root=$(realpath -m "$build/units")
	rm -rf "$root"
	make install BUILD="$build" DESTDIR= PREFIX="$root" sysconfdir="$root/etc" >"$build/units.log" 2>&1 ||
		{ cat "$build/units.log"; return 1; }
	# A path that ends with a colon: the system's own units follow.
	SYSTEMD_UNIT_PATH=$root/lib/systemd/system: systemd-analyze verify --man=no \
		--recursive-errors=no iommu-broker.service iommu-broker.socket 2>&1 |
		sed 's|^.*/systemd/system/||' | grep . && return 1
	return 0
}

step binaries tests/tools/binaries.sh "$build"
step clang-tidy tidy
step cppcheck check
step shellcheck scripts
step mandoc manuals
step units units
exit "$failed"

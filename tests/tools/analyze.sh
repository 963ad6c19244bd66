#!/usr/bin/env bash
# analyze.sh BUILD FLAG..    everything that finds faults without running the programs
#
# clang-tidy (.clang-tidy) and cppcheck over the sources, mandoc over the manual pages, and a look
# at what the linked programs contain. FLAG..: what the preprocessor needs. No findings are allowed.
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

manuals() {
	local pages
	mapfile -d '' pages < <(find man -name '*.[1-8]' -print0 | sort -z)
	[ ${#pages[@]} -eq 0 ] || mandoc -T lint -W warning "${pages[@]}"
}

step binaries tests/tools/binaries.sh "$build"
step clang-tidy tidy
step cppcheck check
step mandoc manuals
exit "$failed"

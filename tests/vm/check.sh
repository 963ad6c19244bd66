#!/bin/bash
# The suites on real kernels: boots one guest of each kind, runs unit, conformance and hostile tests
# in it as root, prints what they print.
#
# usage: check.sh [--suites "NAME.."] [KIND]...     (default: unit conformance hostile; type1 iommufd)
#
# IOB_BUILD says where the programs are (default: build). A suite that ends without a summary, and a
# guest that does not end, are failures.
set -euo pipefail
# shellcheck source=tests/vm/common.sh
. "$(dirname "$0")/common.sh"

suites='unit conformance hostile' kinds=()
while [ $# -gt 0 ]; do
	case $1 in
	--suites) suites=$2; shift 2 ;;
	*) kinds+=("$1"); shift ;;
	esac
done
[ ${#kinds[@]} -gt 0 ] || kinds=(type1 iommufd)
build=${IOB_BUILD:-$vm_dir/../../build}

"$vm_dir/kernels.sh"

work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # called by the trap
clean_up() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

stage=$work/stage
mkdir -p "$stage/build/bin" "$stage/build/libexec" "$stage/build/tests"
cp "$build/bin/iommu-brokerd" "$stage/build/bin/"
cp "$build"/libexec/* "$stage/build/libexec/"
for suite in $suites; do
	[ -x "$build/tests/$suite" ] || die "$build/tests/$suite is not there; run make tests"
	cp "$build/tests/$suite" "$stage/build/tests/"
done
# Symbols are for people with a debugger; unpacking them costs the guest seconds.
strip --strip-debug "$stage"/build/*/* 2>/dev/null || :
echo "$suites" > "$stage/build/suites"
# What the unit tests read, where they look for it: in the directory they are started in.
mkdir -p "$stage/build/source/systemd"
cp "$vm_dir/../../systemd/iommu-broker.conf" "$stage/build/source/systemd/"
cp "$vm_dir/guest-check.sh" "$stage/guest.sh"
chmod 755 "$stage/guest.sh"

# check_log KIND: one summary of libcheck for each suite
check_log() {
	local found
	found=$(grep -acE '[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$work/$1.log") || :
	[ "$found" -eq "$(wc -w <<< "$suites")" ] && return
	say "$1: FAIL: $found summaries of $(wc -w <<< "$suites") suites ($suites)"
	return 1
}

# guest KIND: its output with the kind before each line, for they run at the same time: most of their
# time is waiting for a device
guest() {
	local kind=$1 begin=$SECONDS status=0
	say "$kind: booting"
	"$vm_dir/run.sh" "$kind" --timeout 600 --out "$work/$kind.log" "$stage" 2>&1 |
		sed -u "s/^/$kind: /" || status=$?
	check_log "$kind" || status=1
	say "$kind: status $status, $((SECONDS - begin)) s"
	return "$status"
}

failed=0
for kind in "${kinds[@]}"; do
	guest "$kind" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || failed=1
done
exit "$failed"

#!/bin/bash
# The suites on real kernels: boots one guest of each kind, runs in it, as root, the conformance and the
# hostile tests and those unit tests that ask the kernel something; prints what they print.
#
# usage: check.sh [--suites "NAME.."] [KIND]...                      (default kinds: type1 iommufd)
#
# A NAME is that of a program in tests/, or PROGRAM:SUITE for one of its suites, or that of a script
# guest-NAME.sh beside this one. IOB_BUILD says where the programs are (default: build). A suite that
# ends without a summary, or executes nothing, and a guest that does not end, are failures.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

suites='unit:sandbox unit:privileges unit:peer conformance hostile drivers doctor' kinds=()
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
cp "$build/bin/iommu-brokerd" "$build/bin/iommuctl" "$stage/build/bin/"
cp "$build"/libexec/* "$stage/build/libexec/"
for suite in $suites; do
	program=$build/tests/${suite%%:*}
	if [ -x "$vm_dir/guest-$suite.sh" ]; then
		cp "$vm_dir/guest-$suite.sh" "$stage/build/tests/$suite"
		continue
	fi
	[ -x "$program" ] || die "$program is not there; run make tests"
	cp "$program" "$stage/build/tests/"
done
# Symbols are for people with a debugger; unpacking them costs the guest seconds.
strip --strip-debug "$stage"/build/*/* 2>/dev/null || :
echo "$suites" > "$stage/build/suites"
cp "$vm_dir/guest-check.sh" "$stage/guest.sh"
chmod 755 "$stage/guest.sh"

# check_log KIND: one summary of libcheck for each suite, and not of nothing
check_log() {
	local found wanted
	wanted=$(wc -w <<< "$suites")
	found=$(grep -acE '[0-9]+%: Checks: [1-9][0-9]*, Failures: [0-9]+, Errors: [0-9]+' "$work/$1.log") || :
	[ "$found" -eq "$wanted" ] && return
	say "$1: FAIL: $found summaries of $wanted suites ($suites)"
	return 1
}

# mixed_group KIND: for the doctor, a group of which the host drives one function, by a driver that is
# built in. As long as 09.0 has no driver it is in nobody's way.
mixed_group() {
	printf -- '--qemu-arg\n%s\n' -device edu,addr=09.0,multifunction=on -device
	case $1 in
	type1) printf -- '--qemu-arg\n%s\n' pci-serial,addr=09.1,chardev=nowhere -chardev null,id=nowhere ;;
	*) printf -- '--qemu-arg\n%s\n' virtio-rng-pci,addr=09.1,disable-legacy=on ;;
	esac
}

# One that the host has a driver for: each kernel has another one built in.
declare -A host_device=([type1]='pci-serial,chardev=none,addr=0a.0'
	[iommufd]='virtio-rng-pci,iommu_platform=on,disable-legacy=on,addr=0a.0')

# At the same time, for most of it is waiting for a device. Not in a pipe: what has to be killed when
# this ends is run.sh, which then takes QEMU along.
for kind in "${kinds[@]}"; do
	say "$kind: booting"
	mapfile -t extra < <(mixed_group "$kind")
	"$vm_dir/run.sh" "$kind" --timeout 1800 --qemu-arg -chardev --qemu-arg null,id=none \
		--qemu-arg -device --qemu-arg "${host_device[$kind]}" --out "$work/$kind.log" \
		"${extra[@]}" "$stage" \
		> >(sed -u "s/^/$kind: /") 2>&1 &
	pids+=($!)
done

failed=0
for i in "${!kinds[@]}"; do
	kind=${kinds[i]} status=0
	wait "${pids[i]}" || status=$?
	check_log "$kind" || failed=1
	[ "$status" -eq 0 ] || failed=1
	say "$kind: status $status after $SECONDS s"
done
exit "$failed"

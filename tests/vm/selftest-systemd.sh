#!/bin/bash
# Tests the guests with systemd, as selftest.sh does the others: that they are what README.md says,
# and that what goes wrong in them is reported as a failure.
#
# usage: selftest-systemd.sh [KIND]...       (default: type1 iommufd)
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

kinds=("$@")
[ ${#kinds[@]} -gt 0 ] || kinds=(type1 iommufd)
selftest_begin
build_program selftest "$work/stage/bin"
build_program selftest-systemd "$work/stage/usr/bin"
cp "$vm_dir/guest-selftest-systemd.sh" "$work/stage/guest.sh"
chmod 755 "$work/stage/guest.sh"
# The mode of a directory that is in both has to be the guest's: 700.
mkdir -m 755 "$work/stage/root"

for kind in "${kinds[@]}"; do
	start=$SECONDS
	if "$vm_dir/run.sh" "$kind" --systemd --timeout 600 "$work/stage"; then
		say "$kind: systemd: passed, $((SECONDS - start)) s"
	else
		say "$kind: systemd: FAIL"
		failed=1
	fi
done

# said TEXT: the guest that was broken last must have ended like this, not just in some way.
said() {
	grep -q "$1" "$work/broken.log" && return
	say "FAIL: it does not say \"$1\""
	tail -n 20 "$work/broken.log" >&2
	failed=1
}

# From here on it is not the kernel that matters; the last one named is the faster by default.
broken "$kind" 'guest.sh that fails' 7 'exit 7' --systemd
# shellcheck disable=SC2016  # for the guest
broken "$kind" 'guest.sh that kills what runs it' 124 'kill -KILL $PPID; sleep 1000' --systemd
said 'before the guest did'
mkdir -p "$work/broken/etc"
echo '/dev/nothing /mnt ext4 x-systemd.device-timeout=1s 0 0' > "$work/broken/etc/fstab"
broken "$kind" 'system that does not come up' 124 'exit 0' --systemd
said 'guest-emergency: the system did not come up'
said 'before the guest did'
exit "$failed"

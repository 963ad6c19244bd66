#!/bin/sh
# Runs in the guest, as root, as /guest.sh: every suite that check.sh named in /build/suites. The exit
# status is the number of those that failed.
export IOB_BUILD=/build IOB_TEST_BACKEND="$GUEST_KIND"
mkdir -p /build/log

# Both functions of 00:08 usable: two devices of one group.
echo vfio-pci > /sys/bus/pci/devices/0000:00:08.1/driver_override
echo 0000:00:08.1 > /sys/bus/pci/drivers_probe

failed=0
read -r suites < /build/suites
for suite in $suites; do
	echo "guest $GUEST_KIND: $suite, kernel $(uname -r)"
	begin=$(cut -d. -f1 /proc/uptime)
	case $suite in
	*:*) CK_RUN_SUITE=${suite#*:} "/build/tests/${suite%%:*}" ;;
	*) "/build/tests/$suite" ;;
	esac
	status=$?
	echo "guest $GUEST_KIND: $suite: status $status, $(($(cut -d. -f1 /proc/uptime) - begin)) s"
	[ "$status" -eq 0 ] && continue
	failed=$((failed + 1))
	for log in /build/log/*; do
		[ ! -f "$log" ] || { echo "--- end of $log"; tail -n 15 "$log"; }
	done
	echo '--- end of the log of the kernel, with what is blocked in it'
	echo w > /proc/sysrq-trigger
	dmesg | tail -n 40
done
exit "$failed"

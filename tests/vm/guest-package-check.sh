#!/bin/bash
# Runs in the guest with systemd, as root, as /guest.sh: the packages in /opt/test from installing to
# purging. The exit status is the number of checks that failed.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd /opt/test || exit 1
export DEBIAN_FRONTEND=noninteractive
socket=/run/iommu-broker/socket
device=0000:00:03.0

# shellcheck source=guest-checks.sh
. ./guest-checks.sh || exit 1

quiet() { "$@" >/dev/null 2>&1; }
as_alice() { setpriv --reuid alice --regid alice --clear-groups "$@"; }
state() { systemctl is-active "iommu-broker.$1"; }
is() { [ "$("${@:2}" 2>/dev/null)" = "$1" ]; }
monitor() { systemctl show -P MainPID iommu-broker.service; }
# Of the broker, whichever program: a session shows the name it was started by.
processes() { pgrep -f '^(/usr/sbin/iommu-brokerd|iommu-broker-)'; }

install_packages() { dpkg -i ./*.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; return 1; }; }

denied() {
	as_alice iommuctl status 2>&1 | grep -q IOB_E_DENIED
}

allow_alice() {
	before=$(monitor)
	cat >/etc/iommu-broker/iommu-broker.conf <<-END
		[allow alice]
		user = alice
		domains = yes
		device = $device
	END
	systemctl reload iommu-broker.service
}

sees_device() {
	as_alice iommuctl devices 2>/dev/null | grep -q "$device"
}

# The client lives until this shell closes descriptor 9, or the broker ends its session.
hold_device() {
	mkfifo /root/hold
	exec 9<>/root/hold
	as_alice ./client "$socket" hold </root/hold >/root/client.log 2>&1 9>&- &
	client=$!
	within 20 grep -q reaches /root/client.log || { cat /root/client.log; return 1; }
}

# Writes to sysfs must reach the kernel, to bind drivers; writes to anything else must not happen.
confined() {
	local pid
	pid=$(monitor)
	nsenter -t "$pid" -m test -w /sys/bus/pci/drivers_probe &&
		fails nsenter -t "$pid" -m test -w /etc &&
		fails nsenter -t "$pid" -m test -w /usr &&
		grep -q '^NoNewPrivs:.1' "/proc/$pid/status" &&
		grep -q '^Seccomp:.2' "/proc/$pid/status" &&
		# setuid, setgid, setpcap, kill, chroot, resource
		grep -q '^CapBnd:.00000000010401e0$' "/proc/$pid/status"
}

# The session and its companion.
session_confined() {
	local pid
	for pid in $(pgrep -f '^iommu-broker-session'); do
		awk '/^Uid:/ { uid = $2 } /^CapPrm:/ { caps = $2 } /^NoNewPrivs:/ { nnp = $2 }
			END { exit uid < 1879048192 || caps !~ /^0+$/ || nnp != 1 }' \
			"/proc/$pid/status" || { cat "/proc/$pid/status"; return 1; }
	done
	[ -n "${pid:-}" ]
}

# An upgrade, as far as dpkg and systemd go: another monitor, the same session, the same socket.
installed_again() {
	local monitor sessions listening now
	monitor=$(monitor)
	sessions=$(pgrep -f '^iommu-broker-session' | sort)
	listening=$(systemctl show -P InvocationID iommu-broker.socket)
	install_packages && within 20 is active state service || return 1
	now=$(pgrep -f '^iommu-broker-session' | sort)
	[ "$(monitor)" != "$monitor" ] && [ -n "$sessions" ] && [ "$now" = "$sessions" ] &&
		[ "$(systemctl show -P InvocationID iommu-broker.socket)" = "$listening" ] &&
		kill -0 "$client"
}

removed() {
	dpkg -L iommu-broker libiommubroker1 libiommubroker-dev >/root/files
	dpkg -r iommu-broker libiommubroker-dev libiommubroker1 >/root/dpkg.log 2>&1 ||
		{ cat /root/dpkg.log; return 1; }
}

files_are_gone() {
	local file bad=0
	while read -r file; do
		[ ! -f "$file" ] || [[ $file == /etc/* ]] || { echo "left: $file"; bad=1; }
	done </root/files
	[ ! -e /run/iommu-broker ] || { echo 'left: /run/iommu-broker'; bad=1; }
	return "$bad"
}

processes_are_gone() {
	fails processes
}

# That the socket was enabled is remembered until the package is purged: a unit without a file.
units_are_gone() {
	! systemctl list-units --all --plain --no-legend 'iommu-broker*' | grep -v ' not-found inactive '
}

client_noticed() {
	exec 9>&-
	fails wait "$client"
}

device_is_free() {
	local group
	group=$(basename "$(readlink "/sys/bus/pci/devices/$device/iommu_group")")
	quiet bash -c "exec 3<>/dev/vfio/$group" || { ls -l /dev/vfio; return 1; }
}

purged() {
	dpkg -P iommu-broker libiommubroker-dev libiommubroker1 >/root/dpkg.log 2>&1 ||
		{ cat /root/dpkg.log; return 1; }
}

nothing_is_left() {
	local left
	left=$(find / -xdev \( -path /opt/test -o -path /proc -o -path /sys \) -prune -o \
		\( -name '*iommu-broker*' -o -name '*iommubroker*' -o -name '*iommuctl*' \) -print)
	[ -z "$left" ] || { echo "$left"; return 1; }
}

check 'the packages are installed' install_packages
check 'the socket is enabled' is enabled systemctl is-enabled iommu-broker.socket
check 'the socket listens' is active state socket
check 'everybody may connect' is '666 root root' stat -c '%a %U %G' $socket
check 'its directory belongs to root' is '755 root root' stat -c '%a %U %G' /run/iommu-broker
check 'the service waits for a client' is inactive state service
check 'there is the user' quiet getent passwd iommu-broker
check 'nobody gets anything by default' denied
check 'the first client has started the service' is active state service
check 'root sees the broker' quiet iommuctl status
check 'a reload lets alice in' allow_alice
check 'alice sees her device' within 20 sees_device
check 'the reload was no restart' is "$before" monitor
check 'alice maps memory for it' hold_device
check 'the monitor is confined by the unit' confined
check 'sessions have nothing' session_confined
check 'installed again: the session lives' installed_again
check 'the packages are removed' removed
check 'no process is left' processes_are_gone
check 'no file is left' files_are_gone
check 'no unit is left' units_are_gone
check 'the client has noticed' client_noticed
check 'the device is free' within 10 device_is_free
check 'the configuration is kept' test -s /etc/iommu-broker/iommu-broker.conf
check 'the packages are purged' purged
check 'nothing is left' nothing_is_left

[ "$failed" -eq 0 ] || journalctl -b --no-pager -o short-monotonic -u 'iommu-broker*' | tail -n 60
echo "$passed passed, $failed failed"
exit "$failed"

#!/bin/sh
# "iommuctl doctor" in the guest, as root, with a broker of its own: nothing is wrong at first, then one
# thing after the other is put wrong in the real sysfs, seen, and put right again.
#
# 09.0 and 09.1 share a group; 09.0 is an edu, 09.1 has a driver of the host's (check.sh).
build=${IOB_BUILD:-/build}
conf=/etc/iommu-broker/iommu-broker.conf
socket=/run/iommu-broker/socket
devices=/sys/bus/pci/devices
export IOMMU_BROKER_SOCKET=$socket
checks=0 failures=0 monitor=

doctor() {
	"$build/bin/iommuctl" doctor > /tmp/doctor.txt 2>&1
	status=$?
}

# wrong WHAT: what was just looked at is not as it should be
wrong() {
	failures=$((failures + 1))
	echo "doctor: FAIL: $1 (status $status)"
	sed 's/^/    /' /tmp/doctor.txt
}

# expect STATUS WHAT ID [WORDS]: with this finding. - for no finding: there must be no error
expect() {
	checks=$((checks + 1))
	if [ "$status" -ne "$1" ]; then
		wrong "$2"
	elif [ "$3" = - ]; then
		! grep -q ^error /tmp/doctor.txt || wrong "$2"
	elif ! grep -q " $3: " /tmp/doctor.txt || ! grep -qF "${4:-$3}" /tmp/doctor.txt; then
		wrong "$2"
	fi
}

# absent WHAT ID: this finding is not made
absent() {
	checks=$((checks + 1))
	! grep -q " $2: " /tmp/doctor.txt || wrong "$1"
}

bind() { # BDF DRIVER
	echo "$2" > "$devices/$1/driver_override"
	echo "$1" > /sys/bus/pci/drivers_probe
}
unbind() { echo "$1" > "$devices/$1/driver/unbind"; }

# until COMMAND..: waits for it to succeed, at most some 20 s
until_true() {
	n=0
	until "$@"; do
		n=$((n + 1))
		[ "$n" -lt 200 ] || return 1
		sleep 0.1
	done
}
serves() { "$build/bin/iommuctl" status > /dev/null 2>&1; }
gone() { ! kill -0 "$1" 2> /dev/null; }

start() {
	"$build/bin/iommu-brokerd" > /build/log/doctor-broker.log 2>&1 &
	monitor=$!
	until_true serves || echo "doctor: the broker does not start"
}

mkdir -p "${conf%/*}" /build/log
cat > "$conf" << END
[allow the cards]
user = alice
device = 0000:00:03.0 class:0200 class:00ff
domains = yes
END
start

doctor
expect 0 'a healthy machine' -
absent 'no sibling is to blame' group-not-viable

# ---- users ----
su alice -c "$build/bin/iommuctl doctor" > /tmp/doctor.txt 2>&1
status=$?
expect 0 'alice may connect' -
checks=$((checks + 1))
grep -q '^no root' /tmp/doctor.txt || wrong 'alice is told what she did not see'
su carol -c "$build/bin/iommuctl doctor" > /tmp/doctor.txt 2>&1
status=$?
expect 1 'carol may not' daemon-refuses 'user = carol'

# ---- groups ----
bind 0000:00:09.0 vfio-pci
host_driver=$(basename "$(readlink "$devices/0000:00:09.1/driver")")
doctor
expect 1 'a sibling on a driver of the host' group-not-viable \
	"is used by the host's driver $host_driver; that keeps 0000:00:09.0"
unbind 0000:00:09.1
doctor
expect 0 'the sibling without a driver' -
bind 0000:00:09.1 "$host_driver"
doctor
expect 1 'the sibling again on its driver' group-not-viable
unbind 0000:00:09.0
doctor
expect 0 'the device not on vfio-pci' -

# ---- devices of the policy ----
unbind 0000:00:03.0
doctor
expect 1 'a named device without a driver' policy-device-driver '0000:00:03.0'
bind 0000:00:03.0 vfio-pci
doctor
expect 0 'the named device on vfio-pci' -

# ---- safety ----
for p in /sys/module/*/parameters/allow_unsafe_interrupts; do
	echo Y > "$p"
	doctor
	expect 1 "unsafe interrupts in $p" unsafe-interrupts-allowed "echo N > $p"
	echo N > "$p"
	doctor
	expect 0 "safe interrupts in $p" -
done
p=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
if [ -e "$p" ]; then
	echo Y > "$p"
	doctor
	expect 0 'noiommu mode' noiommu-mode
	echo N > "$p"
	doctor
	absent 'noiommu mode off' noiommu-mode
fi

# ---- nodes ----
group=$(basename "$(readlink "$devices/0000:00:03.0/iommu_group")")
chmod 0606 "/dev/vfio/$group"
doctor
expect 0 'a node for everybody' node-not-roots "chown root:root /dev/vfio/$group"
chmod 0600 "/dev/vfio/$group"
chown alice "/dev/vfio/$group"
doctor
checks=$((checks + 1))
grep -qE ' (node-closed|node-not-roots): .*/dev/vfio/' /tmp/doctor.txt ||
	wrong 'a node of alice'
chown root "/dev/vfio/$group"
sleep 1000 3<> "/dev/vfio/$group" &
holder=$!
doctor
expect 1 'a group that another process has open' device-held "process $holder (sleep)"
kill "$holder"
wait "$holder" 2> /dev/null
doctor
expect 0 'the group closed' -

# ---- the daemon ----
kill -STOP "$monitor"
doctor
expect 1 'a daemon that is stopped' daemon-silent
kill -CONT "$monitor"
kill -KILL "$monitor"
wait "$monitor" 2> /dev/null
until_true gone "$monitor"
doctor
expect 1 'a daemon that was killed' socket-stale
expect 1 'a daemon that was killed' daemon-not-running
rm "$socket"
doctor
expect 1 'no socket' socket-missing
mv "$conf" "$conf.away"
doctor
expect 1 'no configuration' config-missing
mv "$conf.away" "$conf"
start
doctor
expect 0 'the daemon again' -

# Nothing is left for the suites behind.
kill "$monitor"
wait "$monitor" 2> /dev/null
rm -rf "${conf%/*}"
echo "$(((checks - failures) * 100 / checks))%: Checks: $checks, Failures: $failures, Errors: 0"
[ "$failures" -eq 0 ]

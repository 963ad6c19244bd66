#!/bin/sh
# Runs in a guest with systemd, as /guest.sh: what README.md promises of it.
set -eu

fail() { echo "FAIL: $*"; exit 1; }
# same WHAT WANTED FOUND
same() {
	[ "$2" = "$3" ] || fail "$1: $3 instead of $2"
	echo "$1: $3"
}

systemctl --version | head -n 1
same 'process 1' systemd "$(cat /proc/1/comm)"
same 'the system is' running "$(systemctl is-system-running)"
systemctl is-active --quiet multi-user.target || fail 'multi-user.target is not active'
same 'user and directory' '0 /root' "$(id -u) $PWD"
same 'modes of / /tmp /root' '755 1777 700' "$(stat -c %a / /tmp /root | xargs)"
same 'ids' '1001 1002 1003' "$(id -u alice) $(id -u bob) $(id -u carol)"
! id iommu-broker 2> /dev/null || fail 'there is a user iommu-broker'

# The devices, and one that does DMA: libraries for it come from the machine that made the stage.
for bdf in 03.0 04.0 05.0 06.0 07.0 08.0; do
	device=/sys/bus/pci/devices/0000:00:$bdf
	same "$bdf is bound to" vfio-pci "$(basename "$(readlink "$device/driver")")"
	group=$(basename "$(readlink "$device/iommu_group")")
	[ -c "/dev/vfio/$group" ] || fail "no /dev/vfio/$group"
	if [ "$GUEST_KIND" = iommufd ]; then
		[ -c "/dev/vfio/devices/$(ls "$device/vfio-dev")" ] || fail "$bdf has no cdev"
	fi
done
modprobe vfio-pci || fail 'modprobe does not know vfio-pci'
! modprobe -q no-such-module || fail 'modprobe knows everything'
selftest "$GUEST_KIND" 0000:00:03.0

# The descriptor store: a descriptor comes back after SIGKILL; where there is no store it does not,
# so it is the store that does it. The program says which start it is when it is ready.
mkfifo /run/report
report() { timeout 120 head -n 1 /run/report || fail 'no report of the service'; }
for store in 1 0; do
	unit=store-$store.service
	cat > "/run/systemd/system/$unit" <<-UNIT
		[Service]
		Type=notify
		NotifyAccess=main
		ExecStart=/usr/bin/selftest-systemd /run/report
		Restart=always
		RestartSec=0
		FileDescriptorStoreMax=$store
	UNIT
	systemctl daemon-reload
	systemctl start "$unit"
	same "$unit" 'start 1' "$(report)"
	same "$unit: descriptors kept" "$store" "$(systemctl show -P NFileDescriptorStore "$unit")"
	systemctl kill --kill-who=main --signal=KILL "$unit"
	same "$unit after SIGKILL" "start $((1 + store))" "$(report)"
	systemctl stop "$unit"
done
journalctl --no-pager -o cat -u store-1.service | grep -q 'status=9/KILL' || fail 'no journal'
[ -z "$(ls -A /var/log/journal 2> /dev/null)" ] || fail 'the journal is on the disk'

mkdir -p /tmp/package/DEBIAN /tmp/package/usr/share/doc/rig-test
printf '%s\n' 'Package: rig-test' 'Version: 1' 'Architecture: all' 'Maintainer: nobody' \
	'Depends: systemd' 'Description: test' > /tmp/package/DEBIAN/control
echo text > /tmp/package/usr/share/doc/rig-test/text
dpkg-deb -b /tmp/package /tmp/rig-test.deb > /dev/null
dpkg -i /tmp/rig-test.deb
same 'file of the package' text "$(cat /usr/share/doc/rig-test/text)"
same 'the system is still' running "$(systemctl is-system-running)"

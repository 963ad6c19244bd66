#!/bin/bash
# Tests the rig itself, with nothing of the project's: selftest.c does DMA through the kernel's own
# API; and run.sh must report failures as failures, since a rig that cannot fail proves nothing.
#
# usage: selftest.sh [KIND]...       (default: type1 iommufd)
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

kinds=("$@")
[ ${#kinds[@]} -gt 0 ] || kinds=(type1 iommufd)
selftest_begin
build_program selftest "$work/stage/bin"

cat > "$work/stage/guest.sh" <<'GUEST'
#!/bin/sh
set -eu
echo "kernel $(uname -r), $(grep HugePages_Total /proc/meminfo | tr -s ' '), user $(id -un)"
for device in /sys/bus/pci/devices/*; do
	driver=- group=-
	[ ! -e "$device/driver" ] || driver=$(basename "$(readlink "$device/driver")")
	[ ! -e "$device/iommu_group" ] || group=$(basename "$(readlink "$device/iommu_group")")
	echo "$(basename "$device") $(cat "$device/vendor"):$(cat "$device/device") group $group driver $driver"
done

# What README.md promises of the groups
group() { readlink "/sys/bus/pci/devices/0000:00:$1/iommu_group"; }
for bdf in 03.0 04.0 05.0 06.0 07.0; do
	members=$(ls "/sys/bus/pci/devices/0000:00:$bdf/iommu_group/devices" | wc -l)
	[ "$members" -eq 1 ] || { echo "FAIL: $bdf shares its group"; exit 1; }
done
[ "$(group 08.0)" = "$(group 08.1)" ] || { echo "FAIL: 08.0 and 08.1 are in two groups"; exit 1; }

echo "with the mapping:"
selftest "$GUEST_KIND" 0000:00:03.0
echo "a member of a shared group:"
selftest "$GUEST_KIND" 0000:00:08.0
echo "with the mapping left out, which has to fail:"
if selftest "$GUEST_KIND" 0000:00:04.0 --no-map; then
	echo "FAIL: the test does not notice that there is no mapping"
	exit 1
fi
GUEST
chmod +x "$work/stage/guest.sh"

for kind in "${kinds[@]}"; do
	start=$SECONDS
	if "$vm_dir/run.sh" "$kind" "$work/stage"; then
		say "$kind: DMA: passed, $((SECONDS - start)) s"
	else
		say "$kind: DMA: FAIL"
		failed=1
	fi
	broken "$kind" "guest.sh that fails" 7 'exit 7'
	broken "$kind" "kernel panic after a good last line" 125 \
		'echo GUEST-EXIT 0; echo c > /proc/sysrq-trigger'
	broken "$kind" "power-off by the test itself" 124 'echo GUEST-EXIT 0; echo .; poweroff -f'
done
broken "${kinds[0]}" "guest that hangs" 124 'sleep 1000' --timeout 15

# An emulator whose second processor sleeps with an interrupt in service.
cat > "$work/deaf" <<'QEMU'
#!/bin/bash
for word in "$@"; do
	case $word in pipe,id=monitor,path=*) monitor=${word#*path=} ;; esac
done
exec 3<> "$monitor.in" 4<> "$monitor.out"
while read -r line <&3; do
	case $line in
	'info registers') echo 'RIP=ffffffff8181a653 II=0 HLT=1' >&4 ;;
	'info lapic') printf 'dumping local APIC state for CPU 1 \nISR\t 236 \n' >&4 ;;
	esac
done
QEMU
chmod +x "$work/deaf"
IOB_VM_LOOK=1 IOB_VM_QEMU=$work/deaf broken "${kinds[0]}" "QEMU that loses interrupts" 126 'exit 0'
exit "$failed"

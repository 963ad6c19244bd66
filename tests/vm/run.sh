#!/bin/bash
# Boots a guest with an emulated IOMMU, runs STAGE-DIR/guest.sh in it as root, exits with its status.
# The guest is a busybox in memory, or Debian with systemd on a disk whose changes are thrown away.
#
# usage: run.sh KIND [OPTION]... STAGE-DIR
#
#   KIND               type1 (Debian's kernel) or iommufd (the one built by kernels.sh)
#   STAGE-DIR          laid over the guest's root; owned by root there, for everybody to read. The
#                      libraries that its dynamic programs need are added.
#   --systemd          Debian, made by root-image.sh; guest.sh runs when the system is up
#   --mem MB           memory (1024)
#   --smp N            processors (2)
#   --timeout SECONDS  of real time until the guest must have ended (300)
#   --out FILE         copy of the serial log, which goes to stdout too
#   --append WORDS     more words for the kernel's command line
#   --qemu-arg ARG     one more argument for QEMU, after the rig's own devices; repeatable
#   --qmp SOCKET       QMP server at this path
#   --icount           one instruction is one nanosecond of guest time: the same numbers in every
#                      run. Implies --smp 1.
#
# The guest's last line decides, not QEMU's exit status. Exit status: that of guest.sh, or
#   2 wrong usage or something missing    124 no last line in time    125 kernel panic
#   126 QEMU lost interrupts in three boots
set -euo pipefail
. "$(dirname "$0")/common.sh"
umask 022 # directories on the way to what the guest's users run

# PCI functions of the rig, on the root bus of q35; slots 1f and up are the chipset's. The IOMMU is
# not in the list: it must come before every other device. A column of its own says whether
# guest-init binds the function to vfio-pci. 08.0 and 08.1 are functions of one device without
# ACS, so they share a group; 08.1 stays without a driver, which leaves the group viable and lets
# a test see a function of the group that is not VFIO's.
devices=(
	'00:03.0 vfio edu'
	'00:04.0 vfio edu'
	'00:05.0 vfio edu'
	'00:06.0 vfio nvme,drive=nvme0,serial=rig-nvme'
	'00:07.0 vfio e1000e,netdev=net0'
	'00:08.0 vfio edu,multifunction=on'
	'00:08.1 none edu'
)

usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

mem=1024 smp=2 limit=300 out=/dev/null append='' qmp='' icount='' systemd='' qemu_args=() names=()
while [ $# -gt 0 ]; do
	case $1 in
	--icount) icount=1; shift; continue ;;
	--systemd) systemd=1; shift; continue ;;
	--help | -h) usage ;;
	--*) [ $# -ge 2 ] || usage ;;
	esac
	case $1 in
	--mem) mem=$2 ;;
	--smp) smp=$2 ;;
	--timeout) limit=$2 ;;
	--out) out=$2 ;;
	--append) append=$2 ;;
	--qemu-arg) qemu_args+=("$2") ;;
	--qmp) qmp=$2 ;;
	--*) usage ;;
	*) names+=("$1"); shift; continue ;;
	esac
	shift 2
done
[ ${#names[@]} -eq 2 ] || usage
kind=${names[0]} stage=${names[1]}
# The time a disk takes is that of this machine.
[ -z "$systemd" ] || [ -z "$icount" ] || die "--icount has no equal numbers to offer with --systemd"

case $kind in type1 | iommufd) ;; *) die "no such kind of kernel: $kind" ;; esac
[ -x "$stage/guest.sh" ] || die "$stage has no executable guest.sh"
kernel=$vm_cache/$kind
[ -e "$kernel/vmlinuz" ] || die "$kernel is not there; run kernels.sh first"
[ "$kind" != iommufd ] || [ "$(cat "$kernel/key")" = "$(config_key)" ] ||
	die "kernel-iommufd.config has changed since $kernel was built; run kernels.sh first"
image=$vm_cache/$(root_name)/image
if [ -n "$systemd" ]; then
	[ -e "$image" ] || die "$image is not there; run root-image.sh first"
	[ "$kind" != type1 ] || [ -e "$kernel/modules.disk" ] ||
		die "$kernel has no modules for a disk; run kernels.sh first"
fi
qemu=${IOB_VM_QEMU:-qemu-system-x86_64}
for tool in "$qemu" cpio busybox; do
	command -v "$tool" > /dev/null || die "$tool is missing; see the file packages"
done

look=${IOB_VM_LOOK:-15} # seconds from one look at the processors to the next
work=$(mktemp -d)
vm='' watcher=''
# shellcheck disable=SC2317  # called by the trap
clean_up() {
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
	[ -z "$vm" ] || kill "$vm" 2>/dev/null || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# lay_stage TO: what users of the guest may read or run does not depend on the umask that it was built with.
lay_stage() {
	cp -a "$stage/." "$1/"
	chmod -R go=u-w "$1"
}

# add_libraries FROM TO: what the loader will look for. Libraries that are in the stage itself (our
# own) stay as they are, the others come from where the loader finds them on this machine.
add_libraries() {
	local from=$1 to=$2 file name path
	# Both fail in the ordinary course: no program at all; one that is static.
	{ find "$from" -type f -exec grep -lFam1 $'\x7fELF' {} + || :; } | while read -r file; do
		ldd "$file" 2>/dev/null || :
	done | awk '$2 == "=>" { print $1, $3 == "not" ? "-" : $3 } $1 ~ /^\// { print $1, $1 }' |
		sort -u | while read -r name path; do
		[ -z "$(find "$from" -name "${name##*/}" -print -quit)" ] || continue
		[ "$path" != - ] || die "a program in $stage needs $name, which is not to be found"
		mkdir -p "$to${path%/*}"
		cp -L "$path" "$to$path"
	done
}

# add_disk_parts ROOT: what guest-init lays over the disk, as archives: those know how to leave alone
# the directories and links that are there.
add_disk_parts() {
	local parts=$work/parts units=/etc/systemd/system
	mkdir -p "$parts/stage$units/multi-user.target.wants" "$parts/stage/usr/lib/rig" "$parts/libraries"
	cp "$vm_dir/guest-systemd.service" "$parts/stage$units/rig.service"
	ln -s ../rig.service "$parts/stage$units/multi-user.target.wants/rig.service"
	cp "$vm_dir/guest-emergency.service" "$parts/stage$units/emergency.service"
	cp "$vm_dir/guest-emergency.service" "$parts/stage$units/rescue.service"
	cp "$vm_dir/guest-systemd" "$parts/stage/usr/lib/rig/run"
	chmod 755 "$parts/stage/usr/lib/rig/run"
	lay_stage "$parts/stage"
	add_libraries "$stage" "$parts/libraries"
	for part in stage libraries; do
		tar -C "$parts/$part" -c --owner=root:0 --group=root:0 . > "$1/$part.tar"
	done
	rm -rf "$parts"
}

root=$work/root
mkdir -p "$root/bin"
orders=(modules.order)
if [ -n "$systemd" ]; then
	add_disk_parts "$root"
	orders=(modules.disk modules.order)
else
	lay_stage "$root"
	add_libraries "$root" "$root"
fi
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$vm_dir/guest-init" "$root/init"
chmod 755 "$root" "$root/init" "$root/bin/busybox"
if [ -e "$kernel/modules.order" ]; then
	mkdir -p "$root/lib/rig-modules"
	(cd "$kernel" && cat "${orders[@]}") > "$root/lib/rig-modules/modules.order"
	(cd "$kernel/modules" && xargs cp -t "$root/lib/rig-modules") < "$root/lib/rig-modules/modules.order"
fi
# Not compressed: unpacking costs the emulated processor more than reading.
# Sorted: with --icount the order of the files would show in the numbers.
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc -R 0:0 --quiet) > "$work/initrd"
rm -rf "$root"

# shellcheck disable=SC2054  # QEMU's commas
args=(
	-M q35,kernel-irqchip=split -accel tcg -cpu max
	-nodefaults -no-user-config -display none -no-reboot -serial stdio
	-chardev "pipe,id=monitor,path=$work/monitor" -mon chardev=monitor,mode=readline
	-device 'intel-iommu,intremap=on,caching-mode=on'
	-drive "if=none,id=nvme0,format=raw,file=$work/nvme.raw"
	# QEMU warns of a card without a network; this one ends within QEMU
	-netdev user,id=net0,restrict=on
)
vfio=()
for device in "${devices[@]}"; do
	read -r bdf driver spec <<< "$device"
	args+=(-device "$spec,addr=${bdf#*:}")
	[ "$driver" != vfio ] || vfio+=("0000:$bdf")
done
# The console shows emergencies only, so that it does not tear the test's own lines apart; the
# kernel's log has everything. oops=panic: the last line of a broken kernel is worth nothing.
# no_timer_check: on a busy machine the timer may be too late for the kernel's look at its wiring, and
# it panics.
cmdline="console=ttyS0 quiet loglevel=3 oops=panic panic=-1 no_timer_check intel_iommu=on iommu=pt"
cmdline+=" printk.devkmsg=on rig.kind=$kind rig.vfio=$(IFS=,; echo "${vfio[*]}")"
if [ -n "$systemd" ]; then
	# What the guest writes goes to a file that QEMU makes in $TMPDIR.
	args+=(-drive "if=none,id=root,format=raw,file=$image,snapshot=on")
	args+=(-device 'virtio-blk-pci,drive=root,addr=1e.0')
	cmdline+=" rig.root=/dev/vda systemd.show_status=0 systemd.crash_reboot=1"
fi
if [ -n "$icount" ]; then
	smp=1
	args+=(-icount 'shift=0,sleep=off' -rtc 'base=2026-01-01,clock=vm')
	# Everything that differs from boot to boot shifts the count.
	cmdline+=" norandmaps nokaslr"
fi
[ -z "$qmp" ] || args+=(-qmp "unix:$qmp,server=on,wait=off")
args+=(-m "$mem" -smp "$smp" -kernel "$kernel/vmlinuz" -initrd "$work/initrd")
args+=(-append "$cmdline $append" "${qemu_args[@]}")

# ask COMMAND..: what QEMU's monitor says to it
ask() {
	printf '%s\n' "$@" | timeout 2 tee "$work/monitor.in" > /dev/null || :
	timeout 2 cat "$work/monitor.out" | tr -d '\r' || :
}

# The processors that sleep while an interrupt is in service, "CPU:VECTOR ..". None does, unless QEMU has
# lost the interrupt on its way to the processor (7.2, seen now and then on busy machines): that
# processor hears of no other any more, and the guest stands still.
deaf() {
	local cpu commands=()
	for ((cpu = 0; cpu < smp; cpu++)); do
		commands+=("cpu $cpu" 'info registers' 'info lapic')
	done
	ask "${commands[@]}" | awk '
		/HLT=/ { sleeps = /HLT=1/ }
		/dumping local APIC state for CPU/ { cpu = $NF }
		$1 == "ISR" && sleeps && $2 != "(none)" { printf "%s:%s ", cpu, $2 }'
}

# One boot, until QEMU ends. late: it did not in time; lost: twice in a row the same processors were deaf.
boot() {
	local begin=$SECONDS left status before='' now
	late='' lost='' ended=0
	rm -f "$work/nvme.raw" "$work/serial" "$work/monitor.in" "$work/monitor.out"
	truncate -s 64M "$work/nvme.raw"
	# A pipe with a name instead of |: QEMU is then a child whose id is known, and the end of the
	# reader means that the log is complete.
	mkfifo "$work/serial" "$work/monitor.in" "$work/monitor.out"
	sed -u 's/\r//g' < "$work/serial" | tee -p "$work/log" "$out" &
	reader=$!
	TMPDIR=$work "$qemu" "${args[@]}" < /dev/null > "$work/serial" &
	vm=$!
	while :; do
		left=$((limit - (SECONDS - begin))) status=0
		[ "$left" -gt 0 ] || { late=1; break; }
		# A job, and not waited for by itself, so that a signal to this script is heard at once.
		timeout "$((left < look ? left : look))" tail -s 0.2 --pid="$vm" -f /dev/null &
		watcher=$!
		wait "$watcher" || status=$?
		watcher=''
		[ "$status" -eq 124 ] || break
		[ -z "$icount" ] || continue
		now=$(deaf)
		[ -z "$now" ] || [ "$now" != "$before" ] || { lost=$now; break; }
		before=$now
	done
	if [ -n "$late" ]; then
		say 'the guest does not end; what its processors do:'
		ask 'info registers -a' | grep -aE 'CPU#|RIP=|HLT=' >&2 || :
	fi
	if [ -n "$late$lost" ]; then
		kill "$vm" 2>/dev/null || :
		timeout 5 tail -s 0.2 --pid="$vm" -f /dev/null || kill -KILL "$vm" 2>/dev/null || :
	fi
	wait "$vm" || ended=$?
	vm=''
	wait "$reader" || :
}

# What such a guest has said counts for nothing.
for attempt in 1 2 3; do
	boot
	[ -n "$lost" ] || break
	say "QEMU has lost an interrupt (processor:vector $lost): boot $attempt of 3 is void"
done
[ -z "$lost" ] || exit 126

if grep -aqF 'Kernel panic - not syncing' "$work/log"; then
	say "the guest's kernel panicked"
	exit 125
fi
# The kernel has a word after the guest's last: its farewell is an emergency message, always shown.
last=$(grep -a . "$work/log" | grep -av '\] reboot: Power down$' | tail -n 1) || :
if [[ $last =~ ^GUEST-EXIT\ ([0-9]+)$ ]]; then
	exit "${BASH_REMATCH[1]}"
fi
if [ -n "$late" ]; then
	say "the guest did not end within $limit s (no GUEST-EXIT line)"
else
	say "QEMU ended with status $ended before the guest did (no GUEST-EXIT line)"
fi
exit 124

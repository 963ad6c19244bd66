#!/bin/bash
# The story of A and B. usage: demo.sh          the simulator, on this machine, no root needed
#                             VM=1 demo.sh     the same programs in a VM: real VFIO, real IOMMU
# IOB_BUILD is the build directory.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${IOB_BUILD:-$here/../../build}
umask 022 # a configuration that others can write is refused

# What has to go, however it ends.
dir='' stage='' daemon=''
clean_up() {
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null || true
		wait "$daemon" 2>/dev/null || true
	fi
	rm -rf ${dir:+"$dir"} ${stage:+"$stage"}
}
trap clean_up EXIT
trap 'exit 130' INT TERM

heading() { printf '\n== %s\n' "$*"; }

# DIR BACKEND: the daemon for it, and a configuration that names A and B, and nobody else.
configure() {
	local a=1001 b=1002
	[ "$(id -u)" = 0 ] || a=$(id -u) b=$(id -u)
	cat >"$1/iommu-broker.conf" <<-END
	[daemon]
	backend = $2
	socket = $1/socket

	[allow A: memory, no device]
	user = $a
	domains = yes

	[allow B: one kind of device]
	user = $b
	device = 1234:11e8
	domains = yes
	END
}

wait_for_socket() {
	for _ in $(seq 100); do
		[ -S "$1" ] && return
		sleep 0.05
	done
	cat "$2" >&2
	return 1
}

story_here() { # BACKEND
	local status=0
	dir=$(mktemp -d /tmp/iommu-broker-demo.XXXXXX)
	chmod 755 "$dir"
	# A and B run as other users than root, who may not come where the build directory is.
	cp "$build/demo/mapper" "$build/demo/driver" "$dir"
	chmod 755 "$dir/mapper" "$dir/driver"
	configure "$dir" "$1"
	IOB_SIM_LOG=$dir/faults "$build/bin/iommu-brokerd" --config "$dir/iommu-broker.conf" \
		2>"$dir/log" &
	daemon=$!
	wait_for_socket "$dir/socket" "$dir/log"
	heading "A maps, B drives; the daemon (pid $daemon) parses no byte of either"
	IOMMU_BROKER_SOCKET=$dir/socket \
		"$build/demo/launch" "$dir/mapper" "$dir/driver" || status=$?
	heading "what the IOMMU reported"
	if [ "$1" = sim ]; then cat "$dir/faults"; else dmesg | grep 'DMAR:.*fault addr' || true; fi |
		sed 's/^/  /'
	heading "what is left: status of the broker after A and B are gone"
	IOMMU_BROKER_SOCKET=$dir/socket "$build/bin/iommuctl" status 2>&1 | sed 's/^/  /' || true
	return "$status"
}

story_in_vm() {
	local status=0 kind
	"$here/../vm/kernels.sh"
	stage=$(mktemp -d)
	mkdir -p "$stage/demo/build" "$stage/demo/tests/demo"
	cp -r "$build/bin" "$build/libexec" "$build/demo" "$stage/demo/build/"
	cp "$here/demo.sh" "$stage/demo/tests/demo/"
	for kind in type1 iommufd; do
		printf '#!/bin/sh\nIOB_DEMO_BACKEND=%s exec bash /demo/tests/demo/demo.sh\n' "$kind" \
			>"$stage/guest.sh"
		chmod +x "$stage/guest.sh"
		mkdir -p "$stage/bin"
		cp /bin/bash "$stage/bin/"
		heading "in a VM, backend $kind, QEMU's edu device behind an emulated VT-d"
		"$here/../vm/run.sh" "$kind" "$stage" || status=$?
	done
	return "$status"
}

if [ "${VM:-0}" = 1 ]; then
	story_in_vm
else
	story_here "${IOB_DEMO_BACKEND:-sim}"
fi

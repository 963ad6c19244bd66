#!/bin/sh
# What operations through the broker cost: measures, and writes a table, figures.json and plot.svg.
#
# usage: bench.sh [--small]     --small: a few rounds, to see that everything works
#
# IOB_BUILD is the build directory; results go to its bench/, or to IOB_BENCH_OUT. VM=0 leaves the VM
# out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${IOB_BUILD:-$here/../../build}
program=$build/bench/measure
out=${IOB_BENCH_OUT:-$build/bench}
umask 022 # a configuration that others can write is refused
small=
[ "${1:-}" != --small ] || small=--small

say() { printf 'bench: %s\n' "$*" >&2; }

work=$(mktemp -d /tmp/iommu-broker-bench.XXXXXX)
chmod 755 "$work"
daemon='' failed=0
clean_up() {
	[ -z "$daemon" ] || { kill "$daemon" 2>/dev/null || :; wait "$daemon" 2>/dev/null || :; }
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# The last processor that we may use. An exchange between two of them costs several times as much, where
# the other one sleeps meanwhile: whether it does is the scheduler's mood, and would be all that is seen.
one=$(sed -n 's/^Cpus_allowed_list:.*[^0-9]\([0-9][0-9]*\)$/\1/p' /proc/self/status)

# The simulator on this machine. start_daemon [COMMAND..]: by this command
start_daemon() {
	cat >"$work/conf" <<-END
	[daemon]
	backend = sim
	socket = $work/socket
	max-sessions = 1200

	[allow bench]
	user = $(id -u)
	domains = yes
	max-bytes = 16G
	max-mappings = 1300000
	max-sessions = 1100
	max-domains = 1100
	max-connects = 100000
	max-setups = 100000
	END
	rm -f "$work/socket"
	"$@" "$build/bin/iommu-brokerd" --config "$work/conf" 2>"$work/log" &
	daemon=$!
	tries=0
	until [ -S "$work/socket" ]; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || { cat "$work/log" >&2; exit 1; }
		sleep 0.05
	done
	export IOMMU_BROKER_SOCKET="$work/socket"
}

# measure WHAT [COMMAND..]: by this command
measure() {
	what=$1
	shift
	say "$what, on this machine"
	# A measurement that fails has said why; the others are worth having all the same.
	# shellcheck disable=SC2086 # none or one word
	"$@" "$program" $small "$what" >>"$work/figures" || {
		say "$what: NOT MEASURED"
		failed=1
	}
}

end_daemon() {
	kill "$daemon"
	wait "$daemon" || :
	daemon=
}

measure_host() {
	start_daemon taskset -c "$one"
	measure live taskset -c "$one"
	measure latency taskset -c "$one"
	end_daemon
	start_daemon env
	measure connect env
	measure clients env
	end_daemon
}

# Guests whose clock counts instructions: the same figures in every run.
measure_vm() {
	"$here/../vm/kernels.sh"
	stage=$work/stage
	mkdir -p "$stage/build/bin" "$stage/build/libexec" "$stage/build/bench"
	cp "$build/bin/iommu-brokerd" "$stage/build/bin/"
	cp "$build"/libexec/* "$stage/build/libexec/"
	cp "$program" "$stage/build/bench/"
	strip --strip-debug "$stage"/build/*/* 2>/dev/null || :
	sed "s/@SMALL@/$small/" "$here/guest.sh" >"$stage/guest.sh"
	chmod 755 "$stage/guest.sh"
	for kind in type1 iommufd; do
		say "$kind, in a VM"
		"$here/../vm/run.sh" "$kind" --icount --timeout 600 --out "$work/$kind.log" "$stage" \
			>/dev/null || {
			tail -n 20 "$work/$kind.log" >&2
			say "$kind: NOT MEASURED"
			failed=1
		}
		grep -a '^figure ' "$work/$kind.log" >>"$work/figures" || :
	done
}

mkdir -p "$out"
: >"$work/figures"
measure_host
[ "${VM:-1}" = 0 ] || measure_vm
cp "$work/figures" "$out/figures.txt"
awk -f "$here/goals.awk" -f "$here/json.awk" "$out/figures.txt" >"$out/figures.json"
awk -f "$here/plot.awk" "$out/figures.txt" >"$out/plot.svg"
awk -f "$here/goals.awk" -f "$here/table.awk" "$out/figures.txt" | tee "$out/table.txt"
[ "${VM:-1}" != 0 ] || say "VM=0: nothing was compared with a real kernel"
say "figures.json, plot.svg and table.txt are in $out"
exit "$failed"

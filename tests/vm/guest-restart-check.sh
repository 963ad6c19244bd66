#!/bin/bash
# Runs in the guest with systemd, as root, as /guest.sh: the monitor ends in every way there is while
# devices do DMA; clients must not notice. The exit status is the number of checks that failed.
# shellcheck disable=SC2317 # check calls the functions
set -u
cd /opt/test || exit 1
export DEBIAN_FRONTEND=noninteractive
first=0000:00:03.0 second=0000:00:04.0 third=0000:00:05.0
# two functions of one IOMMU group; the second has no driver yet
both=(0000:00:08.0 0000:00:08.1)

# shellcheck source=guest-checks.sh
. ./guest-checks.sh || exit 1

# Should a client or a check wait for ever: who waits for what, while it can still be seen.
tell_who_waits() {
	sleep 600
	echo 'FAIL  this takes too long; what there is:'
	ps -eLo pid,ppid,tid,stat,wchan:24,args | grep -E '[i]ommu-broker|[s]teady|[i]ommuctl|[s]ystemctl|[d]pkg'
	for pid in $(pgrep -f 'iommu-broker|steady'); do
		echo "--- $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		cat "/proc/$pid"/task/*/stack
		ls -l "/proc/$pid/fd" | awk '{ print $9, $11 }' | tail -n +2 | tr '\n' ';'
		echo
	done
	tail -n 3 /root/*.log
	journalctl -b --no-pager -o short-monotonic -u 'iommu-broker*' | tail -n 60
	echo w >/proc/sysrq-trigger
	dmesg | tail -n 40
	kill -KILL $$
}
tell_who_waits &
watchman=$!

monitor() { systemctl show -P MainPID iommu-broker.service; }
sessions() { pgrep -f '^iommu-broker-session' | sort | tr '\n' ' '; }
version() { iommuctl status 2>/dev/null | grep -q "$1"; }

installed() {
	dpkg -i first/*.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; return 1; }
	cat >/etc/iommu-broker/iommu-broker.conf <<-END
		[allow test]
		user = alice bob carol
		domains = yes
		device = 1234:11e8
	END
	systemctl start iommu-broker.service
}

# steady USER MODE DEVICE..: in the background; its words in /root/MODE-DEVICE.log, its pid in $!
steady() {
	setpriv --reuid "$1" --regid "$1" --clear-groups ./steady "${@:2}" >"/root/$2-$3.log" 2>&1 &
}

# another_serves PID: a monitor that is not this one
another_serves() {
	[ "$(monitor)" != "$1" ] && iommuctl status >/dev/null 2>&1
}

clients_live() {
	local pid
	for pid in "${clients[@]}"; do
		kill -0 "$pid" 2>/dev/null || { tail -n 3 /root/*.log; return 1; }
	done
}

killed() {
	local before
	for _ in $(seq "$1"); do
		before=$(monitor)
		sleep "0.$((RANDOM % 9))"
		kill -KILL "$before"
		within 30 another_serves "$before" && clients_live || return 1
	done
}

restarted() {
	local before
	for _ in $(seq "$1"); do
		before=$(monitor)
		systemctl restart iommu-broker.service
		within 30 another_serves "$before" && clients_live || return 1
	done
}

# With limits that nobody has to wait for; one that is stopped cannot take the watchdog's SIGABRT.
replaced_when_it_hangs() {
	local before
	mkdir -p /run/systemd/system/iommu-broker.service.d
	printf '[Service]\nWatchdogSec=5s\nTimeoutAbortSec=1s\n' >/run/systemd/system/iommu-broker.service.d/soon.conf
	systemctl daemon-reload && restarted 1 || return 1
	before=$(monitor)
	kill -STOP "$before"
	within 60 another_serves "$before" && clients_live || return 1
	rm -r /run/systemd/system/iommu-broker.service.d
	systemctl daemon-reload && restarted 1
}

holders_are_the_same() {
	for pid in $holders; do
		[ -d "/proc/$pid" ] || return 1
	done
}

device_is_bound() { iommuctl devices 2>/dev/null | grep "$1" | grep -q bound; }

# Of a session that ends while no monitor is there the next one clears up.
dies_without_monitor() {
	local before session
	session=$(comm -13 <(tr ' ' '\n' <<<"$all_before" | sort) <(sessions | tr ' ' '\n' | sort) | head -n 1)
	[ -n "$session" ] || return 1
	before=$(monitor)
	kill -STOP "$before"
	kill -KILL "$session"
	kill -KILL "$before"
	within 30 another_serves "$before" && fails wait "$victim"
}

# SIGTERM after ten seconds is its orderly end.
can_be_had_again() {
	setpriv --reuid carol --regid carol --clear-groups \
		timeout 10 ./steady churn "$third" >/root/again.log 2>&1
	grep -q rounds /root/again.log || { cat /root/again.log; return 1; }
}

upgraded() {
	local before
	before=$(monitor)
	dpkg -i second/*.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; return 1; }
	within 30 another_serves "$before" && within 10 version 0.1.1 && clients_live
}

rounds() {
	local pid log
	for pid in "${clients[@]}"; do
		kill -TERM "$pid"
		wait "$pid" || { tail -n 3 /root/*-*.log; return 1; }
	done
	for log in "/root/hold-$first.log" "/root/churn-$second.log" "/root/hold-${both[0]}.log"; do
		echo "      $log: $(cat "$log")"
		grep -q ' rounds$' "$log" || return 1
	done
}

nothing_is_open() { [ "$(iommuctl status --json | grep -cE '"(domains|devices_open)": *0')" = 2 ]; }
no_process_is_left() { fails pgrep -f '^(/usr/sbin/iommu-brokerd|iommu-broker-)'; }
no_complaint() {
	fails journalctl -b --no-pager -u iommu-broker.service -g 'were not kept|was not kept|broke the|makes no sense|ledger is full|Sanitizer'
}

check 'the broker is installed and runs' installed
steady alice hold "$first"
clients=($!)
check 'a device does DMA' within 30 device_is_bound "$first"
holders=$(sessions)
steady bob churn "$second"
clients+=($!)
check 'a device moves to vfio-pci' iommuctl bind --yes "${both[1]}"
steady alice hold "${both[@]}"
clients+=($!)
check 'two devices of one group do DMA' within 30 device_is_bound "${both[0]}"
doctor() { iommuctl doctor >/root/doctor.txt 2>&1 || { cat /root/doctor.txt; return 1; }; }
no_warning() { fails grep '^warning' /root/doctor.txt; }
check 'with devices at work nothing is wrong' doctor
check 'nor to be warned of' no_warning
check 'the monitor is killed 10 times' killed "${KILLS:-10}"
check 'the service is restarted 3 times' restarted 3
check 'one that hangs is replaced' replaced_when_it_hangs
check 'the sessions are the same' holders_are_the_same
check 'the device is still known' device_is_bound "$first"

kill -STOP "${clients[1]}" # so that the one new session is the third client's
sleep 1
all_before=$(sessions)
steady carol hold "$third"
victim=$!
check 'another device does DMA' within 30 device_is_bound "$third"
check 'a session ends while there is no monitor' dies_without_monitor
check 'its device can be had again' can_be_had_again
kill -CONT "${clients[1]}"

check 'the packages are upgraded' upgraded
check 'the sessions are still the same' holders_are_the_same
check 'and once more the monitor is killed 3 times' killed 3
check 'no client has noticed anything' rounds
check 'nothing is left open' within 20 nothing_is_open
check 'nobody complained' no_complaint

steady alice hold "$first"
client=$!
check 'once more a device does DMA' within 30 device_is_bound "$first"
check 'stop means stop' systemctl stop iommu-broker.service iommu-broker.socket
check 'its session has ended' within 10 no_process_is_left
check 'and its client has noticed' fails wait "$client"

# Started by hand, and by any program that passes a socket.
activated() {
	systemd-socket-activate --seqpacket --listen=/root/socket /usr/sbin/iommu-brokerd \
		>/root/activated.log 2>&1 &
	local pid=$! bad=0
	within 30 iommuctl --socket /root/socket status >/root/status || bad=1
	grep -q "process $pid" /root/status || bad=1
	kill "$pid"
	wait "$pid" || bad=1
	[ "$bad" = 0 ] || cat /root/activated.log /root/status
	return "$bad"
}
check 'systemd-socket-activate will do' activated

kill "$watchman"
[ "$failed" -eq 0 ] || journalctl -b --no-pager -o short-monotonic -u 'iommu-broker*' | tail -n 100
echo "$passed passed, $failed failed"
exit "$failed"

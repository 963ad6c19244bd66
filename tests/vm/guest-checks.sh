# shellcheck shell=bash
# Sourced by guest.sh of the guests with systemd: checks, counted, and what several of them need.

passed=0 failed=0
# check NAME COMMAND..
check() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok    $name"
	else
		failed=$((failed + 1))
		echo "FAIL  $name"
	fi
}

# within SECONDS COMMAND..: until it succeeds
within() {
	local tries=$(($1 * 10))
	shift
	until "$@"; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

fails() { ! "$@"; }

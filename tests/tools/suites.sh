#!/usr/bin/env bash
# Run test suites and add up what they say.
#
#   suites.sh BUILD SUITE..       suites: unit, conformance, shaken, hostile, install, vm, package,
#                                 restart
#
# A suite is believed when it ends with a line "N passed, N failed", or else when it prints summaries
# of libcheck, which are added. No summary, no test executed, a crash, a report of a sanitizer or of
# valgrind: each counts as one failure. The last line here is "N passed, N failed".
#
# shaken is the conformance suite on a broker whose monitor is killed again and again, meanwhile.
#
# Suites find the programs under IOB_BUILD. INSTRUMENT=valgrind runs them and every process they
# start under valgrind; SAN tells that the programs carry sanitizers and are slower.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

build=$1
shift
IOB_BUILD=$(realpath -m "$build")
logs=$IOB_BUILD/log
mkdir -p "$logs"
export IOB_BUILD IOB_SIM_PATH=$IOB_BUILD/libexec/iommu-broker-sim

export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
[ -z "${SAN:-}" ] || export CK_TIMEOUT_MULTIPLIER=5
[ -z "${INSTRUMENT:-}" ] || export CK_TIMEOUT_MULTIPLIER=20

# A suite that says nothing more for good must not hold up everything: seconds for a whole suite.
limit=${SUITE_TIMEOUT:-3600}

wrap=()
if [ "${INSTRUMENT:-}" = valgrind ]; then
	export IOB_SIM_WRAPPED=1 # valgrind holds descriptors of its own
	# the log of a process that has given up root, too
	mkdir -p "$logs/valgrind" && chmod 1777 "$logs/valgrind"
	# shellcheck disable=SC2054 # the comma is valgrind's
	# The daemon runs beside it, as it is: valgrind 3.19 knows neither pidfds nor seccomp(2). Programs of the
	# system are not ours to mend.
	wrap=(valgrind --quiet --trace-children=yes '--trace-children-skip=*/iommu-brokerd,/usr/bin/*,/bin/*' --leak-check=full --show-leak-kinds=definite
		--errors-for-leak-kinds=definite --vgdb=no --error-exitcode=99
		--error-markers=begin-error,end-error --num-callers=20)
fi

passed=0 failed=0
summary=()

# count LOG: "passed failed" as the suite itself tells, nothing when it does not
count() {
	tr -d '\r' <"$1" | awk '
		/^[0-9]+ passed, [0-9]+ failed$/ { own = 1; p = $1; f = $3 }
		match($0, /[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/) {
			split(substr($0, RSTART, RLENGTH), n, /[^0-9]+/)
			checks += n[2]; bad += n[3] + n[4]; seen = 1
		}
		END { if (own) print p, f; else if (seen) print checks - bad, bad }'
}

# findings NAME: reports of instruments, which a test may not have noticed
findings() {
	local report
	grep -aE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ' \
		"$logs/$1.log"
	[ ${#wrap[@]} -gt 0 ] || return 0
	for report in "$logs/valgrind/$1".*; do
		grep -aq begin-error "$report" 2>/dev/null || continue
		echo "valgrind: $report"
		cat "$report" >&2
	done
}

suite() {
	local name=$1 log=$logs/$1.log command=("$IOB_BUILD/tests/$1") pid rc p=0 f=0
	local counted reports n
	local begin=$SECONDS note=''
	printf '== %s\n' "$name"
	case $name in
	shaken) command=(/usr/bin/env IOB_TEST_KEPT=1 IOB_TEST_KILL=100 "$IOB_BUILD/tests/conformance") ;;
	vm | install) command=("tests/$name/check.sh") ;;
	package | restart) command=("tests/vm/$name-check.sh") ;;
	esac
	if [ ! -x "${command[0]}" ]; then
		printf '%s: there is no %s\n' "$name" "${command[0]}"
		failed=$((failed + 1))
		summary+=("$name: missing")
		return
	fi
	if [ ${#wrap[@]} -gt 0 ] && [ "${command[0]}" = "$IOB_BUILD/tests/$name" ]; then
		rm -f "$logs/valgrind/$name".*
		command=("${wrap[@]}" --log-file="$logs/valgrind/$name.%p" "${command[@]}")
		# Clients in these end as clients do, with all they have: leaks are for the unit tests.
		[ "$name" = unit ] || command=("${command[@]/--leak-check=full/--leak-check=no}")
	fi

	# Through a file, not a pipe: a process that a test left behind would keep a pipe open.
	: >"$log"
	timeout -k 10 "$limit" "${command[@]}" >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill "$pid" 2>/dev/null; wait "$pid"; exit 130' INT TERM
	tail -n +1 -s 0.2 -f --pid="$pid" "$log"
	wait "$pid"
	rc=$?
	trap - INT TERM

	counted=$(count "$log")
	if [ -z "$counted" ]; then
		note=", no summary (exit $rc)" f=1
	else
		read -r p f <<<"$counted"
		if [ $((p + f)) -eq 0 ]; then
			note=', no test was executed' f=1
		elif [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
			note=", exit $rc" f=1
		fi
	fi
	reports=$(findings "$name")
	if [ -n "$reports" ]; then
		n=$(wc -l <<<"$reports")
		printf '%s\n' "$reports"
		note+=", $n reports of instruments" f=$((f + n))
	fi
	passed=$((passed + p)) failed=$((failed + f))
	summary+=("$name: $p passed, $f failed$note ($((SECONDS - begin)) s)")
}

left_out() {
	[ "${VM:-1}" = 0 ] || return
	printf '\n*** VM=0: the tests in the VM are LEFT OUT.\n'
	printf '*** Nothing here has touched the VFIO or iommufd of a kernel.\n\n'
}

left_out
for s in "$@"; do
	suite "$s"
done
printf -- '--\n'
printf '%s\n' "${summary[@]}"
left_out
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

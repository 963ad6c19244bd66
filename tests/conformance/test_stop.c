/* SPDX-License-Identifier: MIT */
/*
 * Memory is out of reach when its owner hears that his domain has ended, whoever still holds a device
 * that was in it, and whatever happens to the process that takes it apart.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/restart.h"

static pid_t alices_session, bobs_session;
static long pins; /* of others */

static void bob_has_his_device_in_alices_domain(void)
{
	start_kept(NULL);
	broker_sessions_wait(0);
	pins = pinned_pages();
	as(ALICE, alice_maps);
	alices_session = broker_session_new();
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	broker_sessions_wait(2);
	bobs_session = broker_session_new();
	as(BOB, bob_binds);
	ck_assert_int_gt(pinned_pages(), pins);
}

static void alice_hears_the_end(void)
{
	domain_is_closed(domain);
}

/* ---- the service is stopped ---- */

/* Bob's session is in a long call, so his device is still bound. */
START_TEST(stop_leaves_nothing_in_reach)
{
	bob_has_his_device_in_alices_domain();
	kill(bobs_session, SIGSTOP);
	broker_is_stopped();
	as(ALICE, alice_hears_the_end);
	ck_assert_int_eq(pinned_pages(), pins);
	kill(bobs_session, SIGCONT);
}
END_TEST

/* ---- somebody ends the process that takes a domain apart ---- */

#ifndef IOB_VALGRIND /* which has no pidfds */
#define MAX_HELD 64

/* Waits: what was not taken apart would be there for ever. */
static void nothing_is_pinned(void)
{
	for (int i = 0; i < 2000 && pinned_pages() != pins; i++)
		usleep(5000);
	ck_assert_int_eq(pinned_pages(), pins);
}

/* As a client of bob's would who has the device's own descriptor. */
static size_t hold_descriptors(pid_t session, int held[MAX_HELD])
{
	int pidfd = (int)syscall(SYS_pidfd_open, session, 0);
	size_t n = 0;

	ck_assert_int_ge(pidfd, 0);
	for (int fd = STDERR_FILENO + 1; fd < 256 && n < MAX_HELD; fd++) {
		int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

		if (copy >= 0)
			held[n++] = copy;
	}
	close(pidfd);
	return n;
}

static pid_t simulator(void)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));

	for (size_t i = 0; i < n; i++) {
		char path[64], name[32] = "";

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pids[i]);
		FILE *f = fopen(path, "re");

		if (f && fgets(name, sizeof(name), f) &&
		    strncmp(name, "iommu-broker-si", 15) == 0) {
			fclose(f);
			return pids[i];
		}
		if (f)
			fclose(f);
	}
	ck_abort_msg("there is no simulator");
}

static bool is_child_of(pid_t pid, pid_t parent)
{
	return process_kb(pid, "PPid:") == parent;
}

/* All of the monitor's children but the simulator: no session is left that lives. */
static void helpers_are_killed(pid_t monitor, pid_t sim)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));

	for (size_t i = 0; i < n; i++)
		if (pids[i] != sim && pids[i] != bobs_session && is_child_of(pids[i], monitor))
			kill(pids[i], SIGKILL);
}

enum { NOBODY, MONITOR, HELPER, ENDED };

START_TEST(who_takes_apart_may_be_ended)
{
	int held[MAX_HELD];
	size_t ended;
	pid_t sim;

	bob_has_his_device_in_alices_domain();
	size_t n = hold_descriptors(bobs_session, held);

	ck_assert_uint_gt(n, 0);
	sim = simulator();
	ended = broker_log_count(": ended");
	kill(sim, SIGSTOP); /* a reset that takes its time */
	kill(alices_session, SIGKILL);
	as(ALICE, alice_hears_the_end);
	while (broker_log_count(": ended") == ended)
		usleep(1000);
	if (_i == MONITOR)
		broker_monitor_away(SIGTERM);
	if (_i == HELPER)
		helpers_are_killed(broker_monitor(), sim);
	kill(sim, SIGCONT);
	if (_i == MONITOR)
		broker_monitor_back();
	nothing_is_pinned();
	while (n > 0)
		close(held[--n]);
	all_is_back();
}
END_TEST

#endif

Suite *stop_suite(void)
{
	Suite *suite = suite_create("stop");
	TCase *tc = case_private(suite, "stop");

	tcase_add_test(tc, stop_leaves_nothing_in_reach);
#ifndef IOB_VALGRIND
	if (!backend_is_real() && geteuid() == 0 && !broker_is_shaken())
		tcase_add_loop_test(tc, who_takes_apart_may_be_ended, NOBODY, ENDED);
#endif
	return suite;
}

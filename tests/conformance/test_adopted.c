/* SPDX-License-Identifier: MIT */
/* Sessions that a monitor with another configuration goes on with. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/scene.h"

#define RULE   "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\nmax-bytes = 1G\n"
#define NOBODY "[allow nobody]\nuser = 4242\n"
#define BATCH  200u
#define FAR    UINT64_C(0x10000000)

static void start(const char *name, const char *daemon)
{
	broker_start(&(struct broker_options){
		.name = name, .daemon = daemon, .rules = RULE, .kept = true });
}

static void reload(const char *daemon, const char *rules)
{
	ck_assert(broker_reloads(&(struct broker_options){ .daemon = daemon, .rules = rules }));
}

/* ---- somebody whom no rule names any more ---- */

static void prepares(void)
{
	conn = connected();
	domain = domain_made(conn);
	memory = memory_registered(domain, PAGE, IOB_READ);
}

static void maps_many(void)
{
	struct iob_map_op ops[BATCH];
	struct iob_result results[BATCH];

	for (uint32_t i = 0; i < BATCH; i++)
		ops[i] = map_at(FAR + i * PAGE, &memory, 0, PAGE, IOB_READ);
	ok(iob_map_batch(domain, ops, BATCH, results, NULL));
	ok(iob_unmap(domain, FAR, PAGE));
}

START_TEST(who_is_named_no_more_keeps_his_rate)
{
	start("adopted-rate", NULL);
	as(ALICE, prepares);
	reload(NULL, NOBODY);
	broker_restarts();
	ck_assert(broker_log_gets("goes on, process"));
	as(ALICE, maps_many);
	ck_assert(!broker_log_has("throttled"));
}
END_TEST

/* ---- uids of sessions ---- */

static iob_conn *conns[8];

static void connects_thrice(void)
{
	for (int i = 0; i < 3; i++)
		ok(iob_connect(broker_socket(), &conns[i]));
}

static void connects(void)
{
	ok(iob_connect(broker_socket(), &conns[0]));
}

static void connects_more(void)
{
	for (int i = 3; i < 6; i++)
		ok(iob_connect(broker_socket(), &conns[i]));
}

static void asks(void)
{
	struct iob_status_rep status;

	ok(iob_status(conns[0], &status));
}

/* The uid that it was told to run as, or 0 when it is no session. */
static unsigned session_uid(pid_t pid)
{
	char path[64], line[256] = { 0 };
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fread(line, 1, sizeof(line) - 1, f) == 0)
		line[0] = '\0';
	fclose(f);
	if (strcmp(line, "iommu-broker-session") != 0)
		return 0;
	return (unsigned)strtoul(line + strlen(line) + 1, NULL, 10);
}

/* A session and its companion. */
static void each_has_a_uid_of_its_own(size_t sessions)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids)), seen = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned uid = session_uid(pids[i]), same = 0;

		for (size_t k = 0; uid != 0 && k < n; k++)
			same += session_uid(pids[k]) == uid;
		seen += uid != 0;
		ck_assert_msg(uid == 0 || same == 2, "%u processes run as %u", same, uid);
	}
	ck_assert_uint_eq(seen, 2 * sessions);
}

/* Fewer are allowed when the monitor starts again, and then more. */
START_TEST(a_uid_is_not_given_twice)
{
	start("adopted-uid", "max-sessions = 3\n");
	as(ALICE, connects_thrice);
	reload("max-sessions = 1\n", RULE);
	broker_restarts();
	as(ALICE, asks);
	ck_assert_int_eq(kill(broker_monitor(), SIGHUP), 0); /* reloads are counted */
	as(ALICE, asks);
	reload("max-sessions = 8\n", RULE);
	as(ALICE, connects_more);
	each_has_a_uid_of_its_own(6);
}
END_TEST

/* A session taken over would connect as the uid it has. Here bob plays it, whose uid alice's session
 * was started with; a rule that names him came with another range. */
static void is_denied(void)
{
	refused(iob_connect(broker_socket(), &conn), IOB_E_DENIED);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "one of the broker's own sessions"));
}

static void is_let_in(void)
{
	conn = connected();
}

START_TEST(an_adopted_session_is_no_client)
{
	char uids[64];

	if (!users_differ()) /* sessions run as the runner, whatever the number */
		return;
	snprintf(uids, sizeof(uids), "session-uid-base = %u\nmax-sessions = 1\n", user_uid(BOB));
	start("adopted-client", uids);
	broker_sessions_wait(0);
	as(ALICE, connects);
	reload("max-sessions = 8\n", RULE "[allow bob]\nuser = $bob\n");
	broker_restarts();
	ck_assert(broker_log_gets("goes on, process"));
	as(BOB, is_denied);
	as(ALICE, asks);
	user_exits(ALICE);
	broker_sessions_wait(0);
	as(BOB, is_let_in);
}
END_TEST

/* ---- as much as can be kept ---- */

#define ROOM 14

static void connects_till_refused(void)
{
	for (size_t i = 0; i < COUNT(conns); i++) {
		int code = iob_connect(broker_socket(), &conns[i]);

		if (code == IOB_OK)
			continue;
		ck_assert_int_eq(code, IOB_E_LIMIT);
		return;
	}
	ck_abort_msg("more is taken than can be kept");
}

/* Those that the service manager keeps for the monitor itself count, too. */
START_TEST(no_more_is_taken_than_is_kept)
{
	char room[16];

	snprintf(room, sizeof(room), "%d", ROOM);
	setenv("FDSTORE", room, 1);
	start("adopted-room", NULL);
	as(ALICE, connects_till_refused);
	ck_assert_uint_le(broker_kept_fds(), ROOM);
}
END_TEST

Suite *adopted_suite(void)
{
	Suite *s = suite_create("adopted");
	TCase *tc = case_private(s, "adopted");

	if (broker_is_shaken()) /* which counts its reloads anew each time */
		return s;
	tcase_add_test(tc, who_is_named_no_more_keeps_his_rate);
	tcase_add_test(tc, a_uid_is_not_given_twice);
	tcase_add_test(tc, an_adopted_session_is_no_client);
	tcase_add_test(tc, no_more_is_taken_than_is_kept);
	return s;
}

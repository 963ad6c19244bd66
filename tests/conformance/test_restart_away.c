/* SPDX-License-Identifier: MIT */
/* What happens while there is no monitor is found, and dealt with, by the next one. */
#include <signal.h>
#include <unistd.h>

#include "tests/conformance/restart.h"

/* ---- however it ends ---- */

static const int ends[] = { SIGTERM, SIGINT, SIGKILL, SIGABRT };

START_TEST(however_it_ends_the_next_goes_on)
{
	start_kept(NULL);
	set_scene();
	as(ALICE, alice_hears_another_monitor);
	start_driving();
	broker_monitor_away(ends[_i]);
	dma_goes_on();
	as(ALICE, alice_maps_on);
	broker_monitor_back();
	dma_goes_on();
	as(ALICE, alice_maps_on);
	as(ALICE, alice_hears_another_monitor);
	dma_goes_on();
	stop_driving();
	all_is_back();
}
END_TEST

/* ---- clients and sessions that end meanwhile ---- */

/* The scene, with the processes of the two sessions. */
static pid_t alices_session, bobs_session;

static void set_scene_of_two(void)
{
	as(ALICE, alice_maps);
	broker_sessions_wait(1);
	alices_session = broker_session_new();
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	broker_sessions_wait(2); /* looking for the device took another one */
	bobs_session = broker_session_new();
	as(BOB, bob_binds);
}

static void session_is_killed(pid_t session)
{
	kill(session, SIGKILL);
	while (process_lives(session))
		usleep(1000);
}

static void bob_closes_device(void)
{
	iob_device_close(device);
}

static void alice_drives_herself(void)
{
	domain_devices_wait(domain, 0);
	device = device_opened_when_free(conn, EDU_1);
	ok(iob_domain_bind(domain, iob_device_fd(device)));
	edu_ready(device);
	dma_works();
}

/* How bob lets go of the device: closing it, dying, or with his session. */
START_TEST(driver_ends_meanwhile)
{
	start_kept(NULL);
	set_scene_of_two();
	broker_monitor_away(SIGKILL);
	if (_i == 0)
		as(BOB, bob_closes_device);
	else if (_i == 1)
		user_is_killed(BOB);
	else
		session_is_killed(bobs_session);
	broker_monitor_back();
	as(ALICE, alice_drives_herself);
	all_is_back();
}
END_TEST

static void alice_closes_domain(void)
{
	iob_domain_close(domain);
}

static int bind_when_free(void)
{
	int code = IOB_E_BUSY;

	for (int i = 0; i < 2000 && code == IOB_E_BUSY; i++) {
		code = iob_device_bind(device, iob_domain_fd(domain));
		if (code == IOB_E_BUSY)
			usleep(10000);
	}
	return code;
}

static void bob_goes_on_elsewhere(void)
{
	struct iob_event e = device_event(device, IOB_EV_DEVICE_UNBOUND);

	ck_assert_uint_eq(e.reason, IOB_UNBOUND_DOMAIN_GONE);
	domain_is_closed(domain);
	own_domain();
	ok(bind_when_free());
	edu_ready(device);
	dma_works();
}

START_TEST(mapper_ends_meanwhile)
{
	start_kept(NULL);
	set_scene_of_two();
	broker_monitor_away(SIGKILL);
	if (_i == 0)
		as(ALICE, alice_closes_domain);
	else if (_i == 1)
		user_is_killed(ALICE);
	else
		session_is_killed(alices_session);
	broker_monitor_back();
	as(BOB, bob_goes_on_elsewhere);
	all_is_back();
}
END_TEST

START_TEST(both_end_meanwhile)
{
	start_kept(NULL);
	set_scene_of_two();
	broker_monitor_away(SIGKILL);
	if (_i == 0) {
		user_is_killed(ALICE);
		user_is_killed(BOB);
	} else {
		session_is_killed(bobs_session);
		session_is_killed(alices_session);
	}
	broker_monitor_back();
	all_is_back();
}
END_TEST

/* The end that the monitor before began with is brought to its own by the next. */
START_TEST(ends_are_finished_by_the_next)
{
	start_kept(NULL);
	set_scene_of_two();
	session_is_killed(alices_session);
	broker_restarts();
	as(BOB, bob_goes_on_elsewhere);
	user_is_killed(BOB);
	broker_restarts();
	all_is_back();
}
END_TEST

/* ---- what they had is theirs again ---- */

static void alice_gets_all(void)
{
	int code = IOB_E_LIMIT;

	conn = connected();
	for (int i = 0; i < 2000 && (code == IOB_E_LIMIT || code == IOB_E_QUOTA); i++) {
		code = iob_domain_create(conn, 8 * MIB, 100, &domain, NULL);
		if (code != IOB_OK)
			usleep(10000);
	}
	ok(code);
	code = IOB_E_LIMIT;
	for (int i = 0; i < 2000 && (code == IOB_E_LIMIT || code == IOB_E_BUSY); i++) {
		code = iob_device_open(conn, device_name(EDU_1), 0, &device, NULL);
		if (code != IOB_OK)
			usleep(10000);
	}
	ok(code);
}

START_TEST(charges_are_refunded)
{
	pid_t all[8];
	size_t n;

	start_kept(exact);
	as(ALICE, alice_uses_all);
	broker_sessions_wait(1);
	n = broker_sessions(all, COUNT(all));
	broker_monitor_away(SIGKILL);
	for (size_t i = 0; i < n && _i == 1; i++)
		session_is_killed(all[i]);
	user_is_killed(ALICE);
	broker_monitor_back();
	as(ALICE, alice_gets_all);
	all_is_back();
}
END_TEST

static iob_domain *grants[512];
static size_t grant_count;

static void alice_grants_all(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_BIND, .window_last = UINT64_MAX };
	int code = IOB_OK;

	grant_count = 0;
	while (code == IOB_OK && grant_count < COUNT(grants))
		code = iob_domain_grant(domain, &req, &grants[grant_count++], NULL);
	refused(code, IOB_E_LIMIT);
	grant_count--;
	ck_assert_uint_gt(grant_count, 100);
	board[200] = grant_count;
}

static void alice_closes_grants(void)
{
	while (grant_count > 0)
		iob_domain_close(grants[--grant_count]);
}

/* As many as before, when the monitor has heard of the last close. */
static void alice_grants_as_many(void)
{
	size_t before = (size_t)board[200];

	for (int i = 0; i < 2000; i++) {
		alice_grants_all();
		if (grant_count == before)
			return;
		alice_closes_grants();
		usleep(10000);
	}
	ck_abort_msg("%zu handles instead of %zu", grant_count, before);
}

/* Handles are numbers in the ledger: all that were closed are crossed out. */
START_TEST(closed_handles_count_no_more)
{
	start_kept(NULL);
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_all);
	broker_monitor_away(SIGKILL);
	as(ALICE, alice_closes_grants);
	broker_monitor_back();
	as(ALICE, alice_grants_as_many);
	all_is_back();
}
END_TEST

/* ---- what is asked meanwhile ---- */

/* All of them bob's. */
enum { ASKING = 300 };

static iob_domain *made;
static struct iob_status_rep status;
static struct iob_device_rec *list;
static size_t list_count;

static void connects(void)
{
	conn = connected();
}

static void knows_the_name(void)
{
	connects();
	device_name(EDU_1); /* which takes a connection of its own, once */
}

static void has_device_and_domain(void)
{
	bob_opens();
	own_domain();
}

static void has_domain(void)
{
	connects();
	own_domain();
}

static void nothing(void)
{
}

static void asks_create(void)
{
	ok(iob_domain_create(conn, MIB, 16, &made, NULL));
}

static void asks_open(void)
{
	device = device_opened(conn, EDU_1);
}

static void asks_bind(void)
{
	ok(iob_device_bind(device, iob_domain_fd(domain)));
}

static void asks_unbind(void)
{
	ok(iob_device_unbind(device));
}

static void asks_grant(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_INSPECT, .window_last = PAGE - 1 };

	ok(iob_domain_grant(domain, &req, &made, NULL));
}

static void asks_look(void)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(domain, &info, NULL, 0));
	ok(iob_domain_open(conn, info.domain_id, &made));
}

static void asks_list(void)
{
	ok(iob_device_list(conn, &list, &list_count));
}

static void asks_status(void)
{
	ok(iob_status(conn, &status));
}

static void has_one_domain(void)
{
	struct iob_map_op op;

	asks_status();
	ck_assert_uint_eq(status.domains, 1);
	domain = made;
	memory = memory_registered(domain, PAGE, BOTH);
	op = map_anywhere(&memory, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
}

static void has_one_device(void)
{
	asks_status();
	ck_assert_uint_eq(status.devices_open, 1);
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

static void is_bound(void)
{
	edu_ready(device);
	dma_works();
	/* asked a second time because of a restart, it would be answered as if it were the first */
	if (!broker_is_shaken())
		refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_ALREADY_BOUND);
	ok(iob_device_unbind(device));
}

static void is_not_bound(void)
{
	uint32_t value;

	refused(iob_device_read32(device, IOB_REGION_BAR0, 0, &value), IOB_E_NOT_BOUND);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

static void has_handle(void)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(made, &info, NULL, 0));
	ck_assert_uint_eq(info.rights, IOB_RIGHT_INSPECT);
}

static void has_list(void)
{
	ck_assert_uint_gt(list_count, 0);
}

static void has_status(void)
{
	ck_assert_uint_eq(status.domains, 0);
	asks_status();
}

static const struct request {
	step_fn *before, *ask, *after;
} requests[] = {
	{ connects, asks_create, has_one_domain },
	{ knows_the_name, asks_open, has_one_device },
	{ has_device_and_domain, asks_bind, is_bound },
	{ bob_is_bound, asks_unbind, is_not_bound },
	{ has_domain, asks_grant, has_handle },
	{ has_domain, asks_look, has_handle },
	{ connects, asks_list, has_list },
	{ connects, asks_status, has_status },
	{ nothing, connects, asks_status },
};

static const struct request *request;

static void bob_asks(void)
{
	board[ASKING] = 1;
	request->ask();
}

/* Returns when bob has asked: the one thing he ever waits for then is the answer. */
static void ask_without_monitor(int which)
{
	request = &requests[which];
	start_kept(NULL);
	as(BOB, request->before);
	broker_monitor_away(SIGKILL);
	as_begin(BOB, bob_asks);
	while (!board[ASKING] || !process_sleeps(user_pid(BOB)))
		usleep(1000);
}

START_TEST(requests_are_answered_by_the_next)
{
	ask_without_monitor(_i);
	broker_monitor_back();
	user_done(BOB);
	as(BOB, request->after);
	broker_restarts();
	all_is_back();
}
END_TEST

/* And again, if that one does not get to it. */
START_TEST(requests_are_answered_in_the_end)
{
	ask_without_monitor(_i);
	for (int i = 0; i < 3; i++) {
		broker_monitor_back();
		broker_monitor_away(SIGKILL);
	}
	broker_monitor_back();
	user_done(BOB);
	as(BOB, request->after);
	all_is_back();
}
END_TEST

START_TEST(requests_of_the_dead_leave_nothing)
{
	ask_without_monitor(_i);
	user_is_killed(BOB);
	broker_monitor_back();
	all_is_back();
}
END_TEST

void restart_away_cases(Suite *s)
{
	TCase *tc = case_private(s, "away");

	tcase_add_loop_test(tc, however_it_ends_the_next_goes_on, 0, COUNT(ends));
	tcase_add_loop_test(tc, driver_ends_meanwhile, 0, 3);
	tcase_add_loop_test(tc, mapper_ends_meanwhile, 0, 3);
	tcase_add_loop_test(tc, both_end_meanwhile, 0, 2);
	tcase_add_test(tc, ends_are_finished_by_the_next);
	tcase_add_loop_test(tc, charges_are_refunded, 0, 2);
	tcase_add_test(tc, closed_handles_count_no_more);
	tc = case_private(s, "asked");
	tcase_add_loop_test(tc, requests_are_answered_by_the_next, 0, COUNT(requests));
	tcase_add_loop_test(tc, requests_are_answered_in_the_end, 0, COUNT(requests));
	tcase_add_loop_test(tc, requests_of_the_dead_leave_nothing, 0, COUNT(requests));
}

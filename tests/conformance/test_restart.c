/* SPDX-License-Identifier: MIT */
/*
 * One monitor after another: nobody notices, nothing is lost, and nothing stays behind. What happens
 * while there is none is in test_restart_away.c.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/restart.h"

/* ---- beginning and end of each test ---- */

void start_kept(const char *rules)
{
	broker_start(&(struct broker_options){ .rules = rules, .name = "restart", .kept = true });
}

/* Tables, and the simulator. */
static size_t kept_at_rest(void)
{
	return backend_is_real() ? 5 : 6;
}

void all_is_back(void)
{
	for (int i = 0; i < USERS; i++)
		user_exits((enum user)i);
	for (int i = 0; i < 2000 && broker_kept_fds() != kept_at_rest(); i++)
		usleep(10000);
	ck_assert_uint_eq(broker_kept_fds(), kept_at_rest());
	baseline_check();
}

/* ---- DMA goes on ---- */

void dma_goes_on(void)
{
	wait_for_rounds(3);
}

void alice_maps_on(void)
{
	struct iob_map_op op = map_at(NOWHERE, &memory, 0, PAGE, BOTH);
	struct iob_domain_info_rep info;

	ok(iob_map(domain, &op, NULL));
	ok(iob_unmap(domain, NOWHERE, PAGE));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 2);
	ck_assert_uint_eq(info.devices, 1);
}

void alice_hears_another_monitor(void)
{
	static uint32_t before;
	struct iob_status_rep s;

	ok(iob_status(conn, &s));
	ck_assert_uint_ne(s.monitor_pid, before);
	ck_assert_uint_eq(s.domains, 1);
	ck_assert_uint_eq(s.devices_open, 1);
	before = s.monitor_pid;
}

START_TEST(dma_goes_on_over_restarts)
{
	start_kept(NULL);
	set_scene();
	start_driving();
	for (int i = 0; i < 5; i++) {
		as(ALICE, alice_hears_another_monitor);
		broker_restarts();
		dma_goes_on();
		as(ALICE, alice_maps_on);
	}
	as(ALICE, alice_hears_another_monitor);
	dma_goes_on();
	stop_driving();
	all_is_back();
}
END_TEST

/* ---- what there is can still be used, in every way ---- */

static void alice_begins_anew(void)
{
	own_domain();
	device = device_opened_when_free(conn, EDU_2);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
	ok(iob_device_unbind(device));
	ok(iob_domain_bind(domain, iob_device_fd(device)));
	edu_ready(device);
	dma_works();
}

static void alice_closes_it(void)
{
	iob_device_close(device);
	iob_domain_close(domain);
}

static void bob_binds_again(void)
{
	ok(iob_device_unbind(device));
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	edu_store(device, IOVA, 512);
}

START_TEST(connections_go_on)
{
	start_kept(NULL);
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	broker_restarts();
	as(BOB, bob_binds); /* by a grant from before */
	broker_restarts();
	as(BOB, bob_binds_again);
	as(ALICE, alice_begins_anew);
	broker_restarts();
	as(ALICE, alice_closes_it);
	broker_restarts();
	as(ALICE, alice_begins_anew);
	as(ALICE, alice_grants_bind); /* of what was made after */
	all_is_back();
}
END_TEST

static void bob_maps_in_his_window(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op;

	domain = domain_taken(BOB);
	memory = memory_registered(domain, PAGE, BOTH);
	op = map_at(WINDOW, &memory, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.rights, WORKER | IOB_RIGHT_GRANT);
	ck_assert_uint_eq(info.window_first, WINDOW);
	ck_assert_uint_eq(info.window_last, WINDOW_LAST);
}

/* The monitor still knows what his grant is: not more than he has, and not beyond his window. */
static void bob_grants_within_it(void)
{
	struct iob_grant_req req = { .rights = WORKER | IOB_RIGHT_BIND,
				     .window_first = WINDOW,
				     .window_last = WINDOW_LAST };
	iob_domain *further;
	uint32_t id;

	refused(iob_domain_grant(domain, &req, &further, NULL), IOB_E_RIGHTS);
	req.rights = WORKER;
	req.window_last++;
	refused(iob_domain_grant(domain, &req, &further, NULL), IOB_E_IOVA_WINDOW);
	req.window_last--;
	ok(iob_domain_grant(domain, &req, &further, &id));
	ok(iob_domain_revoke(domain, id));
	refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_RIGHTS);
}

static void alice_grants_with_grants(void)
{
	uint32_t id;

	alice_maps();
	alice_grants(WORKER | IOB_RIGHT_GRANT, 0, WINDOW, WINDOW_LAST, &id);
	board[GRANT_ID] = id;
}

static void alice_revokes(void)
{
	ok(iob_domain_revoke(domain, (uint32_t)board[GRANT_ID]));
}

static void bob_has_lost_it(void)
{
	domain_is_closed(domain);
	refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_BAD_HANDLE);
}

START_TEST(grants_are_what_they_were)
{
	start_kept(NULL);
	as(ALICE, alice_grants_with_grants);
	as(BOB, bob_maps_in_his_window);
	as(BOB, bob_opens);
	broker_restarts();
	as(BOB, bob_grants_within_it);
	as(ALICE, alice_revokes);
	broker_restarts();
	as(BOB, bob_has_lost_it);
	all_is_back();
}
END_TEST

/* What is gone before a restart does not come back with it. */
START_TEST(revoked_grants_stay_revoked)
{
	start_kept(NULL);
	as(ALICE, alice_grants_with_grants);
	as(BOB, bob_maps_in_his_window);
	as(BOB, bob_opens);
	broker_monitor_away(SIGKILL);
	as(ALICE, alice_revokes);
	broker_monitor_back();
	as(BOB, bob_has_lost_it);
	broker_restarts();
	as(BOB, bob_has_lost_it);
	all_is_back();
}
END_TEST

/* ---- limits ---- */

const char exact[] = "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\n"
		     "max-bytes = 8M\nmax-mappings = 100\nmax-domains = 2\nmax-devices = 1\n"
		     "max-sessions = 8\n";

static iob_domain *second;

void alice_uses_all(void)
{
	conn = connected();
	ok(iob_domain_create(conn, 6 * MIB, 60, &domain, NULL));
	ok(iob_domain_create(conn, 2 * MIB, 40, &second, NULL));
	device = device_opened(conn, EDU_1);
}

static void alice_has_no_more(void)
{
	iob_device *more;
	iob_domain *third;

	refused(iob_domain_create(conn, PAGE, 1, &third, NULL), IOB_E_LIMIT);
	refused(iob_device_open(conn, device_name(EDU_2), 0, &more, NULL), IOB_E_LIMIT);
}

/* A domain counts until it is gone, which is a little after its last close. */
static int create_when_gone(uint64_t bytes, uint32_t mappings)
{
	int code = IOB_E_LIMIT;

	for (int i = 0; i < 2000 && code == IOB_E_LIMIT; i++) {
		code = iob_domain_create(conn, bytes, mappings, &second, NULL);
		if (code == IOB_E_LIMIT)
			usleep(10000);
	}
	return code;
}

static void alice_has_what_she_gave_back(void)
{
	iob_domain_close(second);
	refused(create_when_gone(2 * MIB + PAGE, 40), IOB_E_QUOTA);
	refused(create_when_gone(2 * MIB, 41), IOB_E_QUOTA);
	ok(create_when_gone(2 * MIB, 40));
}

START_TEST(limits_count_on)
{
	start_kept(exact);
	as(ALICE, alice_uses_all);
	for (int i = 0; i < 3; i++) {
		broker_restarts();
		as(ALICE, alice_has_no_more);
		as(ALICE, alice_has_what_she_gave_back);
	}
	all_is_back();
}
END_TEST

/* ---- no leaks ---- */

START_TEST(restarts_leave_nothing)
{
	start_kept(NULL);
	for (int i = 0; i < 4; i++) {
		set_scene();
		broker_restarts();
		as(BOB, bob_binds_again);
		broker_restarts();
		all_is_back();
	}
}
END_TEST

/* ---- the service is stopped ---- */

static void alice_is_told(void)
{
	struct iob_status_rep s;

	domain_is_closed(domain);
	refused(iob_status(conn, &s), IOB_E_CLOSED);
}

static void bob_is_told(void)
{
	uint32_t value;

	domain_is_closed(domain);
	refused(iob_device_read32(device, IOB_REGION_BAR0, 0, &value), IOB_E_CLOSED);
}

static bool everything_ended(long pins)
{
	for (int i = 0; i < 2000 && broker_processes(NULL, 0) != 0; i++)
		usleep(10000);
	return broker_processes(NULL, 0) == 0 && (!backend_is_real() || pinned_pages() == pins);
}

/* Also when there is no monitor at that moment. */
START_TEST(stop_means_stop)
{
	long pins;

	start_kept(NULL);
	pins = pinned_pages();
	set_scene();
	broker_restarts();
	if (_i == 1)
		broker_monitor_away(SIGKILL);
	broker_is_stopped();
	as(ALICE, alice_is_told);
	as(BOB, bob_is_told);
	ck_assert(everything_ended(pins));
}
END_TEST

/* ---- a configuration that is no good ---- */

static void alice_is_answered(void)
{
	struct iob_status_rep s;

	ok(iob_status(conn, &s));
}

START_TEST(sessions_wait_for_a_mended_configuration)
{
	start_kept(NULL);
	set_scene();
	start_driving();
	broker_drop_in("broken.conf", "[allow\nnonsense\n");
	kill(broker_monitor(), SIGKILL);
	ck_assert(broker_log_gets("cannot start"));
	dma_goes_on();
	as(ALICE, alice_maps_on);
	broker_drop_in("broken.conf", "# mended\n");
	as(ALICE, alice_is_answered);
	as(ALICE, alice_maps_on);
	dma_goes_on();
	stop_driving();
	all_is_back();
}
END_TEST

/* As long as they live they have the kernel interface that they began with. */
START_TEST(sessions_keep_their_backend)
{
	start_kept(NULL);
	set_scene();
	start_driving();
	broker_drop_in("backend.conf", backend_is_real() ? "[daemon]\nbackend = sim\n" :
							   "[daemon]\nbackend = auto\n");
	broker_restarts();
	dma_goes_on();
	as(ALICE, alice_maps_on);
	as(ALICE, alice_hears_another_monitor);
	dma_goes_on();
	stop_driving();
}
END_TEST

Suite *restart_suite(void)
{
	Suite *s = suite_create("restart");
	TCase *tc = case_private(s, "restart");

	tcase_add_test(tc, dma_goes_on_over_restarts);
	tcase_add_test(tc, connections_go_on);
	tcase_add_test(tc, grants_are_what_they_were);
	tcase_add_test(tc, revoked_grants_stay_revoked);
	tcase_add_test(tc, limits_count_on);
	tcase_add_test(tc, restarts_leave_nothing);
	tcase_add_loop_test(tc, stop_means_stop, 0, 2);
	tcase_add_test(tc, sessions_wait_for_a_mended_configuration);
	tcase_add_test(tc, sessions_keep_their_backend);
	restart_away_cases(s);
	return s;
}

/* SPDX-License-Identifier: MIT */
/*
 * Ends, orderly or not, of clients and of sessions, while DMA is running: what they had is given
 * back, and nobody else notices. That everything is back at the baseline is looked at after each.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

/* ---- the end of bob, who drives ---- */

static void bob_starts_and_closes(void)
{
	edu_store_begin(device, IOVA, EDU_BYTES);
	iob_device_close(device);
}

static void bob_starts_and_unbinds(void)
{
	edu_store_begin(device, IOVA, EDU_BYTES);
	ok(iob_device_unbind(device));
}

static void bob_starts(void)
{
	edu_store_begin(device, IOVA, EDU_BYTES);
}

/* That it can be had means that its last user has been dealt with. */
static void alice_gets_device(void)
{
	device = device_opened_when_free(conn, EDU_1);
}

/* After the device has gone, no transfer that it had begun arrives any more. */
static void alice_is_unaffected(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op = map_at(NOWHERE, &memory, 0, PAGE, BOTH);

	domain_devices_wait(domain, 0);
	memset(memory.at, 0xa5, memory.bytes);
	usleep(backend_is_real() ? 300000 : 20000);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0xa5));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 2);
	ok(iob_map(domain, &op, NULL));
	ok(iob_unmap(domain, NOWHERE, PAGE));
}

/* And it works in her own domain. */
static void alice_drives_herself(void)
{
	ok(iob_domain_bind(domain, iob_device_fd(device)));
	edu_ready(device);
	dma_works();
}

static void after_bob(void)
{
	as(ALICE, alice_gets_device);
	as(ALICE, alice_is_unaffected);
	as(ALICE, alice_drives_herself);
}

START_TEST(device_handle_closed_during_dma)
{
	set_scene();
	as(BOB, bob_starts_and_closes);
	after_bob();
}
END_TEST

START_TEST(device_unbound_during_dma)
{
	set_scene();
	as(BOB, bob_starts_and_unbinds);
	as(ALICE, alice_is_unaffected);
}
END_TEST

START_TEST(driver_exits_during_dma)
{
	set_scene();
	as(BOB, bob_starts);
	user_exits(BOB);
	after_bob();
}
END_TEST

START_TEST(driver_is_killed_during_dma)
{
	set_scene();
	start_driving();
	user_is_killed(BOB);
	after_bob();
}
END_TEST

/* ---- the end of alice, who mapped ---- */

static void bob_is_alone(void)
{
	struct iob_event e = device_event(device, IOB_EV_DEVICE_UNBOUND);
	uint32_t value;

	ck_assert_uint_eq(e.reason, IOB_UNBOUND_DOMAIN_GONE);
	refused(iob_device_read32(device, IOB_REGION_BAR0, 0, &value), IOB_E_NOT_BOUND);
	domain_is_closed(domain);
}

/* The device is still his: it goes into a domain of his own. */
static void bob_goes_on_elsewhere(void)
{
	int code = IOB_E_BUSY;

	own_domain();
	for (int i = 0; i < 2000 && code == IOB_E_BUSY; i++) {
		code = iob_device_bind(device, iob_domain_fd(domain));
		usleep(10000);
	}
	ok(code);
	edu_ready(device);
	dma_works();
}

static void after_alice(void)
{
	as(BOB, bob_is_alone);
	as(BOB, bob_goes_on_elsewhere);
}

static void alice_closes(void)
{
	iob_domain_close(domain);
}

START_TEST(domain_closed_during_dma)
{
	set_scene();
	as(BOB, bob_starts);
	as(ALICE, alice_closes);
	after_alice();
}
END_TEST

START_TEST(mapper_exits_during_dma)
{
	set_scene();
	as(BOB, bob_starts);
	user_exits(ALICE);
	after_alice();
}
END_TEST

START_TEST(mapper_is_killed_during_dma)
{
	set_scene();
	as(BOB, bob_starts);
	user_is_killed(ALICE);
	after_alice();
}
END_TEST

START_TEST(both_are_killed_during_dma)
{
	set_scene();
	start_driving();
	user_is_killed(ALICE);
	user_is_killed(BOB);
}
END_TEST

/* The broker knows of the domain until there is nothing left of it. */
static void wait_for_no_domains(void)
{
	struct iob_status_rep s;

	for (int i = 0; i < 2000; i++) {
		ok(iob_status(conn, &s));
		if (s.domains == 0)
			return;
		usleep(10000);
	}
	ck_abort_msg("the domain is still there");
}

/* Alice's pages are hers alone once her domain is gone: no late write of the device. */
static void alice_closes_and_watches(void)
{
	iob_domain_close(domain);
	wait_for_no_domains();
	memset(memory.at, 0x42, memory.bytes);
	usleep(backend_is_real() ? 300000 : 20000);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x42));
}

static void bob_is_told(void)
{
	device_event(device, IOB_EV_DEVICE_UNBOUND);
}

START_TEST(no_late_write_after_the_end_of_the_domain)
{
	set_scene();
	as(BOB, bob_starts);
	as(BOB, bob_starts);
	as(ALICE, alice_closes_and_watches);
	as(BOB, bob_is_told);
}
END_TEST

/* ---- the end of a handle that was passed on ---- */

static void alice_passes_on(void)
{
	give(BOB, iob_domain_fd(domain));
}

static void bob_takes_over(void)
{
	domain = domain_taken(BOB);
}

static void bob_maps_himself(void)
{
	memory = memory_registered(domain, MEMORY_BYTES, BOTH);
	struct iob_map_op op = map_at(NOWHERE, &memory, 0, BYTES, BOTH);

	ok(iob_map(domain, &op, NULL));
	edu_store(device, NOWHERE, 512);
	edu_store(device, IOVA, 512); /* into memory of one who is no more */
}

START_TEST(domain_passed_on_outlives_its_maker)
{
	set_scene();
	as(ALICE, alice_passes_on);
	as(BOB, bob_takes_over);
	user_is_killed(ALICE);
	as(BOB, bob_maps_himself);
	user_exits(BOB);
}
END_TEST

/* ---- the end of a session ---- */

static void session_is_closed(iob_conn *c)
{
	struct iob_status_rep s;
	struct pollfd p = { .fd = iob_conn_fd(c), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	refused(iob_status(c, &s), IOB_E_CLOSED);
}

static void alice_lost_everything(void)
{
	session_is_closed(conn);
	refused(iob_unmap_all(domain, NULL), IOB_E_CLOSED);
	alice_maps(); /* and may begin anew */
}

START_TEST(session_of_the_mapper_is_killed)
{
	pid_t session;

	as(ALICE, alice_maps);
	session = broker_session_new();
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	as(BOB, bob_binds);
	as(BOB, bob_starts);
	kill(session, SIGKILL);
	after_alice();
	as(ALICE, alice_lost_everything);
}
END_TEST

static void bob_lost_everything(void)
{
	uint32_t value;

	session_is_closed(conn);
	refused(iob_device_read32(device, IOB_REGION_BAR0, 0, &value), IOB_E_CLOSED);
}

START_TEST(session_of_the_driver_is_killed)
{
	pid_t session;

	as(ALICE, alice_maps);
	broker_session_new();
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	broker_sessions_wait(2); /* looking for the device took another one */
	session = broker_session_new();
	as(BOB, bob_binds);
	as(BOB, bob_starts);
	kill(session, SIGKILL);
	as(BOB, bob_lost_everything);
	after_bob();
}
END_TEST

/* A stopped client holds nobody up, and finds things as they were. */
START_TEST(stopped_client_holds_nobody_up)
{
	set_scene();
	user_is_stopped(ALICE);
	start_driving();
	wait_for_rounds(3);
	stop_driving();
	user_goes_on(ALICE);
	as(BOB, bob_starts_and_closes);
	after_bob();
}
END_TEST

Suite *death_suite(void)
{
	Suite *s = suite_create("death");
	TCase *tc = case_shared(s, "death");

	tcase_add_test(tc, device_handle_closed_during_dma);
	tcase_add_test(tc, device_unbound_during_dma);
	tcase_add_test(tc, driver_exits_during_dma);
	tcase_add_test(tc, driver_is_killed_during_dma);
	tcase_add_test(tc, domain_closed_during_dma);
	tcase_add_test(tc, mapper_exits_during_dma);
	tcase_add_test(tc, mapper_is_killed_during_dma);
	tcase_add_test(tc, both_are_killed_during_dma);
	tcase_add_test(tc, no_late_write_after_the_end_of_the_domain);
	tcase_add_test(tc, domain_passed_on_outlives_its_maker);
	tcase_add_test(tc, session_of_the_mapper_is_killed);
	tcase_add_test(tc, session_of_the_driver_is_killed);
	tcase_add_test(tc, stopped_client_holds_nobody_up);
	case_shared_end(tc);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* The monitor's death costs no mapping and no DMA; what needs it is refused, and nothing stays. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

static const struct broker_options usual = { .name = "monitor", .alone = true };

static void alice_maps_on(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op = map_at(NOWHERE, &memory, 0, PAGE, BOTH);
	struct memory m = memory_registered(domain, PAGE, BOTH);

	ok(iob_map(domain, &op, NULL));
	ok(iob_unmap(domain, NOWHERE, PAGE));
	op = map_anywhere(&m, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 3);
	ck_assert_uint_eq(info.devices, 1);
}

static void alice_is_refused(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_BIND, .window_last = PAGE };
	struct iob_device_rec *list;
	struct iob_status_rep status;
	iob_domain *d;
	iob_device *dev;
	iob_conn *c;
	size_t count;

	refused(iob_device_open(conn, "0000:00:04.0", 0, &dev, NULL), IOB_E_MONITOR);
	refused(iob_domain_create(conn, 0, 0, &d, NULL), IOB_E_MONITOR);
	refused(iob_domain_grant(domain, &req, &d, NULL), IOB_E_MONITOR);
	refused(iob_device_list(conn, &list, &count), IOB_E_MONITOR);
	refused(iob_status(conn, &status), IOB_E_MONITOR);
	refused(iob_connect(broker_socket(), &c), IOB_E_CONNECT);
}

static void bob_is_refused(void)
{
	refused(iob_device_unbind(device), IOB_E_MONITOR);
	edu_store(device, IOVA, 64); /* and it is still bound */
	refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_MONITOR);
}

static bool nobody_is_left(void *before)
{
	return broker_processes(NULL, 0) == 0 &&
	       (!backend_is_real() || pinned_pages() == *(long *)before);
}

static void all_is_gone(long pins_before)
{
	for (int i = 0; i < 1000 && !nobody_is_left(&pins_before); i++)
		usleep(10000);
	ck_assert_uint_eq(broker_processes(NULL, 0), 0);
	if (backend_is_real())
		ck_assert_int_eq(pinned_pages(), pins_before);
}

START_TEST(monitor_dies_and_dma_goes_on)
{
	long pins;

	broker_start(&usual);
	pins = pinned_pages();
	set_scene();
	start_driving();
	broker_monitor_dies();
	wait_for_rounds(3);
	as(ALICE, alice_maps_on);
	wait_for_rounds(3);
	as(ALICE, alice_is_refused);
	stop_driving();
	as(BOB, bob_is_refused);
	user_exits(ALICE);
	user_exits(BOB);
	all_is_gone(pins);
}
END_TEST

/* Unmapping still stops the device, and a killed driver still gives it up. */
static void alice_unmaps(void)
{
	ok(iob_unmap(domain, IOVA, BYTES));
	for (size_t i = 0; i < memory.bytes; i++)
		memory.at[i] = 0x99;
	wait_for_rounds(3);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x99));
}

START_TEST(without_monitor_unmap_still_stops_the_device)
{
	long pins;

	broker_start(&usual);
	pins = pinned_pages();
	set_scene();
	start_driving();
	broker_monitor_dies();
	wait_for_rounds(2);
	as(ALICE, alice_unmaps);
	user_is_killed(BOB);
	user_is_killed(ALICE);
	all_is_gone(pins);
}
END_TEST

/* Alice closes her domain while bob's device is in it and nobody is there to take it apart. */
static void alice_closes_and_watches(void)
{
	iob_domain_close(domain);
	iob_conn_close(conn);
	usleep(300000);
	for (size_t i = 0; i < memory.bytes; i++)
		memory.at[i] = 0x17;
	wait_for_rounds(3);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x17));
}

START_TEST(without_monitor_a_closed_domain_is_out_of_reach)
{
	long pins;

	broker_start(&usual);
	pins = pinned_pages();
	set_scene();
	start_driving();
	broker_monitor_dies();
	wait_for_rounds(2);
	as(ALICE, alice_closes_and_watches);
	stop_driving();
	user_exits(BOB);
	user_exits(ALICE);
	all_is_gone(pins);
}
END_TEST

START_TEST(without_monitor_clients_die_in_any_order)
{
	long pins;

	broker_start(&usual);
	pins = pinned_pages();
	set_scene();
	start_driving();
	broker_monitor_dies();
	user_is_killed(ALICE);
	wait_for_rounds(2);
	user_is_killed(BOB);
	all_is_gone(pins);
}
END_TEST

/* SIGTERM: an orderly end of the monitor is no reason to stop either. */
START_TEST(monitor_ends_orderly_and_dma_goes_on)
{
	long pins;

	broker_start(&usual);
	pins = pinned_pages();
	set_scene();
	start_driving();
	kill(broker_monitor(), SIGTERM);
	while (process_lives(broker_monitor()))
		usleep(1000);
	wait_for_rounds(3);
	as(ALICE, alice_maps_on);
	stop_driving();
	user_exits(BOB);
	user_exits(ALICE);
	all_is_gone(pins);
}
END_TEST

Suite *monitor_suite(void)
{
	Suite *s = suite_create("monitor");
	TCase *tc = case_private(s, "monitor");

	tcase_add_test(tc, monitor_dies_and_dma_goes_on);
	tcase_add_test(tc, without_monitor_unmap_still_stops_the_device);
	tcase_add_test(tc, without_monitor_a_closed_domain_is_out_of_reach);
	tcase_add_test(tc, without_monitor_clients_die_in_any_order);
	tcase_add_test(tc, monitor_ends_orderly_and_dma_goes_on);
	return s;
}

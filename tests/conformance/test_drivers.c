/* SPDX-License-Identifier: MIT */
/* Devices that go from vfio-pci to the host and come back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

/* alice may open everything, bob may move it too. */
#define RULES                                                   \
	"[allow alice]\nuser = $alice\ndevice = *\n"            \
	"[allow bob]\nuser = $bob\ndevice = *\ndomains = yes\n" \
	"access = mediated fd\ndrivers = yes\nmax-bytes = 1G\n"

static uint32_t moved;
static int raw_fd = -1;

/* A move that was under way when the monitor was killed is told as a group that has changed. Which device
 * plays which part is settled while all are on vfio-pci. */
static void start(const char *rules, const char *name)
{
	broker_start(&(struct broker_options){
		.rules = rules, .name = name, .alone = broker_is_shaken() });
	for (enum role role = EDU_1; role <= SHARED_2; role++)
		device_name(role);
}

/* ---- steps of both ---- */

static struct iob_driver_rec record_of(const char *name)
{
	struct iob_driver_rec *list, rec = { 0 };
	size_t count;

	ok(iob_driver_list(conn, name, &list, &count));
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].device.name, name) == 0)
			rec = list[i];
	free(list);
	ck_assert_str_eq(rec.device.name, name);
	return rec;
}

static int set(enum role role, enum iob_driver to, uint32_t flags)
{
	const char *name = device_name(role);

	return iob_driver_set(conn, name, to, flags, record_of(name).stamp, &moved);
}

static bool on_vfio(enum role role)
{
	return (record_of(device_name(role)).flags & IOB_DRIVER_ON_VFIO) != 0;
}

/* What is asked for may be what somebody else's end still has to make free. */
static void set_when_free(enum role role, enum iob_driver to)
{
	int code = IOB_E_BUSY;

	for (int i = 0; i < 2000 && code == IOB_E_BUSY; i++) {
		code = set(role, to, 0);
		if (code == IOB_E_BUSY)
			usleep(10000);
	}
	ok(code);
}

/* ---- there and back ---- */

static void bob_gives_to_host(void)
{
	struct iob_device_rec *list;
	const char *name = device_name(EDU_1);
	iob_device *d;
	size_t count;

	conn = connected();
	ck_assert(on_vfio(EDU_1));
	ck_assert_uint_eq(record_of(name).flags, IOB_DRIVER_ON_VFIO | IOB_DRIVER_YOURS);
	ok(set(EDU_1, IOB_DRIVER_HOST, 0));
	ck_assert_uint_eq(moved, 1);
	/* the host has no driver for an edu */
	ck_assert_str_eq(record_of(name).device.driver, "");
	ck_assert(!on_vfio(EDU_1));
	refused(iob_device_open(conn, name, 0, &d, NULL), IOB_E_UNSAFE);
	ok(iob_device_list(conn, &list, &count));
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			ck_assert(list[i].flags & IOB_DEVICE_UNUSABLE && !list[i].driver[0]);
	free(list);
}

static void bob_takes_it_back(void)
{
	ok(set(EDU_1, IOB_DRIVER_VFIO, 0));
	ck_assert_uint_eq(moved, 1);
	ok(set(EDU_1, IOB_DRIVER_VFIO, 0));
	ck_assert_uint_eq(moved, 0);
	ck_assert_str_eq(record_of(device_name(EDU_1)).device.driver, "vfio-pci");
	iob_conn_close(conn);
	bob_is_bound();
	edu_ready(device);
	dma_works();
}

START_TEST(there_and_back)
{
	start(RULES, "drivers");
	as(BOB, bob_gives_to_host);
	as(BOB, bob_takes_it_back);
}
END_TEST

static void bob_moves_a_card(void)
{
	conn = connected();
	ok(set(RESETTABLE, IOB_DRIVER_HOST, 0));
	ck_assert(!on_vfio(RESETTABLE));
	ok(set(RESETTABLE, IOB_DRIVER_VFIO, 0));
	ck_assert(on_vfio(RESETTABLE));
	iob_device_close(device_opened(conn, RESETTABLE));
}

START_TEST(a_card_moves_too)
{
	start(RULES, "drivers");
	as(BOB, bob_moves_a_card);
}
END_TEST

/* ---- who may not ---- */

static void alice_may_only_look(void)
{
	const char *name = device_name(EDU_1);
	struct iob_driver_rec *list;
	size_t count;

	conn = connected();
	ok(iob_driver_list(conn, name, &list, &count));
	ck_assert_uint_eq(list[0].flags & IOB_DRIVER_YOURS, users_differ() ? 0 : IOB_DRIVER_YOURS);
	free(list);
	refused(iob_driver_list(conn, "0000:77:01.0", &list, &count), IOB_E_NO_DEVICE);
	refused(iob_driver_set(conn, "0000:77:01.0", IOB_DRIVER_HOST, 0, 1, NULL), IOB_E_NO_DEVICE);
	if (users_differ())
		refused(set(EDU_1, IOB_DRIVER_HOST, 0), IOB_E_DENIED);
	else
		ok(set(EDU_1, IOB_DRIVER_VFIO, 0));
	ck_assert(on_vfio(EDU_1));
}

START_TEST(who_may_open_may_not_move)
{
	start(RULES, "drivers");
	as(ALICE, alice_may_only_look);
}
END_TEST

static void alice_opens(void)
{
	conn = connected();
	device = device_opened(conn, SHARED_1);
}

static void bob_is_refused(void)
{
	conn = connected();
	refused(set(SHARED_1, IOB_DRIVER_HOST, 0), IOB_E_BUSY);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "is open in a client"));
	refused(set(SHARED_2, IOB_DRIVER_HOST, 0), IOB_E_BUSY);
	refused(set(SHARED_2, IOB_DRIVER_HOST, IOB_DRIVER_GROUP), IOB_E_BUSY);
	ck_assert(on_vfio(SHARED_1) && on_vfio(SHARED_2));
}

static void alice_closes(void)
{
	iob_device_close(device);
}

static void bob_moves_one(void)
{
	set_when_free(SHARED_2, IOB_DRIVER_HOST);
	set_when_free(SHARED_2, IOB_DRIVER_VFIO);
}

START_TEST(what_a_client_has_stays)
{
	start(RULES, "drivers");
	as(ALICE, alice_opens);
	as(BOB, bob_is_refused);
	as(ALICE, alice_closes);
	as(BOB, bob_moves_one);
}
END_TEST

/* ---- groups ---- */

static void bob_moves_the_group(void)
{
	const char *name = device_name(SHARED_1);
	struct iob_driver_rec before;

	conn = connected();
	before = record_of(name);
	ok(set(SHARED_2, IOB_DRIVER_HOST, 0));
	ck_assert_uint_eq(moved, 1);
	ck_assert(on_vfio(SHARED_1) && !on_vfio(SHARED_2));
	/* what was shown then is not what is there now */
	refused(iob_driver_set(conn, name, IOB_DRIVER_HOST, IOB_DRIVER_GROUP, before.stamp, NULL),
		IOB_E_GROUP);
	ck_assert(on_vfio(SHARED_1));
	ok(set(SHARED_1, IOB_DRIVER_HOST, IOB_DRIVER_GROUP));
	ck_assert_uint_eq(moved, 1);
	ck_assert(!on_vfio(SHARED_1));
	ok(set(SHARED_1, IOB_DRIVER_VFIO, IOB_DRIVER_GROUP));
	ck_assert_uint_eq(moved, 2);
	ck_assert(on_vfio(SHARED_1) && on_vfio(SHARED_2));
	iob_device_close(device_opened(conn, SHARED_1));
}

START_TEST(groups_move_as_they_were_shown)
{
	start(RULES, "drivers");
	as(BOB, bob_moves_the_group);
}
END_TEST

/* ---- a driver that does not let go ---- */

/* Bob's handles are closed, so the device is free; what he got through one he keeps. */
static void bob_keeps_descriptor(void)
{
	conn = connected();
	ok(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_MEDIATED | IOB_ACCESS_FD, &device,
			   NULL));
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	if (backend_is_real())
		ok(iob_device_vfio_fd(device, &raw_fd));
	else /* there is nothing that bob could keep */
		refused(iob_device_vfio_fd(device, &raw_fd), IOB_E_UNSUPPORTED);
	iob_device_close(device);
	iob_domain_close(domain);
}

static void bob_asks_in_vain(void)
{
	int code = IOB_E_BUSY;

	while (code == IOB_E_BUSY && iob_error()->sys_errno != ETIMEDOUT)
		code = set(EDU_1, IOB_DRIVER_HOST, 0);
	if (backend_is_real()) {
		ck_assert_int_eq(code, IOB_E_BUSY);
		ck_assert_ptr_nonnull(strstr(iob_error()->text, "vfio-pci has not let go"));
	} else {
		ck_assert_int_eq(code, IOB_OK);
	}
}

/* Who asks over and over is slowed down, and may be late himself. */
static void move_is_under_way(void)
{
	for (int i = 0; i < 1000 && !(record_of(device_name(EDU_1)).flags & IOB_DRIVER_MOVING); i++)
		usleep(20000);
}

static void alice_is_served(void)
{
	struct iob_status_rep status;
	iob_device *d;

	conn = connected();
	if (backend_is_real())
		move_is_under_way();
	for (int i = 0; i < 20; i++) {
		ok(iob_status(conn, &status));
		iob_device_close(device_opened_when_free(conn, EDU_2));
	}
	if (!backend_is_real())
		return;
	ck_assert(record_of(device_name(EDU_1)).flags & IOB_DRIVER_MOVING);
	refused(iob_device_open(conn, device_name(EDU_1), 0, &d, NULL), IOB_E_BUSY);
}

static void bob_lets_go(void)
{
	if (raw_fd >= 0)
		close(raw_fd);
	for (int i = 0; i < 2000 && record_of(device_name(EDU_1)).flags & IOB_DRIVER_MOVING; i++)
		usleep(10000);
	ck_assert(!on_vfio(EDU_1));
	set_when_free(EDU_1, IOB_DRIVER_VFIO);
	iob_device_close(device_opened(conn, EDU_1));
}

START_TEST(a_driver_that_waits_is_waited_for)
{
	start(RULES, "drivers");
	as(BOB, bob_keeps_descriptor);
	as_begin(BOB, bob_asks_in_vain);
	as(ALICE, alice_is_served);
	user_done(BOB);
	as(ALICE, alice_is_served);
	as(BOB, bob_lets_go);
}
END_TEST

/* ---- at the start ---- */

static void bob_gives_and_leaves(void)
{
	conn = connected();
	strcpy((char *)(uintptr_t)&board[0], device_name(EDU_1));
	ok(set(EDU_1, IOB_DRIVER_HOST, 0));
	iob_conn_close(conn);
}

static void bob_finds_it(void)
{
	conn = connected();
	ck_assert(on_vfio(EDU_1));
	iob_device_close(device_opened(conn, EDU_1));
}

START_TEST(configuration_takes_it_at_the_start)
{
	char rules[512];

	start(RULES, "drivers");
	as(BOB, bob_gives_and_leaves);
	user_exits(BOB);
	broker_stop();
	snprintf(rules, sizeof(rules), "[drivers]\nvfio-pci = %s 1234:5678\n%s",
		 (const char *)(uintptr_t)&board[0], RULES);
	start(rules, "drivers-start");
	ck_assert(broker_log_has("no device matches 1234:5678"));
	as(BOB, bob_finds_it);
}
END_TEST

Suite *drivers_suite(void)
{
	Suite *s = suite_create("drivers");
	TCase *tc = case_private(s, "moves");

	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, a_card_moves_too);
	tcase_add_test(tc, who_may_open_may_not_move);
	tcase_add_test(tc, what_a_client_has_stays);
	tcase_add_test(tc, groups_move_as_they_were_shown);
	tcase_add_test(tc, a_driver_that_waits_is_waited_for);
	tcase_add_test(tc, configuration_takes_it_at_the_start);
	return s;
}

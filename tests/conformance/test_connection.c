/* SPDX-License-Identifier: MIT */
/* Connecting, and what a user sees of devices, of domains and of the broker itself. */
#define _GNU_SOURCE /* memmem() */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/suites.h"

static const uint32_t backend_numbers[] = { IOB_BACKEND_SIM, IOB_BACKEND_TYPE1,
					    IOB_BACKEND_IOMMUFD };

/* ---- HELLO ---- */

static void hello_tells(void)
{
	iob_conn *conn = connected();
	const struct iob_hello_rep *h = iob_conn_hello(conn);
	uint64_t fd = backend_is_real() ? IOB_FEATURE_DEVICE_FD : 0;

	ck_assert_uint_eq(h->version, IOB_PROTOCOL_VERSION);
	ck_assert_uint_eq(h->kind, IOB_KIND_CONNECTION);
	ck_assert_uint_eq(h->backend, backend_numbers[backend()]);
	ck_assert_uint_eq(h->features, IOB_FEATURE_GRANT | fd);
	ck_assert_uint_eq(h->max_msg_bytes, IOB_MAX_MSG_BYTES);
	ck_assert_uint_eq(h->max_batch, IOB_MAX_BATCH);
}

START_TEST(hello_tells_version_and_backend)
{
	as(ALICE, hello_tells);
}
END_TEST

/* A connection is for one thing only: the other two kinds are recognised on their own socket. */
static void kinds_are_told_apart(void)
{
	iob_conn *conn = connected(), *none;
	iob_domain *domain = domain_made(conn), *no_domain;
	iob_device *device = device_opened(conn, EDU_1), *no_device;

	refused(iob_connect_fd(dup(iob_domain_fd(domain)), &none), IOB_E_WRONG_KIND);
	refused(iob_connect_fd(dup(iob_device_fd(device)), &none), IOB_E_WRONG_KIND);
	refused(iob_domain_from_fd(dup(iob_device_fd(device)), &no_domain), IOB_E_WRONG_KIND);
	refused(iob_device_from_fd(dup(iob_domain_fd(domain)), &no_device), IOB_E_WRONG_KIND);
	refused(iob_domain_from_fd(dup(iob_conn_fd(conn)), &no_domain), IOB_E_WRONG_KIND);
	ok(iob_domain_info(domain, &(struct iob_domain_info_rep){ 0 }, NULL, 0));
}

START_TEST(handles_know_their_kind)
{
	as(ALICE, kinds_are_told_apart);
}
END_TEST

/* ---- devices ---- */

static const struct iob_device_rec *find(const struct iob_device_rec *list, size_t count,
					 const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	ck_abort_msg("%s is not listed", name);
	return NULL;
}

static void lists_devices(void)
{
	struct iob_device_rec *list;
	const struct iob_device_rec *edu, *other;
	size_t count;

	ok(iob_device_list(connected(), &list, &count));
	ck_assert_uint_ge(count, 4);
	for (size_t i = 1; i < count; i++)
		ck_assert_str_lt(list[i - 1].name, list[i].name);
	edu = find(list, count, device_name(EDU_1));
	ck_assert_str_eq(edu->driver, "vfio-pci");
	ck_assert_uint_eq(edu->vendor, 0x1234);
	ck_assert_uint_eq(edu->device, 0x11e8);
	ck_assert_uint_eq(edu->class_code >> 16, 0x00);
	ck_assert_uint_eq(edu->flags, 0);
	ck_assert_uint_eq(edu->owner_uid, UINT32_MAX);
	ck_assert_uint_eq(edu->access & IOB_ACCESS_MEDIATED, IOB_ACCESS_MEDIATED);
	other = find(list, count, device_name(RESETTABLE));
	ck_assert_uint_ne(edu->device, other->device);
	ck_assert_uint_ne(edu->group, other->group);
	ck_assert_uint_eq(find(list, count, device_name(SHARED_1))->group,
			  find(list, count, device_name(SHARED_2))->group);
	free(list);
}

START_TEST(devices_of_several_kinds_are_listed)
{
	as(ALICE, lists_devices);
}
END_TEST

static iob_conn *conn;
static iob_device *device;

static void alice_opens(void)
{
	conn = connected();
	device = device_opened(conn, EDU_1);
}

static uint32_t listed_flags(iob_conn *c, const char *name, uint32_t *owner)
{
	struct iob_device_rec *list;
	size_t count;
	uint32_t flags;

	ok(iob_device_list(c, &list, &count));
	flags = find(list, count, name)->flags;
	*owner = find(list, count, name)->owner_uid;
	free(list);
	return flags;
}

static void alice_sees_hers(void)
{
	uint32_t owner;

	ck_assert_uint_eq(listed_flags(conn, device_name(EDU_1), &owner),
			  IOB_DEVICE_OPENED | IOB_DEVICE_YOURS);
	ck_assert_uint_eq(owner, getuid());
}

static void bob_sees_alices(void)
{
	uint32_t owner;

	ck_assert_uint_eq(listed_flags(connected(), device_name(EDU_1), &owner), IOB_DEVICE_OPENED);
	ck_assert_uint_eq(owner, user_uid(ALICE));
}

START_TEST(list_tells_who_has_what)
{
	as(ALICE, alice_opens);
	as(ALICE, alice_sees_hers);
	as(BOB, bob_sees_alices);
}
END_TEST

static void unusable_is_unsafe(void)
{
	struct iob_device_rec *list;
	iob_device *d;
	size_t count, unusable = 0;

	conn = connected();
	ok(iob_device_list(conn, &list, &count));
	for (size_t i = 0; i < count; i++) {
		if (!(list[i].flags & IOB_DEVICE_UNUSABLE))
			continue;
		unusable++;
		refused(iob_device_open(conn, list[i].name, 0, &d, NULL), IOB_E_UNSAFE);
	}
	/* a real machine has bridges and the like; all of the simulator's devices can be used */
	if (backend_is_real())
		ck_assert_uint_ge(unusable, 2);
	else
		ck_assert_uint_eq(unusable, 0);
}

START_TEST(unusable_devices_are_marked_and_refused)
{
	as(ALICE, unusable_is_unsafe);
}
END_TEST

/* ---- status ---- */

static void alice_makes_domain(void)
{
	conn = connected();
	domain_made(conn);
}

static void status_counts(void)
{
	struct iob_status_rep s = { 0 };

	/* a session that has ended is counted until the monitor has seen it */
	for (int i = 0; i < 500 && s.sessions != 2; i++) {
		ok(iob_status(conn, &s));
		usleep(10000);
	}
	ck_assert_uint_eq(s.backend, backend_numbers[backend()]);
	ck_assert_uint_eq(s.domains, 1);
	ck_assert_uint_eq(s.sessions, 2);
	ck_assert_uint_eq(s.devices_open, 1);
	ck_assert_uint_ge(s.devices, 4);
	ck_assert_int_ne(s.version[0], 0);
}

START_TEST(status_counts_what_there_is)
{
	as(ALICE, alice_makes_domain);
	as(BOB, alice_opens);
	broker_sessions_wait(2); /* looking for the device's name took a third */
	as(ALICE, status_counts);
}
END_TEST

static void twenty_connections(void)
{
	iob_conn *all[20];

	for (size_t i = 0; i < COUNT(all); i++)
		all[i] = connected();
	for (size_t i = 0; i < COUNT(all); i++)
		iob_conn_close(all[i]);
}

START_TEST(connections_come_and_go)
{
	as(ALICE, twenty_connections);
}
END_TEST

/* ---- what a session starts with ---- */

static void alice_connects(void)
{
	conn = connected();
}

#ifdef IOB_INSTRUMENTED
#define ENVIRONMENT_ENDS_THERE(bytes, said) true /* the instruments need more of it */
#else
#define ENVIRONMENT_ENDS_THERE(bytes, said) ((bytes) == sizeof(said))
#endif

/* Of the monitor's environment only where its log goes: a process is looked at by root only. */
START_TEST(session_starts_with_next_to_no_environment)
{
	static const char said[] = "JOURNAL_STREAM=1:2";
	char path[64], text[8192];
	size_t n;
	FILE *f;

	setenv("JOURNAL_STREAM", "1:2", 1);
	broker_start(
		&(struct broker_options){ .name = "environment", .alone = broker_is_shaken() });
	broker_sessions_wait(0);
	as(ALICE, alice_connects);
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)broker_session_new());
	f = users_differ() ? fopen(path, "re") : NULL;
	ck_assert(f || !users_differ());
	if (!f)
		return;
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	ck_assert_ptr_nonnull(memmem(text, n, said, sizeof(said)));
	ck_assert(ENVIRONMENT_ENDS_THERE(n, said));
	ck_assert(!broker_log_has("<6>")); /* the log is another stream */
}
END_TEST

Suite *connection_suite(void)
{
	Suite *s = suite_create("connection");
	TCase *tc = case_shared(s, "connection");

	tcase_add_test(tc, hello_tells_version_and_backend);
	tcase_add_test(tc, handles_know_their_kind);
	tcase_add_test(tc, devices_of_several_kinds_are_listed);
	tcase_add_test(tc, list_tells_who_has_what);
	tcase_add_test(tc, unusable_devices_are_marked_and_refused);
	tcase_add_test(tc, status_counts_what_there_is);
	tcase_add_test(tc, connections_come_and_go);
	case_shared_end(tc);
	tc = case_private(s, "connection environment");
	tcase_add_test(tc, session_starts_with_next_to_no_environment);
	return s;
}

/* SPDX-License-Identifier: MIT */
/*
 * Where devices may write. The kernel's MAP_FILE looks neither at the access mode nor at the
 * seals of a descriptor, so each of these refusals is the broker's own, on every backend.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/suites.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define BOTH (IOB_READ | IOB_WRITE)

static iob_domain *domain;
static struct iob_memory_add_rep rep;

static void begin(void)
{
	domain = domain_made(connected());
}

/* ---- seals ---- */

static void no_shrink_seal(void)
{
	struct memory m = memory_make(PAGE, 0);

	begin();
	refused(iob_memory_add(domain, m.fd, IOB_READ, &rep), IOB_E_MEMORY_SEALS);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_MEMORY_SEALS);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ok(iob_memory_add(domain, m.fd, BOTH, &rep));
}

START_TEST(memory_that_can_shrink_is_refused)
{
	as(ALICE, no_shrink_seal);
}
END_TEST

/* An fd open for reading is what lets devices read memory that is sealed against writing, on any
 * kernel; with one open for writing, kernels before 6.7 cannot map it. */
static void write_sealed(unsigned seal)
{
	struct memory m = memory_make(PAGE, SEALED);
	int read_only = memory_reopen(m.fd, O_RDONLY);

	begin();
	munmap(m.at, m.bytes);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, seal), 0);
	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_MEMORY_SEALS);
	refused(iob_memory_add(domain, m.fd, IOB_WRITE, &rep), IOB_E_MEMORY_SEALS);
	ok(iob_memory_add(domain, read_only, IOB_READ, &rep));
	m.id = rep.memory;
	struct iob_map_op op = map_anywhere(&m, 0, PAGE, BOTH);

	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_ACCESS);
	op.flags = IOB_READ;
	ok(iob_map(domain, &op, NULL));
}

static void write_seal(void)
{
	write_sealed(F_SEAL_WRITE);
}

static void future_write_seal(void)
{
	write_sealed(F_SEAL_FUTURE_WRITE);
}

START_TEST(no_device_writes_through_a_write_seal)
{
	as(ALICE, write_seal);
}
END_TEST

START_TEST(no_device_writes_through_a_future_write_seal)
{
	as(ALICE, future_write_seal);
}
END_TEST

/* Once registered for writing, no write seal can be added behind the broker's back. */
static void late_write_seal(void)
{
	struct memory m;
	struct iob_map_op op;
	uint64_t iova;

	begin();
	m = memory_registered(domain, 2 * PAGE, BOTH);
	munmap(m.at, m.bytes); /* our own mapping would be a reason too */
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(errno, EBUSY);
	op = map_anywhere(&m, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, &iova));
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ok(iob_unmap(domain, iova, PAGE));
	ok(iob_memory_drop(domain, m.id));
	ck_assert_msg(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE) == 0, "%s", strerror(errno));
}

START_TEST(late_write_seal_is_busy)
{
	as(ALICE, late_write_seal);
}
END_TEST

/* This one the kernel lets through at any time; then no further mapping may be written to. */
static void late_future_write_seal(void)
{
	struct memory m;
	struct iob_map_op op;

	begin();
	m = memory_registered(domain, 2 * PAGE, BOTH);
	op = map_anywhere(&m, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	op = map_anywhere(&m, PAGE, PAGE, BOTH);
	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_SEALS);
	op.flags = IOB_READ;
	ok(iob_map(domain, &op, NULL));
}

START_TEST(late_future_write_seal_stops_further_maps)
{
	as(ALICE, late_future_write_seal);
}
END_TEST

/* ---- access mode ---- */

static void access_modes(void)
{
	struct memory m = memory_make(PAGE, SEALED);
	int read_only = memory_reopen(m.fd, O_RDONLY), write_only = memory_reopen(m.fd, O_WRONLY);

	begin();
	/* Two things stand in the way: the mode is looked at, and the memory could not be mapped.
	 * The text tells which it was, and it has to be the first. */
	refused(iob_memory_add(domain, read_only, BOTH, &rep), IOB_E_MEMORY_ACCESS);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "O_RDWR"));
	refused(iob_memory_add(domain, read_only, IOB_WRITE, &rep), IOB_E_MEMORY_ACCESS);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "O_RDWR"));
	refused(iob_memory_add(domain, write_only, IOB_WRITE, &rep), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, write_only, IOB_READ, &rep), IOB_E_MEMORY_ACCESS);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "write-only"));
	refused(iob_memory_add(domain, memory_reopen(m.fd, O_PATH), IOB_READ, &rep),
		IOB_E_MEMORY_KIND);
	ok(iob_memory_add(domain, read_only, IOB_READ, &rep));
	m.id = rep.memory;
	struct iob_map_op op = map_anywhere(&m, 0, PAGE, IOB_WRITE);

	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_ACCESS);
	op.flags = BOTH;
	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_ACCESS);
}

START_TEST(device_writes_only_where_the_client_could)
{
	as(ALICE, access_modes);
}
END_TEST

static void registered_access(void)
{
	struct memory m;
	struct iob_map_op op;

	begin();
	m = memory_registered(domain, PAGE, IOB_READ);
	op = map_anywhere(&m, 0, PAGE, IOB_WRITE);
	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, m.fd, 0, &rep), IOB_E_UNSUPPORTED);
	refused(iob_memory_add(domain, m.fd, 4, &rep), IOB_E_UNSUPPORTED);
	op.flags = 0;
	refused(iob_map(domain, &op, NULL), IOB_E_UNSUPPORTED);
	op.flags = IOB_READ | 0x10000;
	refused(iob_map(domain, &op, NULL), IOB_E_UNSUPPORTED);
}

START_TEST(registration_is_the_most_a_map_may_ask)
{
	as(ALICE, registered_access);
}
END_TEST

Suite *seals_suite(void)
{
	Suite *s = suite_create("seals");
	TCase *tc = case_shared(s, "seals");

	tcase_add_test(tc, memory_that_can_shrink_is_refused);
	tcase_add_test(tc, no_device_writes_through_a_write_seal);
	tcase_add_test(tc, no_device_writes_through_a_future_write_seal);
	tcase_add_test(tc, late_write_seal_is_busy);
	tcase_add_test(tc, late_future_write_seal_stops_further_maps);
	tcase_add_test(tc, device_writes_only_where_the_client_could);
	tcase_add_test(tc, registration_is_the_most_a_map_may_ask);
	case_shared_end(tc);
	return s;
}

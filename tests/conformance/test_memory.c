/* SPDX-License-Identifier: MIT */
/*
 * What memory may be registered. The kernel's MAP_FILE looks neither at the access mode nor at the
 * seals of a descriptor, so each of these refusals is the broker's own, on every backend.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

/* A further description of the same file, opened as mode says. */
static int reopen(int fd, int mode)
{
	char path[64];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, mode | O_CLOEXEC);
	ck_assert_msg(copy >= 0, "%s: %s", path, strerror(errno));
	return copy;
}

/* ---- kinds ---- */

static void not_a_memfd(void)
{
	int pair[2], pipes[2];

	begin();
	refused(iob_memory_add(domain, open("/proc/version", O_RDONLY), IOB_READ, &rep),
		IOB_E_MEMORY_KIND);
	refused(iob_memory_add(domain, open("/dev/zero", O_RDWR), BOTH, &rep), IOB_E_MEMORY_KIND);
	refused(iob_memory_add(domain, open("/", O_RDONLY), IOB_READ, &rep), IOB_E_MEMORY_KIND);
	refused(iob_memory_add(domain, open("/", O_PATH), IOB_READ, &rep), IOB_E_MEMORY_KIND);
	refused(iob_memory_add(domain, eventfd(0, 0), BOTH, &rep), IOB_E_MEMORY_KIND);
	ck_assert_int_eq(pipe(pipes), 0);
	refused(iob_memory_add(domain, pipes[0], IOB_READ, &rep), IOB_E_MEMORY_KIND);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	refused(iob_memory_add(domain, pair[0], BOTH, &rep), IOB_E_MEMORY_KIND);
	refused(iob_memory_add(domain, iob_domain_fd(domain), BOTH, &rep), IOB_E_MEMORY_KIND);
}

START_TEST(only_memfds_are_memory)
{
	as(ALICE, not_a_memfd);
}
END_TEST

/* A file on a tmpfs looks like a memfd but for its seals. */
static void tmpfs_file(void)
{
	char path[] = "/dev/shm/iob-test-XXXXXX";
	int fd = mkstemp(path);

	begin();
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, (off_t)PAGE), 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)PAGE), 0);
	refused(iob_memory_add(domain, fd, BOTH, &rep), IOB_E_MEMORY_SEALS);
}

START_TEST(file_of_a_tmpfs_is_refused)
{
	as(ALICE, tmpfs_file);
}
END_TEST

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
	int read_only = reopen(m.fd, O_RDONLY);

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
	int read_only = reopen(m.fd, O_RDONLY), write_only = reopen(m.fd, O_WRONLY);

	begin();
	refused(iob_memory_add(domain, read_only, BOTH, &rep), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, read_only, IOB_WRITE, &rep), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, write_only, IOB_WRITE, &rep), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, write_only, IOB_READ, &rep), IOB_E_MEMORY_ACCESS);
	refused(iob_memory_add(domain, reopen(m.fd, O_PATH), IOB_READ, &rep), IOB_E_MEMORY_KIND);
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

/* ---- size and pages ---- */

static void size_and_pages(void)
{
	struct memory m = memory_make(0, SEALED);

	begin();
	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_RANGE);
	m = memory_make(4 * PAGE, SEALED | SPARSE);
	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_MEMORY_SPARSE);
	m.at[0] = m.at[PAGE] = m.at[2 * PAGE] = 1;
	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_MEMORY_SPARSE);
	m.at[3 * PAGE] = 1;
	ok(iob_memory_add(domain, m.fd, BOTH, &rep));
}

START_TEST(memory_must_exist)
{
	as(ALICE, size_and_pages);
}
END_TEST

/* When there are no huge pages in the machine, none can be populated, and that is refused. */
static void huge_pages(void)
{
	int fd = memfd_create("iob-test", MFD_ALLOW_SEALING | MFD_HUGETLB | 21u << 26);
	struct memory m;

	begin();
	ck_assert_msg(fd >= 0, "memfd_create: %s", strerror(errno));
	ck_assert_int_eq(ftruncate(fd, 2 * MIB), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	if (fallocate(fd, 0, 0, 2 * MIB) < 0) {
		ck_assert_int_eq(errno, ENOSPC);
		refused(iob_memory_add(domain, fd, BOTH, &rep), IOB_E_MEMORY_SPARSE);
		return;
	}
	ok(iob_memory_add(domain, fd, BOTH, &rep));
	ck_assert_uint_eq(rep.page_shift, 21);
	ck_assert_uint_eq(rep.bytes, 2 * MIB);
	m = (struct memory){ .id = rep.memory };
	struct iob_map_op op = map_anywhere(&m, 0, 2 * MIB, BOTH);
	uint64_t iova;

	ok(iob_map(domain, &op, &iova));
	ck_assert_uint_eq(iova % (2 * MIB), 0);
	op = map_at(0x10000000, &m, MIB, PAGE, BOTH); /* a small part of a huge page */
	ok(iob_map(domain, &op, NULL));
}

START_TEST(huge_pages_are_memory)
{
	as(ALICE, huge_pages);
}
END_TEST

/* ---- ids ---- */

static void ids(void)
{
	struct memory a, b;
	struct iob_map_op op;
	iob_domain *other;
	uint64_t iova;

	begin();
	a = memory_registered(domain, PAGE, BOTH);
	b = memory_registered(domain, PAGE, BOTH);
	ck_assert_uint_ne(a.id, b.id);
	op = map_anywhere(&a, 0, PAGE, IOB_READ);
	ok(iob_map(domain, &op, &iova));
	refused(iob_memory_drop(domain, a.id), IOB_E_BUSY);
	ok(iob_unmap(domain, iova, PAGE));
	ok(iob_memory_drop(domain, a.id));
	refused(iob_memory_drop(domain, a.id), IOB_E_MEMORY_ID);
	refused(iob_map(domain, &op, NULL), IOB_E_MEMORY_ID);
	refused(iob_memory_drop(domain, 0), IOB_E_MEMORY_ID);
	/* ids are good on their own handle only */
	other = domain_made(connected());
	op = map_anywhere(&b, 0, PAGE, IOB_READ);
	refused(iob_map(other, &op, NULL), IOB_E_MEMORY_ID);
	refused(iob_memory_drop(other, b.id), IOB_E_MEMORY_ID);
}

START_TEST(ids_are_good_on_their_handle)
{
	as(ALICE, ids);
}
END_TEST

static void many_memories(void)
{
	struct memory m = memory_make(PAGE, SEALED);
	int n = 0, code;

	begin();
	while ((code = iob_memory_add(domain, m.fd, BOTH, &rep)) == IOB_OK && n < 5000)
		n++;
	refused(code, IOB_E_LIMIT);
	ck_assert_int_ge(n, 1024);
	ok(iob_memory_drop(domain, rep.memory));
	ok(iob_memory_add(domain, m.fd, BOTH, &rep));
}

START_TEST(registrations_are_limited)
{
	as(ALICE, many_memories);
}
END_TEST

Suite *memory_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *tc = case_shared(s, "memory");

	tcase_add_test(tc, only_memfds_are_memory);
	tcase_add_test(tc, file_of_a_tmpfs_is_refused);
	tcase_add_test(tc, memory_that_can_shrink_is_refused);
	tcase_add_test(tc, no_device_writes_through_a_write_seal);
	tcase_add_test(tc, no_device_writes_through_a_future_write_seal);
	tcase_add_test(tc, late_write_seal_is_busy);
	tcase_add_test(tc, late_future_write_seal_stops_further_maps);
	tcase_add_test(tc, device_writes_only_where_the_client_could);
	tcase_add_test(tc, registration_is_the_most_a_map_may_ask);
	tcase_add_test(tc, memory_must_exist);
	tcase_add_test(tc, huge_pages_are_memory);
	tcase_add_test(tc, ids_are_good_on_their_handle);
	tcase_add_test(tc, registrations_are_limited);
	case_shared_end(tc);
	return s;
}

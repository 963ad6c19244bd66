/* SPDX-License-Identifier: MIT */
/* What memory may be registered, and what becomes of it. Seals and access: test_seals.c. */
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

#define BOTH (IOB_READ | IOB_WRITE)

static iob_domain *domain;
static struct iob_memory_add_rep rep;

static void begin(void)
{
	domain = domain_made(connected());
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

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	unlink(path);
	begin();
	ck_assert_int_eq(ftruncate(fd, (off_t)PAGE), 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)PAGE), 0);
	refused(iob_memory_add(domain, fd, BOTH, &rep), IOB_E_MEMORY_SEALS);
}

START_TEST(file_of_a_tmpfs_is_refused)
{
	as(ALICE, tmpfs_file);
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
	tcase_add_test(tc, memory_must_exist);
	tcase_add_test(tc, huge_pages_are_memory);
	tcase_add_test(tc, ids_are_good_on_their_handle);
	tcase_add_test(tc, registrations_are_limited);
	case_shared_end(tc);
	return s;
}

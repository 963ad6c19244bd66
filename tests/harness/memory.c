/* SPDX-License-Identifier: MIT */
/* memory.c - memfds as a client should make them, and as it should not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/harness/harness.h"

struct memory memory_make(size_t bytes, unsigned how)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (how & HUGE ? MFD_HUGETLB : 0u);
	struct memory m = { .bytes = bytes };

	m.fd = memfd_create("iob-test", flags | (how & HUGE ? 21u << 26 : 0u));
	ck_assert_msg(m.fd >= 0, "memfd_create: %s", strerror(errno));
	ck_assert_int_eq(ftruncate(m.fd, (off_t)bytes), 0);
	if (!(how & SPARSE) && bytes > 0)
		ck_assert_msg(fallocate(m.fd, 0, 0, (off_t)bytes) == 0, "fallocate: %s",
			      strerror(errno));
	if (how & SEALED)
		ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	if (bytes > 0) {
		m.at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
		ck_assert_ptr_ne(m.at, MAP_FAILED);
	}
	return m;
}

/* A further description of the same file, opened as mode says. */
int memory_reopen(int fd, int mode)
{
	char path[64];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, mode | O_CLOEXEC);
	ck_assert_msg(copy >= 0, "%s: %s", path, strerror(errno));
	return copy;
}

struct memory memory_registered(iob_domain *domain, size_t bytes, uint32_t access)
{
	struct memory m = memory_make(bytes, SEALED);
	struct iob_memory_add_rep rep;

	ok(iob_memory_add(domain, m.fd, access, &rep));
	ck_assert_uint_ne(rep.memory, 0);
	ck_assert_uint_eq(rep.bytes, bytes);
	ck_assert_uint_eq(rep.page_shift, 12);
	m.id = rep.memory;
	return m;
}

/* Each byte depends on its place, so that data at a wrong offset do not pass for right. */
static uint8_t pattern(size_t at, uint8_t seed)
{
	return (uint8_t)(seed + at * 7 + (at >> 8) * 13);
}

void memory_fill(const struct memory *m, size_t offset, size_t bytes, uint8_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		m->at[offset + i] = pattern(i, seed);
}

bool memory_is_filled(const struct memory *m, size_t offset, size_t bytes, uint8_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		if (m->at[offset + i] != pattern(i, seed))
			return false;
	return true;
}

bool memory_is(const struct memory *m, size_t offset, size_t bytes, uint8_t value)
{
	for (size_t i = 0; i < bytes; i++)
		if (m->at[offset + i] != value)
			return false;
	return true;
}

struct iob_map_op map_at(uint64_t iova, const struct memory *m, uint64_t offset, uint64_t length,
			 uint32_t access)
{
	return (struct iob_map_op){ .memory = m->id,
				    .flags = access | IOB_FIXED,
				    .offset = offset,
				    .length = length,
				    .iova = iova };
}

struct iob_map_op map_anywhere(const struct memory *m, uint64_t offset, uint64_t length,
			       uint32_t access)
{
	return (struct iob_map_op){
		.memory = m->id, .flags = access, .offset = offset, .length = length
	};
}

/* SPDX-License-Identifier: MIT */
/* monitor-table.c - rows of fixed size in a memfd, which outlive the process that writes them. */
#define _GNU_SOURCE
#include "daemon/monitor-table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAGIC    UINT64_C(0x3162617465726f62) /* moves when the layout does */
#define VACANT_AT_ONCE 256

struct table_header {
	uint64_t magic;
	char name[32];
	uint32_t row_bytes;
	uint32_t rows;
	_Atomic uint32_t used; /* rows up to here were used at some time */
	uint32_t reserved;
};

/* current: 0 for a row that is free, else 1 + the number of the valid copy. */
struct table_row {
	_Atomic uint32_t current;
	uint32_t reserved;
	uint8_t copy[];
};

static size_t stride(const struct table *t)
{
	return sizeof(struct table_row) + 2 * t->row_bytes;
}

static size_t file_bytes(const struct table *t)
{
	return sizeof(struct table_header) + t->rows * stride(t);
}

static struct table_row *row_at(struct table *t, uint32_t row)
{
	return (struct table_row *)((uint8_t *)(t->header + 1) + (row - 1) * stride(t));
}

/* ---- open ---- */

static int header_check(const struct table *t, const char *name)
{
	const struct table_header *h = t->header;

	return h->magic == TABLE_MAGIC && strncmp(h->name, name, sizeof(h->name)) == 0 &&
			       h->row_bytes == t->row_bytes && h->rows == t->rows &&
			       h->used <= t->rows ?
		       0 :
		       -EINVAL;
}

static void header_init(struct table *t, const char *name)
{
	struct table_header *h = t->header;

	strncpy(h->name, name, sizeof(h->name) - 1);
	h->row_bytes = (uint32_t)t->row_bytes;
	h->rows = t->rows;
	h->magic = TABLE_MAGIC;
}

/* Any size but ours would be a SIGBUS later. */
static int file_check(int fd, size_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (size_t)st.st_size == bytes ? 0 : -EINVAL;
}

static int file_make(const char *name, size_t bytes)
{
	char label[64];

	snprintf(label, sizeof(label), "iommu-brokerd-%s", name);
	int fd = memfd_create(label, MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

static void note_vacant(struct table *t, uint32_t row)
{
	if (t->vacant_count == t->vacant_room) {
		size_t room = t->vacant_room + VACANT_AT_ONCE;
		uint32_t *more = realloc(t->vacant, room * sizeof(*more));

		if (!more)
			return; /* the row stays unused until the next start */
		t->vacant = more;
		t->vacant_room = (uint32_t)room;
	}
	t->vacant[t->vacant_count++] = row;
}

static int map_file(struct table *t, int fd, const char *name, bool made)
{
	void *p = mmap(NULL, file_bytes(t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	t->header = p;
	if (made)
		header_init(t, name);
	if (header_check(t, name) == 0)
		return 0;
	munmap(p, file_bytes(t));
	return -EINVAL;
}

int table_open(struct table *t, int fd, const char *name, size_t row_bytes, uint32_t rows)
{
	bool made = fd < 0;

	memset(t, 0, sizeof(*t));
	t->row_bytes = row_bytes;
	t->rows = rows;
	t->fd = made ? file_make(name, file_bytes(t)) : fd;
	int r = t->fd < 0 ? t->fd : file_check(t->fd, file_bytes(t));

	if (r == 0)
		r = map_file(t, t->fd, name, made);
	if (r < 0) {
		if (made && t->fd >= 0)
			close(t->fd);
		memset(t, 0, sizeof(*t));
		t->fd = -1;
		return r;
	}
	for (uint32_t row = t->header->used; row > 0; row--)
		if (row_at(t, row)->current == 0)
			note_vacant(t, row);
	return 0;
}

void table_close(struct table *t)
{
	if (t->header)
		munmap(t->header, file_bytes(t));
	if (t->fd >= 0)
		close(t->fd);
	free(t->vacant);
	memset(t, 0, sizeof(*t));
	t->fd = -1;
}

/* ---- rows ---- */

uint32_t table_room(const struct table *t)
{
	return t->rows - t->header->used + t->vacant_count;
}

static uint32_t take_vacant(struct table *t)
{
	if (t->vacant_count > 0)
		return t->vacant[--t->vacant_count];
	if (t->header->used == t->rows)
		return 0;
	return ++t->header->used;
}

int table_put(struct table *t, uint32_t *row, const void *data)
{
	if (*row == 0)
		*row = take_vacant(t);
	if (*row == 0)
		return -ENOSPC;
	struct table_row *r = row_at(t, *row);
	uint32_t next = r->current == 1 ? 1 : 0;

	memcpy(r->copy + next * t->row_bytes, data, t->row_bytes);
	atomic_store_explicit(&r->current, next + 1, memory_order_release);
	return 0;
}

void table_drop(struct table *t, uint32_t *row)
{
	if (*row == 0)
		return;
	atomic_store_explicit(&row_at(t, *row)->current, 0, memory_order_release);
	note_vacant(t, *row);
	*row = 0;
}

void table_clear(struct table *t)
{
	for (uint32_t row = 1; row <= t->header->used; row++) {
		uint32_t taken = row;

		if (row_at(t, row)->current != 0)
			table_drop(t, &taken);
	}
}

uint32_t table_next(struct table *t, uint32_t after, void *data)
{
	for (uint32_t row = after + 1; row <= t->header->used; row++) {
		const struct table_row *r = row_at(t, row);

		if (r->current != 1 && r->current != 2)
			continue;
		memcpy(data, r->copy + (r->current - 1) * t->row_bytes, t->row_bytes);
		return row;
	}
	return 0;
}

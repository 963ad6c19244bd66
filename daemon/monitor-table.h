/* SPDX-License-Identifier: MIT */
/*
 * monitor-table.h - rows of fixed size in a memfd, which outlive the process that writes them.
 *
 * A process may be killed between any two instructions, so a row has two copies: the one that is
 * not valid is written, then one aligned store makes it valid. Whoever maps the file later finds
 * each row as it was before a change or as it was after, never between.
 *
 * The file is as long as the most rows need and sparse: a row that was never used costs nothing.
 */
#ifndef DAEMON_MONITOR_TABLE_H
#define DAEMON_MONITOR_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_header;

struct table {
	int fd; /* owned, as is the mapping */
	struct table_header *header;
	size_t row_bytes;
	uint32_t rows;	  /* at most */
	uint32_t *vacant; /* rows that were used and are free again */
	uint32_t vacant_count;
	uint32_t vacant_room;
};

/*
 * fd -1: make a new one. Otherwise an earlier table, taken over on success; it must have been made
 * with the same name, row size and number of rows: -EINVAL. row_bytes: a multiple of 8.
 */
int table_open(struct table *t, int fd, const char *name, size_t row_bytes, uint32_t rows);
void table_close(struct table *t);

/* How many new rows there is room for. */
uint32_t table_room(const struct table *t);
/* Write a row. *row: 1 or more, or 0 for a new one, whose number is set. -ENOSPC: all are taken. */
int table_put(struct table *t, uint32_t *row, const void *data);
/* Forget all rows. */
void table_clear(struct table *t);
/* Forget a row; *row becomes 0. Nothing happens when it is 0. */
void table_drop(struct table *t, uint32_t *row);
/* The first valid row after this one (0: of all), copied to data. Its number, or 0 at the end. */
uint32_t table_next(struct table *t, uint32_t after, void *data);

#endif

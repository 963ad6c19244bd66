/* SPDX-License-Identifier: MIT */
/* Rows that outlive who wrote them: whole ones only, and of a file of our own making only. */
#include "daemon/monitor-table.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_table_suite(void);

#define ROWS  4u
#define WORDS 64u

struct row {
	uint64_t word[WORDS];
};

/* What the file holds, as monitor-table.c lays it out: header, then rows of a word that says which
 * copy counts, and two copies. */
#define HEADER_BYTES 56u
#define NAME_AT	     8u
#define ROW_BYTES_AT 40u
#define ROWS_AT	     44u
#define USED_AT	     48u
#define STRIDE	     (8 + 2 * sizeof(struct row))
#define FILE_BYTES   (HEADER_BYTES + ROWS * STRIDE)

static struct table t;

static struct row filled(uint64_t value)
{
	struct row r;

	for (unsigned i = 0; i < WORDS; i++)
		r.word[i] = value;
	return r;
}

/* The value in all of its words; a row of two halves ends the test. */
static uint64_t value_of(const struct row *r)
{
	for (unsigned i = 1; i < WORDS; i++)
		ck_assert_msg(r->word[i] == r->word[0], "word %u: %llu, word 0: %llu", i,
			      (unsigned long long)r->word[i], (unsigned long long)r->word[0]);
	return r->word[0];
}

static uint32_t put(uint32_t row, uint64_t value)
{
	struct row r = filled(value);

	ck_assert_int_eq(table_put(&t, &row, &r), 0);
	return row;
}

static void drop(uint32_t row)
{
	table_drop(&t, &row);
	ck_assert_uint_eq(row, 0);
}

/* The row is there and holds this. */
static void expect(uint32_t row, uint64_t value)
{
	struct row r;

	ck_assert_uint_eq(table_next(&t, row - 1, &r), row);
	ck_assert_uint_eq(value_of(&r), value);
}

static unsigned count(void)
{
	struct row r;
	unsigned n = 0;

	for (uint32_t row = 0; (row = table_next(&t, row, &r)) != 0; n++)
		value_of(&r);
	return n;
}

/* As the next monitor does: all it has is the descriptor. */
static void reopen(void)
{
	int fd = fcntl(t.fd, F_DUPFD_CLOEXEC, 0);

	table_close(&t);
	ck_assert_int_eq(table_open(&t, fd, "unit", sizeof(struct row), ROWS), 0);
	ck_assert_int_eq(t.fd, fd);
}

static void set_up(void)
{
	ck_assert_int_eq(table_open(&t, -1, "unit", sizeof(struct row), ROWS), 0);
}

static void tear_down(void)
{
	table_close(&t);
}

/* ---- rows ---- */

START_TEST(rows_survive)
{
	ck_assert_uint_eq(put(0, 11), 1);
	ck_assert_uint_eq(put(0, 22), 2);
	ck_assert_uint_eq(put(0, 33), 3);
	ck_assert_uint_eq(put(1, 44), 1);
	drop(2);
	reopen();
	ck_assert_uint_eq(count(), 2);
	expect(1, 44);
	expect(3, 33);
	put(1, 55);
	put(1, 66);
	reopen();
	expect(1, 66);
}
END_TEST

START_TEST(new_table_is_empty)
{
	struct row r = filled(7);

	ck_assert_uint_eq(table_next(&t, 0, &r), 0);
	ck_assert_uint_eq(value_of(&r), 7);
	reopen();
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(full_table_says_so)
{
	struct row r = filled(9);
	uint32_t row = 0;

	for (unsigned i = 1; i <= ROWS; i++)
		ck_assert_uint_eq(put(0, i), i);
	ck_assert_int_eq(table_put(&t, &row, &r), -ENOSPC);
	ck_assert_uint_eq(row, 0);
	ck_assert_uint_eq(table_room(&t), 0);
	put(2, 22); /* what is there can be changed all the same */
	expect(2, 22);
	drop(3);
	ck_assert_uint_eq(table_room(&t), 1);
	ck_assert_uint_eq(put(0, 33), 3);
	ck_assert_int_eq(table_put(&t, &row, &r), -ENOSPC);
	reopen();
	ck_assert_uint_eq(table_room(&t), 0);
	ck_assert_uint_eq(count(), ROWS);
	ck_assert_int_eq(table_put(&t, &row, &r), -ENOSPC);
}
END_TEST

/* Those that the next process finds free as well. */
START_TEST(vacant_rows_are_used_again)
{
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t row = put(0, i);

		ck_assert_uint_eq(row, 1);
		drop(row);
	}
	for (unsigned i = 1; i <= ROWS; i++)
		put(0, i);
	drop(4);
	drop(2);
	reopen();
	ck_assert_uint_eq(put(0, 102), 2);
	ck_assert_uint_eq(put(0, 104), 4);
	expect(1, 1);
	expect(2, 102);
	expect(3, 3);
	expect(4, 104);
}
END_TEST

START_TEST(row_that_was_free_shows_nothing_old)
{
	put(0, 1);
	put(1, 2);
	drop(1);
	ck_assert_uint_eq(count(), 0);
	put(0, 3);
	expect(1, 3);
	reopen();
	expect(1, 3);
}
END_TEST

START_TEST(dropping_nothing_is_nothing)
{
	put(0, 1);
	drop(0);
	ck_assert_uint_eq(count(), 1);
	ck_assert_uint_eq(put(0, 2), 2);
}
END_TEST

START_TEST(clear_forgets_all)
{
	for (unsigned i = 1; i <= ROWS; i++)
		put(0, i);
	drop(2);
	table_clear(&t);
	ck_assert_uint_eq(count(), 0);
	reopen();
	ck_assert_uint_eq(count(), 0);
	for (unsigned i = 1; i <= ROWS; i++)
		put(0, i);
	ck_assert_uint_eq(count(), ROWS);
}
END_TEST

/* ---- a writer that is killed ---- */

/* Half of the copy that is not valid is written, and nobody is there to do the rest. */
START_TEST(half_a_put_is_none)
{
	struct row half = filled(3);
	off_t copy = HEADER_BYTES + 8;

	put(0, 1); /* the first copy */
	ck_assert_int_eq(pwrite(t.fd, &half, sizeof(half) / 2, copy + (off_t)sizeof(half)), 256);
	reopen();
	expect(1, 1);
	put(1, 2); /* the second */
	ck_assert_int_eq(pwrite(t.fd, &half, sizeof(half) / 2, copy), 256);
	reopen();
	expect(1, 2);
}
END_TEST

/* A row taken for the first time, and not written. */
START_TEST(row_taken_and_not_written_is_free)
{
	uint32_t used = 2;

	put(0, 1);
	ck_assert_int_eq(pwrite(t.fd, &used, sizeof(used), USED_AT), 4);
	reopen();
	ck_assert_uint_eq(count(), 1);
	ck_assert_uint_eq(put(0, 2), 2);
}
END_TEST

/* Which copy counts is a number that nothing but us writes; no other is followed. */
START_TEST(no_third_copy)
{
	uint32_t current = 3;
	struct row r;

	put(0, 1);
	ck_assert_int_eq(pwrite(t.fd, &current, sizeof(current), HEADER_BYTES), 4);
	reopen();
	ck_assert_uint_eq(table_next(&t, 0, &r), 0);
}
END_TEST

/* Writes to all rows, again and again, and says that it has begun. */
static void write_for_ever(int begun)
{
	uint32_t row[ROWS] = { 1, 2, 3, 4 };

	for (uint64_t value = 2;; value++) {
		struct row r = filled(value);

		for (unsigned i = 0; i < ROWS; i++)
			table_put(&t, &row[i], &r);
		if (value == 100 && write(begun, "", 1) != 1)
			_exit(1);
	}
}

START_TEST(killed_writer_leaves_whole_rows)
{
	struct row r;

	for (unsigned i = 0; i < ROWS; i++)
		put(0, 1);
	for (unsigned kills = 0; kills < 300; kills++) {
		int ends[2];
		char byte;
		pid_t pid;

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			write_for_ever(ends[1]);
		ck_assert_int_eq(read(ends[0], &byte, 1), 1);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		close(ends[0]);
		close(ends[1]);
		reopen();
		ck_assert_uint_eq(count(), ROWS);
		ck_assert_uint_eq(table_next(&t, 0, &r), 1);
		ck_assert_uint_ge(value_of(&r), 100);
	}
}
END_TEST

/* ---- files that are not ours ---- */

static int open_copy(int fd)
{
	struct table other;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r = table_open(&other, copy, "unit", sizeof(struct row), ROWS);

	if (r == 0) {
		table_close(&other);
		return r;
	}
	ck_assert_int_eq(other.fd, -1);
	ck_assert_int_eq(close(copy), 0); /* it stayed the caller's */
	return r;
}

/* Each with one byte changed; the table is as it was in between. */
START_TEST(other_headers_are_refused)
{
	static const unsigned at[] = { 0, 7, NAME_AT, NAME_AT + 3, ROW_BYTES_AT, ROWS_AT };

	ck_assert_int_eq(open_copy(t.fd), 0);
	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		uint8_t before, after;

		ck_assert_int_eq(pread(t.fd, &before, 1, at[i]), 1);
		after = before ^ 1;
		ck_assert_int_eq(pwrite(t.fd, &after, 1, at[i]), 1);
		ck_assert_msg(open_copy(t.fd) == -EINVAL, "byte %u", at[i]);
		ck_assert_int_eq(pwrite(t.fd, &before, 1, at[i]), 1);
	}
	ck_assert_int_eq(open_copy(t.fd), 0);
}
END_TEST

START_TEST(more_rows_than_there_are_is_refused)
{
	uint32_t used = ROWS + 1;

	ck_assert_int_eq(pwrite(t.fd, &used, sizeof(used), USED_AT), 4);
	ck_assert_int_eq(open_copy(t.fd), -EINVAL);
}
END_TEST

START_TEST(other_tables_are_refused)
{
	struct table other;
	int fd = fcntl(t.fd, F_DUPFD_CLOEXEC, 0);

	ck_assert_int_eq(table_open(&other, fd, "unis", sizeof(struct row), ROWS), -EINVAL);
	ck_assert_int_eq(table_open(&other, fd, "units", sizeof(struct row), ROWS), -EINVAL);
	ck_assert_int_eq(table_open(&other, fd, "unit", sizeof(struct row) / 2, ROWS), -EINVAL);
	ck_assert_int_eq(table_open(&other, fd, "unit", sizeof(struct row), ROWS + 1), -EINVAL);
	ck_assert_int_eq(table_open(&other, fd, "unit", sizeof(struct row), ROWS - 1), -EINVAL);
	/* as long as a table of twice the rows of half the size would be, nearly */
	ck_assert_int_eq(table_open(&other, fd, "unit", 8, ROWS), -EINVAL);
	close(fd);
}
END_TEST

/* Shorter by any number of bytes: what is missing would be a SIGBUS. */
START_TEST(other_lengths_are_refused)
{
	static const off_t bytes[] = { 0,
				       1,
				       HEADER_BYTES,
				       HEADER_BYTES + STRIDE,
				       FILE_BYTES - 1,
				       FILE_BYTES + 1,
				       FILE_BYTES * 2 };

	ck_assert_int_eq((int)lseek(t.fd, 0, SEEK_END), (int)FILE_BYTES);
	for (unsigned i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		ck_assert_int_eq(ftruncate(t.fd, bytes[i]), 0);
		ck_assert_msg(open_copy(t.fd) == -EINVAL, "%lld bytes", (long long)bytes[i]);
	}
}
END_TEST

START_TEST(other_files_are_refused)
{
	int pair[2], zero = open("/dev/zero", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert_int_eq(open_copy(zero), -EINVAL);
	ck_assert_int_eq(open_copy(pair[0]), -EINVAL);
	close(zero);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

Suite *test_table_suite(void)
{
	Suite *suite = suite_create("table");
	TCase *tc = tcase_create("table");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rows_survive);
	tcase_add_test(tc, new_table_is_empty);
	tcase_add_test(tc, full_table_says_so);
	tcase_add_test(tc, vacant_rows_are_used_again);
	tcase_add_test(tc, row_that_was_free_shows_nothing_old);
	tcase_add_test(tc, dropping_nothing_is_nothing);
	tcase_add_test(tc, clear_forgets_all);
	tcase_add_test(tc, half_a_put_is_none);
	tcase_add_test(tc, row_taken_and_not_written_is_free);
	tcase_add_test(tc, no_third_copy);
	tcase_add_test(tc, killed_writer_leaves_whole_rows);
	tcase_add_test(tc, other_headers_are_refused);
	tcase_add_test(tc, more_rows_than_there_are_is_refused);
	tcase_add_test(tc, other_tables_are_refused);
	tcase_add_test(tc, other_lengths_are_refused);
	tcase_add_test(tc, other_files_are_refused);
	suite_add_tcase(suite, tc);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* test_proto.c - records and descriptors, the table of operations, growth of bodies, faults. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/message.h"
#include "proto/names.h"
#include "proto/operations.h"

Suite *test_proto_suite(void);

static int pair[2];

static void setup(void)
{
	ck_assert_int_eq(message_socketpair(pair), 0);
}

static void teardown(void)
{
	close(pair[0]);
	close(pair[1]);
}

/* The number the next descriptor gets: equal before and after means that none leaked. */
static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static int send_text(const char *text, const int *fds, unsigned count)
{
	struct iovec iov = { (char *)text, strlen(text) };

	return message_send(pair[0], &iov, 1, fds, count);
}

START_TEST(record_with_descriptors)
{
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	struct fd_list list;
	char buffer[16];

	ck_assert_int_eq(send_text("hello", fds, 2), 0);
	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 5);
	ck_assert_int_eq(memcmp(buffer, "hello", 5), 0);
	ck_assert_uint_eq(list.count, 2);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(list.fd[i], F_GETFD), FD_CLOEXEC);
	int stolen = fd_list_steal(&list, 0);

	fd_list_close(&list);
	ck_assert_uint_eq(list.count, 0);
	ck_assert_int_ge(fcntl(stolen, F_GETFD), 0);
	close(stolen);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(record_too_long_keeps_its_descriptors)
{
	int fd = eventfd(0, 0), before = next_fd();
	struct fd_list list;
	char buffer[4];

	ck_assert_int_eq(send_text("too long", &fd, 1), 0);
	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 -EMSGSIZE);
	ck_assert_uint_eq(list.count, 1);
	fd_list_close(&list);
	ck_assert_int_eq(next_fd(), before);
	close(fd);
}
END_TEST

START_TEST(most_descriptors_that_fit)
{
	int fds[MESSAGE_MAX_FDS], before = next_fd();
	struct fd_list list;
	char buffer[4];

	for (unsigned i = 0; i < MESSAGE_MAX_FDS; i++)
		fds[i] = 0;
	ck_assert_int_eq(send_text("x", fds, MESSAGE_MAX_FDS), 0);
	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 1);
	ck_assert_uint_eq(list.count, MESSAGE_MAX_FDS);
	fd_list_close(&list);
	ck_assert_int_eq(next_fd(), before);
	ck_assert_int_eq(send_text("x", fds, MESSAGE_MAX_FDS + 1), -EINVAL);
}
END_TEST

#ifndef IOB_VALGRIND
/* The limit is on numbers, not on how many are open. Returns the old one. */
static rlim_t limit_fds(rlim_t limit)
{
	struct rlimit r;
	rlim_t old;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
	old = r.rlim_cur;
	r.rlim_cur = limit;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
	return old;
}

/* Out of descriptors in the middle: those that arrived are told, so that they can be closed. */
START_TEST(descriptors_cut_off)
{
	int fds[8] = { 0 }, low = next_fd();
	struct fd_list list;
	char buffer[4];

	ck_assert_int_eq(send_text("x", fds, 8), 0);
	rlim_t old = limit_fds((rlim_t)low + 3);

	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 -EMFILE);
	ck_assert_uint_eq(list.count, 3);
	fd_list_close(&list);
	limit_fds(old);
	ck_assert_int_eq(next_fd(), low);
}
END_TEST
#endif

START_TEST(end_and_nothing)
{
	struct fd_list list;
	char buffer[4];

	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 -EAGAIN);
	shutdown(pair[0], SHUT_RDWR);
	ck_assert_int_eq(message_receive(pair[1], buffer, sizeof(buffer), &list, MESSAGE_MAX_FDS),
			 0);
	ck_assert_int_eq(send_text("x", NULL, 0), -EPIPE);
}
END_TEST

START_TEST(full_queue_does_not_block)
{
	int r;

	do {
		r = send_text("x", NULL, 0);
	} while (r == 0);
	ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

START_TEST(cookies_tell_sockets_apart)
{
	uint64_t a, b, again;
	int copy = dup(pair[0]), other = eventfd(0, 0);

	ck_assert_int_eq(message_cookie(pair[0], &a), 0);
	ck_assert_int_eq(message_cookie(pair[1], &b), 0);
	ck_assert_int_eq(message_cookie(copy, &again), 0);
	ck_assert(a != b);
	ck_assert(a == again);
	ck_assert_int_eq(message_cookie(other, &a), -ENOTSOCK);
	close(copy);
	close(other);
}
END_TEST

/* ---- bodies ---- */

START_TEST(body_growth)
{
	const uint8_t zeros[16] = { 1, 2, 3, 4 };
	const uint8_t unknown[16] = { 1, 2, 3, 4, 0, 0, 0, 0, 0, 9 };
	uint8_t out[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	ck_assert_int_eq(operation_take(zeros, 16, out, 8, 4), 0);
	ck_assert_int_eq(operation_take(unknown, 16, out, 8, 4), -EBADMSG);
	ck_assert_int_eq(operation_take(unknown, 9, out, 8, 4), 0);
	ck_assert_int_eq(operation_take(zeros, 3, out, 8, 4), -EBADMSG);
	memset(out, 0xff, sizeof(out));
	ck_assert_int_eq(operation_take(zeros, 4, out, 8, 4), 0);
	ck_assert_int_eq(memcmp(out, zeros, 8), 0); /* what was not sent is 0 */
}
END_TEST

/* Every op of wire.h has a row, and every row makes sense. */
START_TEST(table_is_complete)
{
	static const struct {
		uint16_t first, last;
		uint8_t kind;
	} blocks[] = {
		{ IOB_OP_DEVICE_LIST, IOB_OP_STATUS, IOB_KIND_CONNECTION },
		{ IOB_OP_DOMAIN_INFO, IOB_OP_REVOKE, IOB_KIND_DOMAIN },
		{ IOB_OP_DEVICE_INFO, IOB_OP_DEVICE_FD, IOB_KIND_DEVICE },
	};

	ck_assert_ptr_nonnull(operation_find(IOB_OP_HELLO));
	for (size_t b = 0; b < 3; b++) {
		for (uint16_t op = blocks[b].first; op <= blocks[b].last; op++) {
			const struct operation *o = operation_find(op);

			ck_assert_ptr_nonnull(o);
			ck_assert_uint_eq(o->kind, blocks[b].kind);
			ck_assert_uint_le(o->fds_min, o->fds_max);
			ck_assert(o->right == 0 || o->kind == IOB_KIND_DOMAIN);
		}
		ck_assert_ptr_null(operation_find((uint16_t)(blocks[b].last + 1)));
	}
	ck_assert_ptr_null(operation_find(0));
	ck_assert_str_eq(operation_name(IOB_OP_MAP), "MAP");
	ck_assert_str_eq(operation_name(0xffff), "?");
}
END_TEST

/* ---- faults ---- */

START_TEST(fault_texts_are_printable_and_bounded)
{
	struct fault f;
	char longer[2 * IOB_MAX_TEXT];

	ck_assert_int_eq(fault_set(&f, IOB_E_BUSY, IOB_STEP_BIND, EBUSY, "a\x1b[31m\n%s", "b"),
			 -EBUSY);
	ck_assert_str_eq(f.text, "a?[31m?b");
	ck_assert_int_eq(fault_set(&f, IOB_E_DENIED, IOB_STEP_POLICY, 0, "x"), -EPERM);
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fault_set(&f, IOB_E_BUSY, IOB_STEP_BIND, 0, "%s", longer);
	ck_assert_uint_eq(strlen(f.text), IOB_MAX_TEXT);
}
END_TEST

START_TEST(every_code_and_step_has_words)
{
	for (uint32_t code = IOB_OK; code <= IOB_E_INTERNAL; code++) {
		ck_assert_str_ne(fault_code_name(code), "IOB_E_?");
		ck_assert_str_ne(fault_code_text(code), "unknown code");
	}
	for (uint32_t code = IOB_E_CONNECT; code <= IOB_E_SYSTEM; code++)
		ck_assert_str_ne(fault_code_name(code), "IOB_E_?");
	for (uint32_t step = IOB_STEP_NONE; step <= IOB_STEP_TRANSPORT; step++)
		ck_assert_str_ne(fault_step_text(step), "unknown step");
	ck_assert_str_eq(fault_code_name(999), "IOB_E_?");
	ck_assert_str_eq(fault_step_text(999), "unknown step");
}
END_TEST

START_TEST(bits_have_names)
{
	char out[NAMES_BYTES];

	ck_assert_str_eq(names_rights(0, out), "none");
	ck_assert_str_eq(names_rights(IOB_RIGHT_ALL, out), "MAP UNMAP BIND INSPECT GRANT DIRECT");
	ck_assert_str_eq(names_rights(UINT32_MAX, out),
			 "MAP UNMAP BIND INSPECT GRANT DIRECT 0xffffffc0");
	ck_assert_str_eq(names_rights(0x40, out), "0x40");
	ck_assert_str_eq(names_access(IOB_ACCESS_MEDIATED | IOB_ACCESS_FD, out), "mediated and fd");
	ck_assert_str_eq(names_memory(IOB_WRITE | IOB_FIXED | 8, out), "WRITE FIXED 0x8");
	ck_assert_str_eq(names_kind(IOB_KIND_DOMAIN), "domain");
	ck_assert_str_eq(names_kind(77), "unknown");
}
END_TEST

START_TEST(bytes_are_exact)
{
	char out[NAMES_BYTES];

	ck_assert_str_eq(names_bytes(0, out), "0");
	ck_assert_str_eq(names_bytes(4095, out), "4095");
	ck_assert_str_eq(names_bytes(4097 << 10, out), "4097K");
	ck_assert_str_eq(names_bytes(UINT64_C(3) << 30, out), "3G");
	ck_assert_str_eq(names_bytes(UINT64_C(1) << 50, out), "1024T");
	ck_assert_str_eq(names_bytes(UINT64_MAX, out), "18446744073709551615");
}
END_TEST

Suite *test_proto_suite(void)
{
	Suite *s = suite_create("proto");
	TCase *records = tcase_create("records");
	TCase *pure = tcase_create("pure");

	tcase_add_checked_fixture(records, setup, teardown);
	tcase_add_test(records, record_with_descriptors);
	tcase_add_test(records, record_too_long_keeps_its_descriptors);
	tcase_add_test(records, most_descriptors_that_fit);
#ifndef IOB_VALGRIND /* which enforces the limit by itself, and not here */
	tcase_add_test(records, descriptors_cut_off);
#endif
	tcase_add_test(records, end_and_nothing);
	tcase_add_test(records, full_queue_does_not_block);
	tcase_add_test(records, cookies_tell_sockets_apart);
	tcase_add_test(pure, body_growth);
	tcase_add_test(pure, table_is_complete);
	tcase_add_test(pure, fault_texts_are_printable_and_bounded);
	tcase_add_test(pure, every_code_and_step_has_words);
	tcase_add_test(pure, bits_have_names);
	tcase_add_test(pure, bytes_are_exact);
	suite_add_tcase(s, records);
	suite_add_tcase(s, pure);
	return s;
}

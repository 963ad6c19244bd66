/* SPDX-License-Identifier: MIT */
/* Messages that are none: framing, HELLO. What is in them: test_body.c. */
#include <string.h>

#include "tests/hostile/suites.h"

static uint8_t big[2 * IOB_MAX_MSG_BYTES];

/* ---- framing ---- */

static void short_messages(void)
{
	const struct iob_hdr hdr = { .size = sizeof(hdr), .op = IOB_OP_STATUS, .tag = 1 };

	raw_open_all();
	for (size_t n = 1; n < sizeof(hdr); n++)
		for (uint32_t kind = 1; kind <= 3; kind++) {
			int fd = raw_handle_for(kind);

			ck_assert_int_eq(raw_send(fd, &hdr, n, NULL, 0), 0);
			raw_refused(raw_code(fd), IOB_E_PROTOCOL);
		}
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(short_messages_are_refused)
{
	attack(short_messages);
}
END_TEST

static void wrong_sizes(void)
{
	static const uint32_t sizes[] = { 0,  1,     15,    16 + 7,    16 + 9,
					  32, 65536, 65537, INT32_MAX, UINT32_MAX };
	struct {
		struct iob_hdr hdr;
		struct iob_list_req req;
	} m = { .hdr = { .op = IOB_OP_DEVICE_LIST, .tag = 1 } };

	raw_open_all();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		m.hdr.size = sizes[i];
		ck_assert_int_eq(raw_send(raw_handles.conn, &m, sizeof(m), NULL, 0), 0);
		raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	}
	m.hdr.size = sizeof(m);
	ck_assert_int_eq(raw_send(raw_handles.conn, &m, sizeof(m), NULL, 0), 0);
	raw_ok(raw_code(raw_handles.conn));
}

START_TEST(wrong_sizes_are_refused)
{
	attack(wrong_sizes);
}
END_TEST

static void oversized(void)
{
	static const size_t sizes[] = { IOB_MAX_MSG_BYTES + 1, IOB_MAX_MSG_BYTES + 4096,
					2 * IOB_MAX_MSG_BYTES };
	struct iob_hdr hdr = { .op = IOB_OP_STATUS, .tag = 1 };

	raw_open_all();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		hdr.size = (uint32_t)sizes[i];
		memcpy(big, &hdr, sizeof(hdr));
		ck_assert_int_eq(raw_send(raw_handles.conn, big, sizes[i], NULL, 0), 0);
		raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	}
	/* the largest one that there can be, all zeros behind the body: accepted */
	hdr.size = IOB_MAX_MSG_BYTES;
	memcpy(big, &hdr, sizeof(hdr));
	ck_assert_int_eq(raw_send(raw_handles.conn, big, IOB_MAX_MSG_BYTES, NULL, 0), 0);
	raw_ok(raw_code(raw_handles.conn));
}

START_TEST(oversized_messages_are_refused)
{
	attack(oversized);
}
END_TEST

/* A message of no bytes cannot be told from the end: it is one. With descriptors, too. */
static void empty_messages(void)
{
	int fds[3] = { 0, 1, 2 };

	raw_open_all();
	ck_assert_int_eq(raw_send(raw_handles.device, "", 0, fds, 3), 0);
	ck_assert(raw_is_closed(raw_handles.device));
	ck_assert_int_eq(raw_send(raw_handles.domain, "", 0, NULL, 0), 0);
	ck_assert(raw_is_closed(raw_handles.domain));
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(empty_messages_end_the_handle)
{
	attack(empty_messages);
}
END_TEST

static void flags_and_codes(void)
{
	static const uint16_t flags[] = { IOB_MSG_REPLY, IOB_MSG_EVENT, 3, 4, 0x8000, UINT16_MAX };
	struct iob_hdr hdr = { .size = sizeof(hdr), .op = IOB_OP_STATUS, .tag = 1 };

	raw_open_all();
	for (size_t i = 0; i < COUNT(flags); i++) {
		hdr.flags = flags[i];
		ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, sizeof(hdr), NULL, 0), 0);
		raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	}
	hdr.flags = 0;
	hdr.code = 1;
	ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, sizeof(hdr), NULL, 0), 0);
	raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
}

START_TEST(answers_are_no_requests)
{
	attack(flags_and_codes);
}
END_TEST

static void tags(void)
{
	static const uint32_t numbers[] = { 1, UINT32_MAX, 0x80000000 };
	struct iob_hdr hdr = { .size = sizeof(hdr), .op = IOB_OP_STATUS, .tag = 1 };

	raw_open_all();
	for (size_t i = 0; i < COUNT(numbers); i++) {
		hdr.tag = numbers[i];
		ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, sizeof(hdr), NULL, 0), 0);
		raw_ok(raw_code(raw_handles.conn));
		ck_assert_uint_eq(raw.hdr.tag, numbers[i]);
	}
	hdr.tag = 0; /* that of what nobody asked for */
	ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, sizeof(hdr), NULL, 0), 0);
	raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
}

START_TEST(any_tag_but_0_comes_back)
{
	attack(tags);
}
END_TEST

/* ---- HELLO ---- */

static void no_hello(void)
{
	int fd = raw_connect();

	for (size_t i = 0; i < raw_operation_count; i++) {
		if (raw_operations[i].op == IOB_OP_HELLO)
			continue;
		uint32_t code = raw_ask(fd, raw_operations[i].op, big, raw_operations[i].body);

		ck_assert(code == IOB_E_PROTOCOL || code == IOB_E_WRONG_KIND);
	}
	raw_ok(raw_ask(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello)));
	raw_ok(raw_ask(fd, IOB_OP_STATUS, NULL, 0));
}

START_TEST(nothing_goes_before_hello)
{
	attack(no_hello);
}
END_TEST

static void versions(void)
{
	static const struct {
		uint32_t min, max;
		bool good;
	} tries[] = {
		{ 0, 0, false }, { 2, 2, false },	   { 2, 1, false },
		{ 1, 0, false }, { UINT32_MAX, 0, false }, { UINT32_MAX, UINT32_MAX, false },
		{ 0, 1, true },	 { 1, 1, true },	   { 0, UINT32_MAX, true },
		{ 1, 2, true },
	};
	int fd = raw_connect();

	for (size_t i = 0; i < COUNT(tries); i++) {
		const struct iob_hello_req req = { tries[i].min, tries[i].max, UINT64_MAX };
		uint32_t code = raw_ask(fd, IOB_OP_HELLO, &req, sizeof(req));

		ck_assert_msg(code == (tries[i].good ? IOB_OK : IOB_E_VERSION),
			      "versions %u to %u: %s", req.version_min, req.version_max,
			      iob_code_name((int)code));
		if (!tries[i].good && i < 6)
			raw_refused(raw_ask(fd, IOB_OP_STATUS, NULL, 0), IOB_E_PROTOCOL);
	}
	raw_ok(raw_ask(fd, IOB_OP_STATUS, NULL, 0));
}

START_TEST(versions_without_ours_are_refused)
{
	attack(versions);
}
END_TEST

static void greets_again(void)
{
	struct iob_hello_rep rep;

	raw_open_all();
	for (uint32_t kind = 1; kind <= 3; kind++)
		for (int i = 0; i < 3; i++) {
			raw_ok(raw_ask(raw_handle_for(kind), IOB_OP_HELLO, &raw_hello,
				       sizeof(raw_hello)));
			memcpy(&rep, raw.body, sizeof(rep));
			ck_assert_uint_eq(rep.kind, kind);
		}
}

START_TEST(hello_may_be_repeated_anywhere)
{
	attack(greets_again);
}
END_TEST

Suite *frame_suite(void)
{
	Suite *s = suite_create("frame");
	TCase *tc = case_shared(s, "frame");

	tcase_add_test(tc, short_messages_are_refused);
	tcase_add_test(tc, wrong_sizes_are_refused);
	tcase_add_test(tc, oversized_messages_are_refused);
	tcase_add_test(tc, empty_messages_end_the_handle);
	tcase_add_test(tc, answers_are_no_requests);
	tcase_add_test(tc, any_tag_but_0_comes_back);
	tcase_add_test(tc, nothing_goes_before_hello);
	tcase_add_test(tc, versions_without_ours_are_refused);
	tcase_add_test(tc, hello_may_be_repeated_anywhere);
	case_shared_end(tc);
	return s;
}

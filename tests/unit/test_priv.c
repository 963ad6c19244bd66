/* SPDX-License-Identifier: MIT */
/* test_priv.c - the private channel: what fits the table passes, nothing else does. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proto/message.h"
#include "proto/priv.h"

Suite *test_priv_suite(void);

#define LAST_OP 64

static size_t request_bytes(const struct priv_rule *r)
{
	return sizeof(struct priv_hdr) + r->bytes;
}

static struct priv_message message(uint32_t op, uint32_t reply, uint32_t code)
{
	struct priv_message m;

	memset(&m, 0, sizeof(m));
	m.hdr.op = op;
	m.hdr.reply = reply;
	m.status.code = code;
	return m;
}

START_TEST(rows_make_sense)
{
	for (uint32_t op = 0; op < LAST_OP; op++) {
		const struct priv_rule *r = priv_rule_find(op);

		if (!r)
			continue;
		ck_assert_uint_le(r->bytes, PRIV_MAX_BODY);
		ck_assert_uint_le(r->reply_bytes, PRIV_MAX_BODY);
		ck_assert(r->reply_bytes == 0 || r->reply_bytes >= sizeof(struct priv_status));
		ck_assert(r->reply_bytes != 0 || r->reply_fds == 0);
		ck_assert_uint_eq(r->from_monitor, op >= PRIV_INIT);
		ck_assert_uint_ne(r->states, 0);
	}
	ck_assert_ptr_null(priv_rule_find(0));
	ck_assert_ptr_null(priv_rule_find(LAST_OP));
}
END_TEST

/* For every op: exactly the right request is taken; one byte, one descriptor, the other direction
 * or the wrong state more or less is not. */
START_TEST(requests_are_exact)
{
	for (uint32_t op = 0; op <= LAST_OP; op++) {
		const struct priv_rule *r = priv_rule_find(op);
		struct priv_message m = message(op, 0, 0);
		uint32_t state = r ? r->states : PRIV_STATE_READY;

		if (!r) {
			ck_assert_int_eq(priv_check(&m, sizeof(m.hdr), 0, false, state), -EBADMSG);
			ck_assert_int_eq(priv_check(&m, sizeof(m.hdr), 0, true, state), -EBADMSG);
			continue;
		}
		size_t n = request_bytes(r);

		ck_assert_int_eq(priv_check(&m, n, r->fds, r->from_monitor, state), 0);
		ck_assert_int_eq(priv_check(&m, n + 1, r->fds, r->from_monitor, state), -EBADMSG);
		ck_assert_int_eq(priv_check(&m, n - 1, r->fds, r->from_monitor, state), -EBADMSG);
		ck_assert_int_eq(priv_check(&m, n, r->fds + 1u, r->from_monitor, state), -EBADMSG);
		ck_assert_int_eq(priv_check(&m, n, r->fds, !r->from_monitor, state), -EBADMSG);
		ck_assert_int_eq(priv_check(&m, n, r->fds, r->from_monitor, ~state & 3u), -EBADMSG);
		if (r->fds > 0)
			ck_assert_int_eq(priv_check(&m, n, 0, r->from_monitor, state), -EBADMSG);
	}
}
END_TEST

START_TEST(replies_are_exact)
{
	for (uint32_t op = 0; op < LAST_OP; op++) {
		const struct priv_rule *r = priv_rule_find(op);
		struct priv_message ok = message(op, 1, IOB_OK);
		struct priv_message refused = message(op, 1, IOB_E_BUSY);
		uint32_t state = PRIV_STATE_READY;

		if (!r)
			continue;
		size_t n = sizeof(struct priv_hdr) + r->reply_bytes;

		if (r->reply_bytes == 0) { /* one way: there is no reply */
			ck_assert_int_eq(priv_check(&ok, n, 0, !r->from_monitor, state), -EBADMSG);
			continue;
		}
		ck_assert_int_eq(priv_check(&ok, n, r->reply_fds, !r->from_monitor, state), 0);
		ck_assert_int_eq(priv_check(&ok, n, r->reply_fds, r->from_monitor, state),
				 -EBADMSG);
		ck_assert_int_eq(priv_check(&ok, n - 1, r->reply_fds, !r->from_monitor, state),
				 -EBADMSG);
		ck_assert_int_eq(priv_check(&ok, n, r->reply_fds + 1u, !r->from_monitor, state),
				 -EBADMSG);
		ck_assert_int_eq(priv_check(&refused, n, 0, !r->from_monitor, state), 0);
		if (r->reply_fds > 0) /* a refusal carries no descriptors */
			ck_assert_int_eq(priv_check(&refused, n, r->reply_fds, !r->from_monitor,
						    state),
					 -EBADMSG);
	}
}
END_TEST

START_TEST(header_is_checked)
{
	struct priv_message m = message(PRIV_STATUS, 0, 0);

	ck_assert_int_eq(priv_check(&m, 15, 0, false, PRIV_STATE_READY), -EBADMSG);
	m.hdr.again = 2;
	ck_assert_int_eq(priv_check(&m, 16, 0, false, PRIV_STATE_READY), -EBADMSG);
	m.hdr.again = 1;
	ck_assert_int_eq(priv_check(&m, 16, 0, false, PRIV_STATE_READY), 0);
	m.hdr.again = 0;
	m.hdr.reply = 2;
	ck_assert_int_eq(priv_check(&m, 16, 0, false, PRIV_STATE_READY), -EBADMSG);
}
END_TEST

/* A session's words end in logs and on terminals: they arrive terminated and printable. */
START_TEST(texts_are_made_safe)
{
	struct priv_message m = message(PRIV_ATTACH, 1, IOB_E_KERNEL);
	struct fault f;

	memset(m.status.text, '\x1b', sizeof(m.status.text));
	ck_assert_int_eq(priv_check(&m, sizeof(m.hdr) + sizeof(m.answer), 0, false,
				    PRIV_STATE_READY),
			 0);
	ck_assert_uint_eq(strlen(m.status.text), sizeof(m.status.text) - 1);
	ck_assert_ptr_null(strchr(m.status.text, '\x1b'));
	priv_status_to_fault(&m.status, &f);
	ck_assert_uint_eq(strlen(f.text), IOB_MAX_TEXT);
}
END_TEST

/* What one end sends, the other takes. */
START_TEST(send_fills_sizes_from_the_table)
{
	struct priv_message m = message(0, 0, 0), got;
	struct fd_list fds;
	int pair[2];

	ck_assert_int_eq(message_socketpair(pair), 0);
	m.grant.handle_id = 7;
	ck_assert_int_eq(priv_send(pair[0], &m, PRIV_GRANT, 42, false, NULL), 0);
	ssize_t n = message_receive(pair[1], &got, sizeof(got), &fds, MESSAGE_MAX_FDS);

	ck_assert_int_eq(priv_check(&got, (size_t)n, fds.count, false, PRIV_STATE_READY), 0);
	ck_assert_uint_eq(got.hdr.serial, 42);
	ck_assert_uint_eq(got.grant.handle_id, 7);
	/* a refusal leaves the descriptors at home */
	m = message(0, 0, IOB_E_QUOTA);
	ck_assert_int_eq(priv_send(pair[1], &m, PRIV_GRANT, 42, true, NULL), 0);
	n = message_receive(pair[0], &got, sizeof(got), &fds, MESSAGE_MAX_FDS);
	ck_assert_int_eq(priv_check(&got, (size_t)n, fds.count, true, PRIV_STATE_READY), 0);
	ck_assert_uint_eq(got.status.code, IOB_E_QUOTA);
	ck_assert_int_eq(priv_send(pair[0], &m, 999, 0, false, NULL), -EINVAL);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

Suite *test_priv_suite(void)
{
	Suite *s = suite_create("priv");
	TCase *t = tcase_create("table");

	tcase_add_test(t, rows_make_sense);
	tcase_add_test(t, requests_are_exact);
	tcase_add_test(t, replies_are_exact);
	tcase_add_test(t, header_is_checked);
	tcase_add_test(t, texts_are_made_safe);
	tcase_add_test(t, send_fills_sizes_from_the_table);
	suite_add_tcase(s, t);
	return s;
}

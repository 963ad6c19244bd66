/* SPDX-License-Identifier: MIT */
/* Well-framed messages with the wrong content: operations, kinds, bodies, reserved fields. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

static uint8_t big[256];

/* ---- operations ---- */

static bool is_known(uint16_t op)
{
	for (size_t i = 0; i < raw_operation_count; i++)
		if (raw_operations[i].op == op)
			return true;
	return false;
}

static void unknown_operations(void)
{
	raw_open_all();
	for (uint32_t op = 0; op < 0x10000; op += op < 0x400 ? 1 : 251) {
		if (is_known((uint16_t)op))
			continue;
		raw_refused(raw_ask(raw_handle_for(op % 3 + 1), (uint16_t)op, big, op % 64),
			    IOB_E_UNSUPPORTED);
	}
}

START_TEST(unknown_operations_are_refused)
{
	attack(unknown_operations);
}
END_TEST

static void wrong_kinds(void)
{
	raw_open_all();
	for (size_t i = 0; i < raw_operation_count; i++)
		for (uint32_t kind = 1; kind <= 3; kind++) {
			const struct raw_operation *o = &raw_operations[i];

			if (o->kind == 0 || o->kind == kind)
				continue;
			raw_refused(raw_ask(raw_handle_for(kind), o->op, big, o->body),
				    IOB_E_WRONG_KIND);
		}
}

START_TEST(operations_of_other_kinds_are_refused)
{
	attack(wrong_kinds);
}
END_TEST

/* ---- bodies ---- */

static uint32_t ask_with_fds(const struct raw_operation *o, size_t bytes)
{
	int fds[1] = { STDIN_FILENO };

	return raw_ask_fds(raw_handle_for(o->kind), o->op, big, bytes, fds, o->fds);
}

static void close_answer(void)
{
	if (raw.fd >= 0)
		close(raw.fd);
}

/* The size of version 1 is the least; what comes behind it must be nothing. */
static void bodies(void)
{
	raw_open_all();
	for (size_t i = 0; i < raw_operation_count; i++) {
		const struct raw_operation *o = &raw_operations[i];
		uint32_t exact, longer;

		memset(big, 0, 256);
		for (size_t n = 0; n < o->body; n++)
			raw_refused(ask_with_fds(o, n), IOB_E_PROTOCOL);
		if (o->tail)
			continue;
		exact = ask_with_fds(o, o->body);
		close_answer();
		ck_assert_uint_ne(exact, IOB_E_PROTOCOL);
		for (size_t more = 1; more < 100; more += 33) {
			longer = ask_with_fds(o, o->body + more);
			close_answer();
			ck_assert_msg(longer == exact,
				      "op 0x%x: %s with %zu zeros more, %s without", o->op,
				      iob_code_name((int)longer), more, iob_code_name((int)exact));
			big[o->body + more - 1] = 1;
			raw_refused(ask_with_fds(o, o->body + more), IOB_E_UNSUPPORTED);
			big[o->body + more - 1] = 0;
		}
	}
}

START_TEST(bodies_may_be_longer_by_zeros_only)
{
	attack(bodies);
}
END_TEST

/* "Reserved fields are sent as zero and refused otherwise." */
static void reserved(void)
{
	static const struct {
		uint16_t op;
		uint32_t kind;
		size_t bytes, at;
	} fields[] = {
		{ IOB_OP_DEVICE_LIST, IOB_KIND_CONNECTION, sizeof(struct iob_list_req),
		  offsetof(struct iob_list_req, reserved) },
		{ IOB_OP_DOMAIN_LIST, IOB_KIND_CONNECTION, sizeof(struct iob_list_req),
		  offsetof(struct iob_list_req, reserved) },
		{ IOB_OP_DOMAIN_OPEN, IOB_KIND_CONNECTION, sizeof(struct iob_domain_open_req),
		  offsetof(struct iob_domain_open_req, reserved) },
		{ IOB_OP_DOMAIN_CREATE, IOB_KIND_CONNECTION, sizeof(struct iob_domain_create_req),
		  offsetof(struct iob_domain_create_req, flags) },
		{ IOB_OP_DEVICE_OPEN, IOB_KIND_CONNECTION, sizeof(struct iob_device_open_req),
		  offsetof(struct iob_device_open_req, flags) },
		{ IOB_OP_DRIVER_LIST, IOB_KIND_CONNECTION, sizeof(struct iob_driver_list_req),
		  offsetof(struct iob_driver_list_req, reserved) },
		{ IOB_OP_MEMORY_DROP, IOB_KIND_DOMAIN, sizeof(struct iob_memory_drop_req),
		  offsetof(struct iob_memory_drop_req, reserved) },
		{ IOB_OP_MAP_LIST, IOB_KIND_DOMAIN, sizeof(struct iob_map_list_req),
		  offsetof(struct iob_map_list_req, reserved) },
		{ IOB_OP_REVOKE, IOB_KIND_DOMAIN, sizeof(struct iob_revoke_req),
		  offsetof(struct iob_revoke_req, reserved) },
		{ IOB_OP_REGION_INFO, IOB_KIND_DEVICE, sizeof(struct iob_index_req),
		  offsetof(struct iob_index_req, reserved) },
		{ IOB_OP_IRQ_INFO, IOB_KIND_DEVICE, sizeof(struct iob_index_req),
		  offsetof(struct iob_index_req, reserved) },
	};
	unsigned accepted = 0;
	char names[256] = "";

	raw_open_all();
	for (size_t i = 0; i < COUNT(fields); i++) {
		uint32_t code;

		memset(big, 0, 64);
		big[fields[i].at + 3] = 0x80;
		code = raw_ask(raw_handle_for(fields[i].kind), fields[i].op, big, fields[i].bytes);
		close_answer();
		if (code == IOB_E_UNSUPPORTED || code == IOB_E_PROTOCOL)
			continue;
		accepted++;
		snprintf(names + strlen(names), sizeof(names) - strlen(names), " 0x%x:%s",
			 fields[i].op, iob_code_name((int)code));
	}
	ck_assert_msg(accepted == 0, "reserved fields that are not looked at:%s", names);
}

START_TEST(reserved_fields_are_zero)
{
	attack(reserved);
}
END_TEST

static void names(void)
{
	struct iob_device_open_req req;

	raw_open_all();
	memset(&req, 0, sizeof(req));
	memset(req.name, 'a', sizeof(req.name)); /* no end */
	raw_refused(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req)),
		    IOB_E_NO_DEVICE);
	memset(req.name, '\n', sizeof(req.name));
	raw_refused(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req)),
		    IOB_E_NO_DEVICE);
	snprintf(req.name, sizeof(req.name), "%s", "../../../../dev/vfio/vfio\033[2J");
	raw_refused(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req)),
		    IOB_E_NO_DEVICE);
	for (const char *c = raw.text; *c; c++)
		ck_assert(*c >= ' ' && *c <= '~');
	memset(req.name, 0, sizeof(req.name));
	raw_refused(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req)),
		    IOB_E_NO_DEVICE);
	req.access = 0x80;
	raw_refused(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req)),
		    IOB_E_UNSUPPORTED);
}

START_TEST(names_are_only_names)
{
	attack(names);
}
END_TEST

Suite *body_suite(void)
{
	Suite *s = suite_create("body");
	TCase *tc = case_shared(s, "body");

	tcase_add_test(tc, unknown_operations_are_refused);
	tcase_add_test(tc, operations_of_other_kinds_are_refused);
	tcase_add_test(tc, bodies_may_be_longer_by_zeros_only);
	tcase_add_test(tc, reserved_fields_are_zero);
	tcase_add_test(tc, names_are_only_names);
	case_shared_end(tc);
	return s;
}

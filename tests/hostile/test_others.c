/* SPDX-License-Identifier: MIT */
/* Attacks on others: on their grants, their handles, in the middle of what they do. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

enum { GRANT_ID, DOMAIN_ID };

static int handle;

/* ---- grants of each other ---- */

static void owner_grants(enum user to)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_ALL, .window_last = UINT64_MAX };
	struct iob_domain_info_rep info;
	uint32_t id;

	raw_open_all();
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_GRANT, &req, sizeof(req)));
	memcpy(&id, raw.body, sizeof(id));
	board[GRANT_ID] = id;
	give(to, raw.fd);
	close(raw.fd);
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_DOMAIN_INFO, NULL, 0));
	memcpy(&info, raw.body, sizeof(info));
	board[DOMAIN_ID] = info.domain_id;
}

static void bob_grants(void)
{
	owner_grants(ALICE);
}

/* By guessing numbers nobody gets at what he was not given. */
static void alice_guesses(void)
{
	int own;

	handle = take(ALICE);
	own = raw_connected();
	for (uint32_t id = 0; id < 300; id++) {
		struct iob_revoke_req revoke = { .grant_id = id };
		struct iob_domain_open_req open = { .domain_id = id };
		uint32_t code;

		raw_refused(raw_ask(handle, IOB_OP_REVOKE, &revoke, sizeof(revoke)), IOB_E_GONE);
		code = raw_ask(own, IOB_OP_DOMAIN_OPEN, &open, sizeof(open));
		if (users_differ() || id != board[DOMAIN_ID])
			raw_refused(code, IOB_E_GONE);
		else
			raw_ok(code);
	}
}

static void bob_has_all(void)
{
	struct iob_map_list_req list = { .max = 10 };
	struct iob_map_list_rep rep;

	raw_ok(raw_ask(raw_handles.domain, IOB_OP_MAP_LIST, &list, sizeof(list)));
	memcpy(&rep, raw.body, sizeof(rep));
	ck_assert_uint_eq(rep.count, 1);
}

START_TEST(grants_cannot_be_guessed)
{
	as(BOB, bob_grants);
	as(ALICE, alice_guesses);
	as(BOB, bob_has_all);
}
END_TEST

/* Through a grant with the right to map: not with memory that the owner registered. */
static void alice_uses_ids(void)
{
	struct {
		struct iob_batch_req req;
		struct iob_map_op op;
	} m = { .req = { 1, sizeof(m.op) } };
	struct iob_memory_drop_req drop = { 0 };
	struct iob_result result;

	handle = take(ALICE);
	for (uint32_t id = 0; id < 64; id++) {
		m.op = (struct iob_map_op){ .memory = id, .flags = IOB_READ, .length = PAGE };
		raw_ok(raw_ask(handle, IOB_OP_MAP, &m, sizeof(m)));
		memcpy(&result, raw.body + sizeof(struct iob_batch_rep), sizeof(result));
		ck_assert_uint_eq(result.code, IOB_E_MEMORY_ID);
		drop.memory = id;
		raw_refused(raw_ask(handle, IOB_OP_MEMORY_DROP, &drop, sizeof(drop)),
			    IOB_E_MEMORY_ID);
	}
}

START_TEST(memory_of_another_handle_is_out_of_reach)
{
	as(BOB, bob_grants);
	as(ALICE, alice_uses_ids);
	as(BOB, bob_has_all);
}
END_TEST

/* Both revoke, close and use at the same time. */
static void alice_revokes_herself(void)
{
	struct iob_revoke_req revoke = { .grant_id = (uint32_t)board[GRANT_ID] };

	handle = take(ALICE);
	raw_refused(raw_ask(handle, IOB_OP_REVOKE, &revoke, sizeof(revoke)), IOB_E_GONE);
	for (int i = 0; i < 50; i++)
		raw_request(handle, IOB_OP_UNMAP_ALL, NULL, 0, NULL, 0);
}

static void bob_revokes(void)
{
	struct iob_revoke_req revoke = { .grant_id = (uint32_t)board[GRANT_ID] };

	raw_ok(raw_ask(raw_handles.domain, IOB_OP_REVOKE, &revoke, sizeof(revoke)));
	raw_refused(raw_ask(raw_handles.domain, IOB_OP_REVOKE, &revoke, sizeof(revoke)),
		    IOB_E_GONE);
}

static void alice_is_out(void)
{
	ck_assert(raw_is_closed(handle));
}

START_TEST(revoked_while_in_use)
{
	as(BOB, bob_grants);
	as(ALICE, alice_revokes_herself);
	as(BOB, bob_revokes);
	as(ALICE, alice_is_out);
}
END_TEST

/* ---- one handle, two users of it ---- */

static void bob_shares_everything(void)
{
	raw_open_all();
	give(ALICE, raw_handles.domain);
	give(ALICE, raw_handles.device);
}

static void alice_talks_at_the_same_time(void)
{
	raw_handles.domain = take(ALICE);
	raw_handles.device = take(ALICE);
	for (int i = 0; i < 500; i++) {
		raw_request(raw_handles.domain, IOB_OP_DOMAIN_INFO, NULL, 0, NULL, 0);
		raw_request(raw_handles.device, IOB_OP_DEVICE_INFO, NULL, 0, NULL, 0);
		if (i % 10 == 0)
			raw_send(raw_handles.domain, "garbage", 7, NULL, 0);
	}
}

static void bob_talks(void)
{
	for (int i = 0; i < 500; i++) {
		raw_request(raw_handles.domain, IOB_OP_DOMAIN_INFO, NULL, 0, NULL, 0);
		raw_request(raw_handles.device, IOB_OP_DEVICE_INFO, NULL, 0, NULL, 0);
	}
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(two_talk_on_one_handle)
{
	as(BOB, bob_shares_everything);
	as_begin(ALICE, alice_talks_at_the_same_time);
	as(BOB, bob_talks);
	user_done(ALICE);
	user_is_killed(ALICE);
}
END_TEST

/* ---- in the middle ---- */

static int open_device(int conn)
{
	struct iob_device_open_req req = { 0 };
	uint32_t code = IOB_E_BUSY;

	strncpy(req.name, device_name(EDU_1), sizeof(req.name) - 1);
	for (int i = 0; i < 2000 && code == IOB_E_BUSY; i++) {
		code = raw_ask(conn, IOB_OP_DEVICE_OPEN, &req, sizeof(req));
		if (code == IOB_E_BUSY)
			usleep(5000);
	}
	raw_ok(code);
	return raw.fd;
}

static int make_domain(int conn)
{
	const struct iob_domain_create_req req = { .max_bytes = MIB, .max_mappings = 16 };

	raw_ok(raw_ask(conn, IOB_OP_DOMAIN_CREATE, &req, sizeof(req)));
	return raw.fd;
}

/* The bind is under way when one side, the other, or both are closed; asked from either side. */
static void closes_during_bind(void)
{
	int conn = raw_connected();

	for (int i = 0; i < (backend_is_real() ? 12 : 36); i++) {
		int device = open_device(conn), domain = make_domain(conn);
		bool from_device = i % 2;

		raw_request(from_device ? device : domain,
			    from_device ? IOB_OP_DEVICE_BIND : IOB_OP_DOMAIN_BIND, NULL, 0,
			    from_device ? &domain : &device, 1);
		if (i / 2 % 3 == 0)
			close(device);
		else
			close(domain);
		if (i / 2 % 3 == 2)
			close(device);
		else if (i / 2 % 3 == 0)
			close(domain);
		else
			close(device);
	}
}

START_TEST(closed_while_binding)
{
	attack_to_the_end(closes_during_bind);
}
END_TEST

static void unbinds_at_random(void)
{
	int conn = raw_connected(), device = open_device(conn);

	for (int i = 0; i < (backend_is_real() ? 6 : 30); i++) {
		int domain = make_domain(conn);

		raw_request(device, IOB_OP_DEVICE_BIND, NULL, 0, &domain, 1);
		raw_request(device, IOB_OP_DEVICE_UNBIND, NULL, 0, NULL, 0);
		raw_request(device, IOB_OP_DEVICE_BIND, NULL, 0, &domain, 1);
		close(domain);
		for (int answers = 0; answers < 3; answers++) {
			raw_code(device);
			ck_assert_uint_ne(raw.hdr.code, IOB_E_INTERNAL);
		}
	}
}

START_TEST(bound_and_unbound_in_haste)
{
	attack_to_the_end(unbinds_at_random);
}
END_TEST

static void binds(void)
{
	int conn = raw_connected(), device = open_device(conn), domain = make_domain(conn);

	raw_request(device, IOB_OP_DEVICE_BIND, NULL, 0, &domain, 1);
}

START_TEST(killed_while_binding)
{
	for (int i = 0; i < 5; i++) {
		as(ALICE, binds);
		user_is_killed(ALICE);
	}
}
END_TEST

/* Only half of a socket is closed. */
static void half_closed(void)
{
	raw_open_all();
	ck_assert_int_eq(shutdown(raw_handles.device, SHUT_RD), 0);
	raw_request(raw_handles.device, IOB_OP_DEVICE_INFO, NULL, 0, NULL, 0);
	ck_assert_int_eq(shutdown(raw_handles.domain, SHUT_WR), 0);
	ck_assert(raw_is_closed(raw_handles.domain));
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(half_closed_handles)
{
	attack_to_the_end(half_closed);
}
END_TEST

/* A handle that holds itself: it lies in its own queue when the last copy is closed. */
static void holds_itself(void)
{
	raw_open_all();
	for (uint32_t kind = 1; kind <= 3; kind++) {
		int fd = raw_handle_for(kind);

		for (int i = 0; i < 20; i++)
			raw_request(fd, IOB_OP_DOMAIN_BIND, NULL, 0, &fd, 1);
		close(fd);
	}
}

START_TEST(handle_in_its_own_queue)
{
	attack_to_the_end(holds_itself);
}
END_TEST

/* ---- the handle of something that is over ---- */

static void bob_gives_and_ends(void)
{
	owner_grants(ALICE);
	close(raw_handles.domain);
	close(raw_handles.device);
}

static void alice_binds_what_is_over(void)
{
	int domain = take(ALICE), conn = raw_connected(), device;

	ck_assert(raw_is_closed(domain));
	device = open_device(conn);
	raw_refused(raw_ask_fds(device, IOB_OP_DEVICE_BIND, NULL, 0, &domain, 1), IOB_E_BAD_HANDLE);
	ck_assert_int_ne(raw_send(domain, "", 1, NULL, 0), 0);
}

START_TEST(handle_of_a_finished_domain)
{
	as(BOB, bob_gives_and_ends);
	as(ALICE, alice_binds_what_is_over);
}
END_TEST

/* ---- drivers ---- */

static uint32_t ask_driver(int conn, const char *name, uint32_t driver, uint32_t flags,
			   uint64_t stamp)
{
	struct iob_driver_set_req q = { .driver = driver, .flags = flags, .stamp = stamp };

	memcpy(q.name, name, strnlen(name, sizeof(q.name)));
	return raw_ask(conn, IOB_OP_DRIVER_SET, &q, sizeof(q));
}

static struct iob_driver_rec ask_group(int conn, const char *name)
{
	struct iob_driver_list_req q = { 0 };
	struct iob_driver_rec rec;

	strcpy(q.name, name);
	raw_ok(raw_ask(conn, IOB_OP_DRIVER_LIST, &q, sizeof(q)));
	memcpy(&rec, raw.body + sizeof(struct iob_list_rep), sizeof(rec));
	return rec;
}

/* She may open every device, and move none: not hers, not bob's, by no number. */
static void alice_moves_devices(void)
{
	static const char long_name[] = "0000:00:03.0/../../../../etc/sha";
	static const char *const names[] = { "",
					     ".",
					     "..",
					     "0000:00:03.0/driver",
					     "*",
					     "vfio0",
					     "\n",
					     "0000:00:03.0\n",
					     "../../../etc/passwd" };
	struct iob_driver_list_req list = { 0 };
	struct iob_driver_rec rec;
	int conn;

	raw_open_all();
	conn = raw_handles.conn;
	rec = ask_group(conn, device_name(EDU_2));
	ck_assert_uint_eq(rec.flags & IOB_DRIVER_YOURS, 0);
	for (uint32_t to = 1; to <= 2; to++) {
		for (uint32_t flags = 0; flags <= 1; flags++) {
			raw_refused(ask_driver(conn, rec.device.name, to, flags, rec.stamp),
				    IOB_E_DENIED);
			raw_refused(ask_driver(conn, rec.device.name, to, flags, 0), IOB_E_DENIED);
			raw_refused(ask_driver(conn, device_name(EDU_1), to, flags, rec.stamp),
				    IOB_E_DENIED);
		}
		raw_refused(ask_driver(conn, long_name, to, 0, rec.stamp), IOB_E_NO_DEVICE);
		for (size_t i = 0; i < COUNT(names); i++)
			raw_refused(ask_driver(conn, names[i], to, 0, rec.stamp), IOB_E_NO_DEVICE);
	}
	for (uint32_t bit = 1; bit < 32; bit++) {
		raw_refused(ask_driver(conn, rec.device.name, 1, 1u << bit, rec.stamp),
			    IOB_E_UNSUPPORTED);
		raw_refused(ask_driver(conn, rec.device.name, 3u << bit, 0, rec.stamp),
			    IOB_E_UNSUPPORTED);
	}
	raw_refused(ask_driver(conn, rec.device.name, 0, 0, rec.stamp), IOB_E_UNSUPPORTED);
	memcpy(list.name, long_name, sizeof(list.name));
	raw_refused(raw_ask(conn, IOB_OP_DRIVER_LIST, &list, sizeof(list)), IOB_E_NO_DEVICE);
	for (uint32_t shift = 1; shift < 32; shift++) {
		struct iob_list_rep rep;

		memset(&list, 0, sizeof(list));
		strcpy(list.name, rec.device.name);
		list.cursor = UINT32_MAX >> (31 - shift);
		raw_ok(raw_ask(conn, IOB_OP_DRIVER_LIST, &list, sizeof(list)));
		memcpy(&rep, raw.body, sizeof(rep));
		ck_assert(rep.count == 0 && rep.next == 0);
	}
	ck_assert_uint_eq(ask_group(conn, device_name(EDU_2)).stamp, rec.stamp);
}

START_TEST(drivers_are_not_for_everybody)
{
	attack(alice_moves_devices);
}
END_TEST

Suite *others_suite(void)
{
	Suite *s = suite_create("others");
	TCase *tc = case_shared(s, "others");

	tcase_add_test(tc, grants_cannot_be_guessed);
	tcase_add_test(tc, memory_of_another_handle_is_out_of_reach);
	tcase_add_test(tc, revoked_while_in_use);
	tcase_add_test(tc, two_talk_on_one_handle);
	tcase_add_test(tc, closed_while_binding);
	tcase_add_test(tc, bound_and_unbound_in_haste);
	tcase_add_test(tc, killed_while_binding);
	tcase_add_test(tc, half_closed_handles);
	tcase_add_test(tc, handle_in_its_own_queue);
	tcase_add_test(tc, handle_of_a_finished_domain);
	tcase_add_test(tc, drivers_are_not_for_everybody);
	case_shared_end(tc);
	return s;
}

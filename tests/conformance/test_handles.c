/* SPDX-License-Identifier: MIT */
/* Handles as arguments: of the wrong kind, none at all, or with nothing behind them any more. */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

static void open_both(void)
{
	conn = connected();
	own_domain();
	device = device_opened(conn, EDU_1);
}

/* Both kinds of handle, in both places; afterwards what is right still works. */
static void wrong_kinds(void)
{
	iob_domain *second;
	iob_device *other;

	open_both();
	second = domain_made(conn);
	other = device_opened(conn, EDU_2);
	refused(iob_domain_bind(domain, iob_domain_fd(second)), IOB_E_WRONG_KIND);
	refused(iob_domain_bind(domain, iob_domain_fd(domain)), IOB_E_WRONG_KIND);
	refused(iob_device_bind(device, iob_device_fd(other)), IOB_E_WRONG_KIND);
	refused(iob_device_bind(device, iob_device_fd(device)), IOB_E_WRONG_KIND);
	ok(iob_domain_bind(domain, iob_device_fd(device)));
	ok(iob_device_bind(other, iob_domain_fd(second)));
}

START_TEST(wrong_kinds_are_refused_in_both_orders)
{
	as(ALICE, wrong_kinds);
}
END_TEST

static void both_refuse(int fd)
{
	refused(iob_domain_bind(domain, fd), IOB_E_BAD_HANDLE);
	refused(iob_device_bind(device, fd), IOB_E_BAD_HANDLE);
}

static void not_handles(void)
{
	struct memory m = memory_make(PAGE, SEALED);
	int pair[2];

	open_both();
	both_refuse(m.fd);
	both_refuse(STDIN_FILENO);
	both_refuse(eventfd(0, 0));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	both_refuse(pair[0]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	both_refuse(pair[1]);
	both_refuse(iob_conn_fd(conn)); /* a connection is no object to bind */
	ok(iob_domain_bind(domain, iob_device_fd(device)));
}

START_TEST(what_is_no_handle_is_refused)
{
	as(ALICE, not_handles);
}
END_TEST

/* A grant outlives its domain as a socket, but not as a handle. */
static void gone_domain(void)
{
	const struct iob_grant_req all = { .rights = IOB_RIGHT_ALL, .window_last = UINT64_MAX };
	iob_domain *grant, *revoked;
	uint32_t id;

	open_both();
	ok(iob_domain_grant(domain, &all, &revoked, &id));
	ok(iob_domain_revoke(domain, id));
	refused(iob_device_bind(device, iob_domain_fd(revoked)), IOB_E_BAD_HANDLE);
	ok(iob_domain_grant(domain, &all, &grant, NULL));
	iob_domain_close(domain);
	domain_is_closed(grant);
	refused(iob_device_bind(device, iob_domain_fd(grant)), IOB_E_BAD_HANDLE);
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
}

START_TEST(handles_of_gone_domains_are_refused)
{
	as(ALICE, gone_domain);
}
END_TEST

/* ---- the same between two users ---- */

static void bob_gives_device(void)
{
	conn = connected();
	device = device_opened(conn, EDU_1);
	give(ALICE, iob_device_fd(device));
}

/* From the domain's side: alice puts bob's device into her domain. */
static void alice_binds_bobs(void)
{
	int fd;

	alice_maps();
	fd = take(ALICE);
	ok(iob_domain_bind(domain, fd));
	close(fd);
	ck_assert_uint_eq(domain_devices(domain), 1);
}

static void bob_learns(void)
{
	struct iob_event e = device_event(device, IOB_EV_DEVICE_BOUND);

	ck_assert_uint_ne(e.domain_id, 0);
	edu_ready(device);
	edu_fetch(device, IOVA, 64);
}

START_TEST(domain_owner_binds_a_device_given_to_her)
{
	as(BOB, bob_gives_device);
	as(ALICE, alice_binds_bobs);
	as(BOB, bob_learns);
}
END_TEST

static void alice_ends(void)
{
	ok(iob_domain_bind(domain, take(ALICE)));
	iob_device_close(device);
	iob_domain_close(domain);
}

/* A handle that is nobody's copy but the one in transit. */
static void alice_in_between(void)
{
	alice_maps();
	device = NULL;
}

START_TEST(last_copy_may_be_the_passed_one)
{
	as(BOB, bob_gives_device);
	user_exits(BOB);
	as(ALICE, alice_in_between);
	as(ALICE, alice_ends);
}
END_TEST

Suite *handles_suite(void)
{
	Suite *s = suite_create("handles");
	TCase *tc = case_shared(s, "handles");

	tcase_add_test(tc, wrong_kinds_are_refused_in_both_orders);
	tcase_add_test(tc, what_is_no_handle_is_refused);
	tcase_add_test(tc, handles_of_gone_domains_are_refused);
	tcase_add_test(tc, domain_owner_binds_a_device_given_to_her);
	tcase_add_test(tc, last_copy_may_be_the_passed_one);
	case_shared_end(tc);
	return s;
}

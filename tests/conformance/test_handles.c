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

/* A connection is no object to bind. */
static void connections(void)
{
	open_both();
	refused(iob_domain_bind(domain, iob_conn_fd(conn)), IOB_E_WRONG_KIND);
	refused(iob_device_bind(device, iob_conn_fd(conn)), IOB_E_WRONG_KIND);
	ok(iob_domain_bind(domain, iob_device_fd(device)));
}

START_TEST(connections_are_of_the_wrong_kind)
{
	as(ALICE, connections);
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

/* ---- nothing stays in a session that goes on ---- */

static void connect_only(void)
{
	conn = connected();
	device_name(EDU_1); /* by a connection of its own */
}

static void use_memory(void)
{
	struct memory good = memory_registered(domain, PAGE, BOTH), bad = memory_make(PAGE, 0);
	struct iob_map_op op = map_anywhere(&good, 0, PAGE, BOTH);
	struct iob_memory_add_rep rep;
	uint64_t iova;

	ok(iob_map(domain, &op, &iova));
	refused(iob_memory_add(domain, bad.fd, BOTH, &rep), IOB_E_MEMORY_SEALS);
	refused(iob_memory_add(domain, iob_conn_fd(conn), BOTH, &rep), IOB_E_MEMORY_KIND);
	ok(iob_unmap(domain, iova, PAGE));
	ok(iob_memory_drop(domain, good.id));
	memory_registered(domain, PAGE, IOB_READ); /* left to the end of the handle */
}

static void use_device(void)
{
	int fd = eventfd(0, 0);

	device = device_opened_when_free(conn, EDU_1);
	refused(iob_device_bind(device, fd), IOB_E_BAD_HANDLE);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	ok(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &fd, 1));
	ok(iob_device_unbind(device));
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	iob_device_close(device);
}

static void use_everything(void)
{
	const struct iob_grant_req all = { .rights = IOB_RIGHT_ALL, .window_last = UINT64_MAX };
	iob_domain *grant;
	uint32_t id;

	for (int i = 0; i < 3; i++) {
		domain = domain_made(conn);
		use_memory();
		use_device();
		ok(iob_domain_grant(domain, &all, &grant, &id));
		iob_domain_close(grant);
		ok(iob_domain_grant(domain, &all, &grant, &id));
		ok(iob_domain_revoke(domain, id));
		iob_domain_close(grant);
		iob_domain_close(domain);
	}
	device_opened_when_free(conn, EDU_1); /* everything of before is over */
}

static void close_device(void)
{
	device = device_opened_when_free(conn, EDU_2);
	iob_device_close(device);
}

START_TEST(session_keeps_nothing)
{
	pid_t session;
	int fds, monitor_fds;

	as(ALICE, connect_only);
	broker_sessions_wait(1);
	session = broker_session_new();
	usleep(100000 * patience()); /* what others had is over in the monitor too */
	fds = process_fds(session);
	monitor_fds = process_fds(broker_monitor());
	as(ALICE, use_everything);
	as(ALICE, close_device);
	/* one device is open now: a handle in the session, nothing in the monitor */
	for (int i = 0; i < 500; i++) {
		if (process_fds(session) == fds + (fds > 0) &&
		    process_fds(broker_monitor()) <= monitor_fds)
			return;
		usleep(10000);
	}
	ck_abort_msg("descriptors: session %d, monitor %d; before %d, %d", process_fds(session),
		     process_fds(broker_monitor()), fds, monitor_fds);
}
END_TEST

Suite *handles_suite(void)
{
	Suite *s = suite_create("handles");
	TCase *tc = case_shared(s, "handles");

	tcase_add_test(tc, wrong_kinds_are_refused_in_both_orders);
	tcase_add_test(tc, connections_are_of_the_wrong_kind);
	tcase_add_test(tc, what_is_no_handle_is_refused);
	tcase_add_test(tc, handles_of_gone_domains_are_refused);
	tcase_add_test(tc, domain_owner_binds_a_device_given_to_her);
	tcase_add_test(tc, last_copy_may_be_the_passed_one);
	tcase_add_test(tc, session_keeps_nothing);
	case_shared_end(tc);
	return s;
}

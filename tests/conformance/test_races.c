/* SPDX-License-Identifier: MIT */
/*
 * Between two states: while a device leaves, while the monitor is busy, while somebody holds up a
 * close. What was answered holds nevertheless.
 */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

static iob_device *second;

/* ---- memory that nobody has touched ---- */

/* fallocate() leaves pages uncleared until their first use. A device is no excuse for reading them. */
static void untouched_memory_is_clear(void)
{
	struct iob_map_op op;
	struct memory m;

	bob_is_bound();
	edu_ready(device);
	m = memory_registered(domain, 64 * PAGE, BOTH);
	op = map_at(WINDOW, &m, 0, m.bytes, BOTH);
	ok(iob_map(domain, &op, NULL));
	for (uint64_t page = 0; page < 4; page++) {
		memory_fill(&memory, OFFSET, 1024, 5);
		edu_fetch(device, WINDOW + page * PAGE, 1024);
		edu_store(device, IOVA, 1024);
		ck_assert_msg(memory_is(&memory, OFFSET, 1024, 0), "somebody's data");
	}
	/* and what a device writes there is not lost at the first look */
	memory_fill(&memory, OFFSET, 1024, 9);
	edu_fetch(device, IOVA, 1024);
	edu_store(device, WINDOW + 8 * PAGE, 1024);
	ck_assert(memory_is_filled(&memory, OFFSET, 1024, 9));
	ck_assert(memcmp(m.at + 8 * PAGE, memory.at + OFFSET, 1024) == 0);
}

START_TEST(untouched_memory)
{
	as(BOB, untouched_memory_is_clear);
}
END_TEST

/* ---- the last device leaves, another joins ---- */

static void unbind_first(void)
{
	ok(iob_device_unbind(device));
}

static void unmap_while_the_device_leaves(void)
{
	domain_devices_wait(domain, 0);
	memset(memory.at, 0x33, memory.bytes);
	ok(iob_unmap(domain, IOVA, BYTES));
}

static void bob_opens_second(void)
{
	second = device_opened(conn, EDU_2);
}

static void second_reaches_what_is_mapped(void)
{
	ok(iob_device_bind(second, iob_domain_fd(domain)));
	edu_ready(second);
	edu_store(second, IOVA, 512);
	edu_store(second, READ_IOVA, 512);
}

static void nothing_was_written(void)
{
	struct iob_map_op op = map_at(IOVA, &memory, OFFSET, BYTES, BOTH);

	ck_assert(memory_is(&memory, 0, memory.bytes, 0x33));
	ok(iob_map(domain, &op, NULL));
}

/* UNMAP is answered while the first device is on its way out; then a second one joins. On type1 the
 * kernel keeps mappings until the last group has left. */
START_TEST(unmapped_while_the_last_device_leaves)
{
	set_scene();
	as(BOB, bob_opens_second);
	as_begin(BOB, unbind_first);
	as(ALICE, unmap_while_the_device_leaves);
	user_done(BOB);
	as(BOB, second_reaches_what_is_mapped);
	as(ALICE, nothing_was_written);
}
END_TEST

/* ---- a revoked grant, and a monitor that has not heard of it ---- */

static void alice_grants_bind_with_id(void)
{
	uint32_t id;

	alice_grants(IOB_RIGHT_BIND, 0, 0, UINT64_MAX, &id);
	board[GRANT_ID] = id;
}

static void bob_takes(void)
{
	domain = domain_taken(BOB);
}

static void bob_binds_too_late(void)
{
	int code = iob_device_bind(device, iob_domain_fd(domain));

	ck_assert_msg(code == IOB_E_GONE || code == IOB_E_BAD_HANDLE, "%s", iob_code_name(code));
}

static void alice_revokes(void)
{
	ok(iob_domain_revoke(domain, (uint32_t)board[GRANT_ID]));
}

START_TEST(bind_does_not_overtake_revoke)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind_with_id);
	as(BOB, bob_opens);
	as(BOB, bob_takes);
	ck_assert_int_eq(kill(broker_monitor(), SIGSTOP), 0);
	as_begin(BOB, bob_binds_too_late);
	usleep(100000); /* bob's request is in the queue before alice's notice is */
	as(ALICE, alice_revokes);
	ck_assert_int_eq(kill(broker_monitor(), SIGCONT), 0);
	user_done(BOB);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_binds);
}
END_TEST

/* ---- a descriptor that takes its time to close ---- */

#define LINGER_SECONDS 20

/* A TCP socket with a full window that lingers: who closes the last copy waits. */
static int lingering_socket(int *peer)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct linger l = { 1, LINGER_SECONDS };
	socklen_t size = sizeof(a);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char data[65536] = { 0 };

	ck_assert_int_eq(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(server, 1), 0);
	ck_assert_int_eq(getsockname(server, (struct sockaddr *)&a, &size), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	*peer = accept(server, NULL, NULL);
	ck_assert_int_ge(*peer, 0);
	close(server);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return fd;
}

static int lingers_at; /* bob keeps the other end open */

/* It goes with a byte that is no message. */
static void bob_sends_what_lingers(void)
{
	int fd = lingering_socket(&lingers_at);

	ok(iob_handle_send(iob_domain_fd(domain), fd));
	close(fd);
}

static void alice_is_served_at_once(void)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	ok(iob_unmap(domain, IOVA, BYTES));
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_lt(end.tv_sec - begin.tv_sec, LINGER_SECONDS / 2);
}

/* Bob's own copy goes first, while alice's session cannot read: then the session's is the last. */
START_TEST(slow_close_holds_up_nobody)
{
	pid_t session;

	as(ALICE, alice_maps);
	session = broker_session_new();
	as(ALICE, alice_grants_bind);
	as(BOB, bob_takes);
	ck_assert_int_eq(kill(session, SIGSTOP), 0);
	as(BOB, bob_sends_what_lingers);
	ck_assert_int_eq(kill(session, SIGCONT), 0);
	as(ALICE, alice_is_served_at_once);
	as(ALICE, alice_grants_bind); /* the monitor, too */
	user_exits(BOB);	      /* resets the connection: nothing lingers any more */
}
END_TEST

/* ---- what a dead session had ---- */

static void alice_gets_the_device(void)
{
	conn = connected();
	device = device_opened_when_free(conn, EDU_1);
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

/* Not one process of it is left that could still hold the device. */
START_TEST(device_of_a_killed_session_can_be_bound)
{
	pid_t session;

	as(BOB, bob_is_bound);
	session = broker_session_new();
	ck_assert_int_eq(kill(session, SIGKILL), 0);
	user_exits(BOB);
	as(ALICE, alice_gets_the_device);
}
END_TEST

Suite *races_suite(void)
{
	Suite *s = suite_create("races");
	TCase *tc = case_shared(s, "races");

	tcase_add_test(tc, untouched_memory);
	tcase_add_test(tc, unmapped_while_the_last_device_leaves);
	if (!broker_is_shaken()) /* a monitor that was stopped must not be replaced */
		tcase_add_test(tc, bind_does_not_overtake_revoke);
	tcase_add_test(tc, slow_close_holds_up_nobody);
	tcase_add_test(tc, device_of_a_killed_session_can_be_bound);
	case_shared_end(tc);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Descriptors where none belong, too many, too few, and of every wrong sort. None may stay. */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

#define MAX_FDS 253

static uint8_t body[256];
static int many[MAX_FDS];

static void fill_many(void)
{
	for (unsigned i = 0; i < MAX_FDS; i++)
		many[i] = i % 2 ? raw_handles.conn : STDIN_FILENO;
}

/* ---- how many ---- */

static void unwanted(void)
{
	static const unsigned counts[] = { 1, 16, MAX_FDS };

	raw_open_all();
	fill_many();
	for (size_t i = 0; i < raw_operation_count; i++) {
		const struct raw_operation *o = &raw_operations[i];

		if (o->fds > 0 || o->op == IOB_OP_SET_IRQ)
			continue;
		for (size_t c = 0; c < COUNT(counts); c++)
			raw_refused(raw_ask_fds(raw_handle_for(o->kind), o->op, body, o->body, many,
						counts[c]),
				    IOB_E_PROTOCOL);
	}
}

START_TEST(descriptors_where_none_belong)
{
	attack(unwanted);
}
END_TEST

static void missing_or_more(void)
{
	static const unsigned counts[] = { 0, 2, 3, 16, MAX_FDS };

	raw_open_all();
	fill_many();
	for (size_t i = 0; i < raw_operation_count; i++) {
		const struct raw_operation *o = &raw_operations[i];

		if (o->fds == 0)
			continue;
		for (size_t c = 0; c < COUNT(counts); c++)
			raw_refused(raw_ask_fds(raw_handle_for(o->kind), o->op, body, o->body, many,
						counts[c]),
				    IOB_E_PROTOCOL);
	}
	raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_SET_IRQ, body,
				sizeof(struct iob_set_irq_req), many, IOB_MAX_IRQ_FDS + 1),
		    IOB_E_PROTOCOL);
}

START_TEST(missing_or_too_many_descriptors)
{
	attack(missing_or_more);
}
END_TEST

/* Also with messages that are refused before anybody counts. */
static void with_garbage(void)
{
	struct iob_hdr hdr = { .size = 7, .op = IOB_OP_STATUS, .tag = 1 };
	static uint8_t big[IOB_MAX_MSG_BYTES + 100];

	fill_many();
	for (size_t n = 1; n < sizeof(hdr); n += 5) {
		ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, n, many, MAX_FDS), 0);
		raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	}
	ck_assert_int_eq(raw_send(raw_handles.conn, &hdr, sizeof(hdr), many, MAX_FDS), 0);
	raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	ck_assert_int_eq(raw_send(raw_handles.conn, big, sizeof(big), many, MAX_FDS), 0);
	raw_refused(raw_code(raw_handles.conn), IOB_E_PROTOCOL);
	raw_refused(raw_ask_fds(raw_handles.conn, 0x7777, NULL, 0, many, MAX_FDS),
		    IOB_E_UNSUPPORTED);
	raw_refused(raw_ask_fds(raw_handles.conn, IOB_OP_MAP, NULL, 0, many, 16), IOB_E_WRONG_KIND);
}

/* As many are open afterwards as before. */
START_TEST(garbage_with_descriptors)
{
	as(ALICE, raw_open_all);
	broker_sessions_wait(1);
	pid_t session = broker_session_new();
	int before = session_fds(session);

	attack_to_the_end(with_garbage);
	ck_assert_int_eq(session_fds(session), before);
}
END_TEST

/* ---- what sort ---- */

static size_t wrong_sorts(int *fds)
{
	struct sockaddr_un abstract = { .sun_family = AF_UNIX };
	int pipes[2], pair[2];
	size_t n = 0;

	ck_assert_int_eq(pipe(pipes), 0);
	fds[n++] = pipes[0];
	fds[n++] = pipes[1];
	fds[n++] = open("/dev/null", O_RDWR);
	fds[n++] = open("/dev/zero", O_RDWR);
	fds[n++] = open("/", O_PATH);
	fds[n++] = open("/", O_RDONLY | O_DIRECTORY);
	fds[n++] = open("/proc/self/mem", O_RDWR);
	fds[n++] = open("/proc/self/exe", O_PATH);
	fds[n++] = epoll_create1(0);
	fds[n++] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[n++] = inotify_init();
	fds[n++] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
		if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
			continue;
		ck_assert_int_eq(socketpair(AF_UNIX, type, 0, pair), 0);
		fds[n++] = pair[0];
	}
	fds[n] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ck_assert_int_eq(bind(fds[n], (struct sockaddr *)&abstract, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(fds[n], 1), 0);
	n++;
	fds[n++] = socket(AF_INET, SOCK_STREAM, 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_ge(fds[i], 0);
	return n;
}

static void not_handles(void)
{
	int fds[32];
	size_t n = wrong_sorts(fds);

	raw_open_all();
	fds[n++] = memory_make(PAGE, SEALED).fd;
	fds[n++] = eventfd(0, 0);
	for (size_t i = 0; i < n; i++) {
		raw_refused(raw_ask_fds(raw_handles.domain, IOB_OP_DOMAIN_BIND, NULL, 0, &fds[i],
					1),
			    IOB_E_BAD_HANDLE);
		raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &fds[i],
					1),
			    IOB_E_BAD_HANDLE);
	}
	/* its own socket, and another of the same kind; a connection is neither */
	raw_refused(raw_ask_fds(raw_handles.domain, IOB_OP_DOMAIN_BIND, NULL, 0, &raw_handles.conn,
				1),
		    IOB_E_WRONG_KIND);
	raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &raw_handles.conn,
				1),
		    IOB_E_WRONG_KIND);
	raw_refused(raw_ask_fds(raw_handles.domain, IOB_OP_DOMAIN_BIND, NULL, 0,
				&raw_handles.domain, 1),
		    IOB_E_WRONG_KIND);
	raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0,
				&raw_handles.device, 1),
		    IOB_E_WRONG_KIND);
	raw_ok(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &raw_handles.domain,
			   1));
}

/* Where close() waits for a file system of the client's, it must not be the monitor's: such a
 * descriptor ends in the session. */
static void not_passed_on(void)
{
	struct memory m = memory_make(PAGE, SEALED);

	raw_open_all();
	raw_refused(raw_ask_fds(raw_handles.domain, IOB_OP_DOMAIN_BIND, NULL, 0, &m.fd, 1),
		    IOB_E_BAD_HANDLE);
	ck_assert_msg(strstr(raw.text, "not a UNIX socket") != NULL, "%s", raw.text);
	raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &m.fd, 1),
		    IOB_E_BAD_HANDLE);
	ck_assert_msg(strstr(raw.text, "not a UNIX socket") != NULL, "%s", raw.text);
}

START_TEST(files_do_not_reach_the_monitor)
{
	attack(not_passed_on);
}
END_TEST

/* Descriptors that are never taken in are never to be closed: who may only look holds up nobody. */
static void not_taken_in(void)
{
	const struct iob_grant_req look = { .rights = IOB_RIGHT_INSPECT,
					    .window_last = UINT64_MAX };
	struct memory m = memory_make(PAGE, SEALED);
	int looker;

	raw_open_all();
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_GRANT, &look, sizeof(look)));
	looker = raw.fd;
	raw_refused(raw_ask_fds(looker, IOB_OP_DOMAIN_INFO, NULL, 0, &m.fd, 1), IOB_E_PROTOCOL);
	ck_assert_msg(strstr(raw.text, "no request on this handle") != NULL, "%s", raw.text);
	raw_refused(raw_ask_fds(raw_handles.conn, IOB_OP_STATUS, NULL, 0, &m.fd, 1),
		    IOB_E_PROTOCOL);
	ck_assert_msg(strstr(raw.text, "no request on this handle") != NULL, "%s", raw.text);
	raw_ok(raw_ask(looker, IOB_OP_DOMAIN_INFO, NULL, 0));
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(descriptors_are_not_taken_in)
{
	attack(not_taken_in);
}
END_TEST

START_TEST(every_sort_but_handles)
{
	attack(not_handles);
}
END_TEST

static void not_memory(void)
{
	const struct iob_memory_add_req reqs[] = { { .access = IOB_READ },
						   { .access = IOB_READ | IOB_WRITE } };
	int fds[32];
	size_t n = wrong_sorts(fds);

	raw_open_all();
	fds[n++] = eventfd(0, 0);
	fds[n++] = raw_handles.conn;
	fds[n++] = raw_handles.domain;
	for (size_t i = 0; i < n; i++)
		for (size_t r = 0; r < COUNT(reqs); r++) {
			uint32_t code = raw_ask_fds(raw_handles.domain, IOB_OP_MEMORY_ADD, &reqs[r],
						    sizeof(reqs[r]), &fds[i], 1);

			ck_assert_msg(code == IOB_E_MEMORY_KIND || code == IOB_E_MEMORY_ACCESS,
				      "%zu: %s", i, iob_code_name((int)code));
		}
}

START_TEST(every_sort_but_memory)
{
	attack(not_memory);
}
END_TEST

static void not_eventfds(void)
{
	const struct iob_set_irq_req req = {
		.index = IOB_IRQ_MSI, .action = IOB_IRQ_TRIGGER, .start = 0, .count = 1
	};
	struct iob_set_irq_req off = { .index = IOB_IRQ_MSI, .action = IOB_IRQ_DISABLE };
	int fds[32], fd;
	size_t n = wrong_sorts(fds);

	raw_open_all();
	raw_ok(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &raw_handles.domain,
			   1));
	fds[n++] = memory_make(PAGE, SEALED).fd;
	fds[n++] = raw_handles.device;
	for (size_t i = 0; i < n; i++)
		raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_SET_IRQ, &req, sizeof(req),
					&fds[i], 1),
			    IOB_E_KERNEL);
	fd = eventfd(0, 0);
	raw_ok(raw_ask_fds(raw_handles.device, IOB_OP_SET_IRQ, &req, sizeof(req), &fd, 1));
	raw_refused(raw_ask_fds(raw_handles.device, IOB_OP_SET_IRQ, &off, sizeof(off), &fd, 1),
		    IOB_E_UNSUPPORTED);
	raw_ok(raw_ask(raw_handles.device, IOB_OP_SET_IRQ, &off, sizeof(off)));
}

START_TEST(every_sort_but_eventfds)
{
	attack(not_eventfds);
}
END_TEST

Suite *fds_suite(void)
{
	Suite *s = suite_create("descriptors");
	TCase *tc = case_shared(s, "descriptors");

	tcase_add_test(tc, descriptors_where_none_belong);
	tcase_add_test(tc, missing_or_too_many_descriptors);
	tcase_add_test(tc, garbage_with_descriptors);
	tcase_add_test(tc, every_sort_but_handles);
	tcase_add_test(tc, files_do_not_reach_the_monitor);
	tcase_add_test(tc, descriptors_are_not_taken_in);
	tcase_add_test(tc, every_sort_but_memory);
	tcase_add_test(tc, every_sort_but_eventfds);
	case_shared_end(tc);
	return s;
}

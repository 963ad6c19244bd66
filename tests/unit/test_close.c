/* SPDX-License-Identifier: MIT */
/*
 * Closing what somebody else chose. What lingers here does so for an hour, unless it is interrupted; that
 * is done by the loop, which runs only when a test has it run.
 */
#include "daemon/monitor.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *test_close_suite(void);

#define REFUSED_AT_ONCE 16  /* threads for those who were refused */
#define REFUSED_WAITING 256 /* of whom so many may wait */
#define ALL_AT_ONCE	64

static struct event_base *base;

static void set_up(void)
{
	base = event_base_new();
	close_init(base);
}

static void run(void)
{
	ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
}

/* Threads, and what waits for one. */
static void run_till_all_is_closed(void)
{
	while (event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED) > 0)
		run();
}

static void tear_down(void)
{
	run_till_all_is_closed();
	event_base_free(base);
}

/* A TCP socket whose peer does not read. */
static int lingering(void)
{
	static const char data[65536];
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	const int little = 4096;
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(here);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&here, &bytes), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_ge(accept(listener, NULL, NULL), 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)), 0);
	close(listener);
	return fd;
}

/* What a thread closes, as others see it: a pipe whose reading end is at its end. */
static int watched(int *other)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	*other = ends[0];
	return ends[1];
}

static bool is_closed(int other)
{
	char byte;

	return read(other, &byte, 1) == 0;
}

static bool gets_closed(int other)
{
	for (int i = 0; i < 2000 && !is_closed(other); i++)
		usleep(5000);
	return is_closed(other);
}

/* However many of those there are. */
START_TEST(refused_ones_hold_up_nobody_else)
{
	int ours, last;

	for (int i = 0; i < ALL_AT_ONCE; i++)
		close_refused_fd(lingering());
	close_foreign_fd(watched(&ours));
	ck_assert(gets_closed(ours));
	close_refused_fd(watched(&last));
	ck_assert(!is_closed(last));
	for (int i = 0; i < 2000 && !is_closed(last); i++)
		run(); /* interrupts those that linger */
	ck_assert(is_closed(last));
}
END_TEST

START_TEST(refused_ones_wait_in_a_line_with_an_end)
{
	int last = -1;

	for (int i = 0; i < REFUSED_AT_ONCE; i++)
		close_refused_fd(lingering());
	for (int i = 0; i < REFUSED_WAITING; i++) {
		ck_assert(!close_is_behind());
		close_refused_fd(watched(&last));
	}
	ck_assert(close_is_behind());
	for (int i = 0; i < 2000 && close_is_behind(); i++)
		run();
	ck_assert(!close_is_behind());
	for (int i = 0; i < 2000 && !is_closed(last); i++)
		run();
	ck_assert(is_closed(last));

	/* all of them: the line is as long as it was */
	run_till_all_is_closed();
	for (int i = 0; i < REFUSED_AT_ONCE; i++)
		close_refused_fd(lingering());
	for (int i = 0; i < REFUSED_WAITING; i++) {
		ck_assert(!close_is_behind());
		close_refused_fd(watched(&last));
	}
	ck_assert(close_is_behind());
}
END_TEST

START_TEST(both_ends_of_a_pair)
{
	int ends[2], others[2];

	for (int i = 0; i < 2; i++)
		ends[i] = watched(&others[i]);
	close_pair(ends);
	ck_assert(gets_closed(others[0]) && gets_closed(others[1]));
}
END_TEST

START_TEST(what_was_taken_out_is_not_closed)
{
	struct fd_list l = { .count = 3 };
	int others[3];

	for (int i = 0; i < 3; i++)
		l.fd[i] = watched(&others[i]);
	int mine = fd_list_steal(&l, 1);

	close_foreign(&l);
	ck_assert_uint_eq(l.count, 0);
	ck_assert(gets_closed(others[0]) && gets_closed(others[2]));
	ck_assert(!is_closed(others[1]));
	close(mine);
}
END_TEST

Suite *test_close_suite(void)
{
	Suite *suite = suite_create("close");
	TCase *tc = tcase_create("close");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, refused_ones_hold_up_nobody_else);
	tcase_add_test(tc, refused_ones_wait_in_a_line_with_an_end);
	tcase_add_test(tc, both_ends_of_a_pair);
	tcase_add_test(tc, what_was_taken_out_is_not_closed);
	suite_add_tcase(suite, tc);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* The talk with the service manager: what is said to it, and what is taken of what it passed. */
#include "daemon/monitor-manager.h"

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_manager_suite(void);

static char folder[32];
static char path[64];
static int manager = -1; /* the end that systemd has */

/* ---- what is said ---- */

static void listen_to_it(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(folder, "/tmp/iob-manager-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	strcpy(a.sun_path, path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("FDSTORE", "64", 1);
}

static void set_up(void)
{
	static const char *const all[] = { "NOTIFY_SOCKET", "LISTEN_FDS",   "LISTEN_FDNAMES",
					   "LISTEN_PID",    "WATCHDOG_PID", "WATCHDOG_USEC",
					   "FDSTORE" };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		unsetenv(all[i]);
	listen_to_it();
}

static void tear_down(void)
{
	close(manager);
	unlink(path);
	rmdir(folder);
}

/* One message and its descriptors; -1: there is none. Does not wait. */
static int hear(char text[512], int fds[4])
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { text, 511 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(manager, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int count = 0;

	if (n < 0)
		return -1;
	text[n] = '\0';
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
	}
	return count;
}

static bool has_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);
	size_t n = strlen(line);

	return at && (at == text || at[-1] == '\n') && (at[n] == '\n' || at[n] == '\0');
}

static bool is_silent(void)
{
	char text[512];
	int fds[4];

	return hear(text, fds) == -1;
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	ck_assert_int_eq(fstat(a, &x), 0);
	ck_assert_int_eq(fstat(b, &y), 0);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(keeps_under_a_name)
{
	char text[512];
	int pair[2], fds[4];

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	ck_assert(manager_keeps());
	manager_keep("iob-session-7", pair, 2);
	ck_assert_int_eq(hear(text, fds), 2);
	ck_assert(has_line(text, "FDSTORE=1"));
	ck_assert(has_line(text, "FDPOLL=0"));
	ck_assert(has_line(text, "FDNAME=iob-session-7"));
	ck_assert(!strstr(text, "FDSTOREREMOVE"));
	ck_assert(is_same_file(fds[0], pair[0]));
	ck_assert(is_same_file(fds[1], pair[1]));
	ck_assert(is_open(pair[0]) && is_open(pair[1])); /* still the caller's */
	ck_assert(is_silent());
}
END_TEST

START_TEST(forgets_by_name)
{
	char text[512];
	int fds[4];

	manager_forget("iob-session-7");
	ck_assert_int_eq(hear(text, fds), 0);
	ck_assert(has_line(text, "FDSTOREREMOVE=1"));
	ck_assert(has_line(text, "FDNAME=iob-session-7"));
	ck_assert(!has_line(text, "FDSTORE=1"));
	ck_assert(is_silent());
}
END_TEST

START_TEST(tells)
{
	char text[512];
	int fds[4];

	manager_tell("READY=1\nSTATUS=here");
	ck_assert_int_eq(hear(text, fds), 0);
	ck_assert_str_eq(text, "READY=1\nSTATUS=here");
}
END_TEST

START_TEST(without_a_manager_is_quiet)
{
	int fd = dup(STDERR_FILENO);

	unsetenv("NOTIFY_SOCKET");
	ck_assert(!manager_keeps());
	manager_keep("iob-x", &fd, 1);
	manager_forget("iob-x");
	manager_tell("READY=1");
	manager_wait();
	ck_assert(is_silent());
	ck_assert(is_open(fd));
	close(fd);
}
END_TEST

/* A manager that is not there any more: complaints, no end. */
START_TEST(deaf_manager_is_survived)
{
	int fd = dup(STDERR_FILENO);

	close(manager);
	unlink(path);
	manager_keep("iob-x", &fd, 1);
	manager_forget("iob-x");
	manager_tell("READY=1");
	manager_wait();
	close(fd);
}
END_TEST

static void *answer(void *unused)
{
	char text[512];
	struct pollfd p = { .fd = manager, .events = POLLIN };
	int fds[4];

	poll(&p, 1, 10000);
	if (hear(text, fds) == 1 && has_line(text, "BARRIER=1")) {
		manager_tell("STATUS=before the answer");
		close(fds[0]);
	}
	return unused;
}

START_TEST(waits_for_the_answer)
{
	char text[512];
	pthread_t thread;
	int fds[4];

	ck_assert_int_eq(pthread_create(&thread, NULL, answer, NULL), 0);
	manager_wait();
	ck_assert_int_eq(hear(text, fds), 0); /* it came back after that was said */
	ck_assert_str_eq(text, "STATUS=before the answer");
	pthread_join(thread, NULL);
}
END_TEST

static const struct {
	const char *said;
	unsigned room;
} rooms[] = { { NULL, 0 }, { "512", 512 }, { "0", 0 }, { "-3", 0 }, { "many", 0 } };

START_TEST(room_is_what_it_says)
{
	unsetenv("FDSTORE");
	if (rooms[_i].said)
		setenv("FDSTORE", rooms[_i].said, 1);
	ck_assert_uint_eq(manager_room(), rooms[_i].room);
	ck_assert(manager_keeps() == (rooms[_i].room > 0));
}
END_TEST

/* ---- the watchdog ---- */

static void watchdog_environment(const char *usec, pid_t pid)
{
	char number[16];

	setenv("WATCHDOG_USEC", usec, 1);
	snprintf(number, sizeof(number), "%d", (int)pid);
	setenv("WATCHDOG_PID", number, 1);
}

/* The timer that it set, if it did: what the base waits for, at most. */
static struct event_base *watchdog(void)
{
	struct event_base *base = event_base_new();

	ck_assert_int_eq(manager_watchdog_start(base), 0);
	return base;
}

START_TEST(watchdog_hears_half_of_its_time)
{
	struct event_base *base;
	struct timespec begin, end;
	char text[512];
	int fds[4];

	watchdog_environment("400000", getpid());
	base = watchdog();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
		ck_assert_int_eq(hear(text, fds), 0);
		ck_assert_str_eq(text, "WATCHDOG=1");
		ck_assert(is_silent());
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* Cannot have been more often; that it was often enough a busy machine may prevent. */
	ck_assert_int_ge((end.tv_sec - begin.tv_sec) * 1000 +
				 (end.tv_nsec - begin.tv_nsec) / 1000000,
			 590);
	manager_watchdog_stop();
	event_base_free(base);
}
END_TEST

static unsigned timers(struct event_base *base)
{
	return (unsigned)event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
}

START_TEST(no_watchdog_no_timer)
{
	struct event_base *base = watchdog();

	ck_assert_uint_eq(timers(base), 0);
	watchdog_environment("400000", getpid() + 1); /* somebody else's */
	ck_assert_int_eq(manager_watchdog_start(base), 0);
	ck_assert_uint_eq(timers(base), 0);
	watchdog_environment("400000", getpid());
	ck_assert_int_eq(manager_watchdog_start(base), 0);
	ck_assert_uint_eq(timers(base), 1);
	manager_watchdog_stop();
	event_base_free(base);
}
END_TEST

/* ---- what was passed ---- */

/*
 * It begins at descriptor 3, which is Check's: each test has a process of its own for that, and tells
 * by its exit status. Where things are before they are passed is above.
 */
#define FIRST 3 /* SD_LISTEN_FDS_START */
#define ABOVE 100

#define must(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

static void in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		manager = fcntl(manager, F_DUPFD_CLOEXEC, ABOVE);
		must(manager >= 0);
		body();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static int passed;

static void pass(int fd)
{
	must(fd >= ABOVE);
	must(dup2(fd, FIRST + passed++) >= 0);
	close(fd);
}

static void announce(const char *names)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", passed);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static int put_above(int fd)
{
	int above = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);

	close(fd);
	return above;
}

static int a_file(void)
{
	return put_above(memfd_create("passed", MFD_CLOEXEC));
}

static int a_socket(int type, bool listening)
{
	const struct sockaddr_un a = { .sun_family = AF_UNIX }; /* any address */
	int fd = put_above(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));

	must(bind(fd, (const struct sockaddr *)&a, sizeof(a.sun_family)) == 0);
	must(!listening || listen(fd, 1) == 0);
	return fd;
}

static void init(void)
{
	struct fault why = { 0 };

	must(manager_init(&why) == 0);
}

static void take_by_name(void)
{
	for (int i = 0; i < 4; i++)
		pass(a_file());
	announce("iob-context-11:iob-session-2:iob-context-1:iob-session-2");
	init();
	must(manager_take("iob-context-1") == 5);
	must(manager_take("iob-context-11") == 3);
	must(manager_take("iob-context-1") == -1);
	must(manager_take("iob-session-2") == 4);
	must(manager_take("iob-session-2") == 6);
	must(manager_take("iob-session-2") == -1);
	must(manager_take("iob-nobody") == -1);
	manager_discard_rest();
	must(is_silent()); /* there was no rest */
	for (int fd = 3; fd <= 6; fd++)
		must(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	must(!getenv("LISTEN_FDS")); /* nothing for the sessions */
}

START_TEST(takes_by_name_once)
{
	in_child(take_by_name);
}
END_TEST

static void take_of_nothing(void)
{
	struct fault why = { 0 };

	init();
	must(manager_take("iob-x") == -1);
	must(manager_take_listener(&why) == -1);
	must(why.code == IOB_OK);
	manager_discard_rest();
	must(is_silent());
}

START_TEST(without_anything_passed)
{
	in_child(take_of_nothing);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct fault why = { 0 };

	announce("");
	setenv("LISTEN_FDS", "several", 1);
	ck_assert_int_lt(manager_init(&why), 0);
	ck_assert_int_eq(why.code, IOB_E_SYSTEM);
	ck_assert_ptr_nonnull(strstr(why.text, "LISTEN_FDS"));
}
END_TEST

/* Under whatever name, but not one of those that are kept. */
static void find_listener(void)
{
	struct fault why = { 0 };

	pass(a_socket(SOCK_SEQPACKET, true));
	pass(a_socket(SOCK_SEQPACKET, true));
	announce("iob-handles:anything");
	init();
	must(manager_take_listener(&why) == 4);
	must(fcntl(4, F_GETFL) & O_NONBLOCK);
	must(manager_take_listener(&why) == -1);
	must(why.code == IOB_OK);
}

START_TEST(listener_is_found)
{
	in_child(find_listener);
}
END_TEST

/* Who waits at the other one would wait for ever. */
static void refuse_two(void)
{
	struct fault why = { 0 };

	pass(a_socket(SOCK_SEQPACKET, true));
	pass(a_socket(SOCK_SEQPACKET, true));
	announce("one:two");
	init();
	must(manager_take_listener(&why) < 0);
	must(why.code == IOB_E_CONNECT);
	must(strstr(why.text, "2 sockets"));
}

START_TEST(only_one_is_listened_on)
{
	in_child(refuse_two);
}
END_TEST

static void refuse_listener(int fd)
{
	struct fault why = { 0 };

	pass(fd);
	announce("mine");
	init();
	must(manager_take_listener(&why) < 0);
	must(why.code == IOB_E_CONNECT);
	must(strstr(why.text, "\"mine\""));
	must(strstr(why.text, "ListenSequentialPacket="));
}

static void refuse_file(void)
{
	refuse_listener(a_file());
}

static void refuse_stream(void)
{
	refuse_listener(a_socket(SOCK_STREAM, true));
}

static void refuse_datagram(void)
{
	refuse_listener(a_socket(SOCK_DGRAM, false));
}

static void refuse_deaf(void)
{
	refuse_listener(a_socket(SOCK_SEQPACKET, false));
}

START_TEST(others_are_no_listeners)
{
	in_child(refuse_file);
	in_child(refuse_stream);
	in_child(refuse_datagram);
	in_child(refuse_deaf);
}
END_TEST

/* Closing is done elsewhere: it may take long. */
static bool is_closed(int fd)
{
	for (int i = 0; i < 2000 && is_open(fd); i++)
		usleep(5000);
	return !is_open(fd);
}

static void discard(void)
{
	char text[512];
	int fds[4];

	for (int i = 0; i < 3; i++)
		pass(a_file());
	announce("iob-context-1:iob-context-2:strange");
	init();
	must(manager_take("iob-context-1") == 3);
	manager_discard_rest();
	must(hear(text, fds) == 0);
	must(has_line(text, "FDSTOREREMOVE=1") && has_line(text, "FDNAME=iob-context-2"));
	must(hear(text, fds) == 0);
	must(has_line(text, "FDSTOREREMOVE=1") && has_line(text, "FDNAME=strange"));
	must(is_silent());
	must(is_closed(4) && is_closed(5) && is_open(3));
	must(manager_take("iob-context-2") == -1);
	manager_discard_rest();
	must(is_silent());
}

START_TEST(rest_is_closed_and_forgotten)
{
	in_child(discard);
}
END_TEST

Suite *test_manager_suite(void)
{
	Suite *suite = suite_create("manager");
	TCase *tc = tcase_create("saying");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, keeps_under_a_name);
	tcase_add_test(tc, forgets_by_name);
	tcase_add_test(tc, tells);
	tcase_add_test(tc, without_a_manager_is_quiet);
	tcase_add_test(tc, deaf_manager_is_survived);
	tcase_add_test(tc, waits_for_the_answer);
	tcase_add_loop_test(tc, room_is_what_it_says, 0, (int)(sizeof(rooms) / sizeof(rooms[0])));
	tcase_add_test(tc, watchdog_hears_half_of_its_time);
	tcase_add_test(tc, no_watchdog_no_timer);
	suite_add_tcase(suite, tc);

	tc = tcase_create("taking");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, takes_by_name_once);
	tcase_add_test(tc, without_anything_passed);
	tcase_add_test(tc, nonsense_is_refused);
	tcase_add_test(tc, listener_is_found);
	tcase_add_test(tc, only_one_is_listened_on);
	tcase_add_test(tc, others_are_no_listeners);
	tcase_add_test(tc, rest_is_closed_and_forgotten);
	suite_add_tcase(suite, tc);
	return suite;
}

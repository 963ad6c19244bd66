/* SPDX-License-Identifier: MIT */
/*
 * A session as its monitor sees it: the program itself, with the test in the place of one monitor after
 * another, and of the client.
 */
#define _GNU_SOURCE
#include "daemon/monitor.h"

#include <check.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

Suite *test_session_suite(void);

#define ID	 1234u
#define PATIENCE 20000 /* ms */

static struct monitor m;
static int channel, pidfd, conn, device;
static pid_t pid;

static void make_empty_dir(void)
{
	char name[] = "/tmp/iob-session-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	m.empty_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(rmdir(name), 0);
}

/* ---- the monitor ---- */

static struct priv_message heard;

static bool hears(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, PATIENCE) == 1;
}

static void hear(uint32_t op)
{
	struct fd_list fds;

	ck_assert(hears(channel));
	ck_assert_int_gt(message_receive(channel, &heard, sizeof(heard), &fds, 4), 0);
	fd_list_close(&fds);
	ck_assert_uint_eq(heard.hdr.op, op);
}

static bool nothing_is_said(void)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static void tell(uint32_t op, uint32_t serial, bool reply, struct priv_message *msg, const int *fds)
{
	ck_assert_int_eq(priv_send(channel, msg, op, serial, reply, fds), 0);
}

static void ask_to_resume(uint32_t serial)
{
	struct priv_message msg = { 0 };

	tell(PRIV_RESUME, serial, false, &msg, NULL);
}

static char state_of_session(void)
{
	char path[64], line[512], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	if (fgets(line, sizeof(line), f))
		sscanf(strrchr(line, ')'), ") %c", &state);
	fclose(f);
	return state;
}

/* It has read what was sent to it, and done what it says. */
static void until_heard(int fd)
{
	int unread = 1;

	for (int i = 0; i < PATIENCE; i++) {
		ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &unread), 0);
		if (unread == 0 && state_of_session() == 'S')
			return;
		usleep(1000);
	}
	ck_abort_msg("the session does not come to rest");
}

/* ---- the client ---- */

static struct iob_hdr answer;

static void request(int fd, uint16_t op, const void *body, size_t bytes)
{
	struct iob_hdr hdr = { .size = (uint32_t)(sizeof(hdr) + bytes), .op = op, .tag = op };
	const struct iovec iov[] = { { &hdr, sizeof(hdr) }, { (void *)(uintptr_t)body, bytes } };

	ck_assert_int_eq(message_send(fd, iov, bytes ? 2 : 1, NULL, 0), 0);
}

static uint32_t answered(int fd, struct fd_list *fds)
{
	struct fd_list none;
	uint8_t bytes[4096];

	do {
		ck_assert(hears(fd));
		ck_assert_int_ge(message_receive(fd, bytes, sizeof(bytes), fds ? fds : &none, 4),
				 sizeof(answer));
		memcpy(&answer, bytes, sizeof(answer));
	} while (answer.flags == IOB_MSG_EVENT);
	ck_assert_uint_eq(answer.tag, answer.op);
	return answer.code;
}

static void says_hello(int fd)
{
	const struct iob_hello_req hello = { .version_min = 1, .version_max = 1 };

	request(fd, IOB_OP_HELLO, &hello, sizeof(hello));
	ck_assert_uint_eq(answered(fd, NULL), IOB_OK);
}

/* ---- both: a connection, and a device that is in a domain ---- */

enum { DEVICE = 5, DOMAIN = 9 };

static void open_device(void)
{
	struct iob_device_open_req wanted = { .name = "0000:00:03.0" };
	struct priv_message rep = { 0 }, gained = { .gained = { DEVICE, DOMAIN, 0, 0 } };
	struct fd_list fds;
	int pair[2], null;

	request(conn, IOB_OP_DEVICE_OPEN, &wanted, sizeof(wanted));
	hear(PRIV_DEVICE_OPEN);
	ck_assert_int_eq(message_socketpair(pair), 0);
	rep.device_opened.handle_id = DEVICE;
	rep.device_opened.access = IOB_ACCESS_MEDIATED;
	tell(PRIV_DEVICE_OPEN, heard.hdr.serial, true, &rep, pair);
	close(pair[0]);
	close(pair[1]);
	ck_assert_uint_eq(answered(conn, &fds), IOB_OK);
	ck_assert_uint_eq(fds.count, 1);
	device = fds.fd[0];
	says_hello(device);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	tell(PRIV_GAINED, 0, false, &gained, &null);
	close(null);
	until_heard(channel);
}

static void set_up(void)
{
	struct priv_message init = {
		.init = { .session_id = ID, .kept = 1, .max_rate = QUOTA_UNLIMITED }
	};
	const char *build = getenv("IOB_BUILD");
	static char path[512];
	int pair[2];

	snprintf(path, sizeof(path), "%s/libexec/iommu-broker-session", build ? build : "build");
	/* where the monitor is, when it is root */
	ck_assert(getuid() != 0 || unshare(CLONE_NEWNET) == 0);
	memset(&m, 0, sizeof(m));
	m.glue = &glue_opener_sim;
	m.session_path = path;
	make_empty_dir();
	ck_assert_int_eq(spawn_session(&m, getuid() ? getuid() : 61184, &pid, &pidfd, &channel), 0);
	hear(PRIV_READY);
	ck_assert_int_eq(message_socketpair(pair), 0);
	tell(PRIV_INIT, 0, false, &init, &pair[1]);
	close(pair[1]);
	conn = pair[0];
	says_hello(conn);
	open_device();
}

static void tear_down(void)
{
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	spawn_collect(pidfd);
	close(pidfd);
	close(channel);
	close(conn);
	close(device);
	close(m.empty_dir_fd);
}

/* ---- a new monitor ---- */

START_TEST(tells_what_it_has)
{
	ask_to_resume(77);
	hear(PRIV_RESUME);
	ck_assert_uint_eq(heard.hdr.reply, 1);
	ck_assert_uint_eq(heard.hdr.serial, 77);
	ck_assert_uint_eq(heard.resumed.session_id, ID);
	ck_assert_uint_eq(heard.resumed.count, 1); /* connections are no handles */
	ck_assert_uint_eq(heard.resumed.known[0].handle_id, DEVICE);
	ck_assert_uint_eq(heard.resumed.known[0].kind, IOB_KIND_DEVICE);
	ck_assert_uint_eq(heard.resumed.known[0].bound, PRIV_BOUND);
	until_heard(channel);
	ck_assert(nothing_is_said()); /* nothing was unanswered */
}
END_TEST

/* Everything, as often as there is a new one, and only what is still unanswered. */
START_TEST(asks_again_what_is_unanswered)
{
	struct priv_message done = { .done.id = DOMAIN }, status = { 0 };
	uint32_t asked[2], again = 0;

	request(conn, IOB_OP_STATUS, NULL, 0);
	hear(PRIV_STATUS);
	ck_assert_uint_eq(heard.hdr.again, 0);
	asked[0] = heard.hdr.serial;
	request(device, IOB_OP_DEVICE_UNBIND, NULL, 0);
	hear(PRIV_UNBIND);
	ck_assert_uint_eq(heard.hdr.again, 0);
	ck_assert_uint_eq(heard.id.id, DEVICE);
	asked[1] = heard.hdr.serial;
	for (uint32_t monitor = 1; monitor <= 2; monitor++) {
		ask_to_resume(monitor << 20);
		hear(PRIV_RESUME);
		ck_assert_uint_eq(heard.resumed.known[0].bound, PRIV_UNBINDING);
		again = 0;
		for (int i = 0; i < 2; i++) { /* in whatever order */
			struct fd_list none;

			ck_assert(hears(channel));
			ck_assert_int_gt(message_receive(channel, &heard, sizeof(heard), &none, 1),
					 0);
			ck_assert_uint_eq(heard.hdr.again, 1);
			again |= 1u << (heard.hdr.op == PRIV_UNBIND);
			ck_assert_uint_eq(heard.hdr.serial, asked[heard.hdr.op == PRIV_UNBIND]);
			if (heard.hdr.op == PRIV_UNBIND)
				ck_assert_uint_eq(heard.id.id, DEVICE);
		}
		ck_assert_uint_eq(again, 3);
	}
	tell(PRIV_UNBIND, asked[1], true, &done, NULL);
	ck_assert_uint_eq(answered(device, NULL), IOB_OK);
	ask_to_resume(3 << 20);
	hear(PRIV_RESUME);
	ck_assert_uint_eq(heard.resumed.known[0].bound, PRIV_NOT_BOUND);
	hear(PRIV_STATUS);
	tell(PRIV_STATUS, asked[0], true, &status, NULL);
	ck_assert_uint_eq(answered(conn, NULL), IOB_OK);
	ck_assert(nothing_is_said());
}
END_TEST

#define MONITORS 200u /* more than its channel has room for the answers to */

/* What earlier monitors did not take is not for the next one. */
START_TEST(says_nothing_to_those_that_are_gone)
{
	uint32_t answers = 0, last = 0;

	for (uint32_t i = 1; i <= MONITORS; i++) {
		ask_to_resume(i);
		until_heard(channel);
	}
	while (last != MONITORS) {
		hear(PRIV_RESUME);
		ck_assert_uint_gt(heard.hdr.serial, last);
		last = heard.hdr.serial;
		answers++;
	}
	ck_assert_uint_lt(answers, MONITORS);
	until_heard(channel);
	ck_assert(nothing_is_said());
}
END_TEST

/* The number alone makes no answer. */
START_TEST(answers_are_to_what_was_asked)
{
	struct priv_message done = { .done.id = DOMAIN };
	struct pollfd gone = { .fd = pidfd, .events = POLLIN };

	request(conn, IOB_OP_STATUS, NULL, 0);
	hear(PRIV_STATUS);
	tell(PRIV_UNBIND, heard.hdr.serial, true, &done, NULL);
	ck_assert_int_eq(poll(&gone, 1, PATIENCE), 1);
}
END_TEST

Suite *test_session_suite(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("resume");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, tells_what_it_has);
	tcase_add_test(tc, asks_again_what_is_unanswered);
	tcase_add_test(tc, says_nothing_to_those_that_are_gone);
	tcase_add_test(tc, answers_are_to_what_was_asked);
	suite_add_tcase(suite, tc);
	return suite;
}

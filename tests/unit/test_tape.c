/* SPDX-License-Identifier: MIT */
/* Names looked up elsewhere: what was recorded is what is played, and nothing else fits. */
#define _GNU_SOURCE

#include "daemon/monitor-config-rules.h"
#include "daemon/monitor-tape.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_tape_suite(void);

static char path[64];
static struct tape tape;

static void put(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static void set_up(void)
{
	strcpy(path, "/tmp/iob-tape-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	strcat(path, "/conf");
	memset(&tape, 0, sizeof(tape));
}

static void tear_down(void)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	tape_deinit(&tape);
}

static void record(const char *text)
{
	int ends[2], status;
	pid_t pid;

	put(text);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		tape_record(path, ends[1]);
	close(ends[1]);
	while (tape_take(&tape, ends[0]))
		;
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(tape_is_complete(&tape));
}

static int play(const char *text, struct config *c, struct fault *why)
{
	const struct config_reading how = { .resolve = tape_play, .arg = &tape };

	put(text);
	tape.at = 0;
	return config_load_with(path, &how, c, why);
}

#define NAMES "[allow a]\nuser = root 7 root\n[allow b]\ngroup = root\nuser = root\n"

START_TEST(plays_what_was_recorded)
{
	struct fault why = { 0 };
	struct config c;

	record(NAMES);
	ck_assert_msg(play(NAMES, &c, &why) == 0, "%s", why.text);
	ck_assert_uint_eq(c.rules[0].user_count, 3);
	ck_assert_uint_eq(c.rules[0].users[1], 7);
	ck_assert_uint_eq(c.rules[0].users[2], 0);
	ck_assert_uint_eq(c.rules[1].groups[0], 0);
	config_deinit(&c);
}
END_TEST

START_TEST(plays_refusals_too)
{
	struct fault why = { 0 };
	struct config c;

	record("[allow a]\nuser = no-such-user-iob root\n");
	ck_assert_int_lt(play("[allow a]\nuser = no-such-user-iob root\n", &c, &why), 0);
	ck_assert_ptr_nonnull(strstr(why.text, ":2: unknown user"));
}
END_TEST

static const char *const others[] = {
	"[allow a]\nuser = root 7 daemon\n",	    /* another name */
	"[allow a]\nuser = root 7\ngroup = root\n", /* a group, no user */
	NAMES "[allow c]\nuser = root\n",	    /* one more */
	"[allow a]\nuser = roo\n",
	"[allow a]\nuser = roott\n",
};

START_TEST(fits_nothing_else)
{
	struct fault why = { 0 };
	struct config c;

	record(NAMES);
	ck_assert_int_eq(play(others[_i], &c, &why), -ESTALE);
	ck_assert_ptr_nonnull(strstr(why.text, "changed while it was read"));
}
END_TEST

/* Whatever the bytes are, and wherever they end. */
START_TEST(is_not_believed)
{
	uint32_t id = 4711;
	size_t whole;

	record(NAMES);
	whole = tape.used;
	for (tape.used = 0; tape.used < whole; tape.used++) {
		ck_assert(!tape_is_complete(&tape) || tape.used == whole);
		tape.at = 0;
		if (tape.used < 20)
			ck_assert_int_eq(tape_play(&tape, CONFIG_USER, "root", &id), -ESTALE);
	}
	memset(tape.bytes, 0xff, whole);
	tape.at = 0;
	ck_assert_int_eq(tape_play(&tape, CONFIG_USER, "root", &id), -ESTALE);
	memset(tape.bytes, 0x01, whole); /* a positive result */
	tape.at = 0;
	ck_assert_int_eq(tape_play(&tape, (enum config_people)0x01010101, "root", &id), -ESTALE);
	ck_assert_uint_eq(id, 4711);
}
END_TEST

/* A recorder that cannot go on, because nobody reads. */
static pid_t record_begins(int *ends)
{
	static const char junk[4096];
	pid_t pid;

	put(NAMES);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], junk, sizeof(junk)) > 0)
		;
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		tape_record(path, ends[1]);
	return pid;
}

static bool has_capabilities(pid_t pid)
{
	char name[64], line[256];
	unsigned long long all = ~0ULL;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	f = fopen(name, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "CapPrm: %llx", &all);
	fclose(f);
	return all != 0;
}

static bool has_descriptor(pid_t pid, int fd)
{
	char name[64], target[64];

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)pid, fd);
	return readlink(name, target, sizeof(target)) >= 0 || errno != ENOENT;
}

/* It runs the code of others, which looks up names. */
START_TEST(recorder_has_nothing)
{
	int secret = fcntl(STDERR_FILENO, F_DUPFD, 300), ends[2];
	pid_t pid = record_begins(ends);

	for (int i = 0; i < 2000; i++) {
		if (!has_capabilities(pid) && !has_descriptor(pid, secret) &&
		    !has_descriptor(pid, ends[0]))
			break;
		usleep(5000);
	}
	ck_assert(!has_capabilities(pid));
	ck_assert(!has_descriptor(pid, secret) && !has_descriptor(pid, ends[0]));
	close(secret);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* Whatever it ends with: it was not let finish. */
START_TEST(cut_is_not_complete)
{
	record(NAMES);
	tape.cut = true;
	ck_assert(!tape_is_complete(&tape));
}
END_TEST

START_TEST(has_an_end)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(zero, 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(tape_take(&tape, zero));
	close(zero);
	ck_assert(tape.cut);
	ck_assert(!tape_is_complete(&tape));
	ck_assert_uint_le(tape.used, TAPE_MAX_BYTES);
}
END_TEST

Suite *test_tape_suite(void)
{
	Suite *suite = suite_create("tape");
	TCase *tc = tcase_create("tape");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, plays_what_was_recorded);
	tcase_add_test(tc, plays_refusals_too);
	tcase_add_loop_test(tc, fits_nothing_else, 0, (int)(sizeof(others) / sizeof(others[0])));
	tcase_add_test(tc, is_not_believed);
	tcase_add_test(tc, recorder_has_nothing);
	tcase_add_test(tc, cut_is_not_complete);
	tcase_add_test(tc, has_an_end);
	suite_add_tcase(suite, tc);
	return suite;
}

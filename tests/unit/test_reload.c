/* SPDX-License-Identifier: MIT */
/* Reading the configuration again: in which order, and how often. */
#include "daemon/monitor-config-rules.h"
#include "daemon/monitor.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *test_reload_suite(void);

#define ONE   "[allow a]\nuser = 7\n"
#define TWO   ONE "[allow b]\nuser = 8\n"
#define WRONG "[allow a]\nuser = 7\nnonsense\n"

static char path[64];
static struct monitor m;

/* monitor-main.c, which has a main() of its own. */
int options_apply(const struct options *o, struct config *c, struct fault *why)
{
	(void)o;
	(void)c;
	(void)why;
	return 0;
}

static void put(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static void set_up(void)
{
	struct fault why = { 0 };

	strcpy(path, "/tmp/iob-reload-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	strcat(path, "/conf");
	put(ONE);
	memset(&m, 0, sizeof(m));
	LIST_INIT(&m.sessions);
	m.base = event_base_new();
	m.options.config = path;
	ck_assert_int_eq(config_load(path, &m.config, &why), 0);
	m.slots = calloc(m.config.session_uids, 1);
}

static void tear_down(void)
{
	config_deinit(&m.config);
	free(m.slots);
	event_base_free(m.base);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static void until_done(void)
{
	while (m.reload)
		ck_assert_int_ge(event_base_loop(m.base, EVLOOP_ONCE), 0);
}

START_TEST(takes_what_is_there)
{
	put(TWO);
	reload_start(&m);
	ck_assert_uint_eq(m.config.rule_count, 1); /* not yet */
	until_done();
	ck_assert_uint_eq(m.config.rule_count, 2);
	put(WRONG);
	reload_start(&m);
	until_done();
	ck_assert_uint_eq(m.config.rule_count, 2);
	ck_assert_uint_eq(m.reloads, 2);
}
END_TEST

/* It may have been read before it changed. However often it was asked for, once more is enough. */
START_TEST(asked_for_meanwhile)
{
	reload_start(&m);
	put(TWO);
	for (int i = 0; i < 3; i++)
		reload_start(&m);
	ck_assert_uint_eq(m.reloads, 1);
	until_done();
	ck_assert_uint_eq(m.reloads, 2);
	ck_assert_uint_eq(m.config.rule_count, 2);
	ck_assert(!m.reload_again);
}
END_TEST

/* The range never shrinks: sessions may have those uids. */
START_TEST(uids_of_sessions_stay_theirs)
{
	uint32_t base = m.config.session_uid_base, uids;

	put("[daemon]\nmax-sessions = 600\n" ONE);
	reload_start(&m);
	until_done();
	ck_assert_uint_eq(m.config.max_sessions, 600);
	uids = m.config.session_uids;
	ck_assert_uint_ge(uids, 600);
	m.slots[uids - 1] = 1;
	put("[daemon]\nmax-sessions = 2\nsession-uid-base = 4000000\n" ONE);
	reload_start(&m);
	until_done();
	ck_assert_uint_eq(m.config.max_sessions, 2);
	ck_assert_uint_eq(m.config.session_uids, uids);
	ck_assert_uint_eq(m.config.session_uid_base, base);
	ck_assert_uint_eq(m.slots[uids - 1], 1);
}
END_TEST

START_TEST(given_up_at_the_end)
{
	reload_start(&m);
	reload_cancel(m.reload);
	reload_cancel(NULL);
	ck_assert_int_eq(event_base_get_num_events(m.base, EVENT_BASE_COUNT_ADDED), 0);
}
END_TEST

Suite *test_reload_suite(void)
{
	Suite *suite = suite_create("reload");
	TCase *tc = tcase_create("reload");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, takes_what_is_there);
	tcase_add_test(tc, asked_for_meanwhile);
	tcase_add_test(tc, uids_of_sessions_stay_theirs);
	tcase_add_test(tc, given_up_at_the_end);
	suite_add_tcase(suite, tc);
	return suite;
}

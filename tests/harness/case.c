/* SPDX-License-Identifier: MIT */
/* case.c - cases with a broker, and main() of a suite. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/harness/internal.h"

/* ---- a broker for all tests of a case: started and stopped by the runner ---- */

static void shared_start(void)
{
	static int number;
	char name[16];

	snprintf(name, sizeof(name), "%d", ++number);
	broker_start(&(struct broker_options){ .name = name });
}

/* The connection that looked at the ledger after the test before may still be on its way out. */
static void shared_setup(void)
{
	users_prepare();
	if (process_lives(broker_monitor()))
		broker_sessions_wait(0);
}

static void shared_teardown(void)
{
	users_end();
	if (process_lives(broker_monitor()))
		baseline_check();
}

START_TEST(broker_ends_and_leaves_nothing)
{
	broker_ends();
}
END_TEST

static unsigned seconds(void)
{
	return backend_is_real() ? 180 : 60;
}

TCase *case_shared(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds());
	tcase_add_unchecked_fixture(tc, shared_start, broker_stop);
	tcase_add_checked_fixture(tc, shared_setup, shared_teardown);
	suite_add_tcase(suite, tc);
	return tc;
}

void case_shared_end(TCase *tc)
{
	tcase_add_test(tc, broker_ends_and_leaves_nothing);
}

/* ---- brokers started by the tests ---- */

static void private_teardown(void)
{
	users_end();
	broker_stop();
}

TCase *case_private(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds());
	tcase_add_checked_fixture(tc, users_prepare, private_teardown);
	suite_add_tcase(suite, tc);
	return tc;
}

/* ---- main ---- */

int run_suites(Suite *const *suites, size_t count)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	users_init();
	if (!users_differ())
		printf("not root: all users have one uid, and what processes of the broker hold "
		       "cannot be looked at\n");
	for (size_t i = 0; i < count; i++)
		srunner_add_suite(runner, suites[i]);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

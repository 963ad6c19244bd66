/* SPDX-License-Identifier: MIT */
/*
 * main.c - runs the suite of every test_NAME.c beside it: Suite *test_NAME_suite(void).
 *
 * suites.inc is made from the names of the files, so that a test cannot be forgotten here.
 */
#include <check.h>
#include <stdlib.h>

#define SUITE(name) Suite *test_##name##_suite(void);
#include "suites.inc"
#undef SUITE

int main(void)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

#define SUITE(name) srunner_add_suite(runner, test_##name##_suite());
#include "suites.inc"
#undef SUITE

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

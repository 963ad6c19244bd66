/* SPDX-License-Identifier: MIT */
/* Lines of the log have a priority where the journal reads them, and nowhere else. */
#include "daemon/log.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_log_suite(void);

/* A line, logged to a file by a process of its own. off: how far from the truth JOURNAL_STREAM is. */
static const char *logged(const char *format, unsigned off)
{
	static char text[256];
	char stream[64];
	struct stat st;
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fstat(fileno(f), &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + off);
	pid_t pid = fork();

	if (pid == 0) {
		dup2(fileno(f), STDERR_FILENO);
		unsetenv("JOURNAL_STREAM");
		if (format)
			setenv("JOURNAL_STREAM", *format ? format : stream, 1);
		log_start();
		log_warn("number %d", 5);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

START_TEST(journal_gets_priorities)
{
	ck_assert_str_eq(logged("", 0), "<4>number 5\n");
}
END_TEST

START_TEST(others_get_none)
{
	ck_assert_str_eq(logged(NULL, 0), "number 5\n");
	ck_assert_str_eq(logged("", 1), "number 5\n"); /* redirected since */
	ck_assert_str_eq(logged("junk", 0), "number 5\n");
	ck_assert_str_eq(logged("7", 0), "number 5\n");
}
END_TEST

Suite *test_log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");

	tcase_add_test(tests, journal_gets_priorities);
	tcase_add_test(tests, others_get_none);
	suite_add_tcase(suite, tests);
	return suite;
}

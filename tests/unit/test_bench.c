/* SPDX-License-Identifier: MIT */
/* test_bench.c - the benchmark runs, with a few rounds, and tells every figure that its goals need. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the goals, those of the host; memory can be looked at by root only. */
static const char *const needed[] = {
	"\"host.empty.0.ratio\"",
	"\"host.pair.1.brokered\"",
	"\"host.batch.1024.per-operation\"",
	"\"host.connect.p99\"",
	"\"host.live.10000.pair-ratio\"",
	"\"host.clients.10.us-per-pair\"",
	"\"goals\"",
};

static char text[1 << 16];

static void read_file(const char *path)
{
	FILE *f = fopen(path, "re");

	ck_assert_msg(f != NULL, "%s is not there", path);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
}

START_TEST(small_run)
{
	char results[] = "/tmp/iob-bench-XXXXXX", command[4200], path[128];
	int status;

	ck_assert_ptr_nonnull(mkdtemp(results));
	snprintf(command, sizeof(command), "VM=0 IOB_BENCH_OUT=%s tests/bench/bench.sh --small",
		 results);
	status = system(command); /* NOLINT(cert-env33-c): our own script */
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
	snprintf(path, sizeof(path), "%s/figures.json", results);
	read_file(path);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		ck_assert_msg(strstr(text, needed[i]) != NULL, "no %s in %s", needed[i], path);
	snprintf(path, sizeof(path), "%s/plot.svg", results);
	read_file(path);
	ck_assert_ptr_nonnull(strstr(text, "</svg>"));
	snprintf(command, sizeof(command), "rm -r %s", results);
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c) */
}
END_TEST

Suite *test_bench_suite(void);
Suite *test_bench_suite(void)
{
	Suite *suite = suite_create("bench");
	TCase *tc = tcase_create("small run");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, small_run);
	suite_add_tcase(suite, tc);
	return suite;
}

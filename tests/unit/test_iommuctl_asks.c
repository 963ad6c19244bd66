/* SPDX-License-Identifier: MIT */
/* iommuctl and its completion before a broker: one that simulates, and one that says nothing. */
#define _GNU_SOURCE /* posix_openpt() */

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/iommuctl.h"

Suite *test_iommuctl_asks_suite(void);

static char folder[32];
static char text[65536];
static pid_t broker;

static const char *build(void)
{
	const char *dir = getenv("IOB_BUILD");

	return dir ? dir : "build";
}

/* Exit status of a shell with $ctl and $folder; what it prints is in text. */
static int run(const char *script)
{
	char command[2048];
	FILE *pipe;
	size_t n;
	int status;

	snprintf(command, sizeof(command), "folder=%s; ctl='%s/bin/iommuctl -s %s/socket'; %s",
		 folder, build(), folder, script);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	n = fread(text, 1, sizeof(text) - 1, pipe);
	text[n] = '\0';
	status = pclose(pipe);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void folder_make(void)
{
	strcpy(folder, "/tmp/iob-asks-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void folder_remove(void)
{
	run("rm -rf \"$folder\"");
}

/* ---- one that simulates ---- */

static void write_config(void)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/conf", folder);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file,
		"[daemon]\nbackend = sim\nsocket = %s/socket\nsim-devices = 2\n"
		"[allow a]\nuser = %u\ndevice = *\ndomains = yes\ndrivers = yes\n",
		folder, (unsigned)geteuid());
	fclose(file);
}

static void broker_start(void)
{
	char program[1024], option[64];

	folder_make();
	write_config();
	snprintf(program, sizeof(program), "%s/bin/iommu-brokerd", build());
	snprintf(option, sizeof(option), "--config=%s/conf", folder);
	broker = fork();
	ck_assert_int_ge(broker, 0);
	if (broker == 0) {
		if (freopen("/dev/null", "w", stderr))
			execl(program, program, option, (char *)NULL);
		_exit(127);
	}
	ck_assert_msg(
		run("for i in $(seq 300); do $ctl status > /dev/null 2>&1 && exit; sleep 0.1; done; "
		    "exit 1") == 0,
		"the broker does not start");
}

static void broker_stop(void)
{
	kill(broker, SIGCONT);
	kill(broker, SIGTERM);
	waitpid(broker, NULL, 0);
	folder_remove();
}

static const struct {
	const char *script;
	int status;
	const char *found;
} asked[] = {
	{ "$ctl maps 7 2>&1 > /dev/null", 1,
	  "iommuctl: domain 7: none that you may see (IOB_E_GONE, step handle)\n" },
	{ "$ctl bind foo 2>&1", 1,
	  "iommuctl: device foo: none that you may see (IOB_E_NO_DEVICE, step policy)\n" },
	{ "$ctl devices foo 2>&1", 1, "iommuctl: device foo: none that you may see\n" },
	{ "$ctl devices | sed -n 2p | grep -o '^[^ ]*' > $folder/name; "
	  "$ctl devices $(cat $folder/name) | grep ' $'; $ctl devices | grep ' $'",
	  1, "" },
	{ "$ctl --json maps 7 2>/dev/null", 1,
	  "{\"domains\":[],\"error\":{\"code\":\"IOB_E_GONE\",\"step\":\"handle\",\"errno\":0,"
	  "\"text\":\"domain 7: none that you may see\"}}\n" },
	{ "$ctl --json devices foo 2>/dev/null | tr -d ' \\n'", 0,
	  "{\"error\":{\"code\":\"IOB_E_NO_DEVICE\",\"step\":\"none\",\"errno\":0,"
	  "\"text\":\"devicefoo:nonethatyoumaysee\"}}" },
	{ "$ctl devices | awk 'NR == 2 { print $1 }' > $folder/name; name=$(cat $folder/name); "
	  "$ctl unbind --yes $name > /dev/null; $ctl devices $name | grep ^state",
	  0, "state    unusable: it has no driver; see iommuctl bind\n" },
	{ "$ctl devices | awk 'NR == 2 { print $1 }' > $folder/name; "
	  "$ctl devices $(cat $folder/name) | grep ^state",
	  0, "state    free\n" },
	{ "$ctl --timeout 0 --json domains | tr -d ' \\n'", 0, "{\"domains\":[]}" },
	{ "$ctl doctor | grep -c '^error'", 1, "0\n" },
	{ "$ctl doctor | grep -o '1 client, 2 devices'", 0, "1 client, 2 devices\n" },
};

#define ASKED (int)(sizeof(asked) / sizeof(asked[0]))

START_TEST(answers)
{
	int status = run(asked[_i].script);

	ck_assert_msg(strcmp(text, asked[_i].found) == 0, "%s: %s", asked[_i].script, text);
	ck_assert_msg(status == asked[_i].status, "%s: status %d", asked[_i].script, status);
}
END_TEST

/* Devices and domains are those of the broker that the line names. */
START_TEST(completion_asks_the_broker_named)
{
	static const char script[] =
		"mkdir -p $folder/sys/bus/pci/devices/0000:00:03.0;"
		"cat > $folder/complete << 'END'\n"
		". client/iommuctl.bash; export IOMMUCTL_SYSFS=$1/sys; line=${*:3}\n"
		"read -ra COMP_WORDS <<< \"$2 $line\"; COMP_WORDS[${#COMP_WORDS[@]}]=\n"
		"COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=\"$2 $line \"; COMP_POINT=${#COMP_LINE}\n"
		"_iommuctl; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
		"END\n"
		"$ctl devices | awk 'NR > 1 { print $1 }' > $folder/names;"
		"complete() { bash $folder/complete $folder ${ctl%% *} \"$@\"; };"
		"for words in \"-s $folder/socket devices\" \"--socket = $folder/socket bind\" "
		"\"-s$folder/socket unbind\"; do"
		"  complete \"$words\" | diff - $folder/names || exit 1; done;"
		"[ $(wc -l < $folder/names) = 2 ] || exit 2;"
		"[ \"$(complete \"-s $folder/other devices\")\" = 0000:00:03.0 ] || exit 3";

	ck_assert_msg(run(script) == 0, "%s", text);
}
END_TEST

/* ---- at a terminal ---- */

/* Of "unbind", with this for an answer; what it prints is in text. */
static int status_at_terminal(const char *answer)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	char command[512];
	int status;

	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal), 0);
	ck_assert_int_eq(unlockpt(terminal), 0);
	ck_assert_int_gt(write(terminal, answer, strlen(answer)), 0);
	snprintf(
		command, sizeof(command),
		"name=$($ctl devices | awk 'NR == 2 { print $1 }'); $ctl bind --yes $name > /dev/null;"
		"$ctl unbind $name < %s > %s 2> $folder/said; s=$?; cat $folder/said; exit $s",
		ptsname(terminal), ptsname(terminal));
	status = run(command);
	close(terminal);
	return status;
}

START_TEST(answers_at_terminal)
{
	static const char *const yes[] = { "y\n", "Y\n", "yes\n", "Yes\n" };
	static const char *const no[] = { "n\n", "\n", "yesterday\n" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		ck_assert_msg(status_at_terminal(yes[i]) == 0, "%s: %s", yes[i], text);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		ck_assert_int_eq(status_at_terminal(no[i]), 1);
		ck_assert_str_eq(text, "iommuctl: not done: the answer was not yes\n");
	}
}
END_TEST

START_TEST(stopped_daemon)
{
	ck_assert_int_eq(kill(broker, SIGSTOP), 0);
	ck_assert_int_eq(run("$ctl --timeout 1 devices 2>&1"), 1);
	ck_assert_msg(strstr(text, "did not answer within 1 s") != NULL, "%s", text);
	ck_assert_int_eq(run("$ctl -t 1 --json maps 2>/dev/null"), 1);
	ck_assert_msg(strncmp(text, "{\"error\":{\"code\":\"IOB_E_SYSTEM\"", 31) == 0, "%s", text);
}
END_TEST

/* ---- the limit ---- */

/* What was printed so far, and the end that makes one object of it. SIGALRM may have come blocked and
 * ignored. */
static void wait_in_vain(const struct ctl *ctl, bool is_long)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGALRM, SIG_IGN);
	printf("{\"domains\":[{\"id\":1,\"mappings\":[");
	ctl_limit_closing("]}],");
	if (is_long)
		ctl_ask_long(ctl, (sleep(3), 0));
	else
		ctl_ask(ctl, (sleep(30), 0));
	_exit(7);
}

static int status_of(const struct ctl *ctl, bool is_long, char *out, size_t bytes)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		wait_in_vain(ctl, is_long);
	}
	close(ends[1]);
	waitpid(pid, &status, 0);
	n = read(ends[0], out, bytes - 1);
	out[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(limit_ends_what_was_begun)
{
	struct ctl ctl = { .json = true, .timeout = 1, .socket = "/a\"b" };
	char out[1024];

	ck_assert_int_eq(status_of(&ctl, false, out, sizeof(out)), CTL_FAILED);
	ck_assert_str_eq(out, "{\"domains\":[{\"id\":1,\"mappings\":[]}],\"error\":{"
			      "\"code\":\"IOB_E_SYSTEM\",\"step\":\"transport\",\"errno\":110,"
			      "\"text\":\"the broker at /a\\\"b did not answer within 1 s\"}}\n");
}
END_TEST

/* What takes long has a limit only if one was given. */
START_TEST(limit_of_what_takes_long)
{
	struct ctl ctl = { .timeout = 1 };
	char out[1024];

	ck_assert_int_eq(status_of(&ctl, true, out, sizeof(out)), 7);
	ctl.timeout_given = true;
	ck_assert_int_eq(status_of(&ctl, true, out, sizeof(out)), CTL_FAILED);
}
END_TEST

Suite *test_iommuctl_asks_suite(void)
{
	Suite *suite = suite_create("iommuctl_asks");
	TCase *limit = tcase_create("limit"), *tc = tcase_create("broker");

	tcase_add_test(limit, limit_ends_what_was_begun);
	tcase_add_test(limit, limit_of_what_takes_long);
	tcase_set_timeout(limit, 30);
	suite_add_tcase(suite, limit);
#ifndef IOB_VALGRIND /* shells, and the programs they run, are not ours to look at here */
	tcase_add_checked_fixture(tc, broker_start, broker_stop);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, answers, 0, ASKED);
	tcase_add_test(tc, completion_asks_the_broker_named);
	tcase_add_test(tc, answers_at_terminal);
	tcase_add_test(tc, stopped_daemon);
#endif
	suite_add_tcase(suite, tc);
	return suite;
}

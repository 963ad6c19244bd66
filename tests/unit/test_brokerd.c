/* SPDX-License-Identifier: MIT */
/* The daemon as it is typed: what is wrong with a command line, and what it says when it serves. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_brokerd_suite(void);

#define LISTENER 3 /* SD_LISTEN_FDS_START */

static char top[32];
static char text[4096];

static void set_up(void)
{
	strcpy(top, "/tmp/iob-brokerd-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void tear_down(void)
{
	static const char *const files[] = {
		"config", "log",	 "started",	"passed", "bin/iommu-brokerd",
		"bin",	  "demo/mapper", "demo/driver", "demo",	  "config.lock",
	};
	char path[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, files[i]);
		remove(path);
	}
	ck_assert_int_eq(rmdir(top), 0);
}

static const char *in_top(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void put(const char *name, const char *content, mode_t mode)
{
	FILE *f = fopen(in_top(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	fclose(f);
	ck_assert_int_eq(chmod(in_top(name), mode), 0);
}

static void get(const char *name)
{
	FILE *f = fopen(in_top(name), "re");

	text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
	if (f)
		fclose(f);
}

/* In a child whose output goes to the log. */
static void become_daemon(const char *const *args)
{
	const char *build = getenv("IOB_BUILD");
	const char *argv[8] = { "iommu-brokerd" };
	char program[4096];
	int log = open(in_top("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	snprintf(program, sizeof(program), "%s/bin/iommu-brokerd", build ? build : "build");
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Returns the exit status; what it said is in text. */
static int run(const char *const *args)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		become_daemon(args);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	get("log");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void says(const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in: %s", words, text);
}

/* ---- wrong usage: told before anything is read or made ---- */

#define NO_FILE "/nonexistent/iob"

static const struct {
	const char *args[4];
	const char *words;
} wrong[] = {
	{ { "-c", NO_FILE, "-b", "foo" }, "--backend foo: not auto, iommufd, type1 or sim" },
	{ { "-c", NO_FILE, "-s", "run/x" }, "--socket run/x: not an absolute path" },
	{ { "--check-config=" NO_FILE, "-b", "foo" }, "--backend foo" },
	{ { "--check-config", NO_FILE },
	  "unexpected argument: " NO_FILE "; write --check-config=" NO_FILE "\n" },
	{ { "--check-config=" NO_FILE, "x" }, "unexpected argument: x\n" },
	{ { "x" }, "unexpected argument: x\n" },
};

START_TEST(wrong_usage)
{
	const char *args[5] = { NULL };

	memcpy(args, wrong[_i].args, sizeof(wrong[_i].args));
	ck_assert_int_eq(run(args), 2);
	says(wrong[_i].words);
	ck_assert_ptr_null(strstr(text, "cannot open"));
}
END_TEST

static unsigned files_in_top(void)
{
	DIR *folder = opendir(top);
	unsigned n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n - 2;
}

START_TEST(long_socket_makes_nothing)
{
	char socket[200], config[64];
	int used = snprintf(socket, sizeof(socket), "%s/", top);

	memset(socket + used, 'x', 108 - (size_t)used);
	socket[108] = '\0';
	put("config", "[daemon]\nbackend = sim\n", 0600);
	snprintf(config, sizeof(config), "%s", in_top("config"));
	ck_assert_int_eq(run((const char *[]){ "-c", config, "-s", socket, NULL }), 2);
	says("longer than the 107 bytes");
	ck_assert_uint_eq(files_in_top(), 2); /* the configuration and the log */
}
END_TEST

START_TEST(only_a_socket_gives_way)
{
	char config[64], place[64];

	put("config", "[daemon]\nbackend = sim\n", 0600);
	snprintf(config, sizeof(config), "%s", in_top("config"));
	ck_assert_int_ne(run((const char *[]){ "-c", config, "-s", config, NULL }), 0);
	says("what is there is no socket, and stays");
	get("config");
	ck_assert_str_eq(text, "[daemon]\nbackend = sim\n");
	snprintf(place, sizeof(place), "%s/", top);
	ck_assert_int_ne(run((const char *[]){ "-c", config, "-s", place, NULL }), 0);
	says("is that of a directory");
}
END_TEST

/* ---- ready ---- */

static void listen_as(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t used = path[0] == '@' ? strlen(path) : strlen(path) + 1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char number[16];

	memcpy(a.sun_path, path, strlen(path));
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&a,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + used)) < 0 ||
	    listen(fd, 1) < 0 || dup2(fd, LISTENER) < 0)
		_exit(126);
	if (fd != LISTENER)
		close(fd);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDS", "1", 1);
}

/* Starts it with a socket from a service manager, waits until it serves, and ends it. */
static void serve(const char *passed)
{
	char config[64];
	pid_t pid;

	put("config", "[daemon]\nbackend = sim\nsocket = /nonexistent/configured\n", 0600);
	snprintf(config, sizeof(config), "%s", in_top("config"));
	unlink(in_top("log"));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		listen_as(passed);
		become_daemon((const char *[]){ "-c", config, NULL });
	}
	for (int i = 0; i < 3000; i++) {
		get("log");
		if (strstr(text, "ready:") || waitpid(pid, NULL, WNOHANG) == pid)
			break;
		usleep(10000);
	}
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	get("log");
}

START_TEST(ready_names_the_socket_that_was_passed)
{
	char path[64], words[128];

	snprintf(path, sizeof(path), "%s", in_top("passed"));
	serve(path);
	snprintf(words, sizeof(words), "devices, socket %s from the service manager\n", path);
	says(words);
	snprintf(path, sizeof(path), "@%s", top + 1);
	serve(path);
	snprintf(words, sizeof(words), "devices, socket %s from the service manager\n", path);
	says(words);
	ck_assert_ptr_null(strstr(text, "<6>")); /* which is for the journal */
}
END_TEST

/* ---- the demo, with a daemon that makes no socket ---- */

START_TEST(demo_leaves_nothing_behind)
{
	char command[256], folder[64] = "";
	struct stat st;
	int pid = 0;

	ck_assert_int_eq(mkdir(in_top("bin"), 0755), 0);
	snprintf(command, sizeof(command),
		 "#!/bin/sh\necho $$ ${2%%/*} >%s/started\nexec sleep 1000\n", top);
	put("bin/iommu-brokerd", command, 0755);
	ck_assert_int_eq(mkdir(in_top("demo"), 0755), 0);
	put("demo/mapper", "", 0755);
	put("demo/driver", "", 0755);
	snprintf(command, sizeof(command), "VM=0 IOB_BUILD=%s tests/demo/demo.sh >%s/log 2>&1", top,
		 top);
	ck_assert_int_ne(system(command), 0); /* NOLINT(cert-env33-c): our own script */
	get("started");
	ck_assert_int_eq(sscanf(text, "%d %63s", &pid, folder), 2);
	ck_assert_int_lt(kill(pid, 0), 0);
	ck_assert_msg(stat(folder, &st) < 0, "%s is still there", folder);
}
END_TEST

Suite *test_brokerd_suite(void)
{
	Suite *suite = suite_create("brokerd");
	TCase *tests = tcase_create("brokerd");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, wrong_usage, 0, (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tests, long_socket_makes_nothing);
	tcase_add_test(tests, only_a_socket_gives_way);
	tcase_add_test(tests, ready_names_the_socket_that_was_passed);
	tcase_add_test(tests, demo_leaves_nothing_behind);
	suite_add_tcase(suite, tests);
	return suite;
}

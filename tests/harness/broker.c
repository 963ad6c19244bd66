/* SPDX-License-Identifier: MIT */
/*
 * broker.c - starts and ends the broker under test.
 *
 * Its standard error goes through a pipe to a process that writes the log: a session whose standard
 * error is a regular file keeps a right that it otherwise gives up. The pipe ends when the last
 * process of the broker has ended, so the writer never has to be told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/internal.h"

struct broker broker;

const char *broker_socket(void)
{
	return broker.socket;
}

pid_t broker_monitor(void)
{
	if (broker.keeper)
		broker.monitor = keeper_monitor();
	return broker.monitor;
}

/* ---- files ---- */

/* Where the programs are: IOB_BUILD, or the directory above that of the tests. */
static const char *build_directory(void)
{
	static char path[PATH_MAX];
	const char *set = getenv("IOB_BUILD");
	ssize_t n;

	if (set)
		return set;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	for (int i = 0; i < 2; i++)
		*strrchr(path, '/') = '\0';
	return path;
}

/* Logs are kept in the build directory where that can be written. */
static void choose_log(const char *name)
{
	char directory[PATH_MAX - 80];

	snprintf(directory, sizeof(directory), "%s/log", build_directory());
	if (access(directory, W_OK) < 0)
		snprintf(directory, sizeof(directory), "%s", broker.directory);
	snprintf(broker.log, sizeof(broker.log), "%s/%s-%s.log", directory,
		 program_invocation_short_name, name);
}

static void make_files(const struct broker_options *o)
{
	char path[128];

	snprintf(broker.directory, sizeof(broker.directory), "/tmp/iob-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(broker.directory));
	ck_assert_int_eq(chmod(broker.directory, 0755), 0);
	snprintf(broker.socket, sizeof(broker.socket), "%s/socket", broker.directory);
	choose_log(o->name ? o->name : "broker");
	snprintf(path, sizeof(path), "%s/conf", broker.directory);
	config_write(path, o);
	snprintf(path, sizeof(path), "%s/faults", broker.directory);
	setenv("IOB_SIM_LOG", path, 1);
}

static void remove_drop_ins(void)
{
	char path[384];
	struct dirent *e;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/conf.d", broker.directory);
	folder = opendir(path);
	if (!folder)
		return;
	while ((e = readdir(folder)) != NULL)
		unlinkat(dirfd(folder), e->d_name, 0);
	closedir(folder);
	rmdir(path);
}

static void remove_files(void)
{
	static const char *const files[] = { "conf", "faults", "notify", "socket", "socket.lock" };
	char path[128];

	remove_drop_ins();
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", broker.directory, files[i]);
		unlink(path);
	}
	if (strncmp(broker.log, broker.directory, strlen(broker.directory)) == 0)
		unlink(broker.log);
	rmdir(broker.directory);
}

/* ---- log ---- */

static void write_log(int from, int to)
{
	char buffer[4096];
	ssize_t n;

	signal(SIGINT, SIG_IGN);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)n) != n)
			break;
	_exit(0);
}

/* Returns the end that the broker writes to. */
static int start_logger(void)
{
	int pipe_fds[2], log;

	unlink(broker.log);
	log = open(broker.log, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	ck_assert_msg(log >= 0, "%s: %s", broker.log, strerror(errno));
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	broker.logger = fork();
	ck_assert_int_ge(broker.logger, 0);
	if (broker.logger == 0) {
		close(pipe_fds[1]);
		write_log(pipe_fds[0], log);
	}
	close(pipe_fds[0]);
	close(log);
	return pipe_fds[1];
}

size_t broker_log_count(const char *text)
{
	FILE *f = fopen(broker.log, "re");
	char line[1024];
	size_t n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

bool broker_log_has(const char *text)
{
	return broker_log_count(text) > 0;
}

static bool log_has(void *text)
{
	return broker_log_has(text);
}

bool broker_log_gets(const char *text)
{
	return wait_until(log_has, (void *)(uintptr_t)text);
}

/* ---- start ---- */

void run_monitor(int log, unsigned inherited)
{
	char program[PATH_MAX], config[128];

	prctl(PR_SET_PDEATHSIG, inherited ? SIGKILL : SIGTERM);
	snprintf(program, sizeof(program), "%s/bin/iommu-brokerd", build_directory());
	snprintf(config, sizeof(config), "%s/conf", broker.directory);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	syscall(SYS_close_range, STDERR_FILENO + 1 + inherited, ~0U, 0);
	execl(program, program, "--config", config, (char *)NULL);
	dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

static void monitor_start(int log)
{
	broker.monitor = fork();
	ck_assert_int_ge(broker.monitor, 0);
	if (broker.monitor == 0)
		run_monitor(log, 0);
}

static bool serves(void *let_in)
{
	iob_conn *conn;
	int status, code;

	if (!broker.keeper && waitpid(broker.monitor, &status, WNOHANG) != 0) {
		broker.monitor = 0;
		return true;
	}
	code = iob_connect(broker.socket, &conn);
	*(bool *)let_in = code == IOB_OK;
	if (code == IOB_OK)
		iob_conn_close(conn);
	return code != IOB_E_CONNECT;
}

void broker_start(const struct broker_options *o)
{
	bool let_in = false;
	int log;

	ck_assert_msg(broker.monitor == 0 || broker.parent != getpid(), "there is a broker");
	memset(&broker, 0, sizeof(broker));
	broker.parent = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	make_files(o);
	log = start_logger();
	if (!o->alone && (o->kept || getenv("IOB_TEST_KEPT")))
		keeper_start(log);
	else
		monitor_start(log);
	close(log);
	if (!wait_until(serves, &let_in) || broker_monitor() == 0)
		ck_abort_msg("the broker did not start; see %s", broker.log);
	baseline_take(let_in);
}

/* ---- another configuration ---- */

static bool reload_ended(void *unused)
{
	char done[32], failed[32];

	(void)unused;
	snprintf(done, sizeof(done), "reload %u: done", broker.reloads);
	snprintf(failed, sizeof(failed), "reload %u: failed", broker.reloads);
	return broker_log_has(done) || broker_log_has(failed);
}

bool broker_reloads(const struct broker_options *o)
{
	char path[128], done[32];

	snprintf(path, sizeof(path), "%s/conf", broker.directory);
	config_write(path, o);
	snprintf(done, sizeof(done), "reload %u: done", ++broker.reloads);
	ck_assert_int_eq(kill(broker_monitor(), SIGHUP), 0);
	if (!wait_until(reload_ended, NULL))
		ck_abort_msg("the broker does not reload; see %s", broker.log);
	return broker_log_has(done);
}

void broker_drop_in(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/conf.d", broker.directory);
	if (mkdir(path, 0755) < 0)
		ck_assert_int_eq(errno, EEXIST);
	snprintf(path, sizeof(path), "%s/conf.d/%s", broker.directory, name);
	config_write_drop_in(path, text);
}

/* ---- end ---- */

static bool keeper_is_gone(void *unused)
{
	(void)unused;
	return !process_lives(broker.keeper);
}

static bool all_gone(void *unused)
{
	(void)unused;
	return broker_processes(NULL, 0) == 0;
}

/* What the processes of the broker have no business to write, whatever clients do. */
static void check_log(void)
{
	static const char *const alarms[] = {
		"Sanitizer",
		"runtime error:",
		"broke the private protocol",
		"what does not exist",
		"answered what was not asked",
		"it does not answer",
		"does not read its channel",
		"makes no sense",
		"cannot lock up",
	};

	for (size_t i = 0; i < COUNT(alarms); i++)
		ck_assert_msg(!broker_log_has(alarms[i]), "\"%s\" in %s", alarms[i], broker.log);
}

void broker_ends(void)
{
	if (broker.keeper)
		broker_is_stopped();
	else
		kill(broker.monitor, SIGTERM);
	if (!wait_until(all_gone, NULL))
		ck_abort_msg("%zu processes of the broker do not end", broker_processes(NULL, 0));
	check_log();
}

static bool monitor_is_gone(void *unused)
{
	(void)unused;
	return !process_lives(broker.monitor);
}

void broker_monitor_dies(void)
{
	kill(broker.monitor, SIGKILL);
	ck_assert(wait_until(monitor_is_gone, NULL));
}

static bool another_serves(void *before)
{
	bool let_in;

	return broker_monitor() != *(pid_t *)before && serves(&let_in);
}

static bool has_monitor(void *pid)
{
	return (*(pid_t *)pid = broker_monitor()) > 0;
}

void broker_restarts(void)
{
	pid_t before;

	ck_assert(
		wait_until(has_monitor, &before)); /* of a shaken broker it is away now and then */
	kill(before, SIGKILL);
	ck_assert(wait_until(another_serves, &before));
}

static bool no_monitor(void *unused)
{
	(void)unused;
	return broker_monitor() == 0;
}

void broker_monitor_away(int sig)
{
	pid_t before = broker_monitor();

	keeper_waits(true);
	if (before > 0)
		kill(before, sig);
	ck_assert(wait_until(no_monitor, NULL));
}

void broker_monitor_back(void)
{
	pid_t before = 0;

	keeper_waits(false);
	ck_assert(wait_until(another_serves, &before));
}

void broker_is_stopped(void)
{
	kill(broker.keeper, SIGTERM);
	ck_assert(wait_until(keeper_is_gone, NULL));
	broker.keeper = 0;
	broker.monitor = 0;
}

/* What does not even end by SIGKILL hangs in the kernel: say where. */
static void tell_survivor(pid_t pid)
{
	char path[64], where[256] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	f = fopen(path, "re");
	if (f && fgets(where, sizeof(where), f))
		where[strcspn(where, "\n")] = '\0';
	if (f)
		fclose(f);
	fprintf(stderr, "process %d of the broker cannot be killed: it is in %s\n", (int)pid,
		where);
}

static bool all_reaped(void *unused)
{
	(void)unused;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return waitpid(-1, NULL, WNOHANG) < 0;
}

/* Also after a test that failed half-way. Never waits for good. */
void broker_stop(void)
{
	pid_t pids[256];
	size_t n = broker_processes(pids, COUNT(pids));

	if (broker.parent != getpid())
		return;
	if (broker.keeper) {
		kill(broker.keeper, SIGKILL);
		wait_until(keeper_is_gone, NULL);
		broker.keeper = 0;
	}
	for (size_t i = 0; i < n && i < COUNT(pids); i++)
		kill(pids[i], SIGKILL);
	if (!wait_until(all_gone, NULL)) {
		n = broker_processes(pids, COUNT(pids));
		for (size_t i = 0; i < n && i < COUNT(pids); i++)
			tell_survivor(pids[i]);
		kill(broker.logger, SIGKILL);
	}
	wait_until(all_reaped, NULL);
	remove_files();
	broker.monitor = 0;
}

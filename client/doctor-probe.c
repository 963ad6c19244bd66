/* SPDX-License-Identifier: MIT */
/*
 * doctor-probe.c - the broker itself, asked with a limit of time; programs and what they print.
 *
 * The library waits for an answer as long as it takes. Here that would be the wrong answer, so a
 * child asks, and what it heard comes through a pipe.
 */
#define _GNU_SOURCE /* pipe2(), O_PATH */

#include "doctor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void doctor_socket_path(const struct doctor *d, char path[DOCTOR_PATH])
{
	const char *name = d->policy.socket[0] ? d->policy.socket : IOB_DEFAULT_SOCKET;

	if (d->socket)
		snprintf(path, DOCTOR_PATH, "%s", d->socket);
	else if (!doctor_path(d, path, "%s", name))
		path[0] = '\0';
}

/* ---- waiting with a limit ---- */

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads until the other end is closed. Bytes read, those beyond the buffer left out, or -errno. */
static ssize_t read_until(int fd, void *buffer, size_t bytes, long long end_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char beyond[512];
	size_t length = 0;

	for (;;) {
		long long left = end_ms - now_ms();
		bool full = length == bytes;
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -ETIMEDOUT;
		n = full ? read(fd, beyond, sizeof(beyond)) :
			   read(fd, (char *)buffer + length, bytes - length);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : (ssize_t)length;
		length += full ? 0 : (size_t)n;
	}
}

/* Its exit status; 128 and more for a signal. Killed first when it is to be. */
static int child_end(pid_t pid, bool kill_it)
{
	int status = 0;

	if (kill_it)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- the broker ---- */

/* Good to know, and no reason to call a broker broken that does not tell. */
static void ask_for_devices(iob_conn *conn, struct doctor_answer *a)
{
	struct iob_device_rec *list;
	size_t count;

	if (iob_device_list(conn, &list, &count) != IOB_OK)
		return;
	for (size_t i = 0; i < count && a->open_count < DOCTOR_MAX_OPEN; i++)
		if (list[i].flags & IOB_DEVICE_OPENED)
			snprintf(a->open[a->open_count++], IOB_NAME_BYTES, "%s", list[i].name);
	free(list);
}

static void ask(const char *path, struct doctor_answer *a)
{
	iob_conn *conn = NULL;
	int code = iob_connect(path, &conn);
	const struct iob_error *e;

	if (code == IOB_OK) {
		a->backend = iob_conn_hello(conn)->backend;
		code = iob_status(conn, &a->status);
	}
	if (code == IOB_OK)
		ask_for_devices(conn, a);
	a->code = code;
	if (code != IOB_OK) {
		e = iob_error();
		a->step = e->step;
		a->sys_errno = e->sys_errno;
		snprintf(a->text, sizeof(a->text), "%s", e->text);
	}
	iob_conn_close(conn);
}

/* A root may be longer than the address of a socket: by a descriptor of its folder it fits. */
static void ask_by_folder(const char *path, const char *slash, struct doctor_answer *a)
{
	char folder[DOCTOR_PATH], way[DOCTOR_PATH + 32];
	int fd;

	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		a->sys_errno = errno;
		snprintf(a->text, sizeof(a->text), "%s", strerror(errno));
		return;
	}
	snprintf(way, sizeof(way), "/proc/self/fd/%d%s", fd, slash);
	ask(way, a);
	close(fd);
}

static void ask_in_child(const struct doctor *d, const char *path, int out)
{
	struct doctor_answer a = { .code = IOB_E_CONNECT };
	const char *slash = strrchr(path, '/');
	ssize_t n;

	if (!d->socket && d->root[0] && slash)
		ask_by_folder(path, slash, &a);
	else
		ask(path, &a);
	n = write(out, &a, sizeof(a));
	_exit(n != (ssize_t)sizeof(a));
}

void doctor_probe(struct doctor *d, const char *socket_path)
{
	struct doctor_answer a = { .code = IOB_E_SYSTEM, .text = "it could not be asked" }, heard;
	int ends[2];
	pid_t pid;

	d->answer = a;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		ask_in_child(d, socket_path, ends[1]);
	close(ends[1]);
	if (pid > 0) {
		ssize_t n = read_until(ends[0], &heard, sizeof(heard), now_ms() + d->patience_ms);

		if (n == (ssize_t)sizeof(heard))
			d->answer = heard;
		else
			d->answer.silent = n == -ETIMEDOUT;
		child_end(pid, n == -ETIMEDOUT);
	}
	close(ends[0]);
}

/* ---- programs ---- */

static void exec_in_child(const char *root, char *const argv[], int out)
{
	int null = open("/dev/null", O_RDONLY);

	if (root[0] && chdir(root) < 0)
		_exit(127);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

int doctor_program(const struct doctor *d, char *const argv[], char *output, size_t bytes)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	output[0] = '\0';
	if (access(argv[0], X_OK) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exec_in_child(d->root, argv, ends[1]);
	close(ends[1]);
	n = pid < 0 ? -errno : read_until(ends[0], output, bytes - 1, now_ms() + d->patience_ms);
	close(ends[0]);
	if (pid < 0)
		return (int)n;
	output[n > 0 ? n : 0] = '\0';
	status = child_end(pid, n < 0);
	return n < 0 ? (int)n : status;
}

/* Processes that the monitor makes to change drivers or to read names have its name as well. */
static bool is_child_of_monitor(const struct doctor *d, const char *process)
{
	doctor_cleanup_free char *status = doctor_file(d, "/proc/%s/status", process);
	const char *parent = status ? strstr(status, "\nPPid:") : NULL;
	char comm[32];

	return parent &&
	       doctor_line(d, comm, sizeof(comm), "/proc/%ld/comm",
			   strtol(parent + strlen("\nPPid:"), NULL, 10)) &&
	       !strcmp(comm, "iommu-brokerd");
}

long doctor_find_monitor(const struct doctor *d)
{
	doctor_cleanup_names struct doctor_names n;
	long found = 0;
	char comm[32];
	uid_t owner = 0;

	doctor_names(d, &n, "/proc");
	for (size_t i = 0; i < n.count; i++) {
		long pid = strtol(n.names[i], NULL, 10);

		if (isdigit((unsigned char)n.names[i][0]) && (!found || pid < found) &&
		    doctor_line(d, comm, sizeof(comm), "/proc/%s/comm", n.names[i]) &&
		    !strcmp(comm, "iommu-brokerd") &&
		    doctor_owner(d, &owner, "/proc/%s", n.names[i]) && doctor_is_ours(d, owner) &&
		    !is_child_of_monitor(d, n.names[i]))
			found = pid;
	}
	return found;
}

/* SPDX-License-Identifier: MIT */
/*
 * keeper.c - what a service manager does for the broker, without one: it listens on its socket,
 * starts the monitor, starts it again whenever it ends, and keeps descriptors meanwhile, as
 * systemd does by sd_notify(3) and sd_listen_fds(3).
 *
 * Everything in a process of its own, for the test waits for what the monitor does, and the monitor
 * for what the keeper does. SIGTERM: what is kept is closed, and it ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/internal.h"

#define KEEPER_MAX_FDS	  4096
#define KEEPER_MAX_PASSED 16

static struct keeper {
	int notify;
	int listener;
	int log;
	bool reloading;
	size_t count;
	struct {
		int fd;
		char name[64];
	} kept[KEEPER_MAX_FDS];
} keeper;

/* Seen by the test. */
static volatile struct shared {
	pid_t monitor; /* 0: none */
	size_t kept;
	bool away; /* the next one is not started yet */
} * shared;

static volatile sig_atomic_t stopping;

pid_t keeper_monitor(void)
{
	return shared ? shared->monitor : 0;
}

size_t broker_kept_fds(void)
{
	return shared ? shared->kept : 0;
}

void keeper_waits(bool away)
{
	shared->away = away;
}

bool broker_is_shaken(void)
{
	return getenv("IOB_TEST_KILL") != NULL;
}

static void die(const char *what)
{
	fprintf(stderr, "keeper: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* ---- sockets ---- */

static int bound_socket(int type, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0666) < 0)
		die(path);
	return fd;
}

/* ---- what the monitor says ---- */

static bool has_line(const char *state, const char *line)
{
	const char *at = strstr(state, line);
	size_t n = strlen(line);

	return at && (at == state || at[-1] == '\n') && (at[n] == '\n' || at[n] == '\0');
}

static void name_of(const char *state, char name[64])
{
	const char *at = strstr(state, "FDNAME=");

	name[0] = '\0';
	if (at)
		snprintf(name, 64, "%.*s", (int)strcspn(at + 7, "\n"), at + 7);
}

/* As with systemd, a further descriptor of an open file is not kept, under whatever name. */
static bool is_kept(int fd)
{
	for (size_t i = 0; i < keeper.count; i++)
		if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, keeper.kept[i].fd, fd) == 0)
			return true;
	return false;
}

static void keep(const char *name, int fd)
{
	if (is_kept(fd)) {
		close(fd);
		return;
	}
	if (keeper.count == KEEPER_MAX_FDS)
		die("too many descriptors");
	keeper.kept[keeper.count].fd = fd;
	snprintf(keeper.kept[keeper.count++].name, 64, "%s", name);
}

static void forget(const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < keeper.count; i++) {
		if (strcmp(keeper.kept[i].name, name) == 0)
			close(keeper.kept[i].fd);
		else
			keeper.kept[n++] = keeper.kept[i];
	}
	keeper.count = n;
}

static void on_message(const char *state, const int *fds, size_t count)
{
	bool store = has_line(state, "FDSTORE=1");
	char name[64];

	name_of(state, name);
	for (size_t i = 0; i < count; i++) {
		if (store)
			keep(name, fds[i]);
		else
			close(fds[i]); /* BARRIER=1: that is the answer */
	}
	if (has_line(state, "FDSTOREREMOVE=1"))
		forget(name);
	if (has_line(state, "RELOADING=1"))
		keeper.reloading = true;
	if (keeper.reloading && has_line(state, "READY=1")) {
		keeper.reloading = false;
		dprintf(keeper.log, "keeper: reloaded\n");
	}
	shared->kept = keeper.count;
}

static bool take_message(void)
{
	char text[1024];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(KEEPER_MAX_PASSED * sizeof(int))];
	} control;
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(keeper.notify, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[KEEPER_MAX_PASSED];
	size_t count = 0;

	if (n < 0)
		return false;
	text[n] = '\0';
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	}
	on_message(text, fds, count);
	return true;
}

/* ---- the monitor ---- */

/* From 3 on without a gap. First all go where none is in another's way. */
static void arrange_fds(void)
{
	int high = 3 + (int)keeper.count + 1;
	int listener = fcntl(keeper.listener, F_DUPFD_CLOEXEC, high);

	for (size_t i = 0; i < keeper.count; i++)
		keeper.kept[i].fd = fcntl(keeper.kept[i].fd, F_DUPFD_CLOEXEC, high);
	keeper.log = fcntl(keeper.log, F_DUPFD_CLOEXEC, high);
	if (dup2(listener, 3) < 0)
		die("dup2");
	for (size_t i = 0; i < keeper.count; i++)
		if (dup2(keeper.kept[i].fd, 4 + (int)i) < 0)
			die("dup2");
}

static void set_environment(void)
{
	static char names[KEEPER_MAX_FDS * 64];
	char number[16], path[128];

	snprintf(names, sizeof(names), "listen");
	for (size_t i = 0; i < keeper.count; i++) {
		strcat(names, ":");
		strcat(names, keeper.kept[i].name);
	}
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%zu", keeper.count + 1);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(path, sizeof(path), "%s/notify", broker.directory);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("FDSTORE", "4096", 0); /* a test may have said less */
}

static void monitor_start(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		signal(SIGTERM, SIG_DFL);
		arrange_fds();
		set_environment();
		run_monitor(keeper.log, (unsigned)keeper.count + 1);
	}
	shared->monitor = pid;
}

/* As systemd does, everything it said is heard before its end is. */
static void collect(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != shared->monitor)
			continue;
		while (take_message())
			;
		shared->monitor = 0;
	}
	if (shared->monitor == 0 && !shared->away && !stopping)
		monitor_start();
}

static void kill_monitor(void)
{
	if (shared->monitor != 0)
		kill(shared->monitor, SIGKILL);
}

static void on_sigterm(int sig)
{
	(void)sig;
	stopping = 1;
}

static unsigned kill_interval_ms(void)
{
	const char *ms = getenv("IOB_TEST_KILL");

	return ms ? (unsigned)atoi(ms) : 0;
}

static void keeper_loop(void)
{
	struct pollfd p = { .fd = keeper.notify, .events = POLLIN };
	unsigned interval = kill_interval_ms(), waited = 0, next = interval;

	while (!stopping) {
		poll(&p, 1, 2);
		while (take_message())
			;
		collect();
		waited += 2;
		if (interval && waited >= next) {
			kill_monitor();
			waited = 0;
			next = interval / 2 + (unsigned)rand() % interval;
		}
	}
	kill_monitor();
	while (shared->monitor != 0 && waitpid(shared->monitor, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

void keeper_start(int log)
{
	char path[128];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert(shared != MAP_FAILED);
	broker.keeper = fork();
	ck_assert_int_ge(broker.keeper, 0);
	if (broker.keeper != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	signal(SIGTERM, on_sigterm);
	srand((unsigned)getpid());
	snprintf(path, sizeof(path), "%s/notify", broker.directory);
	keeper.notify = bound_socket(SOCK_DGRAM, path);
	keeper.listener = bound_socket(SOCK_SEQPACKET, broker.socket);
	if (listen(keeper.listener, 128) < 0)
		die("listen");
	keeper.log = log;
	monitor_start();
	keeper_loop();
}

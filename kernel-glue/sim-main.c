/* SPDX-License-Identifier: MIT */
/*
 * sim-main.c - iommu-broker-sim: a kernel's VFIO and IOMMU, played by a process.
 *
 *	iommu-broker-sim DEVICES		control socket on fd 3
 *
 * The parent ends when the simulator is ready (status 0), so whoever starts it waits for that and
 * nothing else. It serves until the last socket is closed: the death of the monitor ends the
 * control socket only. Environment: IOB_SIM_LOG, where faults go; IOB_SIM_MEMLOCK, bytes that may
 * be mapped in one context (ENOMEM beyond).
 *
 * It confines itself a little, for the sake of the machine it is tried out on; it is a stand-in,
 * not a security boundary.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-glue/sim-eventfd.h"
#include "kernel-glue/sim-log.h"
#include "kernel-glue/sim-memory.h"
#include "kernel-glue/sim-object.h"

#define NOBODY		    65534u
#define MAX_FDS		    8192u
#define MEMLOCK_ENVIRONMENT "IOB_SIM_MEMLOCK"

static int complain(const char *what, int error)
{
	fprintf(stderr, "iommu-broker-sim: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

/* Decimal, all of it, at most limit; 0 when it is not. */
static uint64_t parse_number(const char *text, uint64_t limit)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno || *end || value > limit ? 0 : value;
}

static uint64_t get_max_bytes(void)
{
	const char *text = getenv(MEMLOCK_ENVIRONMENT);
	uint64_t bytes = text ? parse_number(text, UINT64_MAX) : 0;

	return bytes ? bytes : UINT64_MAX;
}

static int set_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max < MAX_FDS ? limit.rlim_max : MAX_FDS;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

static int drop_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
			       setresuid(NOBODY, NOBODY, NOBODY)))
		return -errno;
#ifndef IOB_INSTRUMENTED /* a leak checker attaches to its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
#endif
	return geteuid() == 0 ? -EPERM : 0;
}

/* Out of the starter's session: what ends it from a terminal is not meant for us. And off its
 * standard input and output: who waits for their end must not wait for us. */
static int detach_from_starter(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGPIPE, SIG_IGN);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	close(null);
	return chdir("/") ? -errno : 0;
}

static int prepare(struct sim_world *w, uint32_t devices)
{
	int error = detach_from_starter();

	if (!error)
		error = sim_log_open();
	if (!error)
		error = set_limits();
	if (!error)
		error = drop_privileges();
	if (!error)
		error = sim_memory_init();
	if (!error)
		error = sim_eventfd_init();
	if (!error)
		error = sim_world_init(w, devices, get_max_bytes());
	if (!error)
		error = sim_handle_adopt(w, SIM_KIND_CONTROL, SIM_CONTROL_FD);
	return error;
}

static int serve(uint32_t devices, int ready_fd)
{
	struct sim_world world;
	int error = prepare(&world, devices);

	if (error)
		return complain("cannot start", error);
	if (write(ready_fd, "", 1) != 1)
		return EXIT_FAILURE;
	close(ready_fd);
	event_base_dispatch(world.base); /* until there is no event left: no handle */
	sim_world_deinit(&world);
	libevent_global_shutdown();
	return EXIT_SUCCESS;
}

/* The parent: ready, or gone without a word. */
static int wait_ready(int fd, pid_t child)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_SUCCESS;
	waitpid(child, NULL, 0);
	return EXIT_FAILURE;
}

static bool is_control_socket(int fd)
{
	int type = 0;
	socklen_t bytes = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	const uint64_t devices = argc == 2 ? parse_number(argv[1], SIM_MAX_DEVICES) : 0;
	int ready[2];
	pid_t child;

	if (!devices || !is_control_socket(SIM_CONTROL_FD)) {
		fprintf(stderr, "iommu-broker-sim: started by iommu-brokerd, not by hand\n");
		return EXIT_FAILURE;
	}
	if (fcntl(SIM_CONTROL_FD, F_SETFD, FD_CLOEXEC) || pipe2(ready, O_CLOEXEC))
		return complain("pipe", -errno);
	child = fork();
	if (child < 0)
		return complain("fork", -errno);
	if (child > 0) {
		close(ready[1]);
		return wait_ready(ready[0], child);
	}
	close(ready[0]);
	return serve((uint32_t)devices, ready[1]);
}

/* SPDX-License-Identifier: MIT */
/*
 * sim-log.c - one line per fault, at most LINES_PER_SECOND, and never waiting for the reader of a
 * pipe: a line that does not fit is lost.
 */
#include "kernel-glue/sim-log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINES_PER_SECOND 200u

int sim_log_open(void)
{
	const char *path = getenv(SIM_LOG_ENVIRONMENT);
	int fd, error = 0;

	if (!path || !*path)
		return 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (fd < 0)
		return -errno;
	if (dup2(fd, STDERR_FILENO) < 0)
		error = -errno;
	close(fd);
	return error;
}

static bool may_write(void)
{
	static time_t second;
	static unsigned int lines;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		lines = 0;
	}
	/* a pipe is writable when PIPE_BUF bytes fit, and a line is shorter */
	return lines++ < LINES_PER_SECOND && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

void sim_log_fault(const char *device, bool write_access, uint64_t iova)
{
	if (!may_write())
		return;
	dprintf(STDERR_FILENO,
		"DMAR: [DMA %s NO_PASID] Request device [%s] fault addr 0x%llx "
		"[fault reason 0x%02x] PTE %s access is not set\n",
		write_access ? "Write" : "Read", device,
		(unsigned long long)iova & ~UINT64_C(0xfff), write_access ? 5u : 6u,
		write_access ? "Write" : "Read");
}

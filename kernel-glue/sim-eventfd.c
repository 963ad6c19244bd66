/* SPDX-License-Identifier: MIT */
/*
 * sim-eventfd.c - signalling without waiting.
 *
 * The file description is shared with a client, so O_NONBLOCK is not ours to set, and eventfd
 * takes no RWF_NOWAIT for writing. poll() first is the answer for honest clients; one that fills
 * the counter between poll() and write() is met by a timer whose signal ends the write.
 */
#include "kernel-glue/sim-eventfd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define GUARD_US 2000

static void on_alarm(int signal_number)
{
	(void)signal_number; /* it is the interruption that counts */
}

int sim_eventfd_init(void)
{
	struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */

	return sigaction(SIGALRM, &action, NULL) ? -errno : 0;
}

/* It repeats: a signal before the system call began would be no use. */
static void set_guard(long us)
{
	const struct itimerval t = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	setitimer(ITIMER_REAL, &t, NULL);
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) == 1 && (p.revents & events);
}

bool sim_eventfd_check(int fd)
{
	static const char kind[] = "anon_inode:[eventfd]";
	char path[32], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	return n == (ssize_t)sizeof(kind) - 1 && memcmp(target, kind, (size_t)n) == 0;
}

void sim_eventfd_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	if (!is_ready(fd, POLLOUT))
		return;
	set_guard(GUARD_US);
	n = write(fd, &one, sizeof(one));
	set_guard(0);
	(void)n;
}

bool sim_eventfd_take(int fd)
{
	uint64_t count;
	ssize_t n;

	if (!is_ready(fd, POLLIN))
		return false;
	set_guard(GUARD_US);
	n = read(fd, &count, sizeof(count));
	set_guard(0);
	return n == sizeof(count);
}

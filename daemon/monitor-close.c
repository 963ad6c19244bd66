/* SPDX-License-Identifier: MIT */
/*
 * monitor-close.c - closing what somebody else chose, without waiting for it.
 *
 * Each lot is closed in a thread of its own, for any of them may hang for good. Where no further
 * thread can be had the lot stays open and is tried again later: what an attacker piles up are
 * descriptors, and without descriptors the monitor pauses accepting; it never waits for him.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

#define CLOSER_STACK_BYTES ((size_t)65536)
#define CLOSER_MAX_THREADS 64
#define CLOSER_RETRY_US	   200000

struct closing {
	unsigned count;
	int fd[];
};

static struct event_base *base;
static atomic_uint running;

void close_init(struct event_base *b)
{
	base = b;
}

static void *close_all(void *arg)
{
	struct closing *c = arg;

	for (unsigned i = 0; i < c->count; i++)
		close(c->fd[i]);
	free(c);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static bool closing_start(struct closing *c)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (atomic_fetch_add(&running, 1) < CLOSER_MAX_THREADS) {
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, CLOSER_STACK_BYTES);
		int r = pthread_create(&thread, &attr, close_all, c);

		pthread_attr_destroy(&attr);
		if (r == 0)
			return true;
	}
	atomic_fetch_sub(&running, 1);
	return false;
}

static void on_retry(evutil_socket_t fd, short what, void *arg);

static void closing_start_or_wait(struct closing *c)
{
	struct timeval pause = { .tv_usec = CLOSER_RETRY_US };

	if (closing_start(c))
		return;
	if (event_base_once(base, -1, EV_TIMEOUT, on_retry, c, &pause) < 0) {
		log_warn("%u foreign descriptors stay open: out of memory", c->count);
		free(c);
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	closing_start_or_wait(arg);
}

void close_foreign(struct fd_list *fds)
{
	if (fds->count == 0)
		return;
	struct closing *c = malloc(sizeof(*c) + fds->count * sizeof(int));

	if (!c) {
		log_warn("%u foreign descriptors stay open: out of memory", fds->count);
		fds->count = 0;
		return;
	}
	c->count = 0;
	for (unsigned i = 0; i < fds->count; i++)
		if (fds->fd[i] >= 0)
			c->fd[c->count++] = fds->fd[i];
	fds->count = 0;
	closing_start_or_wait(c);
}

/* Both ends of a handle that are on their way: the monitor's copies can be the last ones, and the
 * client may have used its end already. */
void close_pair(const int pair[2])
{
	struct fd_list both = { .count = 2 };

	both.fd[0] = pair[0];
	both.fd[1] = pair[1];
	close_foreign(&both);
}

void close_foreign_fd(int fd)
{
	struct fd_list one = { .count = 1 };

	one.fd[0] = fd;
	close_foreign(&one);
}

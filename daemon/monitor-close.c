/* SPDX-License-Identifier: MIT */
/* monitor-close.c - closing what somebody else chose, without waiting for it. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

#define CLOSER_STACK_BYTES ((size_t)65536)

struct closing {
	unsigned count;
	int fd[];
};

static void *close_all(void *arg)
{
	struct closing *c = arg;

	for (unsigned i = 0; i < c->count; i++)
		close(c->fd[i]);
	free(c);
	return NULL;
}

static struct closing *closing_take(struct fd_list *fds)
{
	struct closing *c = malloc(sizeof(*c) + fds->count * sizeof(int));

	if (!c)
		return NULL;
	c->count = 0;
	for (unsigned i = 0; i < fds->count; i++)
		if (fds->fd[i] >= 0)
			c->fd[c->count++] = fds->fd[i];
	fds->count = 0;
	return c;
}

void close_foreign(struct fd_list *fds)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (fds->count == 0)
		return;
	struct closing *c = closing_take(fds);

	if (!c) {
		log_warn("out of memory: closing foreign descriptors in line");
		fd_list_close(fds);
		return;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, CLOSER_STACK_BYTES);
	if (c->count == 0 || pthread_create(&thread, &attr, close_all, c) != 0)
		close_all(c);
	pthread_attr_destroy(&attr);
}

void close_foreign_fd(int fd)
{
	struct fd_list one = { .count = 1 };

	one.fd[0] = fd;
	close_foreign(&one);
}

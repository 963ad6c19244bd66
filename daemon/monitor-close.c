/* SPDX-License-Identifier: MIT */
/*
 * monitor-close.c - closing what somebody else chose, without waiting for it.
 *
 * Each lot is closed in a thread of its own, for any of them may hang for good. Where no further
 * thread can be had the lot stays open and is tried again later: what an attacker piles up are
 * descriptors, and without descriptors the monitor pauses accepting; it never waits for him.
 *
 * Others must not wait for him either: among what stays open may be the monitor's copies of their
 * handles, whose end nobody would see. So a close that lingers (a TCP socket in the queue of a
 * connection) is interrupted by a signal, as often as it takes, and what comes from those who get
 * no session has few threads.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

#define CLOSER_STACK_BYTES ((size_t)65536)
#define CLOSER_MAX_THREADS 64u
#define CLOSER_REFUSED	   16u /* of them for connections that were refused */
#define CLOSER_MAX_WAITING 256 /* refused connections that wait for one */
#define CLOSER_RETRY_US	   200000
#define CLOSER_PATIENCE_US 100000
#define CLOSER_SIGNAL	   SIGUSR1

struct closer;

struct closing {
	struct closer *closer; /* that closes it */
	bool refused;
	bool waiting;
	unsigned count;
	int fd[];
};

/* A thread, or room for one. */
struct closer {
	atomic_bool busy;
	atomic_int tid; /* 0: it has not begun yet, or has ended */
	bool patience_over;
};

static struct event_base *base;
static struct closer closers[CLOSER_MAX_THREADS]; /* the first ones for the refused */
static bool watching;
static unsigned refused_waiting;

static void on_signal(int sig)
{
	(void)sig;
}

void close_init(struct event_base *b)
{
	/* Without SA_RESTART: it is there to interrupt. Of no use where a close does not let itself
	 * be interrupted (a FUSE file); sessions do not pass such on. */
	const struct sigaction interrupt = { .sa_handler = on_signal };

	base = b;
	sigaction(CLOSER_SIGNAL, &interrupt, NULL);
}

bool close_is_behind(void)
{
	return refused_waiting >= CLOSER_MAX_WAITING;
}

static void *close_all(void *arg)
{
	struct closing *c = arg;
	struct closer *closer = c->closer;

	atomic_store(&closer->tid, (int)syscall(SYS_gettid));
	for (unsigned i = 0; i < c->count; i++)
		close(c->fd[i]);
	free(c);
	atomic_store(&closer->tid, 0);
	atomic_store(&closer->busy, false);
	return NULL;
}

static void on_watch(evutil_socket_t fd, short what, void *arg);

static void watch(void)
{
	struct timeval patience = { .tv_usec = CLOSER_PATIENCE_US };

	watching =
		watching || event_base_once(base, -1, EV_TIMEOUT, on_watch, NULL, &patience) == 0;
}

/* A thread that has just ended is not found, or it is another closer by now, which does not mind. */
static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	bool more = false;

	(void)fd;
	(void)what;
	(void)arg;
	watching = false;
	for (unsigned i = 0; i < CLOSER_MAX_THREADS; i++) {
		struct closer *c = &closers[i];
		int tid = atomic_load(&c->tid);

		if (!atomic_load(&c->busy))
			continue;
		more = true;
		if (c->patience_over && tid != 0)
			syscall(SYS_tgkill, getpid(), tid, CLOSER_SIGNAL);
		c->patience_over = true;
	}
	if (more)
		watch();
}

static struct closer *closer_take(bool refused)
{
	unsigned first = refused ? 0 : CLOSER_REFUSED;
	unsigned end = refused ? CLOSER_REFUSED : CLOSER_MAX_THREADS;

	for (unsigned i = first; i < end; i++) {
		if (atomic_load(&closers[i].busy))
			continue;
		closers[i].patience_over = false;
		atomic_store(&closers[i].busy, true);
		return &closers[i];
	}
	return NULL;
}

static bool closing_start(struct closing *c)
{
	struct closer *closer = closer_take(c->refused);
	pthread_attr_t attr;
	pthread_t thread;

	if (!closer)
		return false;
	c->closer = closer;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, CLOSER_STACK_BYTES);
	int r = pthread_create(&thread, &attr, close_all, c);

	pthread_attr_destroy(&attr);
	if (r == 0)
		watch();
	else
		atomic_store(&closer->busy, false);
	return r == 0;
}

static void on_retry(evutil_socket_t fd, short what, void *arg);

static void closing_start_or_wait(struct closing *c)
{
	struct timeval pause = { .tv_usec = CLOSER_RETRY_US };

	if (c->waiting)
		refused_waiting--;
	c->waiting = false;
	if (closing_start(c))
		return;
	c->waiting = c->refused;
	if (c->waiting)
		refused_waiting++;
	if (event_base_once(base, -1, EV_TIMEOUT, on_retry, c, &pause) < 0) {
		log_warn("%u foreign descriptors stay open: out of memory", c->count);
		refused_waiting -= c->waiting;
		free(c);
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	closing_start_or_wait(arg);
}

static void close_list(struct fd_list *fds, bool refused)
{
	if (fds->count == 0)
		return;
	struct closing *c = malloc(sizeof(*c) + fds->count * sizeof(int));

	if (!c) {
		log_warn("%u foreign descriptors stay open: out of memory", fds->count);
		fds->count = 0;
		return;
	}
	c->refused = refused;
	c->waiting = false;
	c->count = 0;
	for (unsigned i = 0; i < fds->count; i++)
		if (fds->fd[i] >= 0)
			c->fd[c->count++] = fds->fd[i];
	fds->count = 0;
	closing_start_or_wait(c);
}

void close_foreign(struct fd_list *fds)
{
	close_list(fds, false);
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

void close_refused_fd(int fd)
{
	struct fd_list one = { .count = 1 };

	one.fd[0] = fd;
	close_list(&one, true);
}

/* SPDX-License-Identifier: MIT */
/*
 * host-clients.c - from connecting to the first mapping; and many clients at once, each a process:
 * what they get done together, and what each costs in memory.
 */
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define IOVA	 (UINT64_C(1) << 30)
#define CONNECTS 400

/* ---- connect to first map ---- */

void measure_connect(int small)
{
	static double us[CONNECTS];
	size_t count = small ? 3 : CONNECTS;
	int fd = memory_make(PAGE);

	for (size_t i = 0; i < count; i++) {
		struct client c;
		double begin = clock_us();

		client_open(&c, fd, PAGE, 1);
		client_map(&c, IOVA, PAGE);
		us[i] = clock_us() - begin;
		client_close(&c);
	}
	figure("host.connect.p50", quantile(us, count, 0.5), "us");
	figure("host.connect.p99", quantile(us, count, 0.99), "us");
	close(fd);
}

/* ---- many clients ---- */

/* What the clients and the measurement tell each other: a byte from each client when it is ready and
 * when it is done; the end of go and of stay from us. Nobody has to look whether it is time, and
 * whoever is left alone sees the end. */
struct meeting {
	int ready[2];
	int go[2];
	int done[2];
	int stay[2];
};

static void meeting_open(struct meeting *m)
{
	must_be(pipe(m->ready) == 0 && pipe(m->go) == 0 && pipe(m->done) == 0 && pipe(m->stay) == 0,
		"pipes");
}

static void tell_ready(const int *ends)
{
	must_be(write(ends[1], "", 1) == 1, "a pipe");
}

static void wait_for_all(const int *ends, unsigned count)
{
	char byte;

	for (unsigned i = 0; i < count; i++)
		must_be(read(ends[0], &byte, 1) == 1, "a client that has died");
}

static void wait_for_end(const int *ends)
{
	char byte;

	must_be(read(ends[0], &byte, 1) == 0, "a pipe");
}

static void be_client(int fd, unsigned pairs, const struct meeting *m)
{
	struct client c;

	close(m->go[1]);
	close(m->stay[1]);
	client_open(&c, fd, PAGE, 4);
	client_map(&c, IOVA, PAGE);
	client_unmap(&c, IOVA, PAGE);
	tell_ready(m->ready);
	wait_for_end(m->go);
	for (unsigned i = 0; i < pairs; i++) {
		client_map(&c, IOVA, PAGE);
		client_unmap(&c, IOVA, PAGE);
	}
	tell_ready(m->done);
	wait_for_end(m->stay);
	_exit(0);
}

/* One at a time: the broker's queue of connections is not what is measured. Ends with the last
 * writer of the pipe, should the client die. */
static double start_clients(unsigned count, int fd, unsigned pairs, const struct meeting *m)
{
	double begin = clock_us();

	for (unsigned i = 0; i < count; i++) {
		struct pollfd p = { .fd = m->ready[0], .events = POLLIN };
		pid_t pid = fork();

		must_be(pid >= 0, "fork");
		if (pid == 0)
			be_client(fd, pairs, m);
		while (poll(&p, 1, 1000) == 0)
			must_be(waitpid(pid, NULL, WNOHANG) == 0, "a client that has died");
		wait_for_all(m->ready, 1);
	}
	return (clock_us() - begin) / count;
}

static void tell_memory(unsigned count, pid_t monitor)
{
	struct session_cost cost;

	if (!sessions_cost(monitor, &cost))
		return; /* not root */
	figure_of("host.clients", count, "pss", cost.pss_kib / cost.sessions, "KiB");
	figure_of("host.clients", count, "own", cost.own_kib / cost.sessions, "KiB");
	figure_of("host.clients", count, "monitor-pss", process_pss_kib(monitor), "KiB");
}

static void measure_count(unsigned count, unsigned pairs)
{
	int fd = memory_make(PAGE);
	pid_t monitor = monitor_pid();
	struct meeting m;
	double each, begin, us;

	meeting_open(&m);
	each = start_clients(count, fd, pairs, &m);
	begin = clock_us();
	close(m.go[1]);
	wait_for_all(m.done, count);
	us = clock_us() - begin;
	figure_of("host.clients", count, "start", each, "us");
	figure_of("host.clients", count, "pairs-per-second", 1e6 * count * pairs / us, "/s");
	figure_of("host.clients", count, "us-per-pair", us / ((double)count * pairs), "us");
	tell_memory(count, monitor);
	close(m.stay[1]);
	while (wait(NULL) > 0)
		;
	close(m.stay[0]);
	close(m.go[0]);
	for (int i = 0; i < 2; i++) {
		close(m.ready[i]);
		close(m.done[i]);
	}
	close(fd);
}

void measure_clients(int small)
{
	static const unsigned counts[] = { 1, 10, 100, 1000 };
	const unsigned pairs = small ? 20 : 20000;

	for (size_t i = 0; i < (small ? 2 : COUNT(counts)); i++)
		measure_count(counts[i], (pairs + counts[i] - 1) / counts[i]);
}

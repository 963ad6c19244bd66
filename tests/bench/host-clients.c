/* SPDX-License-Identifier: MIT */
/*
 * host-clients.c - from connecting to the first mapping; and many clients at once, each a process:
 * what they get done together, and what each costs in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
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

/* Seen by all of them. */
struct meeting {
	unsigned ready;
	unsigned go;
	unsigned done;
};

static struct meeting *meeting;

static void wait_for(const unsigned *counter, unsigned value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value)
		usleep(200);
}

static void add_one(unsigned *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_ACQ_REL);
}

static void be_client(int fd, unsigned pairs, int stay_fd)
{
	struct client c;
	char byte;

	client_open(&c, fd, PAGE, 4);
	client_map(&c, IOVA, PAGE);
	client_unmap(&c, IOVA, PAGE);
	add_one(&meeting->ready);
	wait_for(&meeting->go, 1);
	for (unsigned i = 0; i < pairs; i++) {
		client_map(&c, IOVA, PAGE);
		client_unmap(&c, IOVA, PAGE);
	}
	add_one(&meeting->done);
	/* lives until the measurement ends, however it ends */
	if (read(stay_fd, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

/* One at a time: the broker's queue of connections is not what is measured. */
static double start_clients(unsigned count, int fd, unsigned pairs, const int *stay)
{
	double begin = clock_us();

	for (unsigned i = 0; i < count; i++) {
		pid_t pid = fork();

		must_be(pid >= 0, "fork");
		if (pid == 0) {
			close(stay[1]);
			be_client(fd, pairs, stay[0]);
		}
		while (__atomic_load_n(&meeting->ready, __ATOMIC_ACQUIRE) <= i) {
			must_be(waitpid(pid, NULL, WNOHANG) == 0, "a client");
			usleep(50);
		}
	}
	return (clock_us() - begin) / count;
}

static void tell_memory(unsigned count, pid_t monitor)
{
	struct session_cost cost;

	if (!sessions_cost(monitor, &cost))
		return; /* not root */
	figure_of("host.clients", count, "pss", cost.pss_kib / cost.sessions, "KiB");
	figure_of("host.clients", count, "private-dirty", cost.dirty_kib / cost.sessions, "KiB");
	figure_of("host.clients", count, "monitor-pss", process_pss_kib(monitor), "KiB");
}

static void measure_count(unsigned count, unsigned pairs)
{
	int fd = memory_make(PAGE), stay[2];
	pid_t monitor = monitor_pid();
	double each, begin, us;

	must_be(pipe(stay) == 0, "a pipe");
	*meeting = (struct meeting){ 0 };
	each = start_clients(count, fd, pairs, stay);
	begin = clock_us();
	add_one(&meeting->go);
	wait_for(&meeting->done, count);
	us = clock_us() - begin;
	figure_of("host.clients", count, "start", each, "us");
	figure_of("host.clients", count, "pairs-per-second", 1e6 * count * pairs / us, "/s");
	figure_of("host.clients", count, "us-per-pair", us / ((double)count * pairs), "us");
	tell_memory(count, monitor);
	close(stay[1]);
	while (wait(NULL) > 0)
		;
	close(stay[0]);
	close(fd);
}

void measure_clients(int small)
{
	static const unsigned counts[] = { 1, 10, 100, 1000 };
	const unsigned pairs = small ? 20 : 40000;

	meeting = mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	must_be(meeting != MAP_FAILED, "shared memory");
	for (size_t i = 0; i < (small ? 2 : COUNT(counts)); i++)
		measure_count(counts[i], (pairs + counts[i] - 1) / counts[i]);
}

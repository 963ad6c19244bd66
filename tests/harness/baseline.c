/* SPDX-License-Identifier: MIT */
/* baseline.c - what has to be as it was: processes, descriptors, pinned memory, the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/internal.h"

static struct baseline {
	size_t processes;
	int fds;
	long locked_kb;
	long pinned;
} baseline;

/* ---- looking ---- */

static long total_locked_kb(void)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));
	long kb = 0;

	for (size_t i = 0; i < n && i < COUNT(pids); i++)
		kb += process_kb(pids[i], "VmPin:") + process_kb(pids[i], "VmLck:");
	return kb;
}

static int total_fds(void)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));
	int sum = 0;

	for (size_t i = 0; i < n && i < COUNT(pids); i++) {
		int fds = process_fds(pids[i]);

		if (fds < 0)
			return -1;
		sum += fds;
	}
	return sum;
}

/* The counters of all processors are added up now and then, or when root asks for it. */
static void refresh_counters(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "we");

	if (!f)
		return;
	fputs("1", f);
	fclose(f);
}

/* Every page ever pinned by get_user_pages() and its like, less those let go, since boot. */
static long kernel_pins(void)
{
	FILE *f;
	char name[64];
	long value, pins = 0;
	int seen = 0;

	refresh_counters();
	f = fopen("/proc/vmstat", "re");
	if (!f)
		return -1;
	while (fscanf(f, "%63s %ld", name, &value) == 2) {
		if (strcmp(name, "nr_foll_pin_acquired") == 0)
			pins += value, seen++;
		else if (strcmp(name, "nr_foll_pin_released") == 0)
			pins -= value, seen++;
	}
	fclose(f);
	return seen == 2 ? pins : -1;
}

/* The simulator holds "pinned" memory as mappings of client files. */
static long mapped_pages(pid_t pid)
{
	char path[64], line[512];
	unsigned long long first, end;
	long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "memfd:") && !strstr(line, "memfd:iommu-brokerd-") &&
		    sscanf(line, "%llx-%llx", &first, &end) == 2)
			pages += (long)((end - first) / PAGE);
	fclose(f);
	return pages;
}

static long simulator_pages(void)
{
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));
	long sum = 0;

	for (size_t i = 0; i < n && i < COUNT(pids); i++) {
		long pages = mapped_pages(pids[i]);

		if (pages < 0)
			return -1;
		sum += pages;
	}
	return sum;
}

long pinned_pages(void)
{
	return backend_is_real() ? kernel_pins() : simulator_pages();
}

static void look(struct baseline *b)
{
	b->processes = broker_processes(NULL, 0);
	b->fds = total_fds();
	b->locked_kb = total_locked_kb();
	b->pinned = pinned_pages();
}

static bool is_equal(const struct baseline *b)
{
	return b->processes == baseline.processes && b->fds == baseline.fds &&
	       b->locked_kb == baseline.locked_kb && b->pinned == baseline.pinned;
}

/* ---- comparing ---- */

/* Monitor and simulator, and nothing on its way out: not even what the ledger still has. */
#define SETTLED_PROCESSES (backend_is_real() ? 1u : 2u)
#define SETTLED_MS	  50u

static bool is_settled(void *argument)
{
	struct baseline *b = argument, now = { 0 };

	look(b);
	if (b->processes != SETTLED_PROCESSES)
		return false;
	sleep_ms(SETTLED_MS * patience());
	look(&now);
	return memcmp(&now, b, sizeof(now)) == 0;
}

/* After the one connection, if it was let in, that looked whether the broker serves. */
void baseline_take(bool connected_once)
{
	memset(&baseline, 0, sizeof(baseline));
	if (connected_once)
		ck_assert(broker_log_gets("session 1: ended"));
	ck_assert_msg(wait_until(is_settled, &baseline),
		      "the broker does not settle: %zu processes", baseline.processes);
}

static bool is_back(void *unused)
{
	struct baseline now = { 0 };

	(void)unused;
	look(&now);
	return is_equal(&now);
}

/* The ledger has nothing but the connection that asks. What has ended is noticed a little later. */
static bool ledger_is_empty(void *conn)
{
	struct iob_status_rep s;

	ok(iob_status(conn, &s));
	if (!broker_is_shaken())
		ck_assert_uint_eq(s.monitor_pid, (uint32_t)broker_monitor());
	return s.sessions == 1 && s.domains == 0 && s.devices_open == 0;
}

static void check_status(void)
{
	struct iob_status_rep s;
	iob_conn *conn;

	ok(iob_connect(broker.socket, &conn));
	if (!wait_until(ledger_is_empty, conn)) {
		ok(iob_status(conn, &s));
		ck_abort_msg("the ledger has %u sessions, %u domains, %u open devices", s.sessions,
			     s.domains, s.devices_open);
	}
	iob_conn_close(conn);
}

void baseline_check(void)
{
	struct baseline now = { 0 };

	if (!wait_until(is_back, NULL)) {
		look(&now);
		ck_abort_msg("not as before: processes %zu, descriptors %d, locked kB %ld, "
			     "pinned pages %ld; before: %zu, %d, %ld, %ld",
			     now.processes, now.fds, now.locked_kb, now.pinned, baseline.processes,
			     baseline.fds, baseline.locked_kb, baseline.pinned);
	}
	check_status();
}

/* SPDX-License-Identifier: MIT */
/* baseline.c - what has to be as it was: processes, descriptors, pinned memory, the ledger. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel-glue/sim-table.h"
#include "tests/harness/internal.h"

static struct baseline {
	size_t processes;
	int fds;
	long locked_kb;
	long pinned;
	long files; /* of clients that the simulator and its sessions have mapped */
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

/* What the head of a page table of the simulator says is mapped in it. */
static long table_pages(pid_t pid, unsigned long long first)
{
	char path[64];
	uint64_t bytes = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &bytes, sizeof(bytes),
		  (off_t)(first + offsetof(struct sim_table_head, bytes))) < 0)
		bytes = 0; /* the process has just ended */
	close(fd);
	return (long)(bytes / PAGE);
}

/* A table is the first mapping of its file; session and simulator both have it. */
#define MAX_TABLES 64

struct held {
	unsigned long tables[MAX_TABLES]; /* inodes, that were counted */
	size_t table_count;
	long pages; /* that devices may reach */
	long files; /* mappings of clients' files */
};

static bool table_is_new(struct held *h, unsigned long inode)
{
	for (size_t i = 0; i < h->table_count; i++)
		if (h->tables[i] == inode)
			return false;
	if (h->table_count < MAX_TABLES)
		h->tables[h->table_count++] = inode;
	return true;
}

static bool look_at_maps(pid_t pid, struct held *h)
{
	char path[64], line[512];
	unsigned long long first;
	unsigned long inode;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "memfd:") || strstr(line, "memfd:iommu-brokerd-") ||
		    sscanf(line, "%llx-%*x %*s %*s %*s %lu", &first, &inode) != 2)
			continue;
		if (!strstr(line, "memfd:iommu-table"))
			h->files++;
		else if (table_is_new(h, inode))
			h->pages += table_pages(pid, first);
	}
	fclose(f);
	return true;
}

static struct held look_at_simulator(void)
{
	struct held h = { 0 };
	pid_t pids[64];
	size_t n = broker_processes(pids, COUNT(pids));

	for (size_t i = 0; i < n && i < COUNT(pids); i++)
		if (!look_at_maps(pids[i], &h))
			return (struct held){ .pages = -1, .files = -1 };
	return h;
}

long pinned_pages(void)
{
	return backend_is_real() ? kernel_pins() : look_at_simulator().pages;
}

static void look(struct baseline *b)
{
	b->processes = broker_processes(NULL, 0);
	b->fds = total_fds();
	b->locked_kb = total_locked_kb();
	b->pinned = pinned_pages();
	b->files = backend_is_real() ? 0 : look_at_simulator().files;
}

/* On a busy machine the last descriptor of the one connection may be closed after the baseline was
 * taken: fewer is no leak. */
static bool is_equal(const struct baseline *b)
{
	return b->processes == baseline.processes && b->fds <= baseline.fds &&
	       b->locked_kb == baseline.locked_kb && b->pinned == baseline.pinned &&
	       b->files == baseline.files;
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
			     "pinned pages %ld, files %ld; before: %zu, %d, %ld, %ld, %ld",
			     now.processes, now.fds, now.locked_kb, now.pinned, now.files,
			     baseline.processes, baseline.fds, baseline.locked_kb, baseline.pinned,
			     baseline.files);
	}
	check_status();
}

/* SPDX-License-Identifier: MIT */
/*
 * process.c - which processes the broker has, and what they hold, as /proc tells.
 *
 * Whatever the broker starts is a descendant of the monitor, or, once its parent has ended, a child
 * of the process that started the broker: that one is a child subreaper. Names are not looked at:
 * under valgrind they are all the same.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/internal.h"

#define MAX_PROCESSES 2048

/* ---- waiting ---- */

unsigned patience(void)
{
	const char *factor = getenv("CK_TIMEOUT_MULTIPLIER");
	int n = factor ? atoi(factor) : 1;

	return (unsigned)(n > 0 ? n : 1) * (backend_is_real() ? 3 : 1);
}

void sleep_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool wait_until(bool (*condition)(void *), void *argument)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (condition(argument))
			return true;
		sleep_ms(backend_is_real() ? 20 : 5);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < (time_t)(10 * patience()));
	return condition(argument);
}

/* ---- /proc ---- */

static pid_t parent_of(pid_t pid, char *state)
{
	char path[64], line[512];
	const char *after;
	int ppid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	after = strrchr(line, ')'); /* the name may contain anything */
	if (!after || sscanf(after + 1, " %c %d", state, &ppid) != 2)
		return -1;
	return ppid;
}

bool process_lives(pid_t pid)
{
	char state = '?';

	return parent_of(pid, &state) >= 0 && state != 'Z' && state != 'X';
}

bool process_sleeps(pid_t pid)
{
	char state = '?';

	return parent_of(pid, &state) >= 0 && state == 'S';
}

int process_fds(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

long process_kb(pid_t pid, const char *field)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, field, strlen(field)) == 0)
			kb = atol(line + strlen(field));
	fclose(f);
	return kb;
}

/* ---- the broker's ---- */

struct table {
	size_t count;
	struct {
		pid_t pid, parent;
	} entry[MAX_PROCESSES];
};

static void table_read(struct table *t)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	ck_assert_ptr_nonnull(dir);
	t->count = 0;
	while ((e = readdir(dir)) != NULL && t->count < MAX_PROCESSES) {
		pid_t pid = atoi(e->d_name), parent;
		char state = 'X';

		if (pid <= 0)
			continue;
		parent = parent_of(pid, &state);
		if (parent < 0 || state == 'Z' || state == 'X')
			continue;
		t->entry[t->count].pid = pid;
		t->entry[t->count++].parent = parent;
	}
	closedir(dir);
}

static pid_t table_parent(const struct table *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->entry[i].pid == pid)
			return t->entry[i].parent;
	return 0;
}

/* Children of the broker's parent that are not the broker's: the logger, the test, its users. */
static bool is_ours(pid_t pid)
{
	return pid == broker.logger || pid == broker.keeper || pid == getpid() || is_user(pid);
}

static bool is_brokers(const struct table *t, pid_t pid)
{
	while (pid > 1) {
		pid_t parent = table_parent(t, pid);

		if (pid == broker_monitor())
			return true;
		if (parent == broker.keeper && broker.keeper)
			return true;
		if (parent == broker.parent)
			return !is_ours(pid);
		pid = parent;
	}
	return false;
}

size_t broker_processes(pid_t *pids, size_t room)
{
	static struct table t;
	size_t n = 0;

	table_read(&t);
	for (size_t i = 0; i < t.count; i++) {
		if (!is_brokers(&t, t.entry[i].pid))
			continue;
		if (n < room)
			pids[n] = t.entry[i].pid;
		n++;
	}
	return n;
}

/* What it still does it may do by its companion: that is looked at after it. */
static bool is_at_rest(void *session)
{
	static struct table t;
	pid_t pid = *(pid_t *)session;

	if (!process_sleeps(pid))
		return false;
	table_read(&t);
	for (size_t i = 0; i < t.count; i++)
		if (t.entry[i].parent == pid && !process_sleeps(t.entry[i].pid))
			return false;
	return process_sleeps(pid);
}

int session_fds(pid_t session)
{
	if (!wait_until(is_at_rest, &session))
		ck_abort_msg("session %d does not come to rest", (int)session);
	return process_fds(session);
}

/* By its name: what an earlier monitor started is the keeper's child now, and so is the simulator. */
static bool is_session(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return strncmp(name, "iommu-broker-se", 15) == 0;
}

size_t broker_sessions(pid_t *pids, size_t room)
{
	pid_t all[256];
	size_t count = broker_processes(all, COUNT(all)), n = 0;

	for (size_t i = 0; i < count && i < COUNT(all); i++) {
		char state;
		pid_t parent = parent_of(all[i], &state);

		if (parent != broker_monitor() && !(parent == broker.keeper && is_session(all[i])))
			continue;
		if (n < room)
			pids[n] = all[i];
		n++;
	}
	return n;
}

static bool has_sessions(void *count)
{
	return broker_sessions(NULL, 0) == *(size_t *)count;
}

void broker_sessions_wait(size_t count)
{
	if (!wait_until(has_sessions, &count))
		ck_abort_msg("%zu sessions instead of %zu", broker_sessions(NULL, 0), count);
}

static pid_t known_sessions[256];
static size_t known_count;

static bool is_known(pid_t pid)
{
	for (size_t i = 0; i < known_count; i++)
		if (known_sessions[i] == pid)
			return true;
	return false;
}

static size_t new_sessions(pid_t *one)
{
	pid_t now[256];
	size_t count = broker_sessions(now, COUNT(now)), n = 0;

	for (size_t i = 0; i < count && i < COUNT(now); i++) {
		if (is_known(now[i]))
			continue;
		*one = now[i];
		n++;
	}
	return n;
}

static bool has_one_new_session(void *one)
{
	return new_sessions(one) == 1;
}

/* That a monitor was killed while it made a session shows for a moment: that one ends, and the client
 * comes again. */
pid_t broker_session_new(void)
{
	pid_t found = 0;

	if (!wait_until(has_one_new_session, &found))
		ck_abort_msg("%zu new sessions instead of one", new_sessions(&found));
	ck_assert_uint_lt(known_count, COUNT(known_sessions));
	known_sessions[known_count++] = found;
	return found;
}

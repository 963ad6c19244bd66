/* SPDX-License-Identifier: MIT */
/* processes.c - what the broker's processes take of the memory, as /proc tells it. */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define MAX_PROCESSES 8192

struct process {
	pid_t pid;
	pid_t parent;
};

/* Sum of the lines "NAME: n kB"; -1 when the file cannot be read. */
static double sum_kib(pid_t pid, const char *const *names, size_t count)
{
	char path[64], line[128];
	double sum = 0, value;
	bool any = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < count; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0 &&
			    sscanf(line + strlen(names[i]), "%lf", &value) == 1) {
				sum += value;
				any = true;
			}
	if (f)
		fclose(f);
	return any ? sum : -1;
}

double process_pss_kib(pid_t pid)
{
	static const char *const names[] = { "Pss:" };

	return sum_kib(pid, names, COUNT(names));
}

static double process_own_kib(pid_t pid)
{
	static const char *const names[] = { "Private_Dirty:" };

	return sum_kib(pid, names, COUNT(names));
}

/* Not the page tables of the simulator, which stand for a kernel's. */
static double process_anonymous_kib(pid_t pid)
{
	static const char *const names[] = { "Anonymous:" };

	return sum_kib(pid, names, COUNT(names));
}

/* The session program's processes: its name is cut to 15 characters by the kernel. */
static bool session_read(const char *pid, struct process *p)
{
	char path[300], line[512], name[32];
	int parent;
	FILE *f;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d (%31[^)]) %*c %d", name, &parent) == 2 &&
			strcmp(name, "iommu-broker-se") == 0;
	if (f)
		fclose(f);
	if (found)
		*p = (struct process){ .pid = atoi(pid), .parent = parent };
	return found;
}

static size_t session_processes(struct process *list, size_t room)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	size_t n = 0;

	while (proc && n < room && (e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]) && session_read(e->d_name, &list[n]))
			n++;
	if (proc)
		closedir(proc);
	return n;
}

static bool is_child_of_one(const struct process *p, const struct process *list, size_t n,
			    pid_t monitor)
{
	if (p->parent == monitor)
		return true;
	for (size_t i = 0; i < n; i++)
		if (list[i].pid == p->parent && list[i].parent == monitor)
			return true;
	return false;
}

int sessions_cost(pid_t monitor, struct session_cost *cost)
{
	static struct process list[MAX_PROCESSES];
	size_t n = session_processes(list, MAX_PROCESSES);

	*cost = (struct session_cost){ 0 };
	for (size_t i = 0; i < n; i++) {
		double pss;

		if (!is_child_of_one(&list[i], list, n, monitor))
			continue;
		pss = process_pss_kib(list[i].pid);
		if (pss < 0)
			return 0;
		cost->sessions += list[i].parent == monitor;
		cost->pss_kib += pss;
		cost->own_kib += process_own_kib(list[i].pid);
		cost->anonymous_kib += process_anonymous_kib(list[i].pid);
	}
	return cost->sessions > 0;
}

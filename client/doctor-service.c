/* SPDX-License-Identifier: MIT */
/*
 * doctor-service.c - limits under which the running monitor stands.
 *
 * Clients need no RLIMIT_MEMLOCK: their sessions map for them. The monitor gives each session the
 * limit that its budgets make, by CAP_SYS_RESOURCE; without it the sessions have the monitor's own.
 */
#include "doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_SYS_RESOURCE_BIT  24u
#define ENOUGH_BYTES	      (UINT64_C(1) << 30)
#define PROCESSES_A_SESSION   2u
#define DESCRIPTORS_A_SESSION 4u

/* The rest of the line that begins with this word. */
static bool value_of(const char *text, const char *word, char *value, size_t bytes)
{
	const char *line = text;

	while (line && strncmp(line, word, strlen(word)) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return false;
	line += strlen(word);
	line += strspn(line, " \t");
	snprintf(value, bytes, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

static bool has_sys_resource(const struct doctor *d)
{
	doctor_cleanup_free char *status = doctor_file(d, "/proc/%ld/status", d->monitor_pid);
	char set[32];

	return status && value_of(status, "CapEff:", set, sizeof(set)) &&
	       (strtoull(set, NULL, 16) >> CAP_SYS_RESOURCE_BIT & 1);
}

/* "Max locked memory  65536  unlimited  bytes": the hard one. UINT64_MAX: no limit, or unknown. */
static uint64_t hard_limit(const struct doctor *d, const char *name)
{
	doctor_cleanup_free char *limits = doctor_file(d, "/proc/%ld/limits", d->monitor_pid);
	char value[128], soft[32], hard[32];

	if (!limits || !value_of(limits, name, value, sizeof(value)) ||
	    sscanf(value, "%31s %31s", soft, hard) != 2 || !strcmp(hard, "unlimited"))
		return UINT64_MAX;
	return strtoull(hard, NULL, 10);
}

/* A line of the unit, or what a shell does before it starts the daemon. */
static void mend_limit(struct doctor *d, const char *line, const char *by_hand)
{
	if (doctor_is_service(d))
		doctor_mend(d, "systemctl edit iommu-broker:  [Service]  %s", line);
	else
		doctor_mend(d, "before iommu-brokerd is started by hand: %s", by_hand);
}

static void check_memlock(struct doctor *d)
{
	uint64_t bytes = hard_limit(d, "Max locked memory");

	if (has_sys_resource(d) || bytes >= ENOUGH_BYTES) {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_MEMLOCK, "",
			   "clients need no memlock limit: the broker locks memory for them");
		return;
	}
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_MEMLOCK_LIMITED, "iommu-brokerd",
		   "each session can lock %" PRIu64
		   " KiB at most: iommu-brokerd (process %ld) has no "
		   "CAP_SYS_RESOURCE, and that is its own limit",
		   bytes >> 10, d->monitor_pid);
	doctor_why(d, "memory that a device reaches is locked; a client that maps more gets "
		      "IOB_E_NO_MEMORY, whatever its quota says. Its own memlock limit does not "
		      "matter");
	mend_limit(d, "LimitMEMLOCK=infinity", "ulimit -l unlimited");
	doctor_mend_restart(d);
}

/* ---- the control group ---- */

/* The version 2 group of the monitor: "0::/system.slice/iommu-broker.service". */
static bool cgroup_limit(const struct doctor *d, const char *attribute, char *value, size_t bytes)
{
	doctor_cleanup_free char *groups = doctor_file(d, "/proc/%ld/cgroup", d->monitor_pid);
	char group[300];

	return groups && value_of(groups, "0::", group, sizeof(group)) &&
	       doctor_line(d, value, bytes, "/sys/fs/cgroup%s/%s", group, attribute) &&
	       strcmp(value, "max") != 0;
}

static void check_tasks(struct doctor *d)
{
	uint64_t wanted = (uint64_t)d->policy.max_sessions * PROCESSES_A_SESSION;
	char value[32], line[64], by_hand[96];

	if (!cgroup_limit(d, "pids.max", value, sizeof(value)) ||
	    strtoull(value, NULL, 10) >= wanted)
		return;
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_SERVICE_TASKS, "pids.max",
		   "the service may have %s processes; %u sessions need %" PRIu64, value,
		   d->policy.max_sessions, wanted);
	doctor_why(d,
		   "a session is two processes; when there is no room for one, a client is turned "
		   "away with IOB_E_NO_MEMORY");
	snprintf(line, sizeof(line), "TasksMax=%" PRIu64, wanted + 64);
	snprintf(by_hand, sizeof(by_hand),
		 "put the shell into a control group with pids.max %" PRIu64, wanted + 64);
	mend_limit(d, line, by_hand);
	doctor_mend(d, "or, in [daemon] of %s, a smaller max-sessions", d->config);
}

static void check_memory(struct doctor *d)
{
	char value[32];
	uint64_t bytes;

	if (!cgroup_limit(d, "memory.max", value, sizeof(value)))
		return;
	bytes = strtoull(value, NULL, 10);
	doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_SERVICE_MEMORY, "memory.max",
		   "the service may use %" PRIu64 " MiB of memory", bytes >> 20);
	doctor_why(d,
		   "memory that clients map counts as theirs, not against this; but a session that "
		   "goes beyond it is killed");
}

static void check_descriptors(struct doctor *d)
{
	uint64_t wanted = (uint64_t)d->policy.max_sessions * DESCRIPTORS_A_SESSION;
	uint64_t limit = hard_limit(d, "Max open files");
	char line[64], by_hand[64];

	if (limit >= wanted)
		return;
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_SERVICE_DESCRIPTORS, "iommu-brokerd",
		   "iommu-brokerd may have %" PRIu64
		   " descriptors open; %u sessions can need %" PRIu64,
		   limit, d->policy.max_sessions, wanted);
	doctor_why(d, "when they are used up new clients wait");
	snprintf(line, sizeof(line), "LimitNOFILE=%" PRIu64, wanted);
	snprintf(by_hand, sizeof(by_hand), "ulimit -n %" PRIu64, wanted);
	mend_limit(d, line, by_hand);
}

void doctor_check_limits(struct doctor *d)
{
	if (!d->monitor_pid || !doctor_exists(d, "/proc/%ld", d->monitor_pid))
		return;
	/* The simulator locks nothing. */
	if (d->answer.backend != IOB_BACKEND_SIM && d->hardware_matters)
		check_memlock(d);
	check_tasks(d);
	check_memory(d);
	check_descriptors(d);
}

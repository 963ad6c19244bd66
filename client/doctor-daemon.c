/* SPDX-License-Identifier: MIT */
/* doctor-daemon.c - the programs, the socket, and what the broker answers to this user. */
#define _GNU_SOURCE /* asprintf() */

#include "doctor.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef IOB_VERSION
#define IOB_VERSION "unknown"
#endif

/* A path as it is below the root. */
static const char *below(const struct doctor *d, const char *path)
{
	size_t length = strlen(d->root);

	return length && strncmp(path, d->root, length) == 0 && path[length] == '/' ?
		       path + length :
		       path;
}

/* ---- programs ---- */

static bool helper_is_beside(const char *brokerd, const char *place)
{
	char path[DOCTOR_PATH], *slash;

	snprintf(path, sizeof(path), "%.400s", brokerd);
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/%s/iommu-broker-session", place);
	return access(path, X_OK) == 0;
}

void doctor_check_programs(struct doctor *d)
{
	if (!d->brokerd) {
		/* It may well be somewhere else, and be running. */
		doctor_add(d, d->monitor_pid ? DOCTOR_NOTE : DOCTOR_ERROR,
			   DOCTOR_IS_BROKERD_MISSING, "iommu-brokerd",
			   "the program iommu-brokerd is not to be found%s",
			   d->monitor_pid ? ", though it runs" : "");
		doctor_why(d, "it was looked for %s",
			   d->root[0] ? "in /usr/sbin and /usr/local/sbin below the directory" :
					"beside iommuctl, in ../sbin, and in $PATH");
		doctor_mend(d, "apt-get install iommu-broker, or: make install");
		return;
	}
	if (helper_is_beside(d->brokerd, "../libexec/iommu-broker") ||
	    helper_is_beside(d->brokerd, "../libexec")) {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_PROGRAMS, below(d, d->brokerd),
			   "%s, and its helpers", below(d, d->brokerd));
		return;
	}
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_HELPER_MISSING, "iommu-broker-session",
		   "iommu-broker-session is not where %s looks for it (../libexec/iommu-broker and "
		   "../libexec)",
		   below(d, d->brokerd));
	doctor_why(d,
		   "every client is served by such a process; the daemon does not start without");
	doctor_mend(
		d, "install the package again, or: make install; --libexec DIR says another place");
}

/* ---- the socket ---- */

static void mend_start(struct doctor *d)
{
	if (doctor_is_service(d)) {
		doctor_mend_unmask(d);
		doctor_mend(d, "systemctl enable --now iommu-broker.socket");
	} else {
		doctor_mend(d, "iommu-brokerd &   (or the way this machine starts its daemons)");
	}
}

static void not_running(struct doctor *d)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DAEMON_NOT_RUNNING, "iommu-brokerd",
		   "no process iommu-brokerd is running");
	doctor_why(d, "nobody answers clients");
	mend_start(d);
	if (doctor_is_service(d))
		doctor_mend(d, "journalctl -b -u iommu-broker (why it ended)");
}

/* Where systemd listens, "socket =" says nothing. */
static bool unit_listens_elsewhere(struct doctor *d, const char *path)
{
	char unit[DOCTOR_PATH];

	if (d->socket || !doctor_unit_socket(d, unit) || strcmp(unit, path) == 0)
		return false;
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_MISSING, path,
		   "there is no socket %s, which the configuration names: iommu-broker.socket "
		   "listens at %s",
		   path, unit);
	doctor_why(d, "the unit makes the socket, and its path is the one that counts");
	doctor_mend(d, "take \"socket =\" out of %s; or: systemctl edit iommu-broker.socket:",
		    d->config);
	doctor_mend(d,
		    "    [Socket]  ListenSequentialPacket=  ListenSequentialPacket=%s  (one in a "
		    "line)",
		    path);
	return true;
}

static void socket_missing(struct doctor *d, const char *path)
{
	if (unit_listens_elsewhere(d, path))
		return;
	if (d->monitor_pid) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_MISSING, path,
			   "there is no socket %s, though iommu-brokerd runs (process %ld)", path,
			   d->monitor_pid);
		doctor_why(d,
			   "clients look for the broker there; it listens elsewhere, or somebody "
			   "removed the socket");
		doctor_mend(d, "say where it is: iommuctl --socket PATH, or IOMMU_BROKER_SOCKET%s",
			    doctor_is_service(d) ? "; or: systemctl restart iommu-broker.socket" :
						   "");
		return;
	}
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_MISSING, path, "there is no socket %s", path);
	doctor_why(d, "clients look for the broker there");
	mend_start(d);
	not_running(d);
}

static void socket_stale(struct doctor *d, const char *path)
{
	if (d->monitor_pid) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_STALE, path,
			   "nobody listens on the socket %s, though iommu-brokerd runs (process "
			   "%ld)",
			   path, d->monitor_pid);
		doctor_why(d, "that one listens elsewhere, or is about to end; clients are turned "
			      "away");
		if (doctor_is_service(d))
			doctor_mend(d, "systemctl restart iommu-broker.socket");
		doctor_mend_restart(d);
		return;
	}
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_STALE, path,
		   "the socket %s is there, but nobody listens on it", path);
	doctor_why(d, "it was left behind by a daemon that was killed; clients are turned away");
	mend_start(d);
	not_running(d);
}

static void socket_wrong(struct doctor *d, const char *path, const char *reason)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_WRONG, path,
		   "the broker cannot be reached at %s: %s", path, reason);
	doctor_why(d, "it is no socket of iommu-brokerd");
	doctor_mend(d, "ls -l %s; remove what is in the way and start the daemon again", path);
}

/* full: with the root; what is told is the path below it. */
static void unreachable(struct doctor *d, const char *full)
{
	const char *path = below(d, full);
	int e = d->answer.sys_errno;
	struct stat st;

	if (e == ENOENT || e == ENOTDIR) {
		socket_missing(d, path);
	} else if (e == ECONNREFUSED && stat(full, &st) == 0 && !S_ISSOCK(st.st_mode)) {
		socket_wrong(d, path, "there is something else than a socket");
	} else if (e == ECONNREFUSED) {
		socket_stale(d, path);
	} else if (e == EACCES || e == EPERM) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SOCKET_DENIED, path,
			   "uid %u may not open the socket %s", (unsigned)d->uid, path);
		doctor_why(d,
			   "the socket is for everybody; who gets something is for the policy to "
			   "say");
		doctor_mend(d, "chmod 0755 the directories above it; chmod 0666 %s", path);
	} else {
		socket_wrong(d, path, e ? strerror(e) : d->answer.text);
	}
}

/* ---- the answer ---- */

static void user_name(uid_t uid, char name[64])
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(name, 64, "%.63s", user->pw_name);
	else
		snprintf(name, 64, "%u", (unsigned)uid);
}

static void refused(struct doctor *d)
{
	char name[64];

	user_name(d->uid, name);
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DAEMON_REFUSES, name,
		   "the broker refuses user %s: %s", name, d->answer.text);
	doctor_why(
		d,
		"only users whom a rule of the configuration names, themselves or by a group, are "
		"served");
	doctor_mend(d, "as root, in an [allow] section of %s: user = %s", d->config, name);
	doctor_mend_reload(d);
	doctor_mend(d, "a group that was given to the user today counts after the next login");
}

static void silent(struct doctor *d, const char *path)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_DAEMON_SILENT, path,
		   "the broker at %s took the connection, but did not answer within %u s", path,
		   d->patience_ms / 1000);
	doctor_why(
		d,
		"the daemon is stopped, hangs in the kernel, or does not get started by systemd");
	if (doctor_is_service(d))
		doctor_mend(d, "systemctl status iommu-broker; journalctl -b -u iommu-broker");
	if (d->monitor_pid)
		doctor_mend(d, "cat /proc/%ld/stack (as root: where it hangs)", d->monitor_pid);
	doctor_mend_restart(d);
}

static void serves(struct doctor *d, const char *path)
{
	const struct iob_status_rep *s = &d->answer.status;

	doctor_add(d, DOCTOR_OK, DOCTOR_IS_DAEMON, path,
		   "iommu-brokerd %s serves this user (process %u, %u client%s, %u device%s)",
		   s->version, s->monitor_pid, s->sessions, s->sessions == 1 ? "" : "s", s->devices,
		   s->devices == 1 ? "" : "s");
	if (strcmp(s->version, IOB_VERSION) != 0) {
		doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_DAEMON_VERSION, "iommu-brokerd",
			   "iommu-brokerd %s is running, this is iommuctl %s", s->version,
			   IOB_VERSION);
		doctor_why(d,
			   "after an upgrade the old daemon runs until it is started again; one of "
			   "both may lack what the other expects");
		doctor_mend_restart(d);
	}
	if (d->answer.backend == IOB_BACKEND_SIM) {
		doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_DAEMON_SIMULATES, "backend",
			   "the broker simulates its devices (backend sim)");
		doctor_why(d, "good for trying out; no real device is reached");
		doctor_mend(d, "in [daemon] of %s: backend = auto", d->config);
	}
}

static void other_failure(struct doctor *d, const char *path)
{
	enum doctor_id id = d->answer.code == IOB_E_VERSION ? DOCTOR_IS_DAEMON_VERSION :
			    d->answer.code == IOB_E_LIMIT   ? DOCTOR_IS_DAEMON_FULL :
							      DOCTOR_IS_DAEMON_FAILS;

	doctor_add(d, DOCTOR_ERROR, id, path, "the broker at %s does not serve this user: %s (%s)",
		   path, d->answer.text, iob_code_name(d->answer.code));
	if (d->answer.code == IOB_E_LIMIT) {
		doctor_why(d, "connections are limited, for each user and for all together");
		doctor_mend(d, "end clients that are not needed, or raise max-sessions in %s",
			    d->config);
	} else {
		doctor_why(d, "no client of this user works");
		doctor_mend_log(d);
		doctor_mend_restart(d);
	}
}

void doctor_check_daemon(struct doctor *d)
{
	char full[DOCTOR_PATH];
	const char *path;

	doctor_socket_path(d, full);
	path = below(d, full);
	if (d->answer.silent)
		silent(d, path);
	else if (d->answer.code == IOB_OK)
		serves(d, path);
	else if (d->answer.code == IOB_E_CONNECT || d->answer.code == IOB_E_ARGUMENT)
		unreachable(d, full);
	else if (d->answer.code == IOB_E_DENIED)
		refused(d);
	else
		other_failure(d, path);
}

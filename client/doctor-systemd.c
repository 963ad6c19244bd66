/* SPDX-License-Identifier: MIT */
/* doctor-systemd.c - the units: installed, enabled, not masked, not failed. */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_UNIT  "iommu-broker.socket"
#define SERVICE_UNIT "iommu-broker.service"

static const char *const folders[] = {
	"/etc/systemd/system",	   "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
};

#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

/* The folder whose file counts, or NULL. */
static const char *folder_of(const struct doctor *d, const char *unit)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		if (doctor_exists(d, "%s/%s", folders[i], unit))
			return folders[i];
	}
	return NULL;
}

static bool is_installed(const struct doctor *d, const char *unit)
{
	return folder_of(d, unit) != NULL;
}

/* The control group of a running one tells; else the unit that would start it. */
bool doctor_is_service(const struct doctor *d)
{
	doctor_cleanup_free char *group = NULL;

	if (!doctor_exists(d, "/run/systemd/system") || !is_installed(d, SERVICE_UNIT))
		return false;
	if (d->monitor_pid)
		group = doctor_file(d, "/proc/%ld/cgroup", d->monitor_pid);
	return !group || strstr(group, "/" SERVICE_UNIT);
}

void doctor_mend_restart(struct doctor *d)
{
	if (doctor_is_service(d)) {
		doctor_mend_unmask(d);
		doctor_mend(d, "systemctl restart iommu-broker");
	} else if (d->monitor_pid) {
		doctor_mend(d, "end iommu-brokerd (process %ld) and start it again",
			    d->monitor_pid);
	} else {
		doctor_mend(d, "start iommu-brokerd again");
	}
}

void doctor_mend_reload(struct doctor *d)
{
	if (doctor_is_service(d))
		doctor_mend(d, "systemctl reload iommu-broker");
	else if (d->monitor_pid)
		doctor_mend(d, "kill -HUP %ld (iommu-brokerd reads the configuration again)",
			    d->monitor_pid);
	else
		doctor_mend(d, "start iommu-brokerd, which reads it");
}

void doctor_mend_log(struct doctor *d)
{
	if (doctor_is_service(d))
		doctor_mend(d, "journalctl -b -u iommu-broker (the reason is there)");
	else
		doctor_mend(d, "see what iommu-brokerd says on its standard error (the reason is "
			       "there)");
}

/* By a link to /dev/null, or by an empty file of the administrator's. */
static bool is_masked(const struct doctor *d, const char *unit)
{
	const char *folder = folder_of(d, unit);
	char path[DOCTOR_PATH], target[32];
	struct stat st;
	ssize_t n;

	if (!folder || !doctor_path(d, path, "%s/%s", folder, unit) || lstat(path, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return st.st_size == 0 && strncmp(folder, "/usr", 4) && strncmp(folder, "/lib", 4);
	n = readlink(path, target, sizeof(target));
	return n == 9 && !memcmp(target, "/dev/null", 9);
}

void doctor_mend_unmask(struct doctor *d)
{
	bool socket = is_masked(d, SOCKET_UNIT), service = is_masked(d, SERVICE_UNIT);

	if (socket || service)
		doctor_mend(d, "systemctl unmask%s%s", socket ? " " SOCKET_UNIT : "",
			    service ? " " SERVICE_UNIT : "");
}

/* ---- where the unit listens ---- */

static void take_listen_lines(char *text, char path[DOCTOR_PATH])
{
	static const char key[] = "ListenSequentialPacket=";
	char *rest = text, *line;

	while ((line = doctor_next_line(&rest))) {
		line += strspn(line, " \t");
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			snprintf(path, DOCTOR_PATH, "%.*s",
				 (int)strcspn(line + sizeof(key) - 1, " \t\r"),
				 line + sizeof(key) - 1);
	}
}

/* What "systemctl edit" made comes after the unit; of the folders the first counts. */
static void take_drop_ins(const struct doctor *d, char path[DOCTOR_PATH])
{
	for (size_t i = FOLDERS; i-- > 0;) {
		doctor_cleanup_names struct doctor_names n;

		doctor_names(d, &n, "%s/" SOCKET_UNIT ".d", folders[i]);
		for (size_t j = 0; j < n.count; j++) {
			doctor_cleanup_free char *text =
				doctor_file(d, "%s/" SOCKET_UNIT ".d/%s", folders[i], n.names[j]);

			if (text)
				take_listen_lines(text, path);
		}
	}
}

bool doctor_unit_socket(const struct doctor *d, char path[DOCTOR_PATH])
{
	const char *folder = folder_of(d, SOCKET_UNIT);
	doctor_cleanup_free char *text = NULL;

	path[0] = '\0';
	if (!folder || !doctor_is_service(d))
		return false;
	text = doctor_file(d, "%s/" SOCKET_UNIT, folder);
	if (text)
		take_listen_lines(text, path);
	take_drop_ins(d, path);
	return path[0] != '\0';
}

/* ---- findings ---- */

static bool is_enabled(const struct doctor *d)
{
	return doctor_exists(d, "/etc/systemd/system/sockets.target.wants/" SOCKET_UNIT) ||
	       doctor_exists(d, "/etc/systemd/system/multi-user.target.wants/" SERVICE_UNIT);
}

static void masked(struct doctor *d, const char *unit)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SYSTEMD_MASKED, unit, "the unit %s is masked", unit);
	doctor_why(d, "systemd does not start it, whoever asks");
	doctor_mend(d, "systemctl unmask %s", unit);
}

/* A unit that is started again for ever never is "failed", however often it ends. */
static bool starts_in_vain(const char *output)
{
	const char *restarts = strstr(output, "NRestarts=");

	return strstr(output, "ActiveState=activating") &&
	       (strstr(output, "SubState=auto-restart") ||
		(restarts && strtoul(restarts + strlen("NRestarts="), NULL, 10) > 0));
}

/* Both units as systemd has them: "ActiveState=failed". */
static void check_failed(struct doctor *d, const char *unit)
{
	char output[1024];
	char *argv[] = { (char *)(uintptr_t)d->systemctl, (char *)(uintptr_t) "show",
			 (char *)(uintptr_t) "--property=ActiveState,SubState,Result,NRestarts",
			 (char *)(uintptr_t)unit, NULL };
	bool again;

	if (doctor_program(d, argv, output, sizeof(output)) != 0)
		return;
	again = starts_in_vain(output);
	if (!again && !strstr(output, "ActiveState=failed"))
		return;
	for (char *p = output; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SYSTEMD_FAILED, unit, "the unit %s %s: %s", unit,
		   again ? "fails each time it is started" : "has failed", output);
	doctor_why(d, again ? "systemd goes on starting it, and nobody answers clients" :
			      "systemd gave up starting it");
	doctor_mend(d, "journalctl -b -u %s (the reason is there)", unit);
	if (!again)
		doctor_mend(d, "systemctl reset-failed %s; systemctl start %s", unit, unit);
}

static void not_enabled(struct doctor *d)
{
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_SYSTEMD_NOT_ENABLED, SOCKET_UNIT,
		   "the unit " SOCKET_UNIT " is installed, but not enabled");
	doctor_why(d, "after the next boot nobody listens for clients");
	doctor_mend(d, "systemctl enable --now " SOCKET_UNIT);
}

void doctor_check_systemd(struct doctor *d)
{
	static const char *const units[] = { SOCKET_UNIT, SERVICE_UNIT };
	bool any_masked = false;

	if (!doctor_exists(d, "/run/systemd/system"))
		return;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (is_masked(d, units[i])) {
			masked(d, units[i]);
			any_masked = true;
		} else if (d->systemctl) {
			check_failed(d, units[i]);
		}
	}
	if (any_masked)
		return;
	if (!is_installed(d, SOCKET_UNIT)) {
		doctor_add(d, DOCTOR_NOTE, DOCTOR_IS_SYSTEMD_UNITS_MISSING, SOCKET_UNIT,
			   "systemd runs here, but has no unit " SOCKET_UNIT);
		doctor_why(
			d,
			"the daemon is not started by systemd: not at boot, and not again when it "
			"ends");
		doctor_mend(d, "make install PREFIX=/usr; systemctl daemon-reload");
	} else if (!is_enabled(d)) {
		not_enabled(d);
	} else {
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_SYSTEMD, SOCKET_UNIT, "the unit is enabled");
	}
}

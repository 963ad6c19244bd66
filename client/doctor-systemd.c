/* SPDX-License-Identifier: MIT */
/* doctor-systemd.c - the units: installed, enabled, not masked, not failed. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_UNIT  "iommu-broker.socket"
#define SERVICE_UNIT "iommu-broker.service"

static bool is_installed(const struct doctor *d, const char *unit)
{
	static const char *const folders[] = {
		"/etc/systemd/system",	   "/run/systemd/system", "/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system", "/lib/systemd/system",
	};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (doctor_exists(d, "%s/%s", folders[i], unit))
			return true;
	}
	return false;
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
	if (doctor_is_service(d))
		doctor_mend(d, "systemctl restart iommu-broker");
	else if (d->monitor_pid)
		doctor_mend(d, "end iommu-brokerd (process %ld) and start it again",
			    d->monitor_pid);
	else
		doctor_mend(d, "start iommu-brokerd again");
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

static bool is_masked(const struct doctor *d, const char *unit)
{
	static const char *const folders[] = { "/etc/systemd/system", "/run/systemd/system" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char path[DOCTOR_PATH], target[32];
		ssize_t n;

		if (!doctor_path(d, path, "%s/%s", folders[i], unit))
			continue;
		n = readlink(path, target, sizeof(target) - 1);
		if (n == 9 && !memcmp(target, "/dev/null", 9))
			return true;
	}
	return false;
}

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

/* Both units as systemd has them: "ActiveState=failed". */
static void check_failed(struct doctor *d, const char *unit)
{
	char output[1024];
	char *argv[] = { (char *)(uintptr_t)d->systemctl, (char *)(uintptr_t) "show",
			 (char *)(uintptr_t) "--property=ActiveState,Result",
			 (char *)(uintptr_t)unit, NULL };

	if (doctor_program(d, argv, output, sizeof(output)) != 0 ||
	    !strstr(output, "ActiveState=failed"))
		return;
	for (char *p = output; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_SYSTEMD_FAILED, unit, "the unit %s has failed: %s",
		   unit, output);
	doctor_why(d, "systemd gave up starting it");
	doctor_mend(d, "journalctl -b -u %s (the reason is there)", unit);
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

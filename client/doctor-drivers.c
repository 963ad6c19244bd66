/* SPDX-License-Identifier: MIT */
/* doctor-drivers.c - how a device comes to vfio-pci: what to do, and what [drivers] was to do. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

#define LIST_BYTES 200u

/* ---- what to do ---- */

/* Root may have the broker move devices, whatever this user may. */
static bool broker_moves(const struct doctor *d)
{
	return d->answer.code == IOB_E_DENIED ||
	       (d->answer.code == IOB_OK && d->answer.backend != IOB_BACKEND_SIM);
}

static bool is_listed(const struct doctor *d, const struct doctor_device *device)
{
	for (size_t i = 0; i < d->policy.vfio_count; i++) {
		if (doctor_pattern_fits(&d->policy.vfio[i], device))
			return true;
	}
	return false;
}

/* The device, and what of its group has to go with it: how many, and does [drivers] name them all? */
static size_t movers(const struct doctor *d, const struct doctor_device *device,
		     char list[LIST_BYTES], bool *listed)
{
	size_t count = 1, length;

	*listed = is_listed(d, device);
	length = (size_t)snprintf(list, LIST_BYTES, "%s", device->name);
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *sibling = &d->devices[i];

		if (sibling == device || device->group < 0 || sibling->group != device->group ||
		    sibling->harmless || sibling->bridge)
			continue;
		count++;
		*listed &= is_listed(d, sibling);
		if (length + sizeof(sibling->name) + 1 < LIST_BYTES)
			length += (size_t)snprintf(list + length, LIST_BYTES - length, " %s",
						   sibling->name);
	}
	return count;
}

void doctor_mend_bind(struct doctor *d, const struct doctor_device *device)
{
	const char *when = broker_moves(d) ? "" : "once iommu-brokerd serves the hardware: ";
	char list[LIST_BYTES] = "BDF";
	bool listed = false;
	size_t count = device ? movers(d, device, list, &listed) : 1;

	if (device && device->sriov)
		doctor_mend(d,
			    "echo 0 > /sys/bus/pci/devices/%s/sriov_numvfs (its virtual functions "
			    "vanish)",
			    device->name);
	if (!doctor_exists(d, "/sys/bus/pci/drivers/vfio-pci"))
		doctor_mend(d, "modprobe vfio-pci");
	if (listed && !d->monitor_pid) {
		doctor_mend(d, "start iommu-brokerd, which moves %s then: [drivers] names it",
			    device->name);
		return;
	}
	doctor_mend(d, "%siommuctl bind %s%s", when, count > 1 ? "--group " : "",
		    device ? device->name : "BDF (with --group, what shares its IOMMU group, too)");
	if (!listed)
		doctor_mend(d,
			    "at every start of the daemon, and whether the machine uses it or not: "
			    "[drivers] vfio-pci = %s in %s",
			    list, d->config);
}

/* ---- [drivers] ---- */

static void why_listed(struct doctor *d, const struct doctor_pattern *p)
{
	doctor_why(d, "[drivers] at %s:%u has the daemon move it to vfio-pci when it starts",
		   p->file, p->line);
}

static void not_moved(struct doctor *d, const struct doctor_pattern *p,
		      const struct doctor_device *device)
{
	doctor_add(d, d->monitor_pid ? DOCTOR_WARNING : DOCTOR_NOTE, DOCTOR_IS_DRIVERS_NOT_MOVED,
		   device->name, "device %s, which [drivers] names, is not on vfio-pci: it %s%s",
		   device->name,
		   device->driver[0] ? "is used by the host's driver " : "has no driver",
		   device->driver);
	why_listed(d, p);
	doctor_mend_bind(d, device);
	if (d->monitor_pid)
		doctor_mend_log(d);
}

static void check_listed(struct doctor *d, const struct doctor_pattern *p)
{
	bool found = false;

	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->bridge || !doctor_pattern_fits(p, device))
			continue;
		found = true;
		if (!device->vfio)
			not_moved(d, p, device);
	}
	if (found)
		return;
	doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_DRIVERS_NOT_MOVED, p->text,
		   "[drivers] names %s, and there is no such device%s", p->text,
		   doctor_device_by_name(d, p->text) ?
			   " but a bridge, which vfio-pci does not take" :
			   "");
	why_listed(d, p);
	doctor_mend(d, "lspci -Dnn (its address may have changed); then correct %s line %u",
		    p->file, p->line);
}

void doctor_check_drivers(struct doctor *d)
{
	for (size_t i = 0; i < d->policy.vfio_count; i++)
		check_listed(d, &d->policy.vfio[i]);
}

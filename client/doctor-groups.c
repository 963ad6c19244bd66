/* SPDX-License-Identifier: MIT */
/*
 * doctor-groups.c - IOMMU groups that cannot be given out, and who is to blame.
 *
 * The IOMMU cannot tell the devices of one group apart, so VFIO gives a group out only when no
 * device in it is on a driver of the host.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

/* Devices of this group that somebody would want to have. */
static size_t wanted_of(const struct doctor *d, long group, char list[256])
{
	size_t count = 0, length = 0;

	list[0] = '\0';
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->group != group || !device->vfio)
			continue;
		count++;
		if (length + sizeof(device->name) + 3 < 256)
			length += (size_t)snprintf(list + length, 256 - length, "%s%s",
						   length ? ", " : "", device->name);
	}
	return count;
}

static void blame(struct doctor *d, const struct doctor_device *sibling, const char *victims)
{
	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_GROUP_NOT_VIABLE, sibling->name,
		"IOMMU group %ld cannot be given out: in it, %s (%04x:%04x) is used by the host's "
		"driver %s; that keeps %s from being bound",
		sibling->group, sibling->name, sibling->vendor & 0xffff, sibling->device & 0xffff,
		sibling->driver, victims);
	doctor_why(d,
		   "the IOMMU cannot tell the devices of one group apart: the host and the client "
		   "would reach each other's memory");
	doctor_mend(d,
		    "if the host can do without %s: echo %s > "
		    "/sys/bus/pci/devices/%s/driver/unbind",
		    sibling->name, sibling->name, sibling->name);
	doctor_mend(d,
		    "or give it to vfio-pci as well: echo vfio-pci > "
		    "/sys/bus/pci/devices/%s/driver_override; echo %s > "
		    "/sys/bus/pci/drivers_probe (after the unbind)",
		    sibling->name, sibling->name);
	doctor_mend(d, "or move the card to another slot, so that it gets a group of its own");
}

void doctor_check_groups(struct doctor *d)
{
	size_t blamed = 0, groups = 0;
	char victims[256];
	long seen = -1;

	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->group < 0)
			continue;
		if (device->vfio && device->group != seen) {
			groups++;
			seen = device->group;
		}
		if (!device->harmless && wanted_of(d, device->group, victims)) {
			blame(d, device, victims);
			blamed++;
		}
	}
	if (groups && !blamed)
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_GROUPS, "",
			   "nothing of the host is in the IOMMU groups of devices on VFIO");
}

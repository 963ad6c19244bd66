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

#define LIST_BYTES 256u

/* Devices of a group that somebody would want to have. */
struct victims {
	const struct doctor_device *first;
	bool given; /* one of them, by a rule */
	bool vfs;   /* one of them is a virtual function of who is to blame */
	char list[LIST_BYTES];
};

/* Those that the other one keeps from being given out; false: there are none. */
static bool victims_of(const struct doctor *d, const struct doctor_device *other, struct victims *v)
{
	size_t length = 0;

	*v = (struct victims){ 0 };
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->group != other->group || !device->wanted || device == other)
			continue;
		if (!v->first)
			v->first = device;
		v->given |= device->in_policy;
		v->vfs |= strcmp(device->physfn, other->name) == 0;
		if (length + sizeof(device->name) + 3 < LIST_BYTES)
			length += (size_t)snprintf(v->list + length, LIST_BYTES - length, "%s%s",
						   length ? ", " : "", device->name);
	}
	return v->first != NULL;
}

/* vfio-pci takes no bridge, and virtual functions do not outlive the driver of theirs. */
static void mend_blamed(struct doctor *d, const struct doctor_device *sibling,
			const struct victims *v)
{
	if (sibling->bridge) {
		doctor_mend(d,
			    "if the host can do without %s on this bridge: echo %s > "
			    "/sys/bus/pci/devices/%s/driver/unbind",
			    sibling->driver, sibling->name, sibling->name);
	} else if (!v->vfs) {
		doctor_mend(d, "if the host can do without %s and what it is used for:",
			    sibling->name);
		doctor_mend_bind(d, v->first->vfio ? sibling : v->first);
	}
	doctor_mend(d, "%smove the card to another slot, so that it gets a group of its own",
		    v->vfs && !sibling->bridge ? "" : "or ");
}

static void blame(struct doctor *d, const struct doctor_device *sibling, const struct victims *v)
{
	doctor_add(
		d, v->given ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_IS_GROUP_NOT_VIABLE,
		sibling->name,
		"IOMMU group %ld cannot be given out: in it, %s (%04x:%04x) is used by the host's "
		"driver %s; that keeps %s from being bound",
		sibling->group, sibling->name, sibling->vendor & 0xffff, sibling->device & 0xffff,
		sibling->driver, v->list);
	doctor_why(
		d,
		"the IOMMU cannot tell the devices of one group apart: the host and the client "
		"would reach each other's memory%s",
		v->vfs ? "; on vfio-pci, or without a driver, it would have no virtual functions" :
			 "");
	mend_blamed(d, sibling, v);
}

/* ---- memory that firmware keeps for itself ---- */

/* "0x... 0x... direct"; with "direct-relaxable" the kernel goes on without. */
static bool is_reserved(const struct doctor *d, long group)
{
	doctor_cleanup_free char *text =
		doctor_file(d, "/sys/kernel/iommu_groups/%ld/reserved_regions", group);
	char *rest = text, *line;

	while ((line = doctor_next_line(&rest))) {
		if (doctor_has_word(line, "direct"))
			return true;
	}
	return false;
}

static void reserved(struct doctor *d, const struct doctor_device *device)
{
	doctor_add(
		d, device->in_policy ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_IS_GROUP_RESERVED,
		device->name,
		"device %s cannot be given out: firmware wants a device of its IOMMU group %ld to "
		"reach memory at all times (RMRR)",
		device->name, device->group);
	doctor_why(d, "in a client's domain it would not, so the kernel refuses to bind it");
	doctor_mend(d, "cat /sys/kernel/iommu_groups/%ld/reserved_regions (those that are direct)",
		    device->group);
	doctor_mend(d, "turn off in the firmware setup what uses it (on servers often: the sharing "
		       "of this slot or its sensors with the management controller)");
	doctor_mend(d, "or put the card into another slot");
}

/* ---- all groups ---- */

void doctor_check_groups(struct doctor *d)
{
	size_t wrong = 0, on_vfio = 0;
	struct victims v;

	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->group < 0)
			continue;
		on_vfio += device->vfio;
		if (device->wanted && !device->noiommu && is_reserved(d, device->group)) {
			reserved(d, device);
			wrong++;
		}
		if (device->harmless || !victims_of(d, device, &v))
			continue;
		wrong++;
		/* Where it is to be on VFIO itself, that is said of it. */
		if (!device->wanted)
			blame(d, device, &v);
	}
	if (on_vfio && !wrong)
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_GROUPS, "",
			   "nothing of the host is in the IOMMU groups of devices on VFIO");
}

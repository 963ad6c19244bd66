/* SPDX-License-Identifier: MIT */
/* doctor-devices.c - devices on VFIO, and those that the policy names. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>

/* ---- on VFIO ---- */

/* Only what a rule means: of the others, the host may need any. */
static void none_on_vfio(struct doctor *d)
{
	const struct doctor_device *wanted = NULL;
	size_t count = 0;
	bool served = false;

	for (size_t i = 0; i < d->device_count; i++) {
		served |= d->devices[i].group >= 0;
		if (!d->devices[i].wanted)
			continue;
		wanted = &d->devices[i];
		count++;
	}
	if (count > 1)
		wanted = NULL; /* which one is not for us to say */
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_NO_DEVICE_ON_VFIO, "/sys/bus/pci/drivers/vfio-pci",
		   "none of the %zu PCI devices is on vfio-pci", d->device_count);
	doctor_why(d, "the broker gives out devices that are on a VFIO driver, and no others");
	if (!served || d->iommu_off) {
		doctor_mend(d, "first see to it that an IOMMU is at work");
		return;
	}
	if (!wanted)
		doctor_mend(d, "choose a device that the host can do without: lspci -Dk");
	doctor_mend_bind(d, wanted);
}

static void check_virtual_functions(struct doctor *d, const struct doctor_device *device)
{
	if (!device->sriov)
		return;
	doctor_add(d, device->meant ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_IS_DEVICE_HAS_VFS,
		   device->name, "device %s has virtual functions enabled", device->name);
	doctor_why(d,
		   "who drives it would control the virtual functions of others; the broker does "
		   "not give it out");
	doctor_mend(d, "echo 0 > /sys/bus/pci/devices/%s/sriov_numvfs", device->name);
}

void doctor_check_devices(struct doctor *d)
{
	size_t count = 0;

	for (size_t i = 0; i < d->device_count; i++) {
		if (!d->devices[i].vfio)
			continue;
		count++;
		check_virtual_functions(d, &d->devices[i]);
	}
	if (count == 0)
		none_on_vfio(d);
	else
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_DEVICES, "", "%zu of %zu PCI devices on VFIO",
			   count, d->device_count);
}

/* ---- named in the policy ---- */

static void where(struct doctor *d, const struct doctor_pattern *p)
{
	doctor_why(d, "the rule at %s:%u gives it to somebody", p->file, p->line);
}

static void not_on_vfio(struct doctor *d, const struct doctor_pattern *p,
			const struct doctor_device *device)
{
	doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_POLICY_DEVICE_DRIVER, p->text,
		   "device %s, which the policy names, %s%s", p->text,
		   device->driver[0] ? "is used by the host's driver " : "has no driver",
		   device->driver);
	where(d, p);
	doctor_mend_bind(d, device);
}

static void check_named(struct doctor *d, const struct doctor_pattern *p)
{
	const struct doctor_device *device = doctor_device_by_name(d, p->text);

	if (!device) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_POLICY_DEVICE_ABSENT, p->text,
			   "device %s, which the policy names, is not there", p->text);
		where(d, p);
		doctor_mend(d, "lspci -D (its address may have changed); then correct %s line %u",
			    p->file, p->line);
	} else if (device->bridge) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_POLICY_DEVICE_BRIDGE, p->text,
			   "device %s, which the policy names, is a bridge to another bus",
			   p->text);
		where(d, p);
		doctor_mend(d, "name the device behind it in %s line %u", p->file, p->line);
	} else if (!device->vfio && !d->iommu_off) {
		not_on_vfio(d, p, device);
	}
	if (device && device->group < 0 && !d->iommu_off) {
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_POLICY_DEVICE_WITHOUT_IOMMU, p->text,
			   "device %s, which the policy names, is in no IOMMU group", p->text);
		doctor_why(d,
			   "no IOMMU serves it, so nothing would contain its DMA; the rule is at "
			   "%s:%u",
			   p->file, p->line);
		doctor_mend(d, "turn the IOMMU on, or move the card to a slot that one serves");
	}
}

#define LIST_BYTES 256u

/* Devices that the pattern fits, with their drivers, when none of them is on VFIO. */
struct kind {
	const struct doctor_device *first;
	size_t count;
	bool on_vfio;
	char list[LIST_BYTES];
};

static void look_for_kind(const struct doctor *d, const struct doctor_pattern *p, struct kind *k)
{
	size_t length = 0;

	*k = (struct kind){ 0 };
	for (size_t i = 0; i < d->device_count; i++) {
		const struct doctor_device *device = &d->devices[i];

		if (device->bridge || !doctor_pattern_fits(p, device))
			continue;
		k->on_vfio |= device->vfio;
		k->count++;
		if (!k->first)
			k->first = device;
		if (length + sizeof(device->name) + sizeof(device->driver) + 8 < LIST_BYTES)
			length += (size_t)snprintf(k->list + length, LIST_BYTES - length,
						   "%s%s (%s%s)", length ? ", " : "", device->name,
						   device->driver[0] ? "on " : "no ",
						   device->driver[0] ? device->driver : "driver");
	}
}

/* A class, or all, may well mean what is moved there later. */
static void check_kind(struct doctor *d, const struct doctor_pattern *p)
{
	bool id = doctor_pattern_is_id(p);
	struct kind k;

	look_for_kind(d, p, &k);
	if (k.on_vfio || d->iommu_off)
		return;
	doctor_add(d, k.first && id ? DOCTOR_ERROR : DOCTOR_WARNING,
		   DOCTOR_IS_POLICY_PATTERN_UNMATCHED, p->text,
		   "no device on VFIO is a \"%s\", which the policy names%s%s", p->text,
		   k.first ? "; others are: " : "", k.list);
	doctor_why(d, "the rule at %s:%u gives nothing by it at present", p->file, p->line);
	if (!k.first)
		doctor_mend(d, "lspci -Dnnk (what there is, and on which driver)");
	else
		doctor_mend_bind(d, id && k.count == 1 ? k.first : NULL);
	doctor_mend(d, "or correct %s line %u", p->file, p->line);
}

void doctor_check_policy_devices(struct doctor *d)
{
	for (size_t i = 0; i < d->policy.pattern_count; i++) {
		const struct doctor_pattern *p = &d->policy.patterns[i];

		if (doctor_pattern_is_name(p))
			check_named(d, p);
		else
			check_kind(d, p);
	}
}

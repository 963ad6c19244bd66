/* SPDX-License-Identifier: MIT */
/* doctor-inventory.c - PCI devices as sysfs shows them. */
#define _GNU_SOURCE /* reallocarray() */

#include "doctor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYS_DEVICE "/sys/bus/pci/devices/%s"

static bool is_harmless(const char *driver)
{
	/* Those that set driver_managed_dma in the kernel; it does not tell which they are. */
	return !driver[0] || !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport");
}

/* "vfio3" has a node when there is a "dev" beside it; "noiommu-vfio0" has no IOMMU. */
static void read_cdev(const struct doctor *d, struct doctor_device *device)
{
	doctor_cleanup_names struct doctor_names n;

	if (doctor_names(d, &n, SYS_DEVICE "/vfio-dev", device->name) < 0)
		return;
	for (size_t i = 0; i < n.count; i++) {
		bool noiommu = !strncmp(n.names[i], "noiommu-", 8);

		device->vfio = true;
		device->noiommu |= noiommu;
		if (!noiommu && !strncmp(n.names[i], "vfio", 4) &&
		    doctor_exists(d, SYS_DEVICE "/vfio-dev/%s/dev", device->name, n.names[i]))
			snprintf(device->cdev, sizeof(device->cdev), "%.31s", n.names[i]);
	}
}

static uint32_t read_hex(const struct doctor *d, const char *name, const char *attribute)
{
	char line[32];

	if (!doctor_line(d, line, sizeof(line), SYS_DEVICE "/%s", name, attribute))
		return 0;
	return (uint32_t)strtoul(line, NULL, 16);
}

static void read_group(const struct doctor *d, struct doctor_device *device)
{
	char text[32], kind[64];

	device->group = -1;
	if (!doctor_link(d, text, sizeof(text), SYS_DEVICE "/iommu_group", device->name) ||
	    !isdigit((unsigned char)text[0]))
		return;
	device->group = strtol(text, NULL, 10);
	if (doctor_line(d, kind, sizeof(kind), "/sys/kernel/iommu_groups/%ld/name",
			device->group) &&
	    !strcmp(kind, "vfio-noiommu"))
		device->noiommu = true;
}

/* Their header is not a device's. What else is of class 06, as a bridge to ISA, is a device to VFIO. */
static bool is_bridge(uint32_t class_code)
{
	return class_code >> 8 == 0x0604 || class_code >> 8 == 0x0607;
}

/*
 * Nothing that is read here waits for the lock of the device, as sriov_numvfs and driver_override do:
 * an unbind that does not end holds it, and that is when somebody asks what is wrong.
 */
static void read_device(const struct doctor *d, const char *name, struct doctor_device *device)
{
	*device = (struct doctor_device){ .group = -1 };
	snprintf(device->name, sizeof(device->name), "%.31s", name);
	device->vendor = read_hex(d, name, "vendor");
	device->device = read_hex(d, name, "device");
	device->class_code = read_hex(d, name, "class");
	doctor_link(d, device->driver, sizeof(device->driver), SYS_DEVICE "/driver", name);
	device->vfio = !strncmp(device->driver, "vfio", 4);
	device->harmless = is_harmless(device->driver);
	read_group(d, device);
	read_cdev(d, device);
	device->harmless |= device->vfio;
	device->bridge = is_bridge(device->class_code);
	device->sriov = doctor_exists(d, SYS_DEVICE "/virtfn0", name);
	doctor_link(d, device->physfn, sizeof(device->physfn), SYS_DEVICE "/physfn", name);
}

/* ---- what is said of them in the configuration ---- */

static bool is_on_vfio(const struct doctor *d, const struct doctor_pattern *p)
{
	for (size_t i = 0; i < d->device_count; i++) {
		if (d->devices[i].vfio && doctor_pattern_fits(p, &d->devices[i]))
			return true;
	}
	return false;
}

/* Of several alike, one on VFIO may be all that is given: the others may be the host's. A class is
 * not meant to take all of it from the host. */
static bool means(const struct doctor *d, const struct doctor_pattern *p)
{
	return doctor_pattern_is_name(p) || (doctor_pattern_is_id(p) && !is_on_vfio(d, p));
}

static void look_up(const struct doctor *d, struct doctor_device *device)
{
	device->wanted = device->vfio;
	for (size_t i = 0; i < d->policy.vfio_count; i++)
		device->wanted |=
			!device->bridge && doctor_pattern_fits(&d->policy.vfio[i], device);
	for (size_t i = 0; i < d->policy.pattern_count; i++) {
		const struct doctor_pattern *p = &d->policy.patterns[i];

		if (!doctor_pattern_fits(p, device))
			continue;
		device->in_policy = true;
		device->meant |= doctor_pattern_is_name(p) || doctor_pattern_is_id(p);
		device->wanted |= !device->bridge && means(d, p);
	}
}

void doctor_inventory(struct doctor *d)
{
	doctor_cleanup_names struct doctor_names n;

	if (doctor_names(d, &n, "/sys/bus/pci/devices") < 0 || n.count == 0)
		return;
	d->devices = doctor_need(calloc(n.count, sizeof(d->devices[0])));
	for (size_t i = 0; i < n.count; i++)
		read_device(d, n.names[i], &d->devices[d->device_count++]);
	for (size_t i = 0; i < n.count; i++)
		look_up(d, &d->devices[i]);
}

const struct doctor_device *doctor_device_by_name(const struct doctor *d, const char *name)
{
	for (size_t i = 0; i < d->device_count; i++) {
		if (!strcasecmp(d->devices[i].name, name))
			return &d->devices[i];
	}
	return NULL;
}

/* ---- patterns, as in iommu-broker.conf(5) ---- */

bool doctor_pattern_is_name(const struct doctor_pattern *p)
{
	const char *text = p->text;
	size_t domain = strcspn(text, ":");

	return domain >= 4 && domain <= 8 && strlen(text) == domain + 8 &&
	       text[domain + 3] == ':' && text[domain + 6] == '.' &&
	       strspn(text, "0123456789abcdefABCDEF") == domain;
}

bool doctor_pattern_is_id(const struct doctor_pattern *p)
{
	return strspn(p->text, "0123456789abcdefABCDEF") == 4 && p->text[4] == ':' &&
	       strspn(p->text + 5, "0123456789abcdefABCDEF") == 4 && strlen(p->text) == 9;
}

static bool class_fits(const char *digits, uint32_t class_code)
{
	char whole[8];

	snprintf(whole, sizeof(whole), "%06x", class_code & 0xffffff);
	return strncasecmp(whole, digits, strlen(digits)) == 0;
}

bool doctor_pattern_fits(const struct doctor_pattern *p, const struct doctor_device *device)
{
	char id[16];

	if (!strcmp(p->text, "*"))
		return true;
	if (!strncmp(p->text, "class:", 6))
		return class_fits(p->text + 6, device->class_code);
	if (!strncmp(p->text, "driver:", 7))
		return strcmp(p->text + 7, device->driver) == 0;
	if (doctor_pattern_is_name(p))
		return strcasecmp(p->text, device->name) == 0;
	snprintf(id, sizeof(id), "%04x:%04x", device->vendor & 0xffff, device->device & 0xffff);
	return strcasecmp(p->text, id) == 0;
}

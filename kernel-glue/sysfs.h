/* SPDX-License-Identifier: MIT */
/*
 * sysfs.h - what /sys and /dev tell about PCI devices, IOMMU groups and VFIO nodes.
 *
 * Monitor only. Everything is read afresh at every call: drivers, groups and nodes change while
 * the broker runs.
 */
#ifndef KERNEL_GLUE_SYSFS_H
#define KERNEL_GLUE_SYSFS_H

#include "kernel-glue/glue.h"

/* For tests: prepared trees in place of /sys, /dev and /proc; NULL: the real one. Keeps the
 * pointers. */
void sysfs_roots_set(const char *sys, const char *dev, const char *proc);

#define SYSFS_PATH_BYTES   512
#define SYSFS_DRIVER_BYTES 64

/* A path below bus/pci/ of sysfs. 0 or -ENAMETOOLONG. */
int sysfs_bus_path(char path[SYSFS_PATH_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool sysfs_name_is_bdf(const char *name);
/* The first line of a file, without its end. 0 or -errno. */
int sysfs_line_read(const char *path, char *text, size_t bytes);
/* The driver that a PCI device has now: its name, "" for none. Is it a VFIO driver? */
bool sysfs_driver_read(const char *name, char driver[SYSFS_DRIVER_BYTES]);
bool sysfs_has_virtual_functions(const char *name);

/* What keeps a device from being given out. */
enum sysfs_obstacle {
	SYSFS_USABLE = 0,
	SYSFS_NOIOMMU, /* in a fake group: nothing would contain its DMA */
	SYSFS_NO_DRIVER,
	SYSFS_HOST_DRIVER, /* the host uses it */
	SYSFS_BRIDGE,
	SYSFS_HAS_VFS, /* a physical function that virtual functions depend on */
	SYSFS_SIBLING, /* a device of its group is used by the host */
};

/* All PCI devices with an IOMMU group, sorted by name; malloc'ed, the caller frees. Entries that
 * make no sense are left out. 0 or -errno. */
int sysfs_pci_list(struct glue_device **list, size_t *count);

/* The same of what is in the IOMMU group of this device. -ENODEV, -EINVAL: as sysfs_pci_read(). */
int sysfs_group_list(const char *name, struct glue_device **list, size_t *count);

/* One device by name. *obstacle says in code what d->why says in words. 0; -ENODEV when there is
 * no such device or it has no group; -EINVAL for what is no BDF. */
int sysfs_pci_read(const char *name, struct glue_device *d, enum sysfs_obstacle *obstacle);

/*
 * How many events the kernel has announced: one at least for each device that comes or goes, and for
 * each driver that takes one or lets go of one (lib/kobject_uevent.c, drivers/base/dd.c). 0 or -errno.
 */
int sysfs_uevents(uint64_t *number);

struct sysfs_sibling {
	char name[IOB_NAME_BYTES];
	char driver[24];
};

/* The first other device of the group (by name) that a host driver holds. 1 and *blame filled, 0
 * when there is none, or -errno. */
int sysfs_group_blame(uint32_t group, const char *self, struct sysfs_sibling *blame);

/* Open the node of a group, or of a device's cdev; CLOEXEC. The fd or -errno. cdev: -ENXIO when
 * the kernel offers none, -ESTALE when the node is not the device that sysfs names. */
int sysfs_group_open(uint32_t group);
int sysfs_cdev_open(const char *name);
/* Open a node under /dev, for example "iommu"; CLOEXEC. The fd or -errno. */
int sysfs_node_open(const char *node);

/* Does this kernel make character devices for VFIO devices? */
bool sysfs_has_cdevs(void);

/* The module whose allow_unsafe_interrupts is not "N", or NULL. Unreadable counts as not "N". */
const char *sysfs_unsafe_interrupts(void);

#endif

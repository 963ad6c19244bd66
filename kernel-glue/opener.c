/* SPDX-License-Identifier: MIT */
/*
 * opener.c - shared by type1-open.c and iommufd-open.c.
 *
 * The kernel answers a bind with an errno that has many causes. The tables here pair it with the
 * step at which it came, which leaves one or two, and say what a person can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel-glue/opener.h"

#define BUSY_TRIES    50
#define BUSY_PAUSE_US 20000

int opener_inventory(struct glue_device **list, size_t *count, struct fault *why)
{
	int rc = sysfs_pci_list(list, count);

	if (rc)
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_NONE, -rc,
				 "cannot list the PCI devices in sysfs: %s", strerror(-rc));
	return 0;
}

/* It may leave, or change its group, between two steps: then it is not there. */
int opener_group(const char *name, struct glue_device **list, size_t *count, struct fault *why)
{
	int rc = sysfs_group_list(name, list, count);

	if (rc == -ENODEV || rc == -ENOENT || rc == -EINVAL) {
		*list = NULL;
		*count = 0;
		return 0;
	}
	if (rc)
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_NONE, -rc,
				 "cannot list the IOMMU group of device %.32s in sysfs: %s", name,
				 strerror(-rc));
	return 0;
}

int opener_descriptor_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

static enum iob_code obstacle_code(enum sysfs_obstacle obstacle)
{
	switch (obstacle) {
	case SYSFS_USABLE:
		return IOB_OK;
	case SYSFS_NOIOMMU:
	case SYSFS_HAS_VFS:
		return IOB_E_UNSAFE;
	case SYSFS_HOST_DRIVER:
		return IOB_E_BUSY;
	case SYSFS_NO_DRIVER:
	case SYSFS_BRIDGE:
		return IOB_E_UNSUPPORTED;
	case SYSFS_SIBLING:
		return IOB_E_GROUP;
	}
	return IOB_E_INTERNAL;
}

/* Policy looked at the device when it was opened: another one may sit there by now. */
static bool is_the_same(const struct glue_device *a, const struct glue_device *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->class_code == b->class_code &&
	       a->group == b->group;
}

int opener_check_device(const struct glue_device *d, struct glue_device *now, struct fault *why)
{
	enum sysfs_obstacle obstacle;
	int rc = sysfs_pci_read(d->name, now, &obstacle);

	if (rc)
		return fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_DEVICE_OPEN, -rc,
				 "no PCI device %.32s with an IOMMU group is present", d->name);
	if (!is_the_same(d, now))
		return fault_set(
			why, IOB_E_NO_DEVICE, IOB_STEP_DEVICE_OPEN, ESTALE,
			"device %s is not the one that was opened: another has its address "
			"now",
			now->name);
	if (obstacle != SYSFS_USABLE && obstacle != SYSFS_SIBLING)
		return fault_set(why, obstacle_code(obstacle), IOB_STEP_DEVICE_OPEN, 0,
				 "device %s cannot be given out: it %s", now->name, now->why);
	return 0;
}

int opener_check_interrupts(bool allowed, struct fault *why)
{
	const char *module = allowed ? NULL : sysfs_unsafe_interrupts();

	if (!module)
		return 0;
	return fault_set(why, IOB_E_UNSAFE, IOB_STEP_GROUP, 0,
			 "a device could forge interrupts: write N to "
			 "/sys/module/%s/parameters/allow_unsafe_interrupts",
			 module);
}

static const struct {
	enum iob_step step;
	int sys_errno;
	enum iob_code code;
	const char *words;
} bind_faults[] = {
	{ IOB_STEP_GROUP, EBUSY, IOB_E_BUSY,
	  "another process has its IOMMU group open: a VMM, DPDK, or an earlier client still "
	  "closing" },
	{ IOB_STEP_GROUP, ENOENT, IOB_E_UNSUPPORTED,
	  "there is no node for its IOMMU group: is it bound to vfio-pci, and does the kernel "
	  "have VFIO groups?" },
	{ IOB_STEP_GROUP, EPERM, IOB_E_BUSY,
	  "its IOMMU group is claimed by another user of VFIO or iommufd" },
	{ IOB_STEP_BIND, EPERM, IOB_E_UNSAFE,
	  "the kernel sees no isolation of its interrupts, or another user has claimed its group" },
	{ IOB_STEP_BIND, EINVAL, IOB_E_UNSAFE,
	  "the IOMMU is not cache coherent for it, or reserves memory for it, or cannot "
	  "reach what is mapped" },
	{ IOB_STEP_BIND, EBUSY, IOB_E_BUSY, "another process uses it or its IOMMU group" },
	{ IOB_STEP_BIND, EACCES, IOB_E_UNSUPPORTED,
	  "it is a virtual function that wants the VF token of its physical function" },
	{ IOB_STEP_BIND, ENOSPC, IOB_E_LIMIT, "the IOMMU has no domain left" },
	{ IOB_STEP_BIND, ENOMEM, IOB_E_NO_MEMORY,
	  "memory, or a memlock limit, does not suffice to map it" },
	{ IOB_STEP_BIND, ENODEV, IOB_E_UNSAFE, "no IOMMU serves it" },
	{ IOB_STEP_ATTACH, EPERM, IOB_E_UNSAFE,
	  "the kernel sees no isolation of its interrupts (interrupt remapping)" },
	{ IOB_STEP_ATTACH, EINVAL, IOB_E_UNSAFE,
	  "its IOMMU is not cache coherent, or firmware reserves memory for it" },
	{ IOB_STEP_ATTACH, ENOSPC, IOB_E_LIMIT, "the IOMMU has no domain left" },
	{ IOB_STEP_ATTACH, EBUSY, IOB_E_BUSY, "its IOMMU group is in another domain" },
	{ IOB_STEP_ATTACH, ENODEV, IOB_E_UNSAFE, "no IOMMU serves it" },
	{ IOB_STEP_ATTACH, ENOMEM, IOB_E_NO_MEMORY, "out of memory" },
	{ IOB_STEP_DEVICE_OPEN, EBUSY, IOB_E_BUSY, "another process has it open" },
	{ IOB_STEP_DEVICE_OPEN, EAGAIN, IOB_E_BUSY, "it is being reset or removed; try again" },
	{ IOB_STEP_DEVICE_OPEN, EACCES, IOB_E_UNSUPPORTED,
	  "it is a virtual function that wants the VF token of its physical function" },
	{ IOB_STEP_DEVICE_OPEN, ENODEV, IOB_E_NO_DEVICE, "it left its VFIO driver or the machine" },
	{ IOB_STEP_DEVICE_OPEN, EIO, IOB_E_DEVICE_IO, "it could not be powered up" },
	{ IOB_STEP_DEVICE_OPEN, ENXIO, IOB_E_UNSUPPORTED,
	  "the kernel makes no character device for it (CONFIG_VFIO_DEVICE_CDEV)" },
	{ IOB_STEP_DEVICE_OPEN, ESTALE, IOB_E_NO_DEVICE,
	  "its node in /dev/vfio/devices is another device; it was replugged, or /dev is stale" },
	{ IOB_STEP_DEVICE_OPEN, ENOENT, IOB_E_NO_DEVICE,
	  "its node in /dev/vfio/devices is missing" },
};

static int sibling_fault(enum iob_step step, int sys_errno, const struct glue_device *d,
			 const struct sysfs_sibling *s, struct fault *why)
{
	return fault_set(why, IOB_E_GROUP, step, sys_errno,
			 "device %s shares IOMMU group %u with %s, which the host's driver %s "
			 "uses: bind %s to vfio-pci, or unbind it",
			 d->name, d->group, s->name, s->driver, s->name);
}

int opener_bind_fault(enum iob_step step, int sys_errno, const struct glue_device *d,
		      struct fault *why)
{
	struct sysfs_sibling s;

	if (sys_errno == EPERM && sysfs_group_blame(d->group, d->name, &s) == 1)
		return sibling_fault(step, sys_errno, d, &s, why);
	for (size_t i = 0; i < sizeof(bind_faults) / sizeof(bind_faults[0]); i++)
		if (bind_faults[i].step == step && bind_faults[i].sys_errno == sys_errno)
			return fault_set(why, bind_faults[i].code, step, sys_errno,
					 "device %s (IOMMU group %u): %s", d->name, d->group,
					 bind_faults[i].words);
	return fault_set(why, IOB_E_KERNEL, step, sys_errno, "device %s (IOMMU group %u): %s",
			 d->name, d->group, strerror(sys_errno));
}

/* Root without CAP_DAC_OVERRIDE is held to the mode of a node, and a container to its list of nodes.
 * From an ioctl() the same errno says something else. */
static const char closed_words[] =
	"is closed to the broker, which is root without CAP_DAC_OVERRIDE: it must belong to root with "
	"mode 0600 or more, and a container must let it be opened";

static bool is_closed(int sys_errno)
{
	return sys_errno == EACCES || sys_errno == EPERM;
}

int opener_open_fault(enum iob_step step, int sys_errno, const struct glue_device *d,
		      struct fault *why)
{
	if (!is_closed(sys_errno))
		return opener_bind_fault(step, sys_errno, d, why);
	return fault_set(why, IOB_E_KERNEL, step, sys_errno,
			 "device %s (IOMMU group %u): its node in /dev/vfio %s", d->name, d->group,
			 closed_words);
}

int opener_node_fault(enum iob_step step, int sys_errno, const char *node, struct fault *why)
{
	enum iob_code code = IOB_E_KERNEL;

	if (sys_errno == ENOENT || sys_errno == ENODEV || sys_errno == ENXIO)
		return fault_set(why, IOB_E_UNSUPPORTED, step, sys_errno,
				 "%s is not there: the kernel lacks it, or its module is not "
				 "loaded",
				 node);
	if (is_closed(sys_errno))
		return fault_set(why, code, step, sys_errno, "%s %s", node, closed_words);
	if (sys_errno == EMFILE || sys_errno == ENFILE)
		code = IOB_E_LIMIT;
	else if (sys_errno == ENOMEM)
		code = IOB_E_NO_MEMORY;
	return fault_set(why, code, step, sys_errno, "cannot open %s: %s", node,
			 strerror(sys_errno));
}

int opener_retry_busy(int (*call)(const void *argument), const void *argument)
{
	int rc = call(argument);

	for (int i = 0; i < BUSY_TRIES && rc == -EBUSY; i++) {
		usleep(BUSY_PAUSE_US);
		rc = call(argument);
	}
	return rc;
}

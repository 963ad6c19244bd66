/* SPDX-License-Identifier: MIT */
/*
 * iommufd-open.c - the path of newer kernels: an iommufd with one IOAS, and a cdev per device.
 *
 * An iommufd is one trust domain: whoever holds a device that is bound to it can attach that
 * device to anything in it. Hence one context for each domain of a client, never shared.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/opener.h"
#include "kernel-glue/vfio-device.h"

#define IOMMUFD_NODE "iommu"

static bool allow_unsafe_interrupts;

static int iommufd_start(const struct glue_options *o, struct fault *why)
{
	(void)why;
	allow_unsafe_interrupts = o->allow_unsafe_interrupts;
	return 0;
}

static void iommufd_stop(void)
{
}

/* Does the kernel know the request? Size 0 is refused before anything is done. */
static bool request_exists(int fd, unsigned long request)
{
	struct abi_iommu_destroy nothing = { .size = 0 };

	return ioctl(fd, request, &nothing) == 0 || errno != ENOTTY;
}

/*
 * IOMMU_TEST works without any privilege on any iommufd, and does what the self tests need, for
 * example make devices up. A kernel that has it is not one to run clients on.
 */
static int iommufd_check(int fd, const struct glue_options *o, struct fault *why)
{
	if (!o->allow_test_kernel && request_exists(fd, ABI_IOMMU_TEST))
		return fault_set(why, IOB_E_UNSAFE, IOB_STEP_IOMMU_OPEN, 0,
				 "the kernel was built with CONFIG_IOMMUFD_TEST, which gives every "
				 "client means to break isolation");
	if (!request_exists(fd, ABI_IOMMU_GET_HW_INFO) || !sysfs_has_cdevs())
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN, 0,
				 "no VFIO character devices: kernel before 6.6, without "
				 "CONFIG_VFIO_DEVICE_CDEV, or vfio-pci is not loaded");
	return 0;
}

static int iommufd_probe(const struct glue_options *o, struct fault *why)
{
	int fd = sysfs_node_open(IOMMUFD_NODE), rc;

	if (fd < 0)
		return opener_node_fault(IOB_STEP_IOMMU_OPEN, -fd, "/dev/" IOMMUFD_NODE, why);
	rc = iommufd_check(fd, o, why);
	close(fd);
	return rc;
}

static void need_nodes(struct glue_device *list, size_t count)
{
	static const char text[] = "the kernel makes no character device for it";

	for (size_t i = 0; i < count; i++) {
		struct glue_device *d = &list[i];

		if (!d->usable || d->node[0])
			continue;
		d->usable = false;
		memcpy(d->why, text, sizeof(text));
	}
}

static int iommufd_inventory(struct glue_device **list, size_t *count, struct fault *why)
{
	int rc = opener_inventory(list, count, why);

	if (!rc)
		need_nodes(*list, *count);
	return rc;
}

static int iommufd_group(const char *name, struct glue_device **list, size_t *count,
			 struct fault *why)
{
	int rc = opener_group(name, list, count, why);

	if (!rc)
		need_nodes(*list, *count);
	return rc;
}

static int iommufd_context_open(int *context_fd, uint32_t *token, struct fault *why)
{
	struct abi_iommu_ioas_alloc a = { .size = sizeof(a) };
	int fd = sysfs_node_open(IOMMUFD_NODE), rc;

	if (fd < 0)
		return opener_node_fault(IOB_STEP_IOMMU_OPEN, -fd, "/dev/" IOMMUFD_NODE, why);
	if (ioctl(fd, ABI_IOMMU_IOAS_ALLOC, &a) < 0) {
		rc = fault_set(why, errno == ENOMEM ? IOB_E_NO_MEMORY : IOB_E_KERNEL,
			       IOB_STEP_IOMMU_OPEN, errno, "cannot allocate an I/O address space");
		close(fd);
		return rc;
	}
	*context_fd = fd;
	*token = a.out_ioas_id;
	return 0;
}

/* ---- binding ---- */

/*
 * EINVAL is both "a second descriptor of this device is bound" (vfio_df_open) and "not cache
 * coherent" (iommufd_device_bind). While a cdev of a group is bound, its group node is EBUSY.
 * EPERM is a sibling on a host driver, a group claimed by another iommufd, or interrupts.
 */
static int bind_fault(int sys_errno, const struct glue_device *d, struct fault *why)
{
	struct sysfs_sibling s;
	int fd;

	if (sys_errno == EPERM && sysfs_group_blame(d->group, d->name, &s) == 1)
		return opener_bind_fault(IOB_STEP_BIND, sys_errno, d, why);
	if (sys_errno == EINVAL || sys_errno == EPERM) {
		fd = sysfs_group_open(d->group);
		if (fd == -EBUSY)
			return fault_set(why, IOB_E_BUSY, IOB_STEP_BIND, sys_errno,
					 "device %s: it, or another device of IOMMU group %u, is "
					 "bound by another user already",
					 d->name, d->group);
		if (fd >= 0)
			close(fd);
	}
	return opener_bind_fault(IOB_STEP_BIND, sys_errno, d, why);
}

/* A noiommu device binds like any other, and then reaches all memory: this is what tells. */
static int hw_check(int context_fd, uint32_t devid, const struct glue_device *d, struct fault *why)
{
	struct abi_iommu_hw_info info = { .size = sizeof(info), .dev_id = devid };

	if (ioctl(context_fd, ABI_IOMMU_GET_HW_INFO, &info) == 0)
		return 0;
	return fault_set(why, errno == EOPNOTSUPP ? IOB_E_UNSAFE : IOB_E_KERNEL, IOB_STEP_BIND,
			 errno, "device %s: the kernel names no IOMMU that contains its DMA",
			 d->name);
}

static int iommufd_device_bind(int context_fd, const struct glue_device *d, int sibling_group_fd,
			       struct glue_bound *out, struct fault *why)
{
	struct abi_vfio_bind_iommufd b = { .argsz = sizeof(b), .iommufd = context_fd };
	struct glue_device now;
	int fd, rc;

	(void)sibling_group_fd;
	*out = (struct glue_bound){ .device_fd = -1, .group_fd = -1 };
	rc = opener_check_device(d, &now, why);
	if (!rc)
		rc = opener_check_interrupts(allow_unsafe_interrupts, why);
	if (rc)
		return rc;
	fd = sysfs_cdev_open(now.name);
	if (fd < 0)
		return opener_open_fault(IOB_STEP_DEVICE_OPEN, -fd, &now, why);
	if (ioctl(fd, ABI_VFIO_DEVICE_BIND_IOMMUFD, &b) < 0)
		rc = bind_fault(errno, &now, why);
	else
		rc = hw_check(context_fd, b.out_devid, &now, why);
	if (rc) {
		close(fd);
		return rc;
	}
	out->device_fd = fd;
	return 0;
}

/* ---- taking apart ---- */

static int iommufd_device_detach(int context_fd, const struct glue_bound *b)
{
	struct abi_vfio_detach_pt d = { .argsz = sizeof(d) };

	(void)context_fd;
	return ioctl(b->device_fd, ABI_VFIO_DEVICE_DETACH_PT, &d) < 0 ? -errno : 0;
}

static int iommufd_device_close(int context_fd, struct glue_bound *b, bool last_of_group)
{
	(void)context_fd;
	(void)last_of_group;
	if (b->device_fd >= 0)
		close(b->device_fd);
	*b = (struct glue_bound){ .device_fd = -1, .group_fd = -1 };
	return 0;
}

struct ioas {
	int context_fd;
	uint32_t id;
};

static int ioas_empty(const struct ioas *i)
{
	struct abi_iommu_ioas_unmap u = { .size = sizeof(u),
					  .ioas_id = i->id,
					  .length = UINT64_MAX };

	return ioctl(i->context_fd, ABI_IOMMU_IOAS_UNMAP, &u) < 0 && errno != ENOENT ? -errno : 0;
}

/* ENOENT from DESTROY: it is gone already. EBUSY: a device is attached, or a map is running. */
static int ioas_remove(const void *argument)
{
	const struct ioas *i = argument;
	struct abi_iommu_destroy d = { .size = sizeof(d), .id = i->id };
	int first = ioas_empty(i);

	if (ioctl(i->context_fd, ABI_IOMMU_DESTROY, &d) < 0 && errno != ENOENT && !first)
		first = -errno;
	return first;
}

static int iommufd_context_revoke(int context_fd, uint32_t token)
{
	struct ioas i = { .context_fd = context_fd, .id = token };
	int rc = opener_retry_busy(ioas_remove, &i);

	/* Somebody's device stays attached: to nothing. */
	return rc == -EBUSY ? ioas_empty(&i) : rc;
}

const struct glue_opener glue_opener_iommufd = {
	.backend = IOB_BACKEND_IOMMUFD,
	.name = "iommufd",
	.probe = iommufd_probe,
	.start = iommufd_start,
	.stop = iommufd_stop,
	.inventory = iommufd_inventory,
	.group = iommufd_group,
	.changes = sysfs_uevents,
	.context_open = iommufd_context_open,
	.device_bind = iommufd_device_bind,
	.descriptor_dup = opener_descriptor_dup,
	.driver_check = opener_driver_check,
	.driver_change = opener_driver_change,
	.driver_fd = opener_driver_fd,
	.device_quiesce = vfio_quiesce,
	.device_detach = iommufd_device_detach,
	.device_close = iommufd_device_close,
	.context_revoke = iommufd_context_revoke,
};

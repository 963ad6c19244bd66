/* SPDX-License-Identifier: MIT */
/*
 * type1-open.c - the legacy path: container, group, device.
 *
 * A container has no IOMMU until its first group is in it and SET_IOMMU was called, and loses it
 * with its last group. A group can be open once, so all devices of a group share one open file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/opener.h"
#include "kernel-glue/vfio-device.h"

#define CONTAINER_NODE "vfio/vfio"

static bool allow_unsafe_interrupts;

static int type1_start(const struct glue_options *o, struct fault *why)
{
	(void)why;
	allow_unsafe_interrupts = o->allow_unsafe_interrupts;
	return 0;
}

static void type1_stop(void)
{
}

/* ---- the container ---- */

/*
 * With CONFIG_IOMMUFD_VFIO_CONTAINER the node is iommufd speaking type1. It counts, unmaps and
 * shares address spaces differently, and takes iommufd's requests too, so that what we think is
 * the whole surface is not. A container without an IOMMU answers EINVAL to whatever it does not
 * know; only iommufd allocates an address space. Closing the descriptor frees it.
 */
static bool container_is_iommufd(int fd)
{
	struct abi_iommu_ioas_alloc a = { .size = sizeof(a) };

	return ioctl(fd, ABI_IOMMU_IOAS_ALLOC, &a) == 0;
}

static int container_check(int fd, struct fault *why)
{
	if (container_is_iommufd(fd))
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN, 0,
				 "/dev/vfio/vfio is iommufd in disguise on this kernel: use the "
				 "iommufd backend");
	if (ioctl(fd, ABI_VFIO_GET_API_VERSION) != ABI_VFIO_API_VERSION)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN, 0,
				 "/dev/vfio/vfio speaks a version of the VFIO API that is not 0");
	if (ioctl(fd, ABI_VFIO_CHECK_EXTENSION, ABI_VFIO_EXT_TYPE1V2) <= 0 ||
	    ioctl(fd, ABI_VFIO_CHECK_EXTENSION, ABI_VFIO_EXT_UNMAP_ALL) <= 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN, 0,
				 "no type1 IOMMU driver: load the module vfio_iommu_type1");
	return 0;
}

static int type1_context_open(int *context_fd, uint32_t *token, struct fault *why)
{
	int fd = sysfs_node_open(CONTAINER_NODE), rc;

	*token = 0;
	if (fd < 0)
		return opener_node_fault(IOB_STEP_IOMMU_OPEN, -fd, "/dev/" CONTAINER_NODE, why);
	rc = container_check(fd, why);
	if (rc) {
		close(fd);
		return rc;
	}
	*context_fd = fd;
	return 0;
}

static int type1_probe(const struct glue_options *o, struct fault *why)
{
	uint32_t token;
	int fd = -1, rc;

	(void)o;
	rc = type1_context_open(&fd, &token, why);
	if (!rc)
		close(fd);
	return rc;
}

/* GET_INFO goes to the IOMMU driver, and fails while the container has none. */
static bool container_has_iommu(int fd)
{
	struct abi_type1_info info = { .argsz = sizeof(info) };

	return ioctl(fd, ABI_TYPE1_GET_INFO, &info) == 0;
}

/* ---- the group ---- */

static int group_check(int group_fd, const struct glue_device *d, struct fault *why)
{
	struct abi_vfio_group_status s = { .argsz = sizeof(s) };

	if (ioctl(group_fd, ABI_VFIO_GROUP_GET_STATUS, &s) < 0)
		return opener_bind_fault(IOB_STEP_GROUP, errno, d, why);
	if (!(s.flags & ABI_VFIO_GROUP_VIABLE))
		return opener_bind_fault(IOB_STEP_GROUP, EPERM, d, why);
	return 0;
}

/* An fd of the group: the sibling's, or opened now. */
static int group_take(const struct glue_device *d, int sibling_group_fd, struct fault *why)
{
	int rc, fd = sibling_group_fd >= 0 ? opener_descriptor_dup(sibling_group_fd) :
					     sysfs_group_open(d->group);

	if (fd < 0)
		return opener_open_fault(IOB_STEP_GROUP, -fd, d, why);
	rc = group_check(fd, d, why);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Put the group into the container, and give the container an IOMMU if this is its first. */
static int group_join(int context_fd, int group_fd, const struct glue_device *d, struct fault *why)
{
	int rc;

	if (ioctl(group_fd, ABI_VFIO_GROUP_SET_CONTAINER, &context_fd) < 0)
		return opener_bind_fault(IOB_STEP_BIND, errno, d, why);
	if (container_has_iommu(context_fd) ||
	    ioctl(context_fd, ABI_VFIO_SET_IOMMU, ABI_VFIO_EXT_TYPE1V2) == 0)
		return 0;
	rc = opener_bind_fault(IOB_STEP_ATTACH, errno, d, why);
	ioctl(group_fd, ABI_VFIO_GROUP_UNSET_CONTAINER);
	return rc;
}

static int device_take(int group_fd, const struct glue_device *d, struct fault *why)
{
	int rc, fd = ioctl(group_fd, ABI_VFIO_GROUP_GET_DEVICE_FD, d->name);

	if (fd < 0)
		return opener_bind_fault(IOB_STEP_DEVICE_OPEN, errno, d, why);
	/* kernels set it; the interface does not promise it */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		rc = opener_bind_fault(IOB_STEP_DEVICE_OPEN, errno, d, why);
		close(fd);
		return rc;
	}
	return fd;
}

static int type1_device_bind(int context_fd, const struct glue_device *d, int sibling_group_fd,
			     struct glue_bound *out, struct fault *why)
{
	bool first = sibling_group_fd < 0;
	struct glue_device now;
	int group_fd, device_fd, rc;

	*out = (struct glue_bound){ .device_fd = -1, .group_fd = -1 };
	rc = opener_check_device(d, &now, why);
	if (!rc)
		rc = opener_check_interrupts(allow_unsafe_interrupts, why);
	if (rc)
		return rc;
	group_fd = group_take(&now, sibling_group_fd, why);
	if (group_fd < 0)
		return group_fd;
	rc = first ? group_join(context_fd, group_fd, &now, why) : 0;
	if (rc)
		goto fail;
	device_fd = device_take(group_fd, &now, why);
	if (device_fd < 0) {
		rc = device_fd;
		if (first)
			ioctl(group_fd, ABI_VFIO_GROUP_UNSET_CONTAINER);
		goto fail;
	}
	*out = (struct glue_bound){ .device_fd = device_fd, .group_fd = group_fd };
	return 0;
fail:
	close(group_fd);
	return rc;
}

static int type1_inventory(struct glue_device **list, size_t *count, struct fault *why)
{
	int rc = opener_inventory(list, count, why);

	for (size_t i = 0; !rc && i < *count; i++)
		(*list)[i].node[0] = '\0';
	return rc;
}

static int type1_group(const char *name, struct glue_device **list, size_t *count,
		       struct fault *why)
{
	int rc = opener_group(name, list, count, why);

	for (size_t i = 0; !rc && i < *count; i++)
		(*list)[i].node[0] = '\0';
	return rc;
}

/* ---- taking apart ---- */

/*
 * Nothing to do: a group leaves its container only when no device of it is open, so the device
 * goes at type1_device_close(). Until then context_revoke(), or the mapper, empties the space.
 */
static int type1_device_detach(int context_fd, const struct glue_bound *b)
{
	(void)context_fd;
	(void)b;
	return 0;
}

static int group_leave(const void *argument)
{
	const int *group_fd = argument;

	return ioctl(*group_fd, ABI_VFIO_GROUP_UNSET_CONTAINER) < 0 ? -errno : 0;
}

/*
 * EBUSY from UNSET_CONTAINER: a further descriptor of a device lives, in a client, in a session
 * that is just ending, or in the process that called fork(). The group is closed all the same:
 * the last close of the device then takes it out of the container.
 */
static int type1_device_close(int context_fd, struct glue_bound *b, bool last_of_group)
{
	int rc = 0;

	(void)context_fd;
	if (b->device_fd >= 0)
		close(b->device_fd);
	if (b->group_fd >= 0) {
		if (last_of_group)
			rc = opener_retry_busy(group_leave, &b->group_fd);
		close(b->group_fd);
	}
	*b = (struct glue_bound){ .device_fd = -1, .group_fd = -1 };
	return rc;
}

/* Without an IOMMU there are no mappings; the address space itself ends with the last group. */
static int type1_context_revoke(int context_fd, uint32_t token)
{
	struct abi_type1_unmap u = { .argsz = sizeof(u), .flags = ABI_TYPE1_UNMAP_ALL };

	(void)token;
	if (!container_has_iommu(context_fd))
		return 0;
	return ioctl(context_fd, ABI_TYPE1_UNMAP_DMA, &u) < 0 ? -errno : 0;
}

const struct glue_opener glue_opener_type1 = {
	.backend = IOB_BACKEND_TYPE1,
	.name = "type1",
	.probe = type1_probe,
	.start = type1_start,
	.stop = type1_stop,
	.inventory = type1_inventory,
	.group = type1_group,
	.changes = sysfs_uevents,
	.context_open = type1_context_open,
	.device_bind = type1_device_bind,
	.descriptor_dup = opener_descriptor_dup,
	.driver_check = opener_driver_check,
	.driver_change = opener_driver_change,
	.driver_fd = opener_driver_fd,
	.device_quiesce = vfio_quiesce,
	.device_detach = type1_device_detach,
	.device_close = type1_device_close,
	.context_revoke = type1_context_revoke,
};

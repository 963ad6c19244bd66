/* SPDX-License-Identifier: MIT */
/*
 * vfio-device.c - information, regions, interrupts and reset of a VFIO device descriptor.
 *
 * Used by both real backends: once a device is bound, legacy and cdev descriptors answer alike.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/vfio-device.h"

static_assert(IOB_REGION_CONFIG == ABI_VFIO_PCI_REGION_CONFIG, "region indexes are VFIO's");
static_assert(IOB_REGION_READ == ABI_VFIO_REGION_READ, "region flags are VFIO's");
static_assert(IOB_REGION_WRITE == ABI_VFIO_REGION_WRITE, "region flags are VFIO's");
static_assert(IOB_REGION_MMAP == ABI_VFIO_REGION_MMAP, "region flags are VFIO's");
static_assert(IOB_IRQ_EVENTFD == ABI_VFIO_IRQ_EVENTFD, "irq flags are VFIO's");
static_assert(IOB_IRQ_MASKABLE == ABI_VFIO_IRQ_MASKABLE, "irq flags are VFIO's");
static_assert(IOB_IRQ_AUTOMASKED == ABI_VFIO_IRQ_AUTOMASKED, "irq flags are VFIO's");
static_assert(IOB_IRQ_NORESIZE == ABI_VFIO_IRQ_NORESIZE, "irq flags are VFIO's");

#define REGION_FLAGS (IOB_REGION_READ | IOB_REGION_WRITE | IOB_REGION_MMAP)
#define IRQ_FLAGS    (IOB_IRQ_EVENTFD | IOB_IRQ_MASKABLE | IOB_IRQ_AUTOMASKED | IOB_IRQ_NORESIZE)

int vfio_device_info(int device_fd, struct iob_device_info_rep *info)
{
	struct abi_vfio_device_info a = { .argsz = sizeof(a) };

	if (ioctl(device_fd, ABI_VFIO_DEVICE_GET_INFO, &a) < 0)
		return -errno;
	info->flags = (a.flags & ABI_VFIO_DEVICE_FLAG_RESET) ? IOB_DEVICE_CAN_RESET : 0;
	info->regions = a.num_regions;
	info->irqs = a.num_irqs;
	return 0;
}

int vfio_region_info(int device_fd, uint32_t index, struct iob_region_info_rep *info)
{
	struct abi_vfio_region_info a = { .argsz = sizeof(a), .index = index };

	if (ioctl(device_fd, ABI_VFIO_DEVICE_GET_REGION_INFO, &a) < 0)
		return -errno;
	*info = (struct iob_region_info_rep){
		.index = index,
		.flags = a.flags & REGION_FLAGS,
		.bytes = a.size,
		.fd_offset = a.offset,
	};
	return 0;
}

int vfio_irq_info(int device_fd, uint32_t index, struct iob_irq_info_rep *info)
{
	struct abi_vfio_irq_info a = { .argsz = sizeof(a), .index = index };

	if (ioctl(device_fd, ABI_VFIO_DEVICE_GET_IRQ_INFO, &a) < 0)
		return -errno;
	*info = (struct iob_irq_info_rep){
		.index = index,
		.flags = a.flags & IRQ_FLAGS,
		.count = a.count,
	};
	return 0;
}

/*
 * Where an access lies in the device fd. The kernel cuts an access at the end of a region, and
 * beyond it lies the next region: both must be refused here.
 */
static int region_position(const struct iob_region_info_rep *r, uint64_t offset, uint32_t bytes,
			   off_t *position)
{
	uint64_t at;

	if (bytes == 0 || offset > r->bytes || bytes > r->bytes - offset)
		return -EINVAL;
	if (__builtin_add_overflow(r->fd_offset, offset, &at) || at > (uint64_t)INT64_MAX - bytes)
		return -EINVAL;
	*position = (off_t)at;
	return 0;
}

/*
 * One system call for the whole, so that an aligned access of 1, 2 or 4 bytes is one access on
 * the bus; of 8 only where the kernel does 64-bit accesses (6.1 splits it into 4 + 4). A short
 * result means that the device stopped answering half-way; there is no telling which half, and
 * repeating a register access is not harmless.
 */
static int region_result(ssize_t done, uint32_t bytes)
{
	if (done < 0)
		return -errno;
	return (size_t)done == bytes ? 0 : -EIO;
}

int vfio_region_read(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
		     void *data, uint32_t bytes)
{
	off_t at;
	int rc = region_position(r, offset, bytes, &at);

	return rc ? rc : region_result(pread(device_fd, data, bytes, at), bytes);
}

int vfio_region_write(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
		      const void *data, uint32_t bytes)
{
	off_t at;
	int rc = region_position(r, offset, bytes, &at);

	return rc ? rc : region_result(pwrite(device_fd, data, bytes, at), bytes);
}

/* The kernel's flags for an action, or 0 when action, count and fds do not go together. */
static uint32_t irq_flags(const struct iob_set_irq_req *q, const int *fds)
{
	uint32_t data = fds ? ABI_VFIO_IRQ_SET_DATA_EVENTFD : ABI_VFIO_IRQ_SET_DATA_NONE;

	switch (q->action) {
	case IOB_IRQ_DISABLE:
		return q->start || q->count || fds ? 0 : data | ABI_VFIO_IRQ_SET_ACTION_TRIGGER;
	case IOB_IRQ_TRIGGER:
		/* count 0 would be DISABLE in disguise */
		return q->count ? data | ABI_VFIO_IRQ_SET_ACTION_TRIGGER : 0;
	case IOB_IRQ_MASK:
		return q->count && !fds ? data | ABI_VFIO_IRQ_SET_ACTION_MASK : 0;
	case IOB_IRQ_UNMASK:
		return q->count ? data | ABI_VFIO_IRQ_SET_ACTION_UNMASK : 0;
	default:
		return 0;
	}
}

int vfio_set_irq(int device_fd, const struct iob_set_irq_req *q, const int *fds)
{
	struct {
		struct abi_vfio_irq_set set;
		int32_t fds[IOB_MAX_IRQ_FDS];
	} a = { .set.argsz = sizeof(a.set) };

	a.set.flags = irq_flags(q, fds);
	if (!a.set.flags || (fds && q->count > IOB_MAX_IRQ_FDS))
		return -EINVAL;
	a.set.index = q->index;
	a.set.start = q->start;
	a.set.count = q->count;
	if (fds) {
		memcpy(a.fds, fds, q->count * sizeof(a.fds[0]));
		a.set.argsz += (uint32_t)(q->count * sizeof(a.fds[0]));
	}
	return ioctl(device_fd, ABI_VFIO_DEVICE_SET_IRQS, &a) < 0 ? -errno : 0;
}

int vfio_reset(int device_fd)
{
	return ioctl(device_fd, ABI_VFIO_DEVICE_RESET) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * type1-map.c - mapping through a container.
 *
 * Mappings live in the container's IOMMU, which exists only while a group is in it, and are
 * pinned at once. The monitor put the device into the container, so attach() only makes sure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/mapper-memory.h"
#include "kernel-glue/vfio-device.h"

/* Bounds on the kernel's capability chain: bytes of it, and links that we follow. */
#define MAX_INFO_BYTES (1u << 20)
#define MAX_INFO_CAPS  64
#define INFO_TRIES     4

static int type1_attach(int context_fd, uint32_t token, int device_fd, struct fault *why)
{
	struct abi_type1_info info = { .argsz = sizeof(info) };

	(void)token;
	(void)device_fd;
	if (ioctl(context_fd, ABI_TYPE1_GET_INFO, &info) < 0)
		return glue_map_fault(IOB_BACKEND_TYPE1, IOB_STEP_ATTACH, errno, 0, 0, why);
	return 0;
}

/* The information with all capabilities, malloc'ed, *bytes long; or NULL and *error. The set can
 * grow between asking for its length and asking for it. */
static struct abi_type1_info *info_read(int fd, uint32_t *bytes, int *error)
{
	struct abi_type1_info *info = NULL, *grown;
	uint32_t room = sizeof(*info);

	*error = -ENOMEM;
	for (int i = 0; i < INFO_TRIES && room <= MAX_INFO_BYTES; i++) {
		grown = realloc(info, room);
		if (!grown)
			break;
		info = grown;
		memset(info, 0, room);
		info->argsz = room;
		if (ioctl(fd, ABI_TYPE1_GET_INFO, info) < 0) {
			*error = -errno;
			break;
		}
		*bytes = room;
		if (info->argsz <= room)
			return info;
		room = info->argsz;
	}
	free(info);
	return NULL;
}

/*
 * Where the capability lies, with at least min bytes to the end of the information; 0: nowhere.
 * 6.1 does not align capabilities, later kernels do: they are copied, never pointed at. Offsets
 * come from the kernel, but cost little to mistrust.
 */
static uint32_t cap_find(const struct abi_type1_info *info, uint32_t bytes, uint16_t id,
			 uint32_t min)
{
	uint32_t at = (info->flags & ABI_TYPE1_INFO_CAPS) ? info->cap_offset : 0;
	struct abi_cap_header h;

	for (int i = 0; i < MAX_INFO_CAPS; i++) {
		if (at < sizeof(*info) || at > bytes || bytes - at < sizeof(h))
			return 0;
		memcpy(&h, (const char *)info + at, sizeof(h));
		if (h.id == id)
			return bytes - at >= min ? at : 0;
		at = h.next;
	}
	return 0;
}

/* The ranges of the capability at this place, at most room; their number. */
static uint32_t ranges_copy(const struct abi_type1_info *info, uint32_t bytes, uint32_t at,
			    struct iob_range *ranges, uint32_t room)
{
	const char *from = (const char *)info + at;
	struct abi_type1_cap_iova_range cap;
	struct abi_vfio_iova_range r;
	uint32_t there, n = 0;

	memcpy(&cap, from, sizeof(cap));
	there = (uint32_t)((bytes - at - sizeof(cap)) / sizeof(r));
	for (uint32_t i = 0; i < cap.count && i < there && n < room; i++) {
		memcpy(&r, from + sizeof(cap) + i * sizeof(r), sizeof(r));
		if (r.start <= r.end)
			ranges[n++] = (struct iob_range){ r.start, r.end };
	}
	return n;
}

static void ranges_provisional(struct iob_range *ranges, uint32_t *count)
{
	if (*count)
		ranges[0] = (struct iob_range){ 0, UINT64_MAX };
	*count = *count ? 1 : 0;
}

/* EINVAL: the container has no IOMMU yet, all we know is that nothing is excluded so far. */
static int type1_ranges(int context_fd, uint32_t token, struct iob_range *ranges, uint32_t *count,
			uint64_t *page_sizes)
{
	struct abi_type1_info *info;
	uint32_t bytes = 0, at;
	int error;

	(void)token;
	*page_sizes = (uint64_t)sysconf(_SC_PAGESIZE);
	info = info_read(context_fd, &bytes, &error);
	if (!info && error == -EINVAL) {
		ranges_provisional(ranges, count);
		return 0;
	}
	if (!info)
		return error;
	if ((info->flags & ABI_TYPE1_INFO_PGSIZES) && info->iova_pgsizes)
		*page_sizes = info->iova_pgsizes;
	at = cap_find(info, bytes, ABI_TYPE1_CAP_IOVA_RANGE,
		      sizeof(struct abi_type1_cap_iova_range));
	if (at)
		*count = ranges_copy(info, bytes, at, ranges, *count);
	else
		ranges_provisional(ranges, count);
	free(info);
	return 0;
}

/* A container that its last group has left knows no mapping and takes none. */
static bool has_iommu(int context_fd)
{
	struct abi_type1_info info = { .argsz = sizeof(info) };

	return ioctl(context_fd, ABI_TYPE1_GET_INFO, &info) == 0;
}

static int type1_map(int context_fd, uint32_t token, struct glue_memory *m, uint64_t offset,
		     uint64_t length, uint64_t iova, uint32_t access)
{
	struct abi_type1_map a = { .argsz = sizeof(a), .iova = iova, .size = length };
	int rc = mapper_memory_check(m, offset, length, access);

	(void)token;
	if (rc)
		return rc;
	a.vaddr = (uintptr_t)m->address + offset;
	if (access & IOB_READ)
		a.flags |= ABI_TYPE1_MAP_READ;
	if (access & IOB_WRITE)
		a.flags |= ABI_TYPE1_MAP_WRITE;
	if (ioctl(context_fd, ABI_TYPE1_MAP_DMA, &a) == 0)
		return 0;
	rc = -errno;
	return has_iommu(context_fd) ? rc : -ENXIO;
}

/* An empty range is no error to the kernel, it answers 0 bytes. A length of 0 would be one. */
static int type1_unmap(int context_fd, uint32_t token, uint64_t iova, uint64_t length)
{
	struct abi_type1_unmap a = { .argsz = sizeof(a), .iova = iova, .size = length };

	(void)token;
	if (ioctl(context_fd, ABI_TYPE1_UNMAP_DMA, &a) < 0) {
		int rc = -errno;

		return has_iommu(context_fd) ? rc : -ENOENT;
	}
	return a.size == length ? 0 : -ENOENT;
}

const struct glue_mapper glue_mapper_type1 = {
	.backend = IOB_BACKEND_TYPE1,
	.maps_need_device = true,
	.attach_needs_device = false,
	.attach = type1_attach,
	.ranges = type1_ranges,
	.memory_open = mapper_memory_open,
	.memory_close = mapper_memory_close,
	.map = type1_map,
	.unmap = type1_unmap,
	.device_info = vfio_device_info,
	.region_info = vfio_region_info,
	.irq_info = vfio_irq_info,
	.region_read = vfio_region_read,
	.region_write = vfio_region_write,
	.set_irq = vfio_set_irq,
	.device_reset = vfio_reset,
};

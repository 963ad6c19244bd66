/* SPDX-License-Identifier: MIT */
/*
 * iommufd-map.c - mapping through an IOAS.
 *
 * The token is the id of the IOAS. Mappings exist in it before any device is attached, but pages
 * are pinned only while one is: an attach can fail because of an earlier map.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/mapper-memory.h"
#include "kernel-glue/vfio-device.h"

static_assert(sizeof(struct iob_range) == sizeof(struct abi_iommu_iova_range) &&
		      offsetof(struct iob_range, last) ==
			      offsetof(struct abi_iommu_iova_range, last),
	      "the kernel writes ranges straight into ours");

/*
 * Is IOMMU_IOAS_MAP_FILE to be trusted here? It takes pages from the page cache as they lie there:
 *
 * - shmem pages that fallocate() has made and nobody has touched are not cleared yet. A device
 *   reads what was in them before, that is other people's memory, and what it writes is lost when
 *   the first touch clears the page. Seen on 7.3; a check beforehand does not help, for the client
 *   can punch a hole and fill it again at any time. By address the page fault clears them.
 * - missing hugetlb pages are allocated, and cleared only since 6.19 (mm/memfd.c).
 *
 * So: hugetlb only, and only where missing pages are cleared. Set before the sandbox closes.
 */
static bool map_file_clears_huge;

void iommufd_mapper_prepare(void)
{
	struct utsname u;
	unsigned long major, minor;
	char *end;

	if (uname(&u) < 0)
		return;
	major = strtoul(u.release, &end, 10);
	if (*end != '.')
		return;
	minor = strtoul(end + 1, NULL, 10);
	map_file_clears_huge = major > 6 || (major == 6 && minor >= 19);
}

bool iommufd_mapper_maps_files(void)
{
	return map_file_clears_huge;
}

static int iommufd_attach(int context_fd, uint32_t token, int device_fd, struct fault *why)
{
	struct abi_vfio_attach_pt a = { .argsz = sizeof(a), .pt_id = token };

	(void)context_fd;
	if (ioctl(device_fd, ABI_VFIO_DEVICE_ATTACH_PT, &a) < 0)
		return glue_map_fault(IOB_BACKEND_IOMMUFD, IOB_STEP_ATTACH, errno, 0, 0, why);
	return 0;
}

/*
 * EMSGSIZE: there are more ranges than room; the kernel filled what there is, in ascending order.
 * What we do not see we do not use.
 *
 * The alignment starts at 1 and rises with what is attached; memory comes in pages anyway. Which
 * larger pages the hardware has, an IOAS does not tell.
 */
static int iommufd_ranges(int context_fd, uint32_t token, struct iob_range *ranges, uint32_t *count,
			  uint64_t *page_sizes)
{
	struct abi_iommu_ioas_iova_ranges a = {
		.size = sizeof(a),
		.ioas_id = token,
		.num_iovas = *count,
		.allowed_iovas = (uintptr_t)ranges,
	};
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (ioctl(context_fd, ABI_IOMMU_IOAS_IOVA_RANGES, &a) < 0 && errno != EMSGSIZE)
		return -errno;
	if (a.num_iovas < *count)
		*count = a.num_iovas;
	*page_sizes = a.out_iova_alignment > page ? a.out_iova_alignment : page;
	return 0;
}

static uint32_t map_flags(uint32_t access)
{
	uint32_t flags = ABI_IOMMU_MAP_FIXED_IOVA;

	if (access & IOB_READ)
		flags |= ABI_IOMMU_MAP_READABLE;
	if (access & IOB_WRITE)
		flags |= ABI_IOMMU_MAP_WRITEABLE;
	return flags;
}

static int map_file(int context_fd, uint32_t token, int fd, uint64_t offset, uint64_t length,
		    uint64_t iova, uint32_t access)
{
	struct abi_iommu_ioas_map_file a = {
		.size = sizeof(a),
		.flags = map_flags(access),
		.ioas_id = token,
		.fd = fd,
		.start = offset,
		.length = length,
		.iova = iova,
	};

	return ioctl(context_fd, ABI_IOMMU_IOAS_MAP_FILE, &a) < 0 ? -errno : 0;
}

static int map_address(int context_fd, uint32_t token, uint64_t address, uint64_t length,
		       uint64_t iova, uint32_t access)
{
	struct abi_iommu_ioas_map a = {
		.size = sizeof(a),
		.flags = map_flags(access),
		.ioas_id = token,
		.user_va = address,
		.length = length,
		.iova = iova,
	};

	return ioctl(context_fd, ABI_IOMMU_IOAS_MAP, &a) < 0 ? -errno : 0;
}

/* By file where that is safe: it pins whole huge pages at once, and looks neither at the access mode
 * nor at the seals of the descriptor; whoever registered the memory did. */
static int iommufd_map(int context_fd, uint32_t token, struct glue_memory *m, uint64_t offset,
		       uint64_t length, uint64_t iova, uint32_t access)
{
	int rc = mapper_memory_check(m, offset, length, access);

	if (rc)
		return rc;
	if (map_file_clears_huge && m->page_bytes > 4096) {
		rc = map_file(context_fd, token, m->fd, offset, length, iova, access);
		if (rc != -ENOTTY)
			return rc;
	}
	return map_address(context_fd, token, (uintptr_t)m->address + offset, length, iova, access);
}

/* (0, UINT64_MAX) would be everything; no mapping has that length, so nobody may ask for it. */
static int iommufd_unmap(int context_fd, uint32_t token, uint64_t iova, uint64_t length)
{
	struct abi_iommu_ioas_unmap a = {
		.size = sizeof(a),
		.ioas_id = token,
		.iova = iova,
		.length = length,
	};

	if (length == 0 || length == UINT64_MAX)
		return -EINVAL;
	if (ioctl(context_fd, ABI_IOMMU_IOAS_UNMAP, &a) < 0)
		return -errno;
	return a.length == length ? 0 : -ENOENT;
}

const struct glue_mapper glue_mapper_iommufd = {
	.backend = IOB_BACKEND_IOMMUFD,
	.maps_need_device = false,
	.attach_needs_device = true,
	.attach = iommufd_attach,
	.ranges = iommufd_ranges,
	.memory_open = mapper_memory_open,
	.memory_close = mapper_memory_close,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.device_info = vfio_device_info,
	.region_info = vfio_region_info,
	.irq_info = vfio_irq_info,
	.region_read = vfio_region_read,
	.region_write = vfio_region_write,
	.set_irq = vfio_set_irq,
	.device_reset = vfio_reset,
};

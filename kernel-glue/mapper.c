/* SPDX-License-Identifier: MIT */
/*
 * mapper.c - the mapper of a backend, what mappers ask of the kernel, and what its refusals mean.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/glue.h"
#include "kernel-glue/mapper-ioctls.h"
#include "kernel-glue/mapper-memory.h"

#define SIM	(1u << IOB_BACKEND_SIM)
#define TYPE1	(1u << IOB_BACKEND_TYPE1)
#define IOMMUFD (1u << IOB_BACKEND_IOMMUFD)
#define REAL	(TYPE1 | IOMMUFD)
#define ANY	(SIM | TYPE1 | IOMMUFD)

const struct glue_mapper_ioctl glue_mapper_ioctls[] = {
	/* vfio-device.c */
	{ ABI_VFIO_DEVICE_GET_INFO, REAL },
	{ ABI_VFIO_DEVICE_GET_REGION_INFO, REAL },
	{ ABI_VFIO_DEVICE_GET_IRQ_INFO, REAL },
	{ ABI_VFIO_DEVICE_SET_IRQS, REAL },
	{ ABI_VFIO_DEVICE_RESET, REAL },
	/* type1-map.c */
	{ ABI_TYPE1_GET_INFO, TYPE1 },
	{ ABI_TYPE1_MAP_DMA, TYPE1 },
	{ ABI_TYPE1_UNMAP_DMA, TYPE1 },
	/* iommufd-map.c */
	{ ABI_VFIO_DEVICE_ATTACH_PT, IOMMUFD },
	{ ABI_IOMMU_IOAS_IOVA_RANGES, IOMMUFD },
	{ ABI_IOMMU_IOAS_MAP, IOMMUFD },
	{ ABI_IOMMU_IOAS_MAP_FILE, IOMMUFD },
	{ ABI_IOMMU_IOAS_UNMAP, IOMMUFD },
};
const size_t glue_mapper_ioctl_count = sizeof(glue_mapper_ioctls) / sizeof(glue_mapper_ioctls[0]);

/*
 * MAP_FILE looks neither at how a file is open nor at its seals, and shows devices what was in pages
 * before. Where the mapper does not trust it, a session that was taken over must not have it.
 */
bool glue_mapper_asks(const struct glue_mapper_ioctl *i, uint32_t backend)
{
	if ((i->backends & (1u << backend)) == 0)
		return false;
	return i->number != ABI_IOMMU_IOAS_MAP_FILE || iommufd_mapper_maps_files();
}

void glue_mapper_prepare(void)
{
	iommufd_mapper_prepare();
}

const struct glue_mapper *glue_mapper_for(uint32_t backend)
{
	switch (backend) {
	case IOB_BACKEND_SIM:
		return &glue_mapper_sim;
	case IOB_BACKEND_TYPE1:
		return &glue_mapper_type1;
	case IOB_BACKEND_IOMMUFD:
		return &glue_mapper_iommufd;
	default:
		return NULL;
	}
}

/* ---- refusals ---- */

#define MAP    (1u << IOB_STEP_MAP)
#define REPLAY (1u << IOB_STEP_REPLAY)
#define ATTACH (1u << IOB_STEP_ATTACH)
#define UNMAP  (1u << IOB_STEP_UNMAP)
/* Steps at which pages are pinned: type1 at MAP and REPLAY, iommufd at MAP or, later, ATTACH. */
#define PIN (MAP | REPLAY | ATTACH)

/* The first row that fits counts. */
static const struct {
	uint32_t backends;
	uint32_t steps;
	int sys_errno;
	enum iob_code code;
	const char *words;
} refusals[] = {
	{ ANY, MAP | REPLAY, EEXIST, IOB_E_IOVA_OVERLAP, "it overlaps a mapping" },
	{ TYPE1, MAP | REPLAY, EINVAL, IOB_E_IOVA_RESERVED,
	  "it is reserved, beyond what the IOMMU addresses, or not aligned to its pages" },
	{ SIM | IOMMUFD, MAP | REPLAY, EINVAL, IOB_E_IOVA_RESERVED,
	  "it is reserved, beyond what the IOMMU addresses, not aligned, or the memory is shorter" },
	{ ANY, MAP | REPLAY, EOVERFLOW, IOB_E_RANGE, "it goes beyond the last address" },
	{ ANY, MAP | REPLAY, EACCES, IOB_E_MEMORY_ACCESS,
	  "the memory is not registered for that access" },
	{ ANY, MAP | REPLAY, EBADF, IOB_E_MEMORY_KIND, "the descriptor is no memory" },
	{ TYPE1, MAP | REPLAY, ENOSPC, IOB_E_LIMIT,
	  "the container's limit of mappings is reached (dma_entry_limit of vfio_iommu_type1)" },
	{ SIM | IOMMUFD, MAP | REPLAY, ENOSPC, IOB_E_IOVA_EXHAUSTED, "no address range is free" },
	{ ANY, PIN, ENOMEM, IOB_E_NO_MEMORY,
	  "the locked-memory limit (RLIMIT_MEMLOCK), or the system's memory, does not suffice" },
	{ ANY, PIN, EFAULT, IOB_E_MEMORY_ACCESS,
	  "pages of the memory cannot be had: not allowed for that access, or no huge page free" },
	{ ANY, MAP | REPLAY | UNMAP, EBUSY, IOB_E_BUSY,
	  "another operation on the range is running; try again" },
	{ SIM | IOMMUFD, MAP | REPLAY | ATTACH, ENOENT, IOB_E_GONE,
	  "the address space was taken away" },
	{ ANY, UNMAP, ENOENT, IOB_E_NOT_MAPPED, "it is not mapped" },
	{ ANY, UNMAP, EINVAL, IOB_E_NOT_MAPPED, "it is not exactly one mapping" },
	{ ANY, UNMAP, EOVERFLOW, IOB_E_RANGE, "it goes beyond the last address" },
	{ TYPE1, ATTACH, EINVAL, IOB_E_NOT_BOUND, "no device is in the container" },
	{ IOMMUFD, ATTACH, EINVAL, IOB_E_KERNEL,
	  "a range mapped before cannot be pinned, firmware reserves memory for the device, or a "
	  "device of its group is attached elsewhere" },
	{ ANY, ATTACH, EADDRINUSE, IOB_E_IOVA_RESERVED,
	  "a range mapped before is reserved, not addressable or not aligned for this device" },
	{ ANY, ATTACH, ENOSPC, IOB_E_LIMIT, "the IOMMU has no domain left" },
	{ ANY, ATTACH, EBUSY, IOB_E_BUSY, "a device of its IOMMU group is attached elsewhere" },
	{ ANY, ATTACH, ENODEV, IOB_E_UNSAFE, "no IOMMU serves the device" },
	{ ANY, ATTACH, EPERM, IOB_E_UNSAFE, "the device's interrupts are not isolated" },
};

static const char *step_verb(enum iob_step step)
{
	switch (step) {
	case IOB_STEP_MAP:
		return "map";
	case IOB_STEP_UNMAP:
		return "unmap";
	case IOB_STEP_REPLAY:
		return "pin the earlier mapping of";
	case IOB_STEP_ATTACH:
		return "attach the device";
	default:
		return "work on";
	}
}

static void range_text(char text[64], uint64_t iova, uint64_t length)
{
	uint64_t last = iova + length - 1;

	if (length == 0)
		text[0] = '\0';
	else if (last < iova)
		snprintf(text, 64, " IOVA %#llx, length %#llx", (unsigned long long)iova,
			 (unsigned long long)length);
	else
		snprintf(text, 64, " IOVA %#llx-%#llx", (unsigned long long)iova,
			 (unsigned long long)last);
}

int glue_map_fault(enum iob_backend backend, enum iob_step step, int sys_errno, uint64_t iova,
		   uint64_t length, struct fault *why)
{
	int e = sys_errno < 0 ? -sys_errno : sys_errno;
	enum iob_code code = IOB_E_KERNEL;
	const char *words = strerror(e);
	char range[64];

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (!(refusals[i].backends & 1u << backend) || !(refusals[i].steps & 1u << step) ||
		    refusals[i].sys_errno != e)
			continue;
		code = refusals[i].code;
		words = refusals[i].words;
		break;
	}
	range_text(range, iova, length);
	return fault_set(why, code, step, e, "cannot %s%s: %s", step_verb(step), range, words);
}

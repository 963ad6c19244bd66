/* SPDX-License-Identifier: MIT */
/*
 * sim-iommu.h - one address space of the simulated IOMMU: mappings and translation.
 *
 * Pure: knows no socket, no file and no device. The errors are those of iommufd.
 */
#ifndef KERNEL_GLUE_SIM_IOMMU_H
#define KERNEL_GLUE_SIM_IOMMU_H

#include <bsd/sys/tree.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define SIM_PAGE_BYTES	 UINT64_C(4096)
#define SIM_APERTURE_END ((UINT64_C(1) << 39) - 1) /* VT-d with three levels of page table */
#define SIM_MSI_FIRST	 UINT64_C(0xfee00000)
#define SIM_MSI_LAST	 UINT64_C(0xfeefffff)
#define SIM_PAGE_SIZES	 ((UINT64_C(1) << 12) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30))

/* Host memory behind a mapping. bytes at base are what has to be released. */
struct sim_window {
	void *base;
	size_t bytes;
	size_t offset; /* of the first mapped byte */
};

struct sim_mapping {
	RB_ENTRY(sim_mapping) link;
	uint64_t first;
	uint64_t last;	 /* inclusive */
	uint32_t access; /* IOB_READ, IOB_WRITE: what the device may do */
	struct sim_window window;
};

/* What all address spaces of a process share. */
struct sim_pool {
	size_t mappings;
	size_t max_mappings;
	uint64_t max_bytes; /* of one address space: the memlock limit */
	void (*release)(const struct sim_window *);
};

RB_HEAD(sim_mapping_tree, sim_mapping);

struct sim_iommu {
	struct sim_mapping_tree tree;
	struct sim_pool *pool; /* borrowed, outlives this */
	size_t mappings;
	uint64_t bytes;
};

void sim_iommu_init(struct sim_iommu *s, struct sim_pool *pool);
/* The ranges a mapping may lie in, ascending. */
const struct iob_range *sim_iommu_ranges(uint32_t *count);

/* Would map() of this succeed? EINVAL zero, misaligned, no access, reserved or outside the
 * aperture; EOVERFLOW wraps; EEXIST overlaps a mapping; ENOMEM a limit is reached. */
int sim_iommu_check(struct sim_iommu *s, uint64_t iova, uint64_t length, uint32_t access);
/* Checks again; the window belongs to the address space on success only. */
int sim_iommu_map(struct sim_iommu *s, uint64_t iova, uint64_t length, uint32_t access,
		  const struct sim_window *window);
/* ENOENT unless it is exactly one mapping. */
int sim_iommu_unmap(struct sim_iommu *s, uint64_t iova, uint64_t length);
/* Unmap everything. */
void sim_iommu_clear(struct sim_iommu *s);

/* The host address of iova and in *room how many bytes lie there without a gap, or NULL: not
 * mapped, or not for this access (one of IOB_READ, IOB_WRITE). */
void *sim_iommu_translate(struct sim_iommu *s, uint64_t iova, uint32_t access, uint64_t *room);

#endif

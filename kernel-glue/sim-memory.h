/* SPDX-License-Identifier: MIT */
/*
 * sim-memory.h - files behind mappings: held by an mmap of their range, touched with SIGBUS caught.
 */
#ifndef KERNEL_GLUE_SIM_MEMORY_H
#define KERNEL_GLUE_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-glue/sim-iommu.h"

/* Install the SIGBUS handler; once. */
int sim_memory_init(void);

/*
 * Map a range of a shmem or hugetlbfs file; fd is borrowed. EINVAL: another kind of file (as
 * IOMMU_IOAS_MAP_FILE), misaligned, or not inside i_size. Unlike the kernel, which pins whatever
 * the fd was opened for, this is an mmap: a writable map of an fd without O_RDWR gives EACCES, of
 * a write-sealed file EPERM.
 */
int sim_memory_map(int fd, uint64_t offset, uint64_t length, uint32_t access,
		   struct sim_window *window);
void sim_memory_unmap(const struct sim_window *window);

/* memcpy where either side may be such a window. false: SIGBUS, the copy may be incomplete. */
bool sim_memory_copy(void *to, const void *from, size_t bytes);

#endif

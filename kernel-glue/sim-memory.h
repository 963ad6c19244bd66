/* SPDX-License-Identifier: MIT */
/*
 * sim-memory.h - files behind mappings: held by an mmap, touched with SIGBUS caught.
 */
#ifndef KERNEL_GLUE_SIM_MEMORY_H
#define KERNEL_GLUE_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Install the SIGBUS handler; once. */
int sim_memory_init(void);

/* A file that devices may be let into, mapped whole. */
struct sim_file {
	void *base; /* NULL: none */
	size_t bytes;
	int write_error; /* 0, or the errno why it could not be mapped for writing */
};

/*
 * Map a shmem or hugetlbfs file; fd is borrowed. EINVAL: another kind of file (as
 * IOMMU_IOAS_MAP_FILE), or an empty one. Unlike the kernel, which pins whatever the fd was opened
 * for, this is an mmap: for writing, an fd without O_RDWR gives EACCES, a write-sealed file EPERM; it
 * is mapped for reading then.
 */
int sim_file_map(int fd, struct sim_file *file);
void sim_file_unmap(struct sim_file *file);

/* memcpy where either side may be in such a file. false: SIGBUS, the copy may be incomplete. */
bool sim_memory_copy(void *to, const void *from, size_t bytes);

#endif

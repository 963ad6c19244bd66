/* SPDX-License-Identifier: MIT */
/*
 * mapper-memory.h - the session's own mapping of a client's memory; shared by type1 and iommufd.
 */
#ifndef KERNEL_GLUE_MAPPER_MEMORY_H
#define KERNEL_GLUE_MAPPER_MEMORY_H

#include <stdbool.h>

#include "kernel-glue/glue.h"

/* Contracts of memory_open and memory_close of struct glue_mapper. */
int mapper_memory_open(struct glue_memory *m, struct fault *why);
void mapper_memory_close(struct glue_memory *m);

/* Does a mapping lie inside the memory, and ask for no more than the memory allows? 0 or -errno.
 * The caller has checked; this is the last thing between a mistake and a device that reads the
 * session's own memory. */
int mapper_memory_check(const struct glue_memory *m, uint64_t offset, uint64_t length,
			uint32_t access);

/* iommufd-map.c's part of glue_mapper_prepare(). */
void iommufd_mapper_prepare(void);
/* Does it ever issue MAP_FILE here? */
bool iommufd_mapper_maps_files(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * mapper-ioctls.h - every ioctl number that mapper code issues, for the session's seccomp filter:
 * a session gets those of its backend.
 *
 * Compare under a mask of 0xffffffff: the kernel looks at 32 bits of the request only. A filter
 * sees no descriptor type, and 0x3b70 and 0x3b71 are type1's GET_INFO and MAP_DMA on a container
 * but hot reset on a device: only sessions of type1 have them.
 */
#ifndef KERNEL_GLUE_MAPPER_IOCTLS_H
#define KERNEL_GLUE_MAPPER_IOCTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct glue_mapper_ioctl {
	uint32_t number;
	uint32_t backends; /* bit 1 << enum iob_backend */
};

extern const struct glue_mapper_ioctl glue_mapper_ioctls[];
extern const size_t glue_mapper_ioctl_count;

/* Is it issued by a session of this backend, on this kernel? After glue_mapper_prepare(). */
bool glue_mapper_asks(const struct glue_mapper_ioctl *i, uint32_t backend);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vfio-device.h - driving a VFIO device descriptor: the part that type1 and iommufd share.
 *
 * Contracts are those of the members of struct glue_mapper with the same names. Everything here
 * works on a descriptor that somebody else opened.
 */
#ifndef KERNEL_GLUE_VFIO_DEVICE_H
#define KERNEL_GLUE_VFIO_DEVICE_H

#include "kernel-glue/glue.h"

int vfio_device_info(int device_fd, struct iob_device_info_rep *info);
int vfio_region_info(int device_fd, uint32_t index, struct iob_region_info_rep *info);
int vfio_irq_info(int device_fd, uint32_t index, struct iob_irq_info_rep *info);
int vfio_region_read(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
		     void *data, uint32_t bytes);
int vfio_region_write(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
		      const void *data, uint32_t bytes);
int vfio_set_irq(int device_fd, const struct iob_set_irq_req *q, const int *fds);
int vfio_reset(int device_fd);

/* vfio-quiesce.c, monitor only; contract of glue_opener.device_quiesce. */
int vfio_quiesce(const struct glue_bound *b);

#endif

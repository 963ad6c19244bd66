/* SPDX-License-Identifier: MIT */
/*
 * opener.h - what the two real openers share: checks before a bind, and the words of refusals.
 */
#ifndef KERNEL_GLUE_OPENER_H
#define KERNEL_GLUE_OPENER_H

#include "kernel-glue/glue.h"
#include "kernel-glue/sysfs.h"

/* Contracts of the members of struct glue_opener with these names. */
int opener_inventory(struct glue_device **list, size_t *count, struct fault *why);
int opener_group(const char *name, struct glue_device **list, size_t *count, struct fault *why);
int opener_descriptor_dup(int fd);
/* in driver.c */
int opener_driver_check(const struct glue_device *d, enum iob_driver to, struct fault *why);
int opener_driver_change(const struct glue_driver_change *c, struct fault *why);
int opener_driver_fd(void);

/* Read the device afresh into *now, and refuse it when it may not be given out. A sibling on a
 * host driver is left to the kernel, which knows better which drivers do harm. */
int opener_check_device(const struct glue_device *d, struct glue_device *now, struct fault *why);
/* Refuse while a module parameter lets devices forge interrupts. */
int opener_check_interrupts(bool allowed, struct fault *why);

/* Refusal of a step of a bind by errno: blames a sibling for EPERM when there is one. */
int opener_bind_fault(enum iob_step step, int sys_errno, const struct glue_device *d,
		      struct fault *why);
/* The same when it was open() of the device's own node, or of its group's, that failed. */
int opener_open_fault(enum iob_step step, int sys_errno, const struct glue_device *d,
		      struct fault *why);
/* Refusal to open a node that belongs to no device. */
int opener_node_fault(enum iob_step step, int sys_errno, const char *node, struct fault *why);

/* Repeats call(argument) while it returns -EBUSY, for about a second. */
int opener_retry_busy(int (*call)(const void *argument), const void *argument);

#endif

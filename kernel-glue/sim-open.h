/* SPDX-License-Identifier: MIT */
/*
 * sim-open.h - the one thing of the sim backend that outlives a monitor and that glue.h has no
 * word for: the control socket. /dev/vfio is there for the next monitor; this is not, unless it
 * is kept (fd store) and handed on.
 */
#ifndef KERNEL_GLUE_SIM_OPEN_H
#define KERNEL_GLUE_SIM_OPEN_H

#include "proto/fault.h"

/* The control socket, borrowed, or -1 before start(). */
int sim_open_control_fd(void);
/* Instead of start(): go on with the simulator of an earlier monitor. Takes over fd on success. */
int sim_open_adopt(int fd, struct fault *why);

#endif

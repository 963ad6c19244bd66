/* SPDX-License-Identifier: MIT */
/* session-filter.h - the system calls a session is left with. See the tables in session-filter.c. */
#ifndef DAEMON_SESSION_FILTER_H
#define DAEMON_SESSION_FILTER_H

#include "proto/fault.h"

/* The descriptor to which the session writes what the companion is to close: session-closer.h. */
#define FILTER_FD_CLOSER 5

/* backend: enum iob_backend, whose ioctls are left. Both return 0 or -errno with *why. For the calling thread, which must be the only one, for good. */
int filter_load(uint32_t backend, struct fault *why);
/* Proof from inside that the loaded program decides: a call that only this filter answers so. */
int filter_verify(struct fault *why);

#endif

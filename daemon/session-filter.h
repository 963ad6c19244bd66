/* SPDX-License-Identifier: MIT */
/* session-filter.h - the system calls a session is left with. See the tables in session-filter.c. */
#ifndef DAEMON_SESSION_FILTER_H
#define DAEMON_SESSION_FILTER_H

#include "proto/fault.h"

/* Both return 0 or -errno with *why. For the calling thread, which must be the only one, for good. */
int filter_load(struct fault *why);
/* Proof from inside that the loaded program decides: a call that only this filter answers so. */
int filter_verify(struct fault *why);

#endif

/* SPDX-License-Identifier: MIT */
/* monitor-privileges.h - what of root the monitor keeps, and the proof that the rest is gone. */
#ifndef DAEMON_MONITOR_PRIVILEGES_H
#define DAEMON_MONITOR_PRIVILEGES_H

#include "proto/fault.h"

/*
 * As root: leave the network for an empty namespace of our own (sessions inherit it), then keep
 * only the capabilities of the table in monitor-privileges.c in every set, bounding set included,
 * and verify all of it. Otherwise: verify that there are no capabilities. In both cases
 * PR_SET_DUMPABLE 0. Must be called once, before the socket listens.
 */
int privileges_drop(struct fault *why);

#endif

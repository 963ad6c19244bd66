/* SPDX-License-Identifier: MIT */
/*
 * monitor-manager.h - the talk with the service manager: readiness, the watchdog, and descriptors
 * that it keeps for the next monitor. sd_notify(3), sd_listen_fds(3).
 *
 * Without a service manager all of this does nothing.
 */
#ifndef DAEMON_MONITOR_MANAGER_H
#define DAEMON_MONITOR_MANAGER_H

#include <event2/event.h>
#include <stdbool.h>

#include "proto/fault.h"

/* Take over what the manager passed. Before anything else is opened. */
int manager_init(struct fault *why);

/* A descriptor that was kept under this name; the caller's from now on. -1: none. With several of
 * one name each call gives another. */
int manager_take(const char *name);
/* The socket to listen on: a descriptor under any name that we do not use. -1: none. */
int manager_take_listener(struct fault *why);
/* Close what nobody took, and have the manager forget it. */
void manager_discard_rest(void);

/* Is there somebody who keeps descriptors? Only then do sessions outlive us. */
bool manager_keeps(void);
/* How many it can keep: $FDSTORE, which systemd sets from 254 on, and our unit before. Without it nothing
 * is kept: a channel that is believed to be kept, and is not, would end its session with us. */
unsigned manager_room(void);
/* Have these kept under the name, in addition to what is. The caller still owns them. */
void manager_keep(const char *name, const int *fds, unsigned count);
/* Have all of this name closed. */
void manager_forget(const char *name);
/* Wait, a minute at most, until the manager has done what it was told so far. Not for the monitor
 * itself: a manager that reloads its units is away for seconds. */
void manager_wait(void);

/* state: as of sd_notify(3), "READY=1" and the like. */
void manager_tell(const char *state);
/* Before something that may take long: the watchdog, if there is one, waits anew. */
void manager_alive(void);
/* From now on tell the watchdog, if there is one, that the loop runs. */
int manager_watchdog_start(struct event_base *base);
void manager_watchdog_stop(void);

#endif

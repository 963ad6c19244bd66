/* SPDX-License-Identifier: MIT */
/*
 * session-closer.h - closing what a client chose, without waiting for it.
 *
 * close() of a descriptor from a client may block for as long as the client likes: a file of a FUSE
 * server that does not answer FLUSH, a TCP socket that lingers, a UNIX socket with one of those in
 * its queue. So the session never closes such a descriptor itself. A companion process that shares
 * its descriptor table does, and nothing else: its filter knows read, close and exit.
 */
#ifndef DAEMON_SESSION_CLOSER_H
#define DAEMON_SESSION_CLOSER_H

#include <sys/types.h>

#include "proto/fault.h"
#include "proto/message.h"

/* Start the companion, before the sandbox, while there is one thread. uid: to become as root. It
 * ends with this process. */
int closer_start(uid_t uid, struct fault *why);

/* Never blocks. The number stays in use until it is really closed. */
void closer_close(int fd);
void closer_close_list(struct fd_list *l);

#endif

/* SPDX-License-Identifier: MIT */
/* peer.h - who is at the other end of a client connection, as the kernel tells it. */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include <sys/types.h>

#include "proto/fault.h"

#define PEER_MAX_GROUPS 64

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* for people only: pids are recycled */
	int pidfd; /* -1 where the kernel has no SO_PEERPIDFD */
	unsigned
		group_count; /* supplementary groups, cut at PEER_MAX_GROUPS: fewer means less access */
	gid_t groups[PEER_MAX_GROUPS];
};

/* Identify the peer of a connected AF_UNIX socket as of its connect(). *p owns pidfd. */
int peer_identify(int fd, struct peer *p, struct fault *why);
void peer_deinit(struct peer *p);

#endif

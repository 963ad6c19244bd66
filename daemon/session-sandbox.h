/* SPDX-License-Identifier: MIT */
/*
 * session-sandbox.h - how a session locks itself up before it reads its first client byte.
 *
 * Stages in a table, each with what it does and how it is verified afterwards. The first stage
 * that fails, or whose verification fails, ends the start: never a session with less.
 */
#ifndef DAEMON_SESSION_SANDBOX_H
#define DAEMON_SESSION_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/fault.h"

struct sandbox_params {
	uid_t uid;	  /* to become when started as root; ignored otherwise */
	int empty_dir_fd; /* an open, already removed directory: the future root; consumed */
	uint32_t max_fds; /* RLIMIT_NOFILE */
	uint32_t backend; /* enum iob_backend: whose ioctls are allowed */
};

/* 0 when every stage is done and verified. Otherwise the process must exit. */
int sandbox_enter(const struct sandbox_params *p, struct fault *why);

#endif

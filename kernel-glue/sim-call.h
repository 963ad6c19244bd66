/* SPDX-License-Identifier: MIT */
/*
 * sim-call.h - one request to the simulator and its answer: the stand-in of an ioctl.
 */
#ifndef KERNEL_GLUE_SIM_CALL_H
#define KERNEL_GLUE_SIM_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "kernel-glue/sim-wire.h"

struct sim_call {
	int fd; /* the object, borrowed */
	uint32_t op;
	const void *body;
	size_t body_bytes;
	const void *tail; /* data after the body, or NULL */
	size_t tail_bytes;
	const int *fds; /* borrowed */
	size_t fd_count;
	void *reply; /* filled on success with exactly reply_bytes */
	size_t reply_bytes;
	int *reply_fd;	  /* NULL: none is expected; on success the caller owns it */
	uint32_t *detail; /* NULL, or set on failure to enum sim_detail */
};

/* Ask and wait. 0, the simulator's -errno, or -EIO when it is gone or talks nonsense. Two system
 * calls, sendmsg and recvmsg. No other process may be waiting on c->fd. */
int sim_call(const struct sim_call *c);

/* The halves of it, for the caller with a reply socket: flags are SIM_REQ_*. */
int sim_call_send(const struct sim_call *c, uint32_t flags);
int sim_call_receive(int fd, const struct sim_call *c);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * sim-serve.h - one request: received, checked against the table of operations, answered.
 */
#ifndef KERNEL_GLUE_SIM_SERVE_H
#define KERNEL_GLUE_SIM_SERVE_H

#include <stddef.h>
#include <stdint.h>

#include "kernel-glue/sim-object.h"

struct sim_request {
	struct sim_handle *from;
	const void *body; /* of exactly the size the table says, aligned */
	const uint8_t *tail;
	size_t tail_bytes;
	int *fds; /* fd_count of them; a handler that keeps one puts -1 there */
	size_t fd_count;
	void *reply;	    /* zeroed, of the size the table says; filled on success */
	size_t reply_bytes; /* from the table; a handler may set less */
	int reply_fd;	    /* -1; a handler may set it: sent, then closed here */
	uint32_t detail;
};

/* 0 or -errno for the answer. */
typedef int sim_handler(struct sim_request *r);

struct sim_operation {
	sim_handler *handler;
	uint32_t kinds; /* SIM_KIND_*, on which sockets */
	uint16_t body_bytes;
	uint16_t tail_max;
	uint16_t reply_bytes;
	uint8_t fds_min;
	uint8_t fds_max;
};

/* The row of an operation, or NULL. sim-answer.c */
const struct sim_operation *sim_operation_find(uint32_t op);
/* Handlers on devices. sim-answer-device.c */
sim_handler sim_answer_attach, sim_answer_detach, sim_answer_quiesce, sim_answer_device_info,
	sim_answer_region_info, sim_answer_irq_info, sim_answer_region_read,
	sim_answer_region_write, sim_answer_set_irq, sim_answer_reset;

/* Serve the request that is waiting. Not 0: the peer is gone or broke the rules, free the handle. */
int sim_serve_one(struct sim_handle *h);

#endif

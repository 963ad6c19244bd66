/* SPDX-License-Identifier: MIT */
/*
 * operations.h - the table of client operations, and the one place that takes bodies apart.
 */
#ifndef PROTO_OPERATIONS_H
#define PROTO_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/fault.h"

struct operation {
	uint16_t op;	 /* enum iob_op */
	uint8_t kind;	 /* enum iob_kind of the handle it is for; 0: any */
	uint8_t fds_min; /* descriptors with the request */
	uint8_t fds_max;
	bool tail;	/* variable data follow the fixed body */
	uint16_t body;	/* bytes of the fixed body */
	uint32_t right; /* IOB_RIGHT_* a domain handle must carry; 0: none */
	const char *name;
	uint16_t
		reserved; /* offset of a 32-bit field of the body that must be 0; 0: there is none */
};

/* NULL for an unknown op. */
const struct operation *operation_find(uint16_t op);
/* Name of an op for messages; "?" when unknown. */
const char *operation_name(uint16_t op);

/*
 * Copy a record of have bytes into out of know bytes: a shorter one is completed with zeros, down
 * to min bytes; a longer one is accepted only if what we do not know is zero. -EBADMSG otherwise.
 */
int operation_take(const void *in, size_t have, void *out, size_t know, size_t min);

#endif

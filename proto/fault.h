/* SPDX-License-Identifier: MIT */
/*
 * fault.h - why something was refused: the code for programs, the step, the errno, the words.
 *
 * Made where the refusal happens, carried unchanged through the private channel and the client
 * protocol to the person who reads it.
 */
#ifndef PROTO_FAULT_H
#define PROTO_FAULT_H

#include "proto/wire.h"

struct fault {
	uint32_t code;	   /* enum iob_code; IOB_OK: nothing went wrong */
	uint32_t step;	   /* enum iob_step */
	int32_t sys_errno; /* of the failing system call, or 0 */
	char text[IOB_MAX_TEXT + 1];
};

/*
 * Fill *f and return a negative errno for the caller to hand on: -sys_errno when that is not 0,
 * else -EPERM. Text longer than IOB_MAX_TEXT is cut; bytes outside printable ASCII become '?',
 * so that a device or file name can never steer a terminal.
 */
int fault_set(struct fault *f, enum iob_code code, enum iob_step step, int sys_errno,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Short English for a code or a step ("IOVA overlaps a mapping"); never NULL. */
const char *fault_code_text(uint32_t code);
const char *fault_step_text(uint32_t step);
/* Symbol of a code ("IOB_E_BUSY"); never NULL. */
const char *fault_code_name(uint32_t code);

#endif

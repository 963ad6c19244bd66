/* SPDX-License-Identifier: MIT */
/*
 * monitor-tape.h - the names in a configuration, looked up by a process of their own.
 *
 * That process reads the configuration and writes down each name it looks up with the answer, one
 * after the other: the tape. Whoever then reads the same files with the same code, and plays the
 * tape, is asked for the same names in the same order. Nothing but numbers crosses, and no key of the
 * configuration needs to be known here. When the files changed in between, tape and files do not fit.
 */
#ifndef DAEMON_MONITOR_TAPE_H
#define DAEMON_MONITOR_TAPE_H

#include "daemon/monitor-config.h"

#define TAPE_MAX_BYTES (8u << 20)

struct tape {
	uint8_t *bytes;
	size_t used;
	size_t room;
	size_t at;
	bool cut; /* something is missing */
};

/* In the throwaway process: record, with the pipe as the only descriptor besides the standard ones,
 * and end. Gives up every capability, and ends with its parent. */
_Noreturn void tape_record(const char *config, int pipe);

/* More of it from a pipe that does not block. False when there is no more for now. */
bool tape_take(struct tape *t, int pipe);
/* Did the recorder come to its end? */
bool tape_is_complete(const struct tape *t);
/* resolve() of struct config_reading, with the tape as arg. -ESTALE when it does not fit. */
int tape_play(void *tape, enum config_people kind, const char *name, uint32_t *id);
void tape_deinit(struct tape *t);

#endif

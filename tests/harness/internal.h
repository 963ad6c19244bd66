/* SPDX-License-Identifier: MIT */
/* internal.h - between the files of the harness. */
#ifndef TESTS_HARNESS_INTERNAL_H
#define TESTS_HARNESS_INTERNAL_H

#include <limits.h>

#include "tests/harness/harness.h"

/* The broker that is running; of the process that started it and those forked from there. */
struct broker {
	pid_t parent;  /* who started it, and adopts what it leaves behind */
	pid_t monitor; /* 0: none; kept: the present one */
	pid_t logger;
	pid_t keeper; /* 0: none */
	char directory[64];
	char socket[96];
	char log[PATH_MAX];
	unsigned reloads;
};
extern struct broker broker;

/* ---- keeper.c ---- */
/* Starts a stand-in for the service manager, which starts the monitor. */
void keeper_start(int log);
/* The monitor that lives now. */
pid_t keeper_monitor(void);
/* Do not start another one when it ends, or do so again. */
void keeper_waits(bool away);
/* Become the monitor; inherited descriptors from 3 on. Does not return. */
void run_monitor(int log, unsigned inherited);

/* ---- users.c ---- */
/* Once, before all others; and before each test. */
void users_init(void);
void users_prepare(void);
void users_end(void);
bool is_user(pid_t pid);

/* ---- config.c ---- */
void config_write(const char *path, const struct broker_options *o);
void config_write_drop_in(const char *path, const char *text);

/* ---- baseline.c ---- */
/* Remember how things are. */
void baseline_take(bool connected_once);

/* ---- process.c ---- */
/* Poll a condition, for about ten seconds on a healthy machine. */
bool wait_until(bool (*condition)(void *), void *argument);
void sleep_ms(unsigned ms);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * sim-eventfd.h - eventfds of other processes, used as a kernel uses them: never waiting.
 */
#ifndef KERNEL_GLUE_SIM_EVENTFD_H
#define KERNEL_GLUE_SIM_EVENTFD_H

#include <stdbool.h>

/* Install the handler of the guard's signal (SIGALRM); once. */
int sim_eventfd_init(void);
bool sim_eventfd_check(int fd);
/* Add 1. A full counter stays full: whoever reads it is told. */
void sim_eventfd_signal(int fd);
/* Take the count; true when there was one. */
bool sim_eventfd_take(int fd);

#endif

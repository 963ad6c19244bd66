/* SPDX-License-Identifier: MIT */
/*
 * sim-log.h - the simulator's kernel log: DMA faults, worded as VT-d words them.
 */
#ifndef KERNEL_GLUE_SIM_LOG_H
#define KERNEL_GLUE_SIM_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_LOG_ENVIRONMENT "IOB_SIM_LOG" /* a file to append to: it becomes stderr */

/* Before privileges are dropped. */
int sim_log_open(void);
void sim_log_fault(const char *device, bool write, uint64_t iova);

#endif

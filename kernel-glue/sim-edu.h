/* SPDX-License-Identifier: MIT */
/*
 * sim-edu.h - the simulated device: a PCI device like QEMU's "edu", seen through its BAR 0.
 *
 * Pure: memory, interrupts and time are callbacks.
 */
#ifndef KERNEL_GLUE_SIM_EDU_H
#define KERNEL_GLUE_SIM_EDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-glue/sim-config.h"

#define SIM_EDU_VENDOR	     0x1234
#define SIM_EDU_DEVICE	     0x11e8
#define SIM_EDU_DEVICE_RESET 0x11e9 /* the same, with a reset method */

#define SIM_EDU_BUFFER_START UINT64_C(0x40000) /* as a DMA address; not visible in the BAR */
#define SIM_EDU_BUFFER_BYTES 4096u
#define SIM_EDU_DMA_MASK     UINT64_C(0x0fffffff)

struct sim_edu_ops {
	/* Call sim_edu_dma_run() a little later. */
	void (*dma_later)(void *context);
	/* Move bytes between data and memory at iova. */
	void (*dma)(void *context, bool to_memory, uint64_t iova, uint8_t *data, size_t bytes);
	/* The device has something to say (again): an MSI, or the INTx line up. */
	void (*irq_raise)(void *context);
	/* Nothing pending any more: the INTx line down. */
	void (*irq_lower)(void *context);
};

struct sim_edu {
	const struct sim_edu_ops *ops;
	void *context;
	struct sim_config config;
	uint32_t liveness;
	uint32_t factorial;
	uint32_t status;
	uint32_t irq_status;
	uint64_t dma_source;
	uint64_t dma_target;
	uint64_t dma_count;
	uint64_t dma_command;
	uint8_t buffer[SIM_EDU_BUFFER_BYTES];
};

void sim_edu_init(struct sim_edu *e, uint16_t device, const struct sim_edu_ops *ops, void *context);
/* Registers, buffer and configuration space as after init; a running DMA never happens. */
void sim_edu_reset(struct sim_edu *e);
/* One access of 1, 2, 4 or 8 bytes, aligned, inside the BAR. */
uint64_t sim_edu_read(struct sim_edu *e, uint64_t offset, unsigned int bytes);
void sim_edu_write(struct sim_edu *e, uint64_t offset, uint64_t value, unsigned int bytes);
void sim_edu_dma_run(struct sim_edu *e);

#endif

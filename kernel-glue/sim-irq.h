/* SPDX-License-Identifier: MIT */
/*
 * sim-irq.h - interrupts of one simulated device, towards eventfds, as vfio-pci does them for edu:
 * one INTx (level, automasked), one MSI (edge), no MSI-X, no ERR, one REQ.
 */
#ifndef KERNEL_GLUE_SIM_IRQ_H
#define KERNEL_GLUE_SIM_IRQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define SIM_IRQ_INDEXES 5u

struct event;
struct event_base;

struct sim_irq {
	struct event_base *base; /* borrowed */
	int active;		 /* IOB_IRQ_INTX, IOB_IRQ_MSI, or -1: none is enabled */
	int trigger_fd;		 /* owned, or -1 */
	int request_fd;		 /* owned, or -1 */
	int unmask_fd;		 /* owned, or -1: unmasks INTx when signalled */
	struct event *unmask_event;
	bool masked;   /* INTx: by the user, or by itself when it fired */
	bool level;    /* INTx line */
	bool line_off; /* "INTx disable" of the command register */
};

void sim_irq_init(struct sim_irq *q, struct event_base *base);
/* Everything off and closed; the line's level stays what it is. */
void sim_irq_off(struct sim_irq *q);
/* EINVAL: no such index. */
int sim_irq_info(uint32_t index, struct iob_irq_info_rep *info);
/* VFIO_DEVICE_SET_IRQS. Of the fds, count of them, those that are kept become -1. */
int sim_irq_set(struct sim_irq *q, const struct iob_set_irq_req *req, int *fds, size_t count);
/* The device wants attention. can_msi: bus mastering is on, for an MSI is a write. */
void sim_irq_raise(struct sim_irq *q, bool can_msi);
void sim_irq_lower(struct sim_irq *q);
void sim_irq_set_line_off(struct sim_irq *q, bool off);

#endif

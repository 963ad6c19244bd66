/* SPDX-License-Identifier: MIT */
/*
 * sim-irq.c - VFIO_DEVICE_SET_IRQS. Which request gives which errno follows vfio_pci_core.c and
 * vfio_pci_intrs.c of Linux 6.x, down to EINVAL for turning off what is not on.
 */
#include "kernel-glue/sim-irq.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

#include "kernel-glue/sim-eventfd.h"

static const uint32_t irq_counts[SIM_IRQ_INDEXES] = {
	[IOB_IRQ_INTX] = 1,
	[IOB_IRQ_MSI] = 1,
	[IOB_IRQ_REQ] = 1,
};

void sim_irq_init(struct sim_irq *q, struct event_base *base)
{
	*q = (struct sim_irq){
		.base = base, .active = -1, .trigger_fd = -1, .request_fd = -1, .unmask_fd = -1
	};
}

static void put_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_unmask(struct sim_irq *q)
{
	if (q->unmask_event)
		event_free(q->unmask_event);
	q->unmask_event = NULL;
	put_fd(&q->unmask_fd);
}

static void drop_trigger(struct sim_irq *q)
{
	drop_unmask(q);
	put_fd(&q->trigger_fd);
	q->active = -1;
	q->masked = false;
}

void sim_irq_off(struct sim_irq *q)
{
	drop_trigger(q);
	put_fd(&q->request_fd);
}

int sim_irq_info(uint32_t index, struct iob_irq_info_rep *info)
{
	/* edu is no PCI Express device: vfio-pci knows no ERR index for it */
	if (index >= SIM_IRQ_INDEXES || index == IOB_IRQ_ERR)
		return -EINVAL;
	*info = (struct iob_irq_info_rep){
		.index = index,
		.flags = IOB_IRQ_EVENTFD |
			 (index == IOB_IRQ_INTX ? IOB_IRQ_MASKABLE | IOB_IRQ_AUTOMASKED :
						  IOB_IRQ_NORESIZE),
		.count = irq_counts[index],
	};
	return 0;
}

/* Deliver INTx if the line is up and nothing is in the way; it masks itself. */
static void update_intx(struct sim_irq *q)
{
	if (q->active != IOB_IRQ_INTX || !q->level || q->masked || q->line_off)
		return;
	q->masked = true;
	sim_eventfd_signal(q->trigger_fd);
}

static void unmask(struct sim_irq *q)
{
	q->masked = false;
	update_intx(q);
}

static void on_unmask(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	if (sim_eventfd_take(fd))
		unmask(arg);
}

static int set_unmask_fd(struct sim_irq *q, int *fd)
{
	struct event *event;

	if (q->unmask_event)
		return -EBUSY;
	event = event_new(q->base, *fd, EV_READ | EV_PERSIST, on_unmask, q);
	if (!event || event_add(event, NULL)) {
		if (event)
			event_free(event);
		return -ENOMEM;
	}
	q->unmask_event = event;
	q->unmask_fd = *fd;
	*fd = -1;
	return 0;
}

static int set_mask(struct sim_irq *q, const struct iob_set_irq_req *req, int *fds, size_t count)
{
	if (req->index != IOB_IRQ_INTX)
		return -ENOTTY;
	if (q->active != IOB_IRQ_INTX || req->start || req->count != 1)
		return -EINVAL;
	if (req->action == IOB_IRQ_MASK) {
		if (count)
			return -ENOTTY;
		q->masked = true;
		return 0;
	}
	if (count)
		return set_unmask_fd(q, &fds[0]);
	unmask(q);
	return 0;
}

/* The device unplug notice: kept and signalled on demand, it never comes by itself here. */
static int set_request(struct sim_irq *q, const struct iob_set_irq_req *req, int *fds, size_t count)
{
	if (count) {
		put_fd(&q->request_fd);
		q->request_fd = fds[0];
		fds[0] = -1;
		return 0;
	}
	if (q->request_fd < 0)
		return -EINVAL;
	if (req->count)
		sim_eventfd_signal(q->request_fd);
	else
		put_fd(&q->request_fd);
	return 0;
}

static void enable(struct sim_irq *q, int index, int *fd)
{
	if (q->active != index)
		drop_trigger(q);
	put_fd(&q->trigger_fd);
	q->active = index;
	q->trigger_fd = *fd;
	*fd = -1;
	update_intx(q);
}

static int set_trigger(struct sim_irq *q, const struct iob_set_irq_req *req, int *fds, size_t count)
{
	const int index = (int)req->index;

	if (req->index == IOB_IRQ_REQ)
		return set_request(q, req, fds, count);
	if (q->active == index && !req->count) {
		drop_trigger(q);
		return 0;
	}
	if ((q->active >= 0 && q->active != index) || req->start || req->count != 1)
		return -EINVAL;
	if (count) {
		enable(q, index, &fds[0]);
		return 0;
	}
	if (q->active != index)
		return -EINVAL;
	sim_eventfd_signal(q->trigger_fd);
	return 0;
}

static int check(const struct iob_set_irq_req *req, const int *fds, size_t count)
{
	const uint32_t limit = req->index < SIM_IRQ_INDEXES ? irq_counts[req->index] : 0;

	if (req->start >= limit || req->count > limit - req->start)
		return -EINVAL;
	if (count && count != req->count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!sim_eventfd_check(fds[i]))
			return -EINVAL;
	}
	return 0;
}

int sim_irq_set(struct sim_irq *q, const struct iob_set_irq_req *req, int *fds, size_t count)
{
	int error = check(req, fds, count);

	if (error)
		return error;
	switch (req->action) {
	case IOB_IRQ_DISABLE:
		return req->start || req->count ? -EINVAL : set_trigger(q, req, fds, 0);
	case IOB_IRQ_TRIGGER:
		return set_trigger(q, req, fds, count);
	case IOB_IRQ_MASK:
	case IOB_IRQ_UNMASK:
		return set_mask(q, req, fds, count);
	default:
		return -EINVAL;
	}
}

void sim_irq_raise(struct sim_irq *q, bool can_msi)
{
	q->level = true;
	if (q->active == IOB_IRQ_MSI && can_msi)
		sim_eventfd_signal(q->trigger_fd);
	update_intx(q);
}

void sim_irq_lower(struct sim_irq *q)
{
	q->level = false;
}

void sim_irq_set_line_off(struct sim_irq *q, bool off)
{
	q->line_off = off;
	update_intx(q);
}

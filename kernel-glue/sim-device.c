/* SPDX-License-Identifier: MIT */
/*
 * sim-device.c - the devices of the simulator: an edu each, its DMA through the IOMMU, its binding.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "kernel-glue/sim-log.h"
#include "kernel-glue/sim-memory.h"
#include "kernel-glue/sim-object.h"

/* A PCI domain that no machine has: a name of ours never means a real device. */
#define DOMAIN		 0x51b0u
#define SLOTS_PER_BUS	 31u /* 1 to 31 */
#define DMA_DELAY_US	 1000
#define RESETTABLE_INDEX 1u /* this one, if there are two or more, has a reset method */

/* ---- DMA ---- */

/* The part of a transfer inside one page. All of it or, false, nothing that counts. */
static bool move_page(struct sim_device *d, bool to_memory, uint64_t iova, uint8_t *data,
		      size_t bytes)
{
	struct sim_table_head *head;
	bool moved = false;
	void *memory;

	if (!d->attached)
		return false;
	head = d->context->table.head;
	atomic_store(&head->busy, 1); /* before the table is looked at */
	memory = sim_context_translate(d->context, iova, to_memory ? IOB_WRITE : IOB_READ);
	if (memory && to_memory)
		moved = sim_memory_copy(memory, data, bytes);
	else if (memory)
		moved = sim_memory_copy(data, memory, bytes);
	atomic_store(&head->busy, 0);
	return moved;
}

static void on_dma(void *context, bool to_memory, uint64_t iova, uint8_t *data, size_t bytes)
{
	struct sim_device *d = context;

	d->world->dma_transfers++;
	while (bytes) {
		size_t part = (size_t)(SIM_PAGE_BYTES - (iova & (SIM_PAGE_BYTES - 1)));

		if (part > bytes)
			part = bytes;
		if (!move_page(d, to_memory, iova, data, part)) {
			d->world->dma_faults++;
			sim_log_fault(d->name, to_memory, iova);
			if (!to_memory)
				memset(data, 0xff, part);
		}
		iova += part;
		data += part;
		bytes -= part;
	}
}

static void on_dma_later(void *context)
{
	const struct timeval delay = { .tv_usec = DMA_DELAY_US };
	struct sim_device *d = context;

	event_add(d->dma_timer, &delay);
}

static void on_dma_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sim_device *d = arg;

	(void)fd;
	(void)what;
	sim_edu_dma_run(&d->edu);
}

static void on_irq_raise(void *context)
{
	struct sim_device *d = context;

	sim_irq_raise(&d->irq, sim_config_command(&d->edu.config) & SIM_COMMAND_MASTER);
}

static void on_irq_lower(void *context)
{
	struct sim_device *d = context;

	sim_irq_lower(&d->irq);
}

static const struct sim_edu_ops edu_ops = {
	.dma_later = on_dma_later,
	.dma = on_dma,
	.irq_raise = on_irq_raise,
	.irq_lower = on_irq_lower,
};

/* ---- life ---- */

int sim_device_init(struct sim_device *d, struct sim_world *w, uint32_t index, uint32_t count)
{
	d->world = w;
	d->can_reset = index == RESETTABLE_INDEX;
	/* each a group of its own; with four or more, the last two share one */
	d->group = count >= 4 && index == count - 1 ? index - 1 : index;
	snprintf(d->name, sizeof(d->name), "%04x:%02x:%02x.0", DOMAIN, index / SLOTS_PER_BUS,
		 index % SLOTS_PER_BUS + 1);
	sim_edu_init(&d->edu, d->can_reset ? SIM_EDU_DEVICE_RESET : SIM_EDU_DEVICE, &edu_ops, d);
	sim_irq_init(&d->irq, w->base);
	d->dma_timer = evtimer_new(w->base, on_dma_timer, d);
	return d->dma_timer ? 0 : -ENOMEM;
}

void sim_device_deinit(struct sim_device *d)
{
	sim_irq_off(&d->irq);
	event_free(d->dma_timer);
}

struct sim_device *sim_device_find(struct sim_world *w, const char *name)
{
	for (uint32_t i = 0; i < w->device_count; i++) {
		if (!strncmp(w->devices[i].name, name, IOB_NAME_BYTES))
			return &w->devices[i];
	}
	return NULL;
}

/* The host has a driver for the one that is like a card, and none for an edu, as real ones have. */
const char *sim_device_driver(const struct sim_device *d)
{
	if (!d->on_host)
		return "vfio-pci";
	return d->can_reset ? "sim-host" : "";
}

int sim_device_set_driver(struct sim_device *d, uint32_t driver)
{
	if (driver != IOB_DRIVER_VFIO && driver != IOB_DRIVER_HOST)
		return -EINVAL;
	if (d->context)
		return -EBUSY;
	d->on_host = driver == IOB_DRIVER_HOST;
	return 0;
}

int sim_device_bind(struct sim_device *d, struct sim_context *c, uint32_t *detail)
{
	struct sim_world *w = d->world;

	if (d->on_host)
		return -ENXIO;
	if (d->context) {
		*detail = SIM_DETAIL_BOUND;
		return -EBUSY;
	}
	for (uint32_t i = 0; i < w->device_count; i++) {
		const struct sim_device *sibling = &w->devices[i];

		if (sibling->group == d->group && sibling->context && sibling->context != c) {
			*detail = SIM_DETAIL_GROUP;
			return -EBUSY;
		}
	}
	d->context = c;
	c->bound++;
	return 0;
}

void sim_device_reset(struct sim_device *d)
{
	event_del(d->dma_timer);
	sim_edu_reset(&d->edu);
	sim_irq_set_line_off(&d->irq, false);
}

void sim_device_quiesce(struct sim_device *d)
{
	sim_irq_off(&d->irq);
	if (d->can_reset)
		sim_device_reset(d);
	sim_config_set_command(&d->edu.config, 0);
	sim_irq_set_line_off(&d->irq, false);
}

/* Without a reset method of its own the device is reset too: a bus reset, vfio-pci would say. */
void sim_device_release(struct sim_device *d)
{
	struct sim_context *c = d->context;

	sim_device_quiesce(d);
	sim_device_reset(d);
	d->attached = false;
	d->context = NULL;
	if (c) {
		c->bound--;
		sim_context_put(c);
	}
}

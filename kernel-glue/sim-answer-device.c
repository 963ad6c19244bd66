/* SPDX-License-Identifier: MIT */
/*
 * sim-answer-device.c - what is asked of device sockets: what vfio-pci answers on a bound cdev.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kernel-glue/sim-serve.h"

#define REGIONS 9u /* six BARs, ROM, configuration space, VGA */

/* ---- binding ---- */

/* Again is not an error: vfio replaces the attachment by the same. */
int sim_answer_attach(struct sim_request *r)
{
	const struct sim_token_req *q = r->body;
	struct sim_device *d = r->from->device;

	if (d->context->token != q->token)
		return -EINVAL;
	if (d->context->revoked)
		return -ENOENT;
	d->attached = true;
	return 0;
}

int sim_answer_detach(struct sim_request *r)
{
	r->from->device->attached = false;
	return 0;
}

int sim_answer_quiesce(struct sim_request *r)
{
	sim_device_quiesce(r->from->device);
	return 0;
}

int sim_answer_reset(struct sim_request *r)
{
	if (!r->from->device->can_reset)
		return -EINVAL;
	sim_device_reset(r->from->device);
	return 0;
}

/* ---- description ---- */

int sim_answer_device_info(struct sim_request *r)
{
	struct sim_device_info_rep *s = r->reply;

	s->flags = r->from->device->can_reset ? IOB_DEVICE_CAN_RESET : 0;
	s->regions = REGIONS;
	s->irqs = SIM_IRQ_INDEXES;
	return 0;
}

static uint64_t region_bytes(uint32_t index)
{
	switch (index) {
	case IOB_REGION_BAR0:
		return SIM_BAR0_BYTES;
	case IOB_REGION_CONFIG:
		return SIM_CONFIG_BYTES;
	default:
		return 0;
	}
}

/* The VGA region, index 8, is only there for VGA devices: EINVAL as with vfio-pci. */
int sim_answer_region_info(struct sim_request *r)
{
	const struct iob_index_req *q = r->body;
	struct iob_region_info_rep *s = r->reply;

	if (q->index > IOB_REGION_CONFIG)
		return -EINVAL;
	s->index = q->index;
	s->bytes = region_bytes(q->index);
	s->flags = s->bytes ? IOB_REGION_READ | IOB_REGION_WRITE : 0;
	s->fd_offset = (uint64_t)q->index << 40;
	return 0;
}

int sim_answer_irq_info(struct sim_request *r)
{
	const struct iob_index_req *q = r->body;

	return sim_irq_info(q->index, r->reply);
}

int sim_answer_set_irq(struct sim_request *r)
{
	return sim_irq_set(&r->from->device->irq, r->body, r->fds, r->fd_count);
}

/* ---- regions ---- */

static int check_region(const struct sim_device *d, const struct iob_region_req *q)
{
	const uint64_t bytes = region_bytes(q->index);

	if (!q->bytes || q->bytes > IOB_MAX_REGION_BYTES)
		return -EINVAL;
	if (q->offset > bytes || q->bytes > bytes - q->offset)
		return -EINVAL;
	/* vfio-pci does not touch a device that does not decode */
	if (q->index == IOB_REGION_BAR0 &&
	    !(sim_config_command(&d->edu.config) & SIM_COMMAND_MEMORY))
		return -EIO;
	return 0;
}

/* The widest aligned access of at most 8 bytes. */
static unsigned int access_bytes(uint64_t offset, uint32_t left)
{
	unsigned int bytes = 8;

	while (bytes > left || (offset & (bytes - 1)))
		bytes /= 2;
	return bytes;
}

static void bar_read(struct sim_edu *e, uint64_t offset, uint8_t *data, uint32_t left)
{
	while (left) {
		unsigned int bytes = access_bytes(offset, left);
		uint64_t value = sim_edu_read(e, offset, bytes);

		memcpy(data, &value, bytes); /* little-endian, as the whole project */
		data += bytes;
		offset += bytes;
		left -= bytes;
	}
}

static void bar_write(struct sim_edu *e, uint64_t offset, const uint8_t *data, uint32_t left)
{
	while (left) {
		unsigned int bytes = access_bytes(offset, left);
		uint64_t value = 0;

		memcpy(&value, data, bytes);
		sim_edu_write(e, offset, value, bytes);
		data += bytes;
		offset += bytes;
		left -= bytes;
	}
}

int sim_answer_region_read(struct sim_request *r)
{
	const struct iob_region_req *q = r->body;
	struct sim_edu *e = &r->from->device->edu;
	int error = check_region(r->from->device, q);

	if (error)
		return error;
	if (q->index == IOB_REGION_CONFIG)
		sim_config_read(&e->config, (size_t)q->offset, r->reply, q->bytes);
	else
		bar_read(e, q->offset, r->reply, q->bytes);
	r->reply_bytes = q->bytes;
	return 0;
}

int sim_answer_region_write(struct sim_request *r)
{
	const struct iob_region_req *q = r->body;
	struct sim_device *d = r->from->device;
	int error = r->tail_bytes == q->bytes ? check_region(d, q) : -EINVAL;

	if (error)
		return error;
	if (q->index != IOB_REGION_CONFIG) {
		bar_write(&d->edu, q->offset, r->tail, q->bytes);
		return 0;
	}
	sim_config_write(&d->edu.config, (size_t)q->offset, r->tail, q->bytes);
	sim_irq_set_line_off(&d->irq,
			     sim_config_command(&d->edu.config) & SIM_COMMAND_INTX_DISABLE);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * sim-edu.c - registers and DMA engine after QEMU's documentation of "edu" (docs/specs/edu) and
 * its observed behaviour. Where that aborts the machine, transfers outside the device's buffer,
 * this moves nothing and goes idle.
 */
#include "kernel-glue/sim-edu.h"

#include <string.h>

enum {
	REG_IDENT = 0x00,
	REG_LIVENESS = 0x04,
	REG_FACTORIAL = 0x08,
	REG_STATUS = 0x20,
	REG_IRQ_STATUS = 0x24,
	REG_IRQ_RAISE = 0x60,
	REG_IRQ_ACK = 0x64,
	REG_DMA_SOURCE = 0x80,
	REG_DMA_TARGET = 0x88,
	REG_DMA_COUNT = 0x90,
	REG_DMA_COMMAND = 0x98,
};

#define IDENT		0x010000edu
#define STATUS_FACT_IRQ 0x80u
#define IRQ_FACT	0x001u
#define IRQ_DMA		0x100u
#define DMA_RUN		1u
#define DMA_TO_MEMORY	2u
#define DMA_IRQ		4u

void sim_edu_init(struct sim_edu *e, uint16_t device, const struct sim_edu_ops *ops, void *context)
{
	*e = (struct sim_edu){ .ops = ops, .context = context };
	sim_config_init(&e->config, SIM_EDU_VENDOR, device);
}

static void irq_raise(struct sim_edu *e, uint32_t bits)
{
	e->irq_status |= bits;
	if (!e->irq_status)
		return;
	sim_config_set_pending(&e->config, true);
	e->ops->irq_raise(e->context);
}

static void irq_lower(struct sim_edu *e, uint32_t bits)
{
	e->irq_status &= ~bits;
	if (e->irq_status)
		return;
	sim_config_set_pending(&e->config, false);
	e->ops->irq_lower(e->context);
}

void sim_edu_reset(struct sim_edu *e)
{
	irq_lower(e, UINT32_MAX);
	e->liveness = e->factorial = e->status = 0;
	e->dma_source = e->dma_target = e->dma_count = e->dma_command = 0;
	memset(e->buffer, 0, sizeof(e->buffer));
	sim_config_reset(&e->config);
}

/* Below 0x80 only 4 bytes, from there 4 or 8; never narrower. */
static bool is_valid_access(uint64_t offset, unsigned int bytes)
{
	return bytes == 4 || (bytes == 8 && offset >= REG_DMA_SOURCE);
}

static uint64_t *dma_register(struct sim_edu *e, uint64_t offset)
{
	switch (offset) {
	case REG_DMA_SOURCE:
		return &e->dma_source;
	case REG_DMA_TARGET:
		return &e->dma_target;
	case REG_DMA_COUNT:
		return &e->dma_count;
	case REG_DMA_COMMAND:
		return &e->dma_command;
	default:
		return NULL;
	}
}

static uint64_t read_register(struct sim_edu *e, uint64_t offset)
{
	const uint64_t *r = dma_register(e, offset);

	if (r)
		return *r;
	switch (offset) {
	case REG_IDENT:
		return IDENT;
	case REG_LIVENESS:
		return e->liveness;
	case REG_FACTORIAL:
		return e->factorial;
	case REG_STATUS:
		return e->status;
	case REG_IRQ_STATUS:
		return e->irq_status;
	default:
		return UINT64_MAX;
	}
}

uint64_t sim_edu_read(struct sim_edu *e, uint64_t offset, unsigned int bytes)
{
	uint64_t value;

	if (bytes < 4)
		return 0; /* the bus refuses these before the device sees them */
	value = is_valid_access(offset, bytes) ? read_register(e, offset) : UINT64_MAX;
	return bytes == 8 ? value : value & UINT32_MAX;
}

/* 34! and all beyond are 0 modulo 2^32: no loop of four billion turns for a hostile number. */
static uint32_t factorial(uint32_t n)
{
	uint32_t product = 1;

	if (n >= 34)
		return 0;
	for (; n > 1; n--)
		product *= n;
	return product;
}

static void write_factorial(struct sim_edu *e, uint32_t n)
{
	e->factorial = factorial(n);
	if (e->status & STATUS_FACT_IRQ)
		irq_raise(e, IRQ_FACT);
}

/* Registers do not change under a running transfer; the command only takes a start. */
static void write_dma(struct sim_edu *e, uint64_t offset, uint64_t value)
{
	if (e->dma_command & DMA_RUN)
		return;
	if (offset == REG_DMA_COMMAND && !(value & DMA_RUN))
		return;
	*dma_register(e, offset) = value;
	if (offset == REG_DMA_COMMAND)
		e->ops->dma_later(e->context);
}

void sim_edu_write(struct sim_edu *e, uint64_t offset, uint64_t value, unsigned int bytes)
{
	if (!is_valid_access(offset, bytes))
		return;
	if (dma_register(e, offset)) {
		write_dma(e, offset, value);
		return;
	}
	switch (offset) {
	case REG_LIVENESS:
		e->liveness = ~(uint32_t)value;
		break;
	case REG_FACTORIAL:
		write_factorial(e, (uint32_t)value);
		break;
	case REG_STATUS:
		e->status = (uint32_t)value & STATUS_FACT_IRQ;
		break;
	case REG_IRQ_RAISE:
		irq_raise(e, (uint32_t)value);
		break;
	case REG_IRQ_ACK:
		irq_lower(e, (uint32_t)value);
		break;
	default:
		break;
	}
}

/* Is [at, at + count) inside the device's buffer? */
static bool is_inside_buffer(uint64_t at, uint64_t count)
{
	return at >= SIM_EDU_BUFFER_START && count <= SIM_EDU_BUFFER_BYTES &&
	       at - SIM_EDU_BUFFER_START <= SIM_EDU_BUFFER_BYTES - count;
}

static void transfer(struct sim_edu *e)
{
	const bool to_memory = e->dma_command & DMA_TO_MEMORY;
	const uint64_t inside = to_memory ? e->dma_source : e->dma_target;
	const uint64_t outside = to_memory ? e->dma_target : e->dma_source;

	if (!is_inside_buffer(inside, e->dma_count))
		return;
	e->ops->dma(e->context, to_memory, outside & SIM_EDU_DMA_MASK,
		    e->buffer + (inside - SIM_EDU_BUFFER_START), (size_t)e->dma_count);
}

void sim_edu_dma_run(struct sim_edu *e)
{
	if (!(e->dma_command & DMA_RUN))
		return;
	if (sim_config_command(&e->config) & SIM_COMMAND_MASTER)
		transfer(e);
	e->dma_command &= ~(uint64_t)DMA_RUN;
	if (e->dma_command & DMA_IRQ)
		irq_raise(e, IRQ_DMA);
}

/* SPDX-License-Identifier: MIT */
/*
 * sim-config.c - configuration space of the simulated devices. Offsets: PCI Local Bus 3.0, 6.1.
 */
#include "kernel-glue/sim-config.h"

#include <string.h>

#define VENDOR	   0x00
#define DEVICE	   0x02
#define COMMAND	   0x04
#define STATUS	   0x06
#define REVISION   0x08 /* then 24 bits of class */
#define CACHE_LINE 0x0c
#define BAR0	   0x10
#define SUBSYSTEM  0x2c
#define CAPABILITY 0x34
#define IRQ_LINE   0x3c
#define IRQ_PIN	   0x3d
#define MSI	   0x40

#define STATUS_INTERRUPT    0x0008u
#define STATUS_CAPABILITIES 0x0010u

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value);
	put16(at + 2, value >> 16);
}

static void init_writable(uint8_t *w)
{
	put16(w + COMMAND, 0x0547);    /* io, memory, master, parity, SERR, INTx disable */
	put16(w + CACHE_LINE, 0xffff); /* and latency timer */
	put32(w + BAR0, ~((uint32_t)SIM_BAR0_BYTES - 1));
	w[IRQ_LINE] = 0xff;
	put16(w + MSI + 2, 0x0001); /* enable */
	put32(w + MSI + 4, 0xfffffffc);
	put32(w + MSI + 8, 0xffffffff);
	put16(w + MSI + 12, 0xffff);
}

void sim_config_init(struct sim_config *c, uint16_t vendor, uint16_t device)
{
	memset(c, 0, sizeof(*c));
	init_writable(c->writable);
	put16(c->bytes + VENDOR, vendor);
	put16(c->bytes + DEVICE, device);
	put32(c->bytes + REVISION, 0x00ff0010);
	put32(c->bytes + SUBSYSTEM, 0x11001af4);
	c->bytes[CAPABILITY] = MSI;
	c->bytes[IRQ_PIN] = 1;
	c->bytes[MSI] = 0x05;
	sim_config_reset(c);
}

void sim_config_reset(struct sim_config *c)
{
	for (size_t i = 0; i < SIM_CONFIG_BYTES; i++)
		c->bytes[i] &= (uint8_t)~c->writable[i];
	put16(c->bytes + COMMAND, SIM_COMMAND_MEMORY);
	put16(c->bytes + STATUS, STATUS_CAPABILITIES);
	put32(c->bytes + BAR0, 0xfe000000);
	put16(c->bytes + MSI + 2, 0x0080); /* 64-bit address, one vector */
}

uint16_t sim_config_command(const struct sim_config *c)
{
	return (uint16_t)(c->bytes[COMMAND] | c->bytes[COMMAND + 1] << 8);
}

void sim_config_set_command(struct sim_config *c, uint16_t command)
{
	put16(c->bytes + COMMAND, command);
}

void sim_config_set_pending(struct sim_config *c, bool pending)
{
	put16(c->bytes + STATUS, STATUS_CAPABILITIES | (pending ? STATUS_INTERRUPT : 0));
}

void sim_config_read(const struct sim_config *c, size_t offset, uint8_t *data, size_t bytes)
{
	memcpy(data, c->bytes + offset, bytes);
}

void sim_config_write(struct sim_config *c, size_t offset, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		const uint8_t mask = c->writable[offset + i];
		uint8_t *at = &c->bytes[offset + i];

		*at = (uint8_t)((*at & ~mask) | (data[i] & mask));
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * sim-config.h - 256 bytes of PCI configuration space, as vfio-pci would show them. Pure.
 */
#ifndef KERNEL_GLUE_SIM_CONFIG_H
#define KERNEL_GLUE_SIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_CONFIG_BYTES 256u
#define SIM_BAR0_BYTES	 (UINT64_C(1) << 20)

/* bits of the command register, offset 4 */
#define SIM_COMMAND_MEMORY	 0x0002u
#define SIM_COMMAND_MASTER	 0x0004u
#define SIM_COMMAND_INTX_DISABLE 0x0400u

struct sim_config {
	uint8_t bytes[SIM_CONFIG_BYTES];
	uint8_t writable[SIM_CONFIG_BYTES]; /* bits that a write reaches */
};

/* As after opening the device: memory decoding on, bus mastering off. */
void sim_config_init(struct sim_config *c, uint16_t vendor, uint16_t device);
void sim_config_reset(struct sim_config *c);
uint16_t sim_config_command(const struct sim_config *c);
void sim_config_set_command(struct sim_config *c, uint16_t command);
/* The "interrupt pending" bit of the status register. */
void sim_config_set_pending(struct sim_config *c, bool pending);
/* The caller has checked offset + bytes <= SIM_CONFIG_BYTES. */
void sim_config_read(const struct sim_config *c, size_t offset, uint8_t *data, size_t bytes);
void sim_config_write(struct sim_config *c, size_t offset, const uint8_t *data, size_t bytes);

#endif

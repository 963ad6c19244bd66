/* SPDX-License-Identifier: MIT */
/*
 * vfio-quiesce.c - stop a device, whatever its driver left it doing.
 *
 * Order: interrupts, so that nothing signals a dead client; bus mastering and decoding off, so
 * that no new DMA starts; reset, which ends what the device still has in flight; and the command
 * register again, because a reset restores the configuration space that was saved before it, and
 * because a client that holds the device fd may write the register at any time. The last word
 * stays with the address space: this makes a device quiet, an empty IOAS makes it harmless.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/vfio-device.h"

#define PCI_COMMAND_OFFSET 4u
#define PCI_COMMAND_STOP   0x0007u /* I/O decoding, memory decoding, bus master */

/* A bound on what a descriptor may claim: the loop below makes a system call for each. */
#define MAX_IRQ_INDEXES 64u

#define RESET_TRIES    10
#define RESET_PAUSE_US 20000

static void first_error(int *first, int rc)
{
	if (!*first)
		*first = rc;
}

static int interrupts_off(int fd, uint32_t indexes)
{
	struct iob_set_irq_req q = { .action = IOB_IRQ_DISABLE };
	int first = 0, rc;

	for (q.index = 0; q.index < indexes && q.index < MAX_IRQ_INDEXES; q.index++) {
		rc = vfio_set_irq(fd, &q, NULL);
		/* EINVAL: the index is not enabled (vfio_pci_intrs.c) */
		if (rc && rc != -EINVAL)
			first_error(&first, rc);
	}
	return first;
}

static int command_clear(int fd)
{
	struct iob_region_info_rep config;
	uint16_t command;
	int rc = vfio_region_info(fd, ABI_VFIO_PCI_REGION_CONFIG, &config);

	if (!rc)
		rc = vfio_region_read(fd, &config, PCI_COMMAND_OFFSET, &command, sizeof(command));
	if (rc)
		return rc;
	command = (uint16_t)(command & ~PCI_COMMAND_STOP);
	rc = vfio_region_write(fd, &config, PCI_COMMAND_OFFSET, &command, sizeof(command));
	if (!rc)
		rc = vfio_region_read(fd, &config, PCI_COMMAND_OFFSET, &command, sizeof(command));
	if (rc)
		return rc;
	return command & PCI_COMMAND_STOP ? -EIO : 0;
}

/* EAGAIN: somebody holds the device's or its slot's lock, for example a write to sysfs. */
static int reset(int fd)
{
	int rc = -EAGAIN;

	for (int i = 0; i < RESET_TRIES && rc == -EAGAIN; i++) {
		if (i)
			usleep(RESET_PAUSE_US);
		rc = vfio_reset(fd);
	}
	return rc;
}

int vfio_quiesce(const struct glue_bound *b)
{
	struct iob_device_info_rep info = { .irqs = ABI_VFIO_PCI_IRQS };
	int first = 0;

	first_error(&first, vfio_device_info(b->device_fd, &info));
	first_error(&first, interrupts_off(b->device_fd, info.irqs));
	first_error(&first, command_clear(b->device_fd));
	if (info.flags & IOB_DEVICE_CAN_RESET) {
		first_error(&first, reset(b->device_fd));
		first_error(&first, command_clear(b->device_fd));
	}
	return first;
}

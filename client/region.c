/* SPDX-License-Identifier: MIT */
/* region.c - registers and configuration space of a device. */
#include <string.h>

#include "internal.h"

/* PCI Local Bus 3.0, 6.2.2 */
#define PCI_COMMAND	   4u
#define PCI_COMMAND_MASTER 0x0004u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "registers and messages are little-endian, and taken as they are");

static int region_argument(const iob_device *device, const void *data, size_t bytes)
{
	if (!device || !data)
		return client_error_argument("no device, or no data");
	if (bytes == 0 || bytes > IOB_MAX_REGION_BYTES)
		return client_error_argument("a region access has 1 to 4096 bytes");
	return IOB_OK;
}

int iob_device_read(iob_device *device, uint32_t region, uint64_t offset, void *data, size_t bytes)
{
	struct iob_region_req req = {
		.index = region,
		.bytes = (uint32_t)bytes,
		.offset = offset,
	};
	char reply[IOB_MAX_REGION_BYTES];
	struct call c = {
		.op = IOB_OP_REGION_READ,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
		.rep = { { .iov_base = reply, .iov_len = bytes } },
		.rep_min = bytes,
	};
	int code = region_argument(device, data, bytes);

	if (code != IOB_OK)
		return code;
	code = client_call(&device->handle, &c);
	if (code == IOB_OK)
		memcpy(data, reply, bytes);
	return code;
}

int iob_device_write(iob_device *device, uint32_t region, uint64_t offset, const void *data,
		     size_t bytes)
{
	struct iob_region_req req = {
		.index = region,
		.bytes = (uint32_t)bytes,
		.offset = offset,
	};
	struct call c = {
		.op = IOB_OP_REGION_WRITE,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) },
			 { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes } },
	};
	int code = region_argument(device, data, bytes);

	if (code != IOB_OK)
		return code;
	return client_call(&device->handle, &c);
}

int iob_device_read32(iob_device *device, uint32_t region, uint64_t offset, uint32_t *value)
{
	return iob_device_read(device, region, offset, value, sizeof(*value));
}

int iob_device_read64(iob_device *device, uint32_t region, uint64_t offset, uint64_t *value)
{
	return iob_device_read(device, region, offset, value, sizeof(*value));
}

int iob_device_write32(iob_device *device, uint32_t region, uint64_t offset, uint32_t value)
{
	return iob_device_write(device, region, offset, &value, sizeof(value));
}

int iob_device_write64(iob_device *device, uint32_t region, uint64_t offset, uint64_t value)
{
	return iob_device_write(device, region, offset, &value, sizeof(value));
}

/* VFIO passes this bit through to the device (vfio_pci_config.c). */
int iob_device_bus_master(iob_device *device, int on)
{
	uint16_t command;
	int code =
		iob_device_read(device, IOB_REGION_CONFIG, PCI_COMMAND, &command, sizeof(command));

	if (code != IOB_OK)
		return code;
	if (on)
		command |= PCI_COMMAND_MASTER;
	else
		command = (uint16_t)(command & ~PCI_COMMAND_MASTER);
	return iob_device_write(device, IOB_REGION_CONFIG, PCI_COMMAND, &command, sizeof(command));
}

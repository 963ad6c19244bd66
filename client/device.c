/* SPDX-License-Identifier: MIT */
/* device.c - a device handle: what it is, binding, interrupts. Registers: region.c. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int iob_device_from_fd(int fd, iob_device **out)
{
	cleanup_free iob_device *device = NULL;
	struct iob_hello_rep hello;
	int code;

	if (!out)
		return client_error_argument("no place for the device");
	device = client_alloc(sizeof(*device));
	if (!device)
		return IOB_E_SYSTEM;
	code = client_handle_init(&device->handle, fd);
	if (code != IOB_OK)
		return code;
	code = client_hello(&device->handle, IOB_KIND_DEVICE, &hello);
	if (code != IOB_OK)
		return code;
	*out = device;
	device = NULL;
	return IOB_OK;
}

void iob_device_close(iob_device *device)
{
	if (!device)
		return;
	client_handle_deinit(&device->handle);
	free(device);
}

int iob_device_fd(const iob_device *device)
{
	return device ? device->handle.fd : -1;
}

int iob_device_next_event(iob_device *device, struct iob_event *out)
{
	if (!device || !out)
		return client_error_argument("no device, or no place for the event");
	return client_event_next(&device->handle, out);
}

int iob_device_info(iob_device *device, struct iob_device_info_rep *out)
{
	int code;

	if (!device || !out)
		return client_error_argument("no device, or no place for its description");
	code = client_call_fixed(&device->handle, IOB_OP_DEVICE_INFO, NULL, 0, out, sizeof(*out));
	if (code == IOB_OK) {
		out->rec.name[sizeof(out->rec.name) - 1] = '\0';
		out->rec.driver[sizeof(out->rec.driver) - 1] = '\0';
	}
	return code;
}

int iob_device_region_info(iob_device *device, uint32_t index, struct iob_region_info_rep *out)
{
	struct iob_index_req req = { .index = index };

	if (!device || !out)
		return client_error_argument("no device, or no place for the region");
	return client_call_fixed(&device->handle, IOB_OP_REGION_INFO, &req, sizeof(req), out,
				 sizeof(*out));
}

int iob_device_irq_info(iob_device *device, uint32_t index, struct iob_irq_info_rep *out)
{
	struct iob_index_req req = { .index = index };

	if (!device || !out)
		return client_error_argument("no device, or no place for the interrupts");
	return client_call_fixed(&device->handle, IOB_OP_IRQ_INFO, &req, sizeof(req), out,
				 sizeof(*out));
}

int iob_device_bind(iob_device *device, int domain_fd)
{
	struct call c = { .op = IOB_OP_DEVICE_BIND, .fds = &domain_fd, .fd_count = 1 };

	if (!device || domain_fd < 0)
		return client_error_argument("no device, or no domain handle");
	return client_call(&device->handle, &c);
}

int iob_device_unbind(iob_device *device)
{
	if (!device)
		return client_error_argument("no device");
	return client_call_fixed(&device->handle, IOB_OP_DEVICE_UNBIND, NULL, 0, NULL, 0);
}

int iob_device_reset(iob_device *device)
{
	if (!device)
		return client_error_argument("no device");
	return client_call_fixed(&device->handle, IOB_OP_DEVICE_RESET, NULL, 0, NULL, 0);
}

int iob_device_set_irq(iob_device *device, uint32_t index, enum iob_irq_action action,
		       uint32_t start, uint32_t count, const int *eventfds, uint32_t fd_count)
{
	struct iob_set_irq_req req = {
		.index = index,
		.action = (uint32_t)action,
		.start = start,
		.count = count,
	};
	struct call c = {
		.op = IOB_OP_SET_IRQ,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
		.fds = eventfds,
		.fd_count = fd_count,
	};

	if (!device || (!eventfds && fd_count > 0))
		return client_error_argument("no device, or no descriptors");
	if (fd_count > IOB_MAX_IRQ_FDS || (fd_count > 0 && fd_count != count))
		return client_error_argument("one descriptor for each interrupt, and at most 16");
	return client_call(&device->handle, &c);
}

int iob_device_vfio_fd(iob_device *device, int *fd)
{
	int received = -1;
	struct call c = { .op = IOB_OP_DEVICE_FD, .fd_out = &received };
	int code;

	if (!device || !fd)
		return client_error_argument("no device, or no place for the descriptor");
	code = client_call(&device->handle, &c);
	if (code == IOB_OK)
		*fd = received;
	return code;
}

/* SPDX-License-Identifier: MIT */
/*
 * sim-map.c - glue_mapper_sim: what a session asks of the simulator, over the descriptors it has.
 *
 * Not glue: nothing is decided here. Every function is one request; the answers and their errno
 * are the simulator's, which are those of iommufd and vfio-pci (see sim-iommu.c, sim-irq.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel-glue/glue.h"
#include "kernel-glue/sim-call.h"

static int ask(int fd, uint32_t op, const void *body, size_t body_bytes, void *reply,
	       size_t reply_bytes)
{
	const struct sim_call c = { .fd = fd,
				    .op = op,
				    .body = body,
				    .body_bytes = body_bytes,
				    .reply = reply,
				    .reply_bytes = reply_bytes };

	return sim_call(&c);
}

/* ---- context ---- */

static int sim_attach(int context_fd, uint32_t token, int device_fd, struct fault *why)
{
	const struct sim_token_req q = { .token = token };
	int error = ask(device_fd, SIM_OP_ATTACH, &q, sizeof(q), NULL, 0);

	(void)context_fd; /* the device knows the context it is bound to; the token must agree */
	switch (-error) {
	case 0:
		return 0;
	case EINVAL:
		return fault_set(why, IOB_E_NOT_BOUND, IOB_STEP_ATTACH, EINVAL,
				 "the device is not bound to this context");
	case ENOENT:
		return fault_set(why, IOB_E_GONE, IOB_STEP_ATTACH, ENOENT,
				 "the address space has been destroyed");
	default:
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_ATTACH, -error,
				 "the simulator refused to attach the device");
	}
}

static int sim_ranges(int context_fd, uint32_t token, struct iob_range *ranges, uint32_t *count,
		      uint64_t *page_sizes)
{
	const struct sim_token_req q = { .token = token };
	struct sim_ranges_rep r;
	int error = ask(context_fd, SIM_OP_RANGES, &q, sizeof(q), &r, sizeof(r));

	if (error)
		return error;
	if (r.count > SIM_MAX_RANGES)
		return -EIO;
	if (*count > r.count)
		*count = r.count;
	memcpy(ranges, r.ranges, *count * sizeof(*ranges));
	*page_sizes = r.page_sizes;
	return 0;
}

/* One page of the file, mapped writable: while it is, F_ADD_SEALS of a write seal gives EBUSY. */
static int sim_memory_open(struct glue_memory *m, struct fault *why)
{
	int protection = m->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *page = mmap(NULL, m->page_bytes, protection, MAP_SHARED, m->fd, 0);
	int error = errno;

	m->address = NULL;
	m->address_bytes = 0;
	if (page == MAP_FAILED) {
		enum iob_code code = error == EACCES || error == EPERM ? IOB_E_MEMORY_ACCESS :
				     error == ENOMEM		       ? IOB_E_NO_MEMORY :
									 IOB_E_KERNEL;

		return fault_set(why, code, IOB_STEP_MEMORY, error,
				 "mapping a page of the memory, to keep write seals off, failed");
	}
	m->address = page;
	m->address_bytes = m->page_bytes;
	return 0;
}

static void sim_memory_close(struct glue_memory *m)
{
	if (m->address)
		munmap(m->address, m->address_bytes);
	m->address = NULL;
	m->address_bytes = 0;
}

static int sim_map(int context_fd, uint32_t token, const struct glue_memory *m, uint64_t offset,
		   uint64_t length, uint64_t iova, uint32_t access)
{
	const struct sim_map_req q = {
		.token = token, .access = access, .offset = offset, .length = length, .iova = iova
	};
	const struct sim_call c = { .fd = context_fd,
				    .op = SIM_OP_MAP,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .fds = &m->fd,
				    .fd_count = 1 };

	return sim_call(&c);
}

static int sim_unmap(int context_fd, uint32_t token, uint64_t iova, uint64_t length)
{
	const struct sim_unmap_req q = { .token = token, .iova = iova, .length = length };

	return ask(context_fd, SIM_OP_UNMAP, &q, sizeof(q), NULL, 0);
}

/* ---- device ---- */

static int sim_device_info(int device_fd, struct iob_device_info_rep *info)
{
	struct sim_device_info_rep r;
	int error = ask(device_fd, SIM_OP_DEVICE_INFO, NULL, 0, &r, sizeof(r));

	if (error)
		return error;
	info->flags = r.flags;
	info->regions = r.regions;
	info->irqs = r.irqs;
	return 0;
}

static int sim_region_info(int device_fd, uint32_t index, struct iob_region_info_rep *info)
{
	const struct iob_index_req q = { .index = index };

	return ask(device_fd, SIM_OP_REGION_INFO, &q, sizeof(q), info, sizeof(*info));
}

static int sim_irq_info(int device_fd, uint32_t index, struct iob_irq_info_rep *info)
{
	const struct iob_index_req q = { .index = index };

	return ask(device_fd, SIM_OP_IRQ_INFO, &q, sizeof(q), info, sizeof(*info));
}

static int sim_region_read(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
			   void *data, uint32_t bytes)
{
	const struct iob_region_req q = { .index = r->index, .bytes = bytes, .offset = offset };

	return ask(device_fd, SIM_OP_REGION_READ, &q, sizeof(q), data, bytes);
}

static int sim_region_write(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
			    const void *data, uint32_t bytes)
{
	const struct iob_region_req q = { .index = r->index, .bytes = bytes, .offset = offset };
	const struct sim_call c = { .fd = device_fd,
				    .op = SIM_OP_REGION_WRITE,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .tail = data,
				    .tail_bytes = bytes };

	/* more would be no valid record, and the simulator hangs up on those */
	return bytes > IOB_MAX_REGION_BYTES ? -EINVAL : sim_call(&c);
}

static int sim_set_irq(int device_fd, const struct iob_set_irq_req *q, const int *fds)
{
	const struct sim_call c = { .fd = device_fd,
				    .op = SIM_OP_SET_IRQ,
				    .body = q,
				    .body_bytes = sizeof(*q),
				    .fds = fds,
				    .fd_count = fds ? q->count : 0 };

	return fds && q->count > IOB_MAX_IRQ_FDS ? -EINVAL : sim_call(&c);
}

static int sim_device_reset(int device_fd)
{
	return ask(device_fd, SIM_OP_RESET, NULL, 0, NULL, 0);
}

const struct glue_mapper glue_mapper_sim = {
	.backend = IOB_BACKEND_SIM,
	.maps_need_device = false,
	.attach_needs_device = true,
	.attach = sim_attach,
	.ranges = sim_ranges,
	.memory_open = sim_memory_open,
	.memory_close = sim_memory_close,
	.map = sim_map,
	.unmap = sim_unmap,
	.device_info = sim_device_info,
	.region_info = sim_region_info,
	.irq_info = sim_irq_info,
	.region_read = sim_region_read,
	.region_write = sim_region_write,
	.set_irq = sim_set_irq,
	.device_reset = sim_device_reset,
};

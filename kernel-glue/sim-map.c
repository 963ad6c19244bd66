/* SPDX-License-Identifier: MIT */
/*
 * sim-map.c - glue_mapper_sim: what a session asks of the simulator, over the descriptors it has.
 *
 * The address space is a table in shared memory, which this side writes (sim-table.h); everything
 * else is a request. The errnos are those of iommufd and vfio-pci.
 */
#include <bsd/sys/queue.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-glue/glue.h"
#include "kernel-glue/sim-call.h"
#include "kernel-glue/sim-table.h"

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

/* A mapping that would still name it is the caller's mistake, and leads nowhere. */
static void sim_memory_close(struct glue_memory *m)
{
	const struct sim_memory_req q = { .token = m->sim_token, .slot = m->sim_slot };

	if (m->sim_slot)
		ask(m->sim_context, SIM_OP_MEMORY_DROP, &q, sizeof(q), NULL, 0);
	m->sim_slot = 0;
	if (m->address)
		munmap(m->address, m->address_bytes);
	m->address = NULL;
	m->address_bytes = 0;
}

/* ---- the tables of the contexts ---- */

struct writer {
	LIST_ENTRY(writer) link;
	int context_fd;
	uint32_t token;
	struct sim_table table;
};

static LIST_HEAD(, writer) writers = LIST_HEAD_INITIALIZER(writers);

static void writer_free(struct writer *w)
{
	LIST_REMOVE(w, link);
	sim_table_deinit(&w->table);
	munmap(w->table.head, SIM_TABLE_BYTES);
	free(w);
}

static void sim_context_close(int context_fd)
{
	struct writer *w, *next;

	LIST_FOREACH_SAFE(w, &writers, link, next)
		if (w->context_fd == context_fd)
			writer_free(w);
}

static int writer_fence(void *context)
{
	const struct writer *w = context;

	return ask(w->context_fd, SIM_OP_FENCE, NULL, 0, NULL, 0);
}

static int table_take(int context_fd, uint32_t token, void **base)
{
	const struct sim_token_req q = { .token = token };
	int fd = -1;
	const struct sim_call c = { .fd = context_fd,
				    .op = SIM_OP_TABLE,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .reply_fd = &fd };
	int error = sim_call(&c);

	if (error)
		return error;
	*base = mmap(NULL, SIM_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		     0);
	error = *base == MAP_FAILED ? -errno : 0;
	close(fd);
	return error;
}

static struct writer *writer_new(int context_fd, uint32_t token, int *error)
{
	struct writer *w = calloc(1, sizeof(*w));
	void *base = NULL;

	*error = w ? table_take(context_fd, token, &base) : -ENOMEM;
	if (*error) {
		free(w);
		return NULL;
	}
	sim_context_close(context_fd); /* an earlier context that had this number */
	w->context_fd = context_fd;
	w->token = token;
	LIST_INSERT_HEAD(&writers, w, link);
	*error = sim_table_init_writer(&w->table, base, writer_fence, w);
	if (*error) {
		writer_free(w);
		return NULL;
	}
	return w;
}

static struct writer *writer_get(int context_fd, uint32_t token, int *error)
{
	struct writer *w;

	LIST_FOREACH(w, &writers, link)
		if (w->context_fd == context_fd && w->token == token)
			return w;
	return writer_new(context_fd, token, error);
}

/* ---- mapping ---- */

static int memory_announce(int context_fd, uint32_t token, struct glue_memory *m)
{
	const struct sim_token_req q = { .token = token };
	struct sim_memory_rep r;
	const struct sim_call c = { .fd = context_fd,
				    .op = SIM_OP_MEMORY_ADD,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .fds = &m->fd,
				    .fd_count = 1,
				    .reply = &r,
				    .reply_bytes = sizeof(r) };
	int error = sim_call(&c);

	if (error)
		return error;
	if (r.slot == 0 || r.slot >= SIM_MAX_SLOTS)
		return -EIO;
	m->sim_context = context_fd;
	m->sim_token = token;
	m->sim_slot = r.slot;
	m->sim_write_error = r.write_error;
	m->sim_bytes = r.bytes;
	return 0;
}

static int sim_map(int context_fd, uint32_t token, struct glue_memory *m, uint64_t offset,
		   uint64_t length, uint64_t iova, uint32_t access)
{
	int error = 0;
	struct writer *w = writer_get(context_fd, token, &error);
	struct sim_target target = { .access = access, .offset = offset };

	if (!w)
		return error;
	if (!m->sim_slot)
		error = memory_announce(context_fd, token, m);
	if (error)
		return error;
	if ((offset & (SIM_PAGE_BYTES - 1)) || offset > m->sim_bytes ||
	    length > m->sim_bytes - offset)
		return -EINVAL;
	if ((access & IOB_WRITE) && m->sim_write_error)
		return -m->sim_write_error;
	target.slot = m->sim_slot;
	return sim_table_map(&w->table, iova, length, &target);
}

static int sim_unmap(int context_fd, uint32_t token, uint64_t iova, uint64_t length)
{
	int error = 0;
	struct writer *w = writer_get(context_fd, token, &error);

	return w ? sim_table_unmap(&w->table, iova, length) : error;
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
	.context_close = sim_context_close,
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

/* SPDX-License-Identifier: MIT */
/*
 * sim-answer.c - the table of operations, and what is asked of control and context sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel-glue/sim-serve.h"

#define COUNTED_FDS 8192 /* as many as sim-main.c allows */

/* ---- control ---- */

static uint32_t count_fds(void)
{
	uint32_t count = 0;

	for (int fd = 0; fd < COUNTED_FDS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int answer_stats(struct sim_request *r)
{
	const struct sim_world *w = r->from->world;
	struct sim_stats_rep *s = r->reply;
	const struct sim_context *c;

	s->pid = (uint32_t)getpid();
	s->fds = count_fds();
	s->handles = w->handle_count;
	s->contexts = w->context_count;
	s->dma_transfers = w->dma_transfers;
	s->dma_faults = w->dma_faults;
	LIST_FOREACH(c, &w->contexts, link) {
		s->mappings += atomic_load(&c->table.head->mappings);
		s->mapped_bytes += atomic_load(&c->table.head->bytes);
	}
	for (uint32_t i = 0; i < w->device_count; i++) {
		s->bound += w->devices[i].context != NULL;
		s->attached += w->devices[i].attached;
	}
	return 0;
}

static int answer_inventory(struct sim_request *r)
{
	const struct sim_world *w = r->from->world;
	const struct sim_inventory_req *q = r->body;
	struct sim_inventory_rep *s = r->reply;
	const struct sim_device *d;

	if (q->index >= w->device_count)
		return -ENOENT;
	d = &w->devices[q->index];
	memcpy(s->name, d->name, sizeof(s->name));
	s->count = w->device_count;
	s->class_code = 0x00ff00;
	s->group = d->group;
	s->vendor = SIM_EDU_VENDOR;
	s->device = d->can_reset ? SIM_EDU_DEVICE_RESET : SIM_EDU_DEVICE;
	strncpy(s->driver, sim_device_driver(d), sizeof(s->driver) - 1);
	return 0;
}

static int answer_driver(struct sim_request *r)
{
	const struct sim_driver_req *q = r->body;
	struct sim_device *d = sim_device_find(r->from->world, q->name);

	return d ? sim_device_set_driver(d, q->driver) : -ENODEV;
}

static int answer_context_open(struct sim_request *r)
{
	struct sim_context_rep *s = r->reply;
	struct sim_context *c = sim_context_new(r->from->world);
	int error;

	if (!c)
		return -ENOMEM;
	s->token = c->token;
	error = sim_handle_new(r->from->world, c, NULL, &r->reply_fd);
	if (error)
		sim_context_put(c);
	return error;
}

static int answer_bind(struct sim_request *r)
{
	const struct sim_bind_req *q = r->body;
	struct sim_world *w = r->from->world;
	struct sim_context *c = sim_handle_find_context(w, r->fds[0]);
	struct sim_device *d = sim_device_find(w, q->name);
	int error;

	if (!c)
		return -EBADFD;
	if (!d)
		return -ENODEV;
	error = sim_device_bind(d, c, &r->detail);
	if (error)
		return error;
	error = sim_handle_new(w, NULL, d, &r->reply_fd);
	if (error)
		sim_device_release(d);
	return error;
}

static int answer_dup(struct sim_request *r)
{
	const struct sim_handle *h = r->from;

	return sim_handle_new(h->world, h->context, h->device, &r->reply_fd);
}

/* ---- context ---- */

static struct sim_context *find_context(const struct sim_request *r, uint32_t token)
{
	struct sim_context *c = r->from->context;

	return token == c->token && !c->revoked ? c : NULL;
}

static int answer_table(struct sim_request *r)
{
	const struct sim_token_req *q = r->body;
	struct sim_context *c = find_context(r, q->token);

	if (!c)
		return -ENOENT;
	if (c->table_given)
		return -EBUSY;
	r->reply_fd = fcntl(c->table_fd, F_DUPFD_CLOEXEC, 0);
	if (r->reply_fd < 0)
		return -errno;
	c->table_given = true;
	return 0;
}

static int answer_memory_add(struct sim_request *r)
{
	const struct sim_token_req *q = r->body;
	struct sim_context *c = find_context(r, q->token);
	struct sim_memory_rep *s = r->reply;
	int error;

	if (!c)
		return -ENOENT;
	error = sim_context_add_file(c, r->fds[0], &s->slot);
	if (error)
		return error;
	s->bytes = c->files[s->slot].bytes;
	s->write_error = c->files[s->slot].write_error;
	return 0;
}

/* What still names the slot leads nowhere from now on. */
static int answer_memory_drop(struct sim_request *r)
{
	const struct sim_memory_req *q = r->body;
	struct sim_context *c = find_context(r, q->token);
	struct sim_file *file = c ? sim_context_file(c, q->slot) : NULL;

	if (!file)
		return -ENOENT;
	sim_file_unmap(file);
	return 0;
}

/* One thing after the other here: that this is answered says that no DMA is under way. */
static int answer_fence(struct sim_request *r)
{
	(void)r;
	return 0;
}

static int answer_ranges(struct sim_request *r)
{
	const struct sim_token_req *q = r->body;
	struct sim_ranges_rep *s = r->reply;
	const struct iob_range *ranges;

	if (!find_context(r, q->token))
		return -ENOENT;
	ranges = sim_table_ranges(&s->count);
	memcpy(s->ranges, ranges, s->count * sizeof(*ranges));
	s->page_sizes = SIM_PAGE_SIZES;
	return 0;
}

static int answer_revoke(struct sim_request *r)
{
	const struct sim_token_req *q = r->body;
	struct sim_context *c = find_context(r, q->token);

	return c ? sim_context_revoke(c) : -ENOENT;
}

/* ---- the table ---- */

/* The body that is asked for, the most data after it, the answer, and how many fds come along. */
#define ROW(op, on, answer, body, tail, reply, fds_least, fds_most) \
	[SIM_OP_##op] = { .handler = (answer),                      \
			  .kinds = SIM_KIND_##on,                   \
			  .body_bytes = (body),                     \
			  .tail_max = (tail),                       \
			  .reply_bytes = (reply),                   \
			  .fds_min = (fds_least),                   \
			  .fds_max = (fds_most) }
#define SIZE(type) sizeof(struct type)
#define DATA	   IOB_MAX_REGION_BYTES

/* clang-format off */
static const struct sim_operation operations[] = {
	ROW(STATS, CONTROL, answer_stats, 0, 0, SIZE(sim_stats_rep), 0, 0),
	ROW(INVENTORY, CONTROL, answer_inventory,
	    SIZE(sim_inventory_req), 0, SIZE(sim_inventory_rep), 0, 0),
	ROW(CONTEXT_OPEN, CONTROL, answer_context_open, 0, 0, SIZE(sim_context_rep), 0, 0),
	ROW(BIND, CONTROL, answer_bind, SIZE(sim_bind_req), 0, 0, 1, 1),
	ROW(DRIVER, CONTROL, answer_driver, SIZE(sim_driver_req), 0, 0, 0, 0),
	ROW(DUP, CONTEXT | SIM_KIND_DEVICE, answer_dup, 0, 0, 0, 0, 0),
	ROW(TABLE, CONTEXT, answer_table, SIZE(sim_token_req), 0, 0, 0, 0),
	ROW(MEMORY_ADD, CONTEXT, answer_memory_add,
	    SIZE(sim_token_req), 0, SIZE(sim_memory_rep), 1, 1),
	ROW(MEMORY_DROP, CONTEXT, answer_memory_drop, SIZE(sim_memory_req), 0, 0, 0, 0),
	ROW(FENCE, CONTEXT, answer_fence, 0, 0, 0, 0, 0),
	ROW(RANGES, CONTEXT, answer_ranges, SIZE(sim_token_req), 0, SIZE(sim_ranges_rep), 0, 0),
	ROW(REVOKE, CONTEXT, answer_revoke, SIZE(sim_token_req), 0, 0, 0, 0),
	ROW(ATTACH, DEVICE, sim_answer_attach, SIZE(sim_token_req), 0, 0, 0, 0),
	ROW(DETACH, DEVICE, sim_answer_detach, 0, 0, 0, 0, 0),
	ROW(QUIESCE, DEVICE, sim_answer_quiesce, 0, 0, 0, 0, 0),
	ROW(DEVICE_INFO, DEVICE, sim_answer_device_info, 0, 0, SIZE(sim_device_info_rep), 0, 0),
	ROW(REGION_INFO, DEVICE, sim_answer_region_info,
	    SIZE(iob_index_req), 0, SIZE(iob_region_info_rep), 0, 0),
	ROW(IRQ_INFO, DEVICE, sim_answer_irq_info,
	    SIZE(iob_index_req), 0, SIZE(iob_irq_info_rep), 0, 0),
	ROW(REGION_READ, DEVICE, sim_answer_region_read, SIZE(iob_region_req), 0, DATA, 0, 0),
	ROW(REGION_WRITE, DEVICE, sim_answer_region_write, SIZE(iob_region_req), DATA, 0, 0, 0),
	ROW(SET_IRQ, DEVICE, sim_answer_set_irq,
	    SIZE(iob_set_irq_req), 0, 0, 0, IOB_MAX_IRQ_FDS),
	ROW(RESET, DEVICE, sim_answer_reset, 0, 0, 0, 0, 0),
};
/* clang-format on */

const struct sim_operation *sim_operation_find(uint32_t op)
{
	if (op >= sizeof(operations) / sizeof(operations[0]) || !operations[op].handler)
		return NULL;
	return &operations[op];
}

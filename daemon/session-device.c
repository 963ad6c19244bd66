/* SPDX-License-Identifier: MIT */
/* session-device.c - a device handle: what it tells, and the mediated access to the hardware. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/session.h"

/* ---- life ---- */

struct device *device_new(const struct iob_device_rec *record, uint32_t access)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->record = *record;
	d->access = access;
	d->fd = -1;
	return d;
}

static void device_forget(struct device *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->domain_id = 0;
	d->direct = false;
	memset(&d->info, 0, sizeof(d->info));
	memset(d->regions, 0, sizeof(d->regions));
}

void device_free(struct device *d)
{
	device_forget(d);
	free(d);
}

/* Takes fd. The regions are asked for once: they do not change while the device is open. */
void device_gained(struct handle *h, int fd, uint32_t domain_id, bool direct)
{
	struct device *d = h->device;
	const struct glue_mapper *glue = h->session->glue;

	device_forget(d);
	d->fd = fd;
	d->domain_id = domain_id;
	d->direct = direct;
	if (glue->device_info(fd, &d->info) < 0)
		memset(&d->info, 0, sizeof(d->info));
	if (d->info.regions > SESSION_MAX_REGIONS)
		d->info.regions = SESSION_MAX_REGIONS;
	for (uint32_t i = 0; i < d->info.regions; i++)
		if (glue->region_info(fd, i, &d->regions[i]) < 0)
			d->regions[i] = (struct iob_region_info_rep){ .index = i };
	/* Who asked for the binding gets a reply; only others learn of it by an event. */
	if (!h->pending || h->pending->op != IOB_OP_DEVICE_BIND)
		handle_event(h, IOB_EV_DEVICE_BOUND, domain_id, 0);
}

/* The device is given up at once; the client hears of it when it can be bound again. */
void device_lost(struct handle *h)
{
	uint32_t domain_id = h->device->domain_id;

	device_forget(h->device);
	if (domain_id != 0) /* else a new monitor repeats what the one before it said */
		h->device->lost_domain = domain_id;
}

void device_freed(struct handle *h, uint32_t reason)
{
	if (h->device->lost_domain == 0)
		return;
	handle_event(h, IOB_EV_DEVICE_UNBOUND, h->device->lost_domain, reason);
	h->device->lost_domain = 0;
}

/* ---- what every request needs ---- */

static int need_bound(const struct device *d, const struct request *q, struct fault *why)
{
	if (d->fd >= 0)
		return 0;
	return fault_set(why, IOB_E_NOT_BOUND, IOB_STEP_DEVICE_OPEN, 0,
			 "%s: device %s is in no domain; bind it first", q->operation->name,
			 d->record.name);
}

static int kernel_fault(const struct device *d, const struct request *q, enum iob_step step, int r,
			struct fault *why)
{
	enum iob_code code = r == -EIO || r == -ENODEV ? IOB_E_DEVICE_IO : IOB_E_KERNEL;

	return fault_set(why, code, step, -r, "%s: device %s: %s", q->operation->name,
			 d->record.name, strerror(-r));
}

static int find_region(const struct device *d, const struct request *q, uint32_t index,
		       struct fault *why)
{
	if (index < d->info.regions)
		return 0;
	return fault_set(why, IOB_E_RANGE, IOB_STEP_REGION, 0,
			 "%s: region %u: device %s has %u regions", q->operation->name, index,
			 d->record.name, d->info.regions);
}

/* ---- looking ---- */

static void device_info(struct handle *h, const struct request *q)
{
	struct device *d = h->device;
	struct iob_device_info_rep rep = d->info;

	rep.rec = d->record;
	rep.rec.flags &= ~IOB_DEVICE_BOUND;
	rep.rec.flags |= d->fd >= 0 ? IOB_DEVICE_BOUND : 0;
	rep.domain_id = d->domain_id;
	reply(h, q->op, q->tag, &rep, sizeof(rep), -1);
}

static void region_info(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;
	struct iob_index_req req;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (need_bound(d, q, why) < 0 || find_region(d, q, req.index, why) < 0)
		return;
	reply(h, q->op, q->tag, &d->regions[req.index], sizeof(d->regions[0]), -1);
}

static int irq_lookup(struct handle *h, const struct request *q, uint32_t index,
		      struct iob_irq_info_rep *info, struct fault *why)
{
	struct device *d = h->device;

	if (need_bound(d, q, why) < 0)
		return -1;
	if (index >= d->info.irqs)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_IRQ, 0,
				 "%s: interrupt index %u: device %s has %u", q->operation->name,
				 index, d->record.name, d->info.irqs);
	int r = h->session->glue->irq_info(d->fd, index, info);

	if (r == -EINVAL) { /* what the device does not have, vfio refuses to describe */
		*info = (struct iob_irq_info_rep){ .index = index };
		r = 0;
	}
	return r < 0 ? kernel_fault(d, q, IOB_STEP_IRQ, r, why) : 0;
}

static void irq_info(struct handle *h, const struct request *q, struct fault *why)
{
	struct iob_index_req req;
	struct iob_irq_info_rep rep = { 0 };

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (irq_lookup(h, q, req.index, &rep, why) == 0)
		reply(h, q->op, q->tag, &rep, sizeof(rep), -1);
}

/* ---- touching ---- */

static int region_check(const struct device *d, const struct request *q,
			const struct iob_region_req *req, uint32_t need, struct fault *why)
{
	if (need_bound(d, q, why) < 0 || find_region(d, q, req->index, why) < 0)
		return -1;
	const struct iob_region_info_rep *r = &d->regions[req->index];

	if ((r->flags & need) == 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_REGION, 0,
				 "%s: region %u of device %s does not allow it", q->operation->name,
				 req->index, d->record.name);
	if (req->bytes == 0 || req->bytes > IOB_MAX_REGION_BYTES || req->offset > r->bytes ||
	    req->bytes > r->bytes - req->offset)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_REGION, EINVAL,
				 "%s: offset 0x%llx, %u bytes: region %u has 0x%llx bytes, one "
				 "access at most %u",
				 q->operation->name, (unsigned long long)req->offset, req->bytes,
				 req->index, (unsigned long long)r->bytes, IOB_MAX_REGION_BYTES);
	return 0;
}

static void region_read(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;
	struct session *s = h->session;
	struct iob_region_req req;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (region_check(d, q, &req, IOB_REGION_READ, why) < 0)
		return;
	int r = s->glue->region_read(d->fd, &d->regions[req.index], req.offset, s->out, req.bytes);

	if (r < 0)
		kernel_fault(d, q, IOB_STEP_REGION, r, why);
	else
		reply(h, q->op, q->tag, s->out, req.bytes, -1);
}

static void region_write(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;
	struct iob_region_req req;

	memcpy(&req, q->body, sizeof(req));
	if (region_check(d, q, &req, IOB_REGION_WRITE, why) < 0)
		return;
	if (q->bytes != sizeof(req) + req.bytes) {
		fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
			  "REGION_WRITE: %u bytes announced, %zu sent", req.bytes,
			  q->bytes - sizeof(req));
		return;
	}
	int r = h->session->glue->region_write(d->fd, &d->regions[req.index], req.offset,
					       q->body + sizeof(req), req.bytes);

	if (r < 0)
		kernel_fault(d, q, IOB_STEP_REGION, r, why);
	else
		reply(h, q->op, q->tag, NULL, 0, -1);
}

/* What the kernel calls EINVAL only. Of the files that have no type of their own, eventfds are some. */
static int find_no_eventfd(const struct fd_list *fds)
{
	struct stat st;

	for (unsigned i = 0; i < fds->count; i++)
		if (fstat(fds->fd[i], &st) == 0 && (st.st_mode & S_IFMT) != 0)
			return (int)i;
	return -1;
}

static void irq_fault(const struct device *d, const struct request *q, int r, struct fault *why)
{
	int wrong = find_no_eventfd(q->fds);

	if (wrong >= 0)
		fault_set(why, IOB_E_KERNEL, IOB_STEP_IRQ, -r,
			  "SET_IRQ: descriptor %d is no eventfd", wrong);
	else
		kernel_fault(d, q, IOB_STEP_IRQ, r, why);
}

static int irq_check(const struct iob_set_irq_req *req, const struct iob_irq_info_rep *info,
		     unsigned fds, struct fault *why)
{
	if (req->action > IOB_IRQ_UNMASK || (req->action == IOB_IRQ_DISABLE && fds > 0))
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "SET_IRQ: action %u with %u eventfds", req->action, fds);
	if (fds > 0 && fds != req->count)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "SET_IRQ: %u interrupts, but %u eventfds", req->count, fds);
	if (req->action == IOB_IRQ_DISABLE)
		return req->start == 0 && req->count == 0 ?
			       0 :
			       fault_set(why, IOB_E_RANGE, IOB_STEP_IRQ, EINVAL,
					 "SET_IRQ: disabling takes start 0 and count 0");
	if (req->count == 0 || req->start >= info->count || req->count > info->count - req->start)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_IRQ, EINVAL,
				 "SET_IRQ: interrupts %u+%u: index %u has %u", req->start,
				 req->count, req->index, info->count);
	return 0;
}

static void set_irq(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;
	struct iob_set_irq_req req;
	struct iob_irq_info_rep info = { 0 };
	unsigned fds = q->fds->count;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (irq_lookup(h, q, req.index, &info, why) < 0 || irq_check(&req, &info, fds, why) < 0)
		return;
	int r = h->session->glue->set_irq(d->fd, &req, fds ? q->fds->fd : NULL);

	if (r < 0)
		irq_fault(d, q, r, why);
	else
		reply(h, q->op, q->tag, NULL, 0, -1);
}

static void device_reset(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;

	if (need_bound(d, q, why) < 0)
		return;
	if ((d->info.flags & IOB_DEVICE_CAN_RESET) == 0) {
		fault_set(why, IOB_E_NO_RESET, IOB_STEP_RESET, EINVAL,
			  "device %s has no reset method", d->record.name);
		return;
	}
	int r = h->session->glue->device_reset(d->fd);

	if (r < 0)
		kernel_fault(d, q, IOB_STEP_RESET, r, why);
	else
		reply(h, q->op, q->tag, NULL, 0, -1);
}

/* The raw descriptor: only where policy gave it at DEVICE_OPEN, and where the domain's owner let
 * it: its holder can attach the device to that domain again until it closes it. */
static void device_fd(struct handle *h, const struct request *q, struct fault *why)
{
	struct device *d = h->device;

	if (h->session->backend == IOB_BACKEND_SIM)
		fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_DEVICE_OPEN, 0,
			  "DEVICE_FD: the simulator has no VFIO device to give");
	else if ((d->access & IOB_ACCESS_FD) == 0)
		fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
			  "DEVICE_FD: device %s was not opened with access fd", d->record.name);
	else if (need_bound(d, q, why) < 0)
		return;
	else if (!d->direct)
		fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
			  "DEVICE_FD: device %s was bound through a domain handle without the "
			  "right to direct access",
			  d->record.name);
	else
		reply(h, q->op, q->tag, NULL, 0, d->fd);
}

/* ---- coming and going ---- */

/* Our descriptor is closed before the monitor can have done anything: it first asks the domain's
 * session to let go. The monitor's must be the last one, for that close takes the device out of
 * use. */
static void device_unbind(struct handle *h, const struct request *q, struct fault *why)
{
	struct priv_message msg = { 0 };

	if (need_bound(h->device, q, why) < 0)
		return;
	if (h->session->channel < 0) {
		fault_set(why, IOB_E_MONITOR, IOB_STEP_SESSION, EPIPE, "the monitor is gone");
		return;
	}
	msg.id.id = h->id;
	if (channel_ask(h, q, &msg, PRIV_UNBIND, NULL))
		device_forget(h->device);
}

void device_request(struct handle *h, const struct request *q)
{
	static void (*const handlers[])(struct handle *, const struct request *, struct fault *) = {
		[IOB_OP_REGION_INFO & 0xff] = region_info,
		[IOB_OP_IRQ_INFO & 0xff] = irq_info,
		[IOB_OP_DEVICE_UNBIND & 0xff] = device_unbind,
		[IOB_OP_REGION_READ & 0xff] = region_read,
		[IOB_OP_REGION_WRITE & 0xff] = region_write,
		[IOB_OP_SET_IRQ & 0xff] = set_irq,
		[IOB_OP_DEVICE_RESET & 0xff] = device_reset,
		[IOB_OP_DEVICE_FD & 0xff] = device_fd,
	};
	struct fault why = { 0 };

	if (q->op == IOB_OP_DEVICE_INFO)
		device_info(h, q);
	else if (q->op == IOB_OP_DEVICE_BIND)
		channel_bind(h, q);
	else
		handlers[q->op & 0xff](h, q, &why);
	if (why.code != IOB_OK)
		reply_fault(h, q->op, q->tag, &why);
}

void device_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	(void)msg;
	(void)fds;
	reply(p->handle, p->op, p->tag, NULL, 0,
	      -1); /* BIND, UNBIND: nothing to tell but success */
}

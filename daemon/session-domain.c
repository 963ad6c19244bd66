/* SPDX-License-Identifier: MIT */
/* session-domain.c - a domain: its context, its devices coming and going, grants, INFO. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session.h"

/* ---- life ---- */

/* What can be mapped is narrowed when devices join; the kernel is asked again at each. */
void domain_refresh_ranges(struct domain *d)
{
	uint32_t count = IOB_MAX_RANGES;

	if (d->session->glue->ranges(d->context_fd, d->token, d->ranges, &count, &d->page_sizes) <
		    0 ||
	    d->page_sizes == 0) {
		/* Without knowledge nothing may be mapped. */
		count = 0;
		d->page_sizes = UINT64_C(1) << 12;
	}
	d->range_count = count;
}

struct domain *domain_new(struct session *s, const struct priv_domain_created *c, int context_fd)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d) {
		close(context_fd);
		return NULL;
	}
	d->session = s;
	d->id = c->domain_id;
	d->context_fd = context_fd;
	d->token = c->token;
	d->max_bytes = c->max_bytes;
	d->max_mappings = c->max_mappings;
	d->online = !s->glue->maps_need_device;
	interval_map_init(&d->map);
	domain_refresh_ranges(d);
	LIST_INSERT_HEAD(&s->domains, d, link);
	return d;
}

void domain_free(struct domain *d)
{
	if (d->session->glue->context_close)
		d->session->glue->context_close(d->context_fd);
	close(d->context_fd);
	LIST_REMOVE(d, link);
	free(d);
}

struct domain *domain_by_id(struct session *s, uint32_t id)
{
	struct domain *d;

	LIST_FOREACH(d, &s->domains, link)
		if (d->id == id)
			return d;
	return NULL;
}

/* ---- devices ---- */

int domain_attach(struct domain *d, int device_fd, uint32_t devices, struct fault *why)
{
	const struct glue_mapper *glue = d->session->glue;

	if (glue->attach_needs_device && glue->attach(d->context_fd, d->token, device_fd, why) < 0)
		return -1;
	domain_refresh_ranges(d);
	if (glue->maps_need_device && !d->online) {
		if (mapping_replay(d, why) < 0)
			return -1;
		d->online = true;
	}
	d->devices = devices;
	return 0;
}

/*
 * Called before the device leaves. type1 forgets all mappings with the last one, but only when its
 * group has left the container, and until then the device reaches them. So they are unmapped here:
 * from now on UNMAP has no more to do than to forget, and a device that joins before the last one
 * is out meets what the map says and nothing else.
 */
void domain_detach(struct domain *d, uint32_t devices)
{
	d->devices = devices;
	if (devices == 0 && d->session->glue->maps_need_device && d->online) {
		mapping_withdraw(d);
		d->online = false;
	}
}

/* ---- requests ---- */

static void domain_info(struct handle *h, const struct request *q)
{
	struct domain *d = h->domain;
	bool inspect = (h->rights & IOB_RIGHT_INSPECT) != 0;
	bool map = inspect || (h->rights & IOB_RIGHT_MAP) != 0; /* needs to know where, how much */
	uint8_t *out = d->session->out;
	struct iob_domain_info_rep rep = {
		.domain_id = d->id,
		.rights = h->rights,
		.page_sizes = d->page_sizes,
		.window_first = h->window_first,
		.window_last = h->window_last,
		.max_bytes = map ? d->max_bytes : 0,
		.max_mappings = map ? d->max_mappings : 0,
		.used_bytes = inspect ? d->map.bytes : 0,
		.used_mappings = inspect ? d->map.count : 0,
		.devices = d->devices,
		.range_count = map ? d->range_count : 0,
	};
	size_t bytes = rep.range_count * sizeof(d->ranges[0]);

	memcpy(out, &rep, sizeof(rep));
	memcpy(out + sizeof(rep), d->ranges, bytes);
	reply(h, q->op, q->tag, out, sizeof(rep) + bytes, -1);
}

static void domain_grant(struct handle *h, const struct request *q)
{
	struct iob_grant_req req;
	struct priv_message msg = { 0 };

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	msg.grant.handle_id = h->id;
	msg.grant.rights = req.rights;
	msg.grant.flags = req.flags;
	msg.grant.window_first = req.window_first;
	msg.grant.window_last = req.window_last;
	struct pending *p = channel_ask(h, q, &msg, PRIV_GRANT, NULL);

	if (p)
		p->grant = req;
}

static bool made_through(const struct handle *grant, const struct handle *h)
{
	for (const struct handle *g = grant->giver; g; g = g->giver)
		if (g == h)
			return true;
	return false;
}

/* What was granted through this handle, directly or not, it may revoke. What the grant mapped
 * goes, and what was granted through it; others do not notice. */
static void domain_revoke(struct handle *h, const struct request *q)
{
	struct iob_revoke_req req;
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	struct handle *g = handle_by_id(h->session, req.grant_id, IOB_KIND_DOMAIN);

	if (!g || !made_through(g, h)) {
		fault_set(&why, IOB_E_GONE, IOB_STEP_HANDLE, 0,
			  "grant %u: none that was made through this handle", req.grant_id);
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	handle_close(g);
	reply(h, q->op, q->tag, NULL, 0, -1);
}

void domain_request(struct handle *h, const struct request *q)
{
	switch (q->op) {
	case IOB_OP_DOMAIN_INFO:
		domain_info(h, q);
		break;
	case IOB_OP_MEMORY_ADD:
		memory_add(h, q);
		break;
	case IOB_OP_MEMORY_DROP:
		memory_drop(h, q);
		break;
	case IOB_OP_MAP:
		mapping_map(h, q);
		break;
	case IOB_OP_UNMAP:
		mapping_unmap(h, q);
		break;
	case IOB_OP_UNMAP_ALL:
		mapping_unmap_all(h, q);
		break;
	case IOB_OP_MAP_LIST:
		mapping_list(h, q);
		break;
	case IOB_OP_DOMAIN_BIND:
		channel_bind(h, q);
		break;
	case IOB_OP_GRANT:
		domain_grant(h, q);
		break;
	default: /* REVOKE */
		domain_revoke(h, q);
	}
}

/* ---- answers ---- */

static void domain_granted(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	struct handle *h = p->handle;
	struct handle *g = handle_new(h->session, fd_list_steal(fds, 0), msg->granted.handle_id,
				      IOB_KIND_DOMAIN);
	struct iob_grant_rep rep = { .grant_id = msg->granted.handle_id };
	struct fault why;

	if (!g) {
		channel_closed(h->session, msg->granted.handle_id);
		fault_set(&why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, ENOMEM, "out of memory");
		reply_fault(h, p->op, p->tag, &why);
		return;
	}
	g->domain = h->domain;
	g->giver = h;
	g->rights = p->grant.rights;
	g->flags = p->grant.flags | h->flags;
	g->window_first = p->grant.window_first;
	g->window_last = p->grant.window_last;
	reply(h, p->op, p->tag, &rep, sizeof(rep), fds->fd[1]);
}

void domain_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	if (msg->hdr.op == PRIV_GRANT)
		domain_granted(p, msg, fds);
	else /* BIND */
		reply(p->handle, p->op, p->tag, NULL, 0, -1);
}

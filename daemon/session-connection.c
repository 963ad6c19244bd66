/* SPDX-License-Identifier: MIT */
/* session-connection.c - HELLO, and the requests on a connection; all but HELLO go to the monitor. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/session.h"
#include "proto/names.h"

#define CONNECTION_FEATURES IOB_FEATURE_GRANT

void connection_hello(struct handle *h, const struct request *q)
{
	struct iob_hello_req req;
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (req.version_min > IOB_PROTOCOL_VERSION || req.version_max < IOB_PROTOCOL_VERSION) {
		fault_set(&why, IOB_E_VERSION, IOB_STEP_HELLO, 0,
			  "the client speaks versions %u to %u, this broker speaks %u",
			  req.version_min, req.version_max, IOB_PROTOCOL_VERSION);
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	uint64_t features = CONNECTION_FEATURES;

	if (h->session->backend != IOB_BACKEND_SIM)
		features |= IOB_FEATURE_DEVICE_FD;
	struct iob_hello_rep rep = {
		.version = IOB_PROTOCOL_VERSION,
		.kind = h->kind,
		.features = features & req.features,
		.backend = h->session->backend,
		.max_msg_bytes = IOB_MAX_MSG_BYTES,
		.max_batch = IOB_MAX_BATCH,
	};

	h->greeted = true;
	reply(h, q->op, q->tag, &rep, sizeof(rep), -1);
}

static void ask_list(struct handle *h, const struct request *q, uint32_t priv_op)
{
	struct iob_list_req req;
	struct priv_message msg = { 0 };

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	msg.cursor.cursor = req.cursor;
	channel_ask(h, q, &msg, priv_op, NULL);
}

static void ask_domain_create(struct handle *h, const struct request *q)
{
	struct iob_domain_create_req req;
	struct priv_message msg = { 0 };
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (req.flags != 0) {
		fault_set(&why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
			  "DOMAIN_CREATE: there are no flags, but 0x%x was given", req.flags);
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	msg.domain_create.max_bytes = req.max_bytes;
	msg.domain_create.max_mappings = req.max_mappings;
	channel_ask(h, q, &msg, PRIV_DOMAIN_CREATE, NULL);
}

static int check_device_open(const struct iob_device_open_req *req, struct fault *why)
{
	char asked[NAMES_BYTES];

	if (req->flags != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "DEVICE_OPEN: there are no flags, but 0x%x was given", req->flags);
	if ((req->access & ~(IOB_ACCESS_MEDIATED | IOB_ACCESS_FD)) != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "DEVICE_OPEN: access must be mediated, fd or both, not %s",
				 names_access(req->access, asked));
	return 0;
}

static void ask_device_open(struct handle *h, const struct request *q)
{
	struct iob_device_open_req req;
	struct priv_message msg = { 0 };
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (check_device_open(&req, &why) < 0) {
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	memcpy(msg.device_open.name, req.name, sizeof(req.name));
	msg.device_open.access = req.access;
	channel_ask(h, q, &msg, PRIV_DEVICE_OPEN, NULL);
}

static void ask_domain_open(struct handle *h, const struct request *q)
{
	struct iob_domain_open_req req;
	struct priv_message msg = { 0 };

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	msg.id.id = req.domain_id;
	channel_ask(h, q, &msg, PRIV_DOMAIN_OPEN, NULL);
}

static void ask_driver_list(struct handle *h, const struct request *q)
{
	struct priv_message msg = { 0 };

	operation_take(q->body, q->bytes, &msg.driver_list_req, sizeof(msg.driver_list_req), 0);
	channel_ask(h, q, &msg, PRIV_DRIVER_LIST, NULL);
}

static void ask_driver_set(struct handle *h, const struct request *q)
{
	struct priv_message msg = { 0 };
	struct iob_driver_set_req *req = &msg.driver_set_req;
	struct fault why;

	operation_take(q->body, q->bytes, req, sizeof(*req), 0);
	if ((req->driver != IOB_DRIVER_VFIO && req->driver != IOB_DRIVER_HOST) ||
	    (req->flags & ~IOB_DRIVER_GROUP) != 0) {
		fault_set(&why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
			  "DRIVER_SET: driver must be 1 (VFIO) or 2 (HOST), flags 0 or 1 (GROUP), "
			  "not %u and %u",
			  req->driver, req->flags);
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	channel_ask(h, q, &msg, PRIV_DRIVER_SET, NULL);
}

void connection_request(struct handle *h, const struct request *q)
{
	struct priv_message msg = { 0 };

	switch (q->op) {
	case IOB_OP_DEVICE_LIST:
		ask_list(h, q, PRIV_DEVICE_LIST);
		break;
	case IOB_OP_DOMAIN_LIST:
		ask_list(h, q, PRIV_DOMAIN_LIST);
		break;
	case IOB_OP_DOMAIN_CREATE:
		ask_domain_create(h, q);
		break;
	case IOB_OP_DEVICE_OPEN:
		ask_device_open(h, q);
		break;
	case IOB_OP_DOMAIN_OPEN:
		ask_domain_open(h, q);
		break;
	case IOB_OP_DRIVER_LIST:
		ask_driver_list(h, q);
		break;
	case IOB_OP_DRIVER_SET:
		ask_driver_set(h, q);
		break;
	default: /* STATUS */
		channel_ask(h, q, &msg, PRIV_STATUS, NULL);
	}
}

/* ---- answers ---- */

static void out_of_memory(struct pending *p, uint32_t handle_id)
{
	struct fault why;

	channel_closed(p->handle->session, handle_id);
	fault_set(&why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, ENOMEM, "out of memory");
	reply_fault(p->handle, p->op, p->tag, &why);
}

static void domain_created(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	struct session *s = p->handle->session;
	const struct priv_domain_created *c = &msg->domain_created;
	struct domain *d = domain_new(s, c, fd_list_steal(fds, 2));
	struct handle *h = NULL;

	if (d)
		h = handle_new(s, fd_list_steal(fds, 0), c->handle_id, IOB_KIND_DOMAIN);
	if (!h) {
		if (d)
			domain_free(d);
		out_of_memory(p, c->handle_id);
		return;
	}
	h->domain = d;
	h->root = true;
	h->rights = IOB_RIGHT_ALL;
	h->window_last = UINT64_MAX;
	struct iob_domain_create_rep rep = {
		.max_bytes = c->max_bytes,
		.max_mappings = c->max_mappings,
		.domain_id = c->domain_id,
	};

	reply(p->handle, p->op, p->tag, &rep, sizeof(rep), fds->fd[1]);
}

static void device_opened(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	struct session *s = p->handle->session;
	const struct priv_device_opened *o = &msg->device_opened;
	struct device *d = device_new(&o->record, o->access);
	struct handle *h = NULL;

	if (d)
		h = handle_new(s, fd_list_steal(fds, 0), o->handle_id, IOB_KIND_DEVICE);
	if (!h) {
		if (d)
			device_free(d);
		out_of_memory(p, o->handle_id);
		return;
	}
	h->device = d;
	reply(p->handle, p->op, p->tag, &o->record, sizeof(o->record), fds->fd[1]);
}

/* A list goes out as it came, cut to the records that are in it. */
static void listed(struct pending *p, const void *records, uint32_t stride, uint32_t count,
		   uint32_t next)
{
	uint8_t *out = p->handle->session->out;
	struct iob_list_rep rep = { .stride = stride, .next = next };

	rep.count = count > IOB_MAX_DEVICE_LIST ? IOB_MAX_DEVICE_LIST : count;
	memcpy(out, &rep, sizeof(rep));
	memcpy(out + sizeof(rep), records, (size_t)stride * rep.count);
	reply(p->handle, p->op, p->tag, out, sizeof(rep) + (size_t)stride * rep.count, -1);
}

void connection_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	switch (msg->hdr.op) {
	case PRIV_DEVICE_LIST:
		listed(p, msg->device_list.records, sizeof(struct iob_device_rec),
		       msg->device_list.count, msg->device_list.next);
		break;
	case PRIV_DOMAIN_LIST:
		listed(p, msg->domain_list.records, sizeof(struct iob_domain_rec),
		       msg->domain_list.count, msg->domain_list.next);
		break;
	case PRIV_DOMAIN_CREATE:
		domain_created(p, msg, fds);
		break;
	case PRIV_DEVICE_OPEN:
		device_opened(p, msg, fds);
		break;
	case PRIV_DOMAIN_OPEN:
		reply(p->handle, p->op, p->tag, NULL, 0, fds->fd[0]);
		break;
	case PRIV_DRIVER_LIST:
		listed(p, msg->driver_list.records, sizeof(struct iob_driver_rec),
		       msg->driver_list.count, msg->driver_list.next);
		break;
	case PRIV_DRIVER_SET:
		reply(p->handle, p->op, p->tag, &msg->driver_set.data, sizeof(msg->driver_set.data),
		      -1);
		break;
	default: /* STATUS */
		reply(p->handle, p->op, p->tag, &msg->status_rep.data, sizeof(msg->status_rep.data),
		      -1);
	}
}

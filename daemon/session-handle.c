/* SPDX-License-Identifier: MIT */
/* session-handle.c - a handle's life: reading requests, checking them against the table, its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/session-closer.h"
#include "daemon/session.h"
#include "proto/names.h"

/* ---- requests ---- */

static int check_frame(const struct iob_hdr *hdr, size_t n, struct fault *why)
{
	if (n < sizeof(*hdr))
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "a message of %zu bytes has no header of %zu", n, sizeof(*hdr));
	if (hdr->size != n)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "the header says %u bytes, the message has %zu", hdr->size, n);
	if (hdr->flags != 0 || hdr->code != 0 || hdr->tag == 0)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "a request has flags 0, code 0 and a tag, not 0x%x, %u and %u",
				 hdr->flags, hdr->code, hdr->tag);
	return 0;
}

static int check_operation(const struct handle *h, const struct operation *o, uint16_t op,
			   struct fault *why)
{
	char needed[NAMES_BYTES], there[NAMES_BYTES];

	if (!h->greeted && op != IOB_OP_HELLO)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_HELLO, 0,
				 "HELLO must be the first request on a connection");
	if (!o)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "operation 0x%04x is not known", op);
	if (o->kind != 0 && o->kind != h->kind)
		return fault_set(why, IOB_E_WRONG_KIND, IOB_STEP_HANDLE, 0,
				 "%s is for a %s handle, this is a %s handle", o->name,
				 names_kind(o->kind), names_kind(h->kind));
	if ((o->right & ~h->rights) != 0 && h->kind == IOB_KIND_DOMAIN)
		return fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
				 "%s needs the right %s; this handle has %s", o->name,
				 names_rights(o->right, needed), names_rights(h->rights, there));
	return 0;
}

static int check_body(const struct request *q, struct fault *why)
{
	const struct operation *o = q->operation;

	if (q->fds->count < o->fds_min || q->fds->count > o->fds_max)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "%s carries %u to %u descriptors, not %u", o->name, o->fds_min,
				 o->fds_max, q->fds->count);
	if (q->bytes < o->body)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "%s has a body of at least %u bytes, not %zu", o->name, o->body,
				 q->bytes);
	uint32_t reserved = 0;

	if (o->reserved)
		memcpy(&reserved, q->body + o->reserved, sizeof(reserved));
	if (reserved != 0)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "%s: the reserved field is 0x%x, not 0", o->name, reserved);
	for (size_t i = o->body; !o->tail && i < q->bytes; i++)
		if (q->body[i] != 0)
			return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
					 "%s: byte %zu of the body is not known here and not 0",
					 o->name, i);
	return 0;
}

static void dispatch(struct handle *h, const struct request *q)
{
	if (q->op == IOB_OP_HELLO)
		connection_hello(h, q);
	else if (h->kind == IOB_KIND_CONNECTION)
		connection_request(h, q);
	else if (h->kind == IOB_KIND_DOMAIN)
		domain_request(h, q);
	else
		device_request(h, q);
}

static void serve(struct handle *h, size_t n, struct fd_list *fds)
{
	struct session *s = h->session;
	struct iob_hdr hdr = { 0 };
	struct fault why;

	memcpy(&hdr, s->in, n < sizeof(hdr) ? n : sizeof(hdr));
	struct request q = {
		.operation = operation_find(hdr.op),
		.op = hdr.op,
		.tag = hdr.tag,
		.body = s->in + sizeof(hdr),
		.bytes = n < sizeof(hdr) ? 0 : n - sizeof(hdr),
		.fds = fds,
	};

	if (check_frame(&hdr, n, &why) < 0 || check_operation(h, q.operation, q.op, &why) < 0 ||
	    check_body(&q, &why) < 0)
		reply_fault(h, q.op, q.tag, &why);
	else
		dispatch(h, &q);
}

/*
 * Whose requests never carry descriptors gets none in: closing a file of FUSE lasts as long as its
 * file system likes, and there is one companion for all who have a handle here. What the kernel
 * does not install it drops without asking the file system.
 */
static unsigned descriptors_taken(const struct handle *h)
{
	const uint32_t rights = IOB_RIGHT_MAP | IOB_RIGHT_BIND;

	if (h->kind == IOB_KIND_DOMAIN)
		return (h->rights & rights) != 0 ? MESSAGE_MAX_FDS : 0;
	return h->kind == IOB_KIND_DEVICE ? MESSAGE_MAX_FDS : 0;
}

static void refuse_oversize(struct handle *h, ssize_t n)
{
	struct iob_hdr hdr;
	struct fault why;

	memcpy(&hdr, h->session->in, sizeof(hdr));
	if (n == -EMSGSIZE)
		fault_set(&why, IOB_E_PROTOCOL, IOB_STEP_PARSE, EMSGSIZE,
			  "a message has at most %u bytes", IOB_MAX_MSG_BYTES);
	else if (descriptors_taken(h) != 0)
		fault_set(&why, IOB_E_LIMIT, IOB_STEP_LIMIT, EMFILE,
			  "descriptors: this connection holds all it may");
	else if (check_frame(&hdr, hdr.size, &why) == 0 &&
		 check_operation(h, operation_find(hdr.op), hdr.op, &why) == 0)
		fault_set(&why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
			  "no request on this handle carries descriptors");
	reply_fault(h, hdr.op, hdr.tag, &why);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct handle *h = arg;
	struct fd_list fds;
	ssize_t n;

	(void)what;
	if (rate_park(h))
		return;
	memset(h->session->in, 0, sizeof(struct iob_hdr)); /* of the message before */
	n = message_receive((int)fd, h->session->in, sizeof(h->session->in), &fds,
			    descriptors_taken(h));
	if (n == -EAGAIN)
		return;
	if (n != 0)
		rate_spend(h, 1);
	if (n > 0)
		serve(h, (size_t)n, &fds);
	else if (n == -EMSGSIZE || n == -EMFILE)
		refuse_oversize(h, n);
	closer_close_list(&fds);
	if (n == 0 || (n < 0 && n != -EMSGSIZE && n != -EMFILE))
		handle_close(h);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct handle *h = arg;

	(void)fd;
	(void)what;
	if (reply_flush(h) < 0)
		return;
	event_del(h->on_write);
	if (!h->pending)
		event_add(h->on_read, NULL);
}

/* ---- life ---- */

struct handle *handle_new(struct session *s, int fd, uint32_t id, uint32_t kind)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h) {
		close(fd);
		return NULL;
	}
	h->session = s;
	h->fd = fd;
	h->id = id;
	h->kind = kind;
	h->greeted = kind != IOB_KIND_CONNECTION;
	h->out_fd = -1;
	LIST_INIT(&h->memories);
	LIST_INSERT_HEAD(&s->handles, h, link);
	s->handle_count++;
	h->on_read = event_new(s->base, fd, EV_READ | EV_PERSIST, on_read, h);
	h->on_write = event_new(s->base, fd, EV_WRITE | EV_PERSIST, on_write, h);
	if (!h->on_read || !h->on_write || event_add(h->on_read, NULL) < 0) {
		handle_free(h);
		return NULL;
	}
	return h;
}

void handle_free(struct handle *h)
{
	struct memory *m, *next;

	if (h->on_read)
		event_free(h->on_read);
	if (h->on_write)
		event_free(h->on_write);
	if (h->on_closed)
		event_free(h->on_closed);
	if (h->pending)
		h->pending->handle = NULL;
	if (h->domain && !h->root)
		mapping_drop_handle(h);
	LIST_FOREACH_SAFE(m, &h->memories, link, next)
		memory_free(m);
	if (h->device)
		device_free(h->device);
	free(h->out);
	if (h->out_fd >= 0)
		close(h->out_fd);
	/* The client sees the end at once; what is left in the queue goes when it goes. */
	shutdown(h->fd, SHUT_RDWR);
	closer_close(h->fd);
	LIST_REMOVE(h, link);
	h->session->handle_count--;
	free(h);
}

/* With the first handle the domain ends. Everything is unmapped before anybody sees the end of a
 * handle: who had memory mapped through a grant uses it for something else then. */
static void close_domain(struct handle *root)
{
	struct session *s = root->session;
	struct domain *d = root->domain;
	struct handle *h, *next;

	mapping_drop_domain(d);
	LIST_FOREACH_SAFE(h, &s->handles, link, next)
		if (h->domain == d && h != root)
			handle_free(h);
	handle_free(root);
	domain_free(d);
}

/* Each call may free several handles, so the search starts over. */
static void close_grants_of(struct handle *giver)
{
	struct handle *h;

	do {
		LIST_FOREACH(h, &giver->session->handles, link)
			if (h->giver == giver)
				break;
		if (h)
			handle_close(h);
	} while (h);
}

void handle_close(struct handle *h)
{
	struct session *s = h->session;
	uint32_t id = h->id;

	if (h->root) {
		close_domain(h);
	} else {
		close_grants_of(h);
		handle_free(h);
	}
	if (id != 0)
		channel_closed(s, id);
	if (s->handle_count == 0)
		event_base_loopbreak(s->base);
}

void handle_event(struct handle *h, uint16_t op, uint32_t domain_id, uint32_t reason)
{
	h->event_waiting = true;
	h->event_op = op;
	h->event = (struct iob_ev_device){ .domain_id = domain_id, .reason = reason };
	if (h->out || reply_flush(h) < 0)
		event_add(h->on_write, NULL);
}

struct handle *handle_by_id(struct session *s, uint32_t id, uint32_t kind)
{
	struct handle *h;

	LIST_FOREACH(h, &s->handles, link)
		if (h->id == id && h->kind == kind && id != 0)
			return h;
	return NULL;
}

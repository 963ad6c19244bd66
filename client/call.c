/* SPDX-License-Identifier: MIT */
/*
 * call.c - request and reply on a handle.
 *
 * One request is outstanding at a time, so the next reply is its answer or the channel is out of
 * step; a handle that is out of step is never used again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "proto/names.h"

bool client_parts_copy(const struct iovec *parts, size_t part_count, size_t offset, void *out,
		       size_t bytes)
{
	char *to = out;

	for (size_t i = 0; i < part_count && bytes > 0; i++) {
		size_t here = parts[i].iov_len;
		size_t take;

		if (offset >= here) {
			offset -= here;
			continue;
		}
		take = here - offset < bytes ? here - offset : bytes;
		memcpy(to, (const char *)parts[i].iov_base + offset, take);
		to += take;
		bytes -= take;
		offset = 0;
	}
	return bytes == 0;
}

int client_handle_init(struct handle *h, int fd)
{
	if (!client_is_handle(fd))
		return client_error_argument(
			"the descriptor is no SOCK_SEQPACKET socket of AF_UNIX");
	memset(h, 0, sizeof(*h));
	h->fd = fd;
	return IOB_OK;
}

int client_handle_init_received(struct handle *made, int fd, struct handle *h)
{
	if (client_handle_init(made, fd) == IOB_OK)
		return IOB_OK;
	close(fd);
	return client_break(h, "the broker sent a descriptor that is no handle");
}

void client_handle_deinit(struct handle *h)
{
	close(h->fd);
	h->fd = -1;
}

int client_break(struct handle *h, const char *text)
{
	h->state = HANDLE_BROKEN;
	return client_error_set(IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0, "%s", text);
}

static int handle_closed(struct handle *h)
{
	h->state = HANDLE_CLOSED;
	return client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0,
				"the broker closed this handle");
}

static bool peer_is_gone(int err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -ENOTCONN || err == -ECONNREFUSED;
}

static uint32_t next_tag(struct handle *h)
{
	if (++h->tag == 0) /* 0 is for what nobody asked for */
		h->tag = 1;
	return h->tag;
}

static int send_request(struct handle *h, struct call *c)
{
	struct iob_hdr hdr = { .op = c->op, .tag = next_tag(h) };
	struct iovec parts[1 + CALL_PARTS] = { { .iov_base = &hdr, .iov_len = sizeof(hdr) } };
	size_t bytes = sizeof(hdr);
	int err;

	for (size_t i = 0; i < CALL_PARTS; i++) {
		parts[1 + i] = c->req[i];
		bytes += c->req[i].iov_len;
	}
	if (bytes > IOB_MAX_MSG_BYTES)
		return client_error_argument("the request is longer than a message may be");
	hdr.size = (uint32_t)bytes;
	err = client_send(h->fd, parts, 1 + CALL_PARTS, c->fds, c->fd_count);
	if (err == 0)
		return IOB_OK;
	/* A broker that refuses a stranger says so, and hangs up before it is asked. */
	if (peer_is_gone(err) && c->op == IOB_OP_HELLO)
		return IOB_OK;
	if (peer_is_gone(err))
		return handle_closed(h);
	errno = -err;
	return client_error_system(IOB_STEP_TRANSPORT, "sendmsg");
}

static int recv_failed(struct handle *h, int err)
{
	if (err == -EBADMSG)
		return client_break(h, "the broker sent a message of the wrong size");
	if (peer_is_gone(err))
		return handle_closed(h);
	h->state = HANDLE_BROKEN; /* a reply is on its way that nobody will read */
	errno = -err;
	return client_error_system(IOB_STEP_TRANSPORT, "recvmsg");
}

/* A reply with a code: its body is an error. */
static int take_refusal(struct handle *h, const struct inbox *in, const struct iovec *parts,
			size_t part_count)
{
	struct iob_error_body body;
	char text[IOB_MAX_TEXT];

	if (in->hdr.code >= IOB_E_CONNECT)
		return client_break(h, "the broker sent a code that is not its own");
	if (in->fd_count > 0 || in->fds_lost)
		return client_break(h, "the broker sent a refusal with descriptors");
	if (in->body_bytes < sizeof(body) ||
	    !client_parts_copy(parts, part_count, 0, &body, sizeof(body)))
		return client_break(h, "the broker sent a refusal that is too short");
	if (body.text_bytes > sizeof(text) || body.text_bytes > in->body_bytes - sizeof(body) ||
	    !client_parts_copy(parts, part_count, sizeof(body), text, body.text_bytes))
		return client_break(h, "the broker sent a refusal with a text of the wrong length");
	return client_error_from_broker(in->hdr.code, body.step, body.sys_errno, text,
					body.text_bytes);
}

static int take_success(struct handle *h, struct call *c, struct inbox *in)
{
	uint32_t wanted = c->fd_out ? 1 : 0;

	if (in->body_bytes < c->rep_min)
		return client_break(h, "the broker sent a reply that is too short");
	if (in->fds_lost && in->fd_count < wanted)
		/* The stream is in step, only this process has no room for the descriptor. */
		return client_error_set(IOB_E_SYSTEM, IOB_STEP_TRANSPORT, EMFILE,
					"a descriptor was lost: this process has too many open");
	if (in->fd_count != wanted || in->fds_lost)
		return client_break(h, "the broker sent a wrong number of descriptors");
	if (c->fd_out) {
		*c->fd_out = in->fd;
		in->fd = -1;
	}
	c->rep_bytes = in->body_bytes;
	return IOB_OK;
}

static int take_reply(struct handle *h, struct call *c, struct inbox *in, const struct iovec *parts,
		      size_t part_count)
{
	bool unasked = in->hdr.tag == 0 && in->hdr.op == IOB_OP_HELLO && in->hdr.code != IOB_OK;

	if (in->hdr.flags != IOB_MSG_REPLY)
		return client_break(h, "the broker sent neither reply nor event");
	if (in->hdr.op != c->op)
		return client_break(h, "the broker answered another operation");
	if (in->hdr.tag != h->tag && !unasked)
		return client_break(h, "the broker answered another request");
	if (in->hdr.code != IOB_OK)
		return take_refusal(h, in, parts, part_count);
	return take_success(h, c, in);
}

/* Read until the reply is there. Set *more when what came was an event. */
static int recv_one(struct handle *h, struct call *c, bool *more)
{
	char tail[sizeof(struct iob_error_body) + IOB_MAX_TEXT]; /* for what fits nowhere else */
	struct iovec parts[CALL_PARTS + 1];
	struct inbox in;
	int code;
	int err;

	memcpy(parts, c->rep, sizeof(c->rep));
	parts[CALL_PARTS] = (struct iovec){ .iov_base = tail, .iov_len = sizeof(tail) };
	err = client_recv(h->fd, parts, CALL_PARTS + 1, true, &in);
	*more = err == 0 && in.hdr.flags == IOB_MSG_EVENT;
	if (err < 0)
		code = recv_failed(h, err);
	else if (*more)
		code = client_event_take(h, &in, parts, CALL_PARTS + 1);
	else
		code = take_reply(h, c, &in, parts, CALL_PARTS + 1);
	client_inbox_drop(&in);
	return code;
}

int client_call(struct handle *h, struct call *c)
{
	bool more = true;
	int code;

	if (h->state != HANDLE_LIVE)
		return client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0,
					"this handle was closed or broke down earlier");
	code = send_request(h, c);
	while (code == IOB_OK && more)
		code = recv_one(h, c, &more);
	return code;
}

int client_call_fixed(struct handle *h, uint16_t op, const void *req, size_t req_bytes, void *rep,
		      size_t rep_bytes)
{
	char room[256];
	struct call c = {
		.op = op,
		.req = { { .iov_base = (void *)(uintptr_t)req, .iov_len = req_bytes } },
		.rep = { { .iov_base = room, .iov_len = rep_bytes } },
		.rep_min = rep_bytes,
	};
	int code;

	if (rep_bytes > sizeof(room))
		return client_error_argument("reply too large for its room");
	code = client_call(h, &c);
	if (code == IOB_OK && rep_bytes > 0)
		memcpy(rep, room, rep_bytes);
	return code;
}

int client_hello(struct handle *h, uint32_t kind, struct iob_hello_rep *rep)
{
	const struct iob_hello_req req = {
		.version_min = IOB_PROTOCOL_VERSION,
		.version_max = IOB_PROTOCOL_VERSION,
		.features = IOB_FEATURE_GRANT | IOB_FEATURE_DEVICE_FD,
	};
	int code = client_call_fixed(h, IOB_OP_HELLO, &req, sizeof(req), rep, sizeof(*rep));

	if (code != IOB_OK)
		return code;
	if (rep->version != IOB_PROTOCOL_VERSION)
		return client_error_set(IOB_E_VERSION, IOB_STEP_HELLO, 0,
					"the broker chose protocol version %u", rep->version);
	if (rep->kind != kind)
		return client_error_set(IOB_E_WRONG_KIND, IOB_STEP_HANDLE, 0,
					"this is a %s handle, not a %s handle",
					names_kind(rep->kind), names_kind(kind));
	return IOB_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * events.c - events wait here while their owner is busy with requests.
 *
 * The queue is bounded: a client that never looks must not grow. The oldest goes first, because
 * the newest says how things are; the gap is told to the reader.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static void queue_push(struct event_queue *q, const struct iob_event *event)
{
	struct iob_event *oldest = &q->slots[q->first];

	if (q->count == EVENT_QUEUE) {
		uint32_t lost = oldest->lost + 1;

		q->first = (q->first + 1) % EVENT_QUEUE;
		q->count--;
		q->slots[q->first].lost += lost;
	}
	q->slots[(q->first + q->count) % EVENT_QUEUE] = *event;
	q->count++;
}

static void queue_pop(struct event_queue *q, struct iob_event *out)
{
	*out = q->slots[q->first];
	q->first = (q->first + 1) % EVENT_QUEUE;
	q->count--;
}

int client_event_take(struct handle *h, const struct inbox *in, const struct iovec *parts,
		      size_t part_count)
{
	struct iob_event event = { .type = in->hdr.op };
	struct iob_ev_device body;

	if (in->hdr.tag != 0 || in->hdr.code != 0)
		return client_break(h, "the broker sent an event with a tag or a code");
	if (in->fd_count > 0 || in->fds_lost)
		return client_break(h, "the broker sent an event with descriptors");
	if (event.type != IOB_EV_DEVICE_BOUND && event.type != IOB_EV_DEVICE_UNBOUND)
		return IOB_OK; /* of a newer broker */
	if (in->body_bytes < sizeof(body) ||
	    !client_parts_copy(parts, part_count, 0, &body, sizeof(body)))
		return client_break(h, "the broker sent an event that is too short");
	event.domain_id = body.domain_id;
	event.reason = body.reason;
	queue_push(&h->events, &event);
	return IOB_OK;
}

/* Read one message that nobody asked for. IOB_OK, or a code; *empty when there was none. */
static int event_read(struct handle *h, bool *empty)
{
	char body[IOB_MAX_TEXT];
	struct iovec part = { .iov_base = body, .iov_len = sizeof(body) };
	struct inbox in;
	int code = IOB_OK;
	int err = client_recv(h->fd, &part, 1, false, &in);

	if (err == -EAGAIN) {
		*empty = true;
	} else if (err == -EPIPE) {
		h->state = HANDLE_CLOSED;
		code = client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0,
					"the broker closed this handle");
	} else if (err == -EBADMSG) {
		code = client_break(h, "the broker sent a message of the wrong size");
	} else if (err < 0) {
		errno = -err;
		code = client_error_system(IOB_STEP_TRANSPORT, "recvmsg");
	} else if (in.hdr.flags != IOB_MSG_EVENT) {
		code = client_break(h, "the broker sent a reply to no request");
	} else {
		code = client_event_take(h, &in, &part, 1);
	}
	client_inbox_drop(&in);
	return code;
}

int client_event_next(struct handle *h, struct iob_event *out)
{
	bool empty = false;

	while (h->events.count == 0) {
		int code;

		if (h->state == HANDLE_BROKEN)
			return client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0,
						"this handle broke down earlier");
		code = event_read(h, &empty);
		if (code != IOB_OK)
			return code;
		if (empty) {
			memset(out, 0, sizeof(*out));
			return IOB_OK;
		}
	}
	queue_pop(&h->events, out);
	return IOB_OK;
}

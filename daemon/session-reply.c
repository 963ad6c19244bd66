/* SPDX-License-Identifier: MIT */
/*
 * session-reply.c - what goes to the client.
 *
 * A client that does not read gets one reply queued and is read no further until it took it; so
 * what it can make us hold is one message and one event for each handle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/session.h"

static void out_clear(struct handle *h)
{
	free(h->out);
	h->out = NULL;
	h->out_bytes = 0;
	if (h->out_fd >= 0)
		close(h->out_fd);
	h->out_fd = -1;
}

static void out_keep(struct handle *h, const struct iovec *iov, size_t count, int fd)
{
	size_t bytes = 0;
	uint8_t *p;

	for (size_t i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	p = h->out = malloc(bytes);
	if (fd >= 0)
		h->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!p || (fd >= 0 && h->out_fd < 0)) {
		/* Without the reply the client cannot go on: it sees the end of the handle. */
		shutdown(h->fd, SHUT_RDWR);
		out_clear(h);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
	h->out_bytes = bytes;
	event_del(h->on_read);
	event_add(h->on_write, NULL);
}

static void send_or_keep(struct handle *h, const struct iovec *iov, size_t count, int fd)
{
	int r = message_send(h->fd, iov, count, &fd, fd >= 0 ? 1 : 0);

	if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
		out_keep(h, iov, count, fd);
	else if (r < 0) /* the client is gone, or would wait for what cannot be sent */
		shutdown(h->fd, SHUT_RDWR);
}

void reply(struct handle *h, uint16_t op, uint32_t tag, const void *body, size_t bytes, int fd)
{
	struct iob_hdr hdr = {
		.size = (uint32_t)(sizeof(hdr) + bytes),
		.op = op,
		.flags = IOB_MSG_REPLY,
		.tag = tag,
	};
	struct iovec iov[] = { { &hdr, sizeof(hdr) }, { (void *)body, bytes } };

	send_or_keep(h, iov, 2, fd);
}

void reply_fault(struct handle *h, uint16_t op, uint32_t tag, const struct fault *f)
{
	struct iob_error_body body = {
		.step = f->step,
		.sys_errno = f->sys_errno,
		.text_bytes = (uint32_t)strnlen(f->text, IOB_MAX_TEXT),
	};
	struct iob_hdr hdr = {
		.size = (uint32_t)(sizeof(hdr) + sizeof(body)) + body.text_bytes,
		.op = op,
		.flags = IOB_MSG_REPLY,
		.tag = tag,
		.code = f->code,
	};
	struct iovec iov[] = {
		{ &hdr, sizeof(hdr) },
		{ &body, sizeof(body) },
		{ (void *)f->text, body.text_bytes },
	};

	send_or_keep(h, iov, 3, -1);
}

static int flush_event(struct handle *h)
{
	struct iob_hdr hdr = {
		.size = (uint32_t)(sizeof(hdr) + sizeof(h->event)),
		.op = h->event_op,
		.flags = IOB_MSG_EVENT,
	};
	struct iovec iov[] = { { &hdr, sizeof(hdr) }, { &h->event, sizeof(h->event) } };
	int r = message_send(h->fd, iov, 2, NULL, 0);

	if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
		return -EAGAIN;
	h->event_waiting = false;
	return 0;
}

int reply_flush(struct handle *h)
{
	struct iovec iov = { h->out, h->out_bytes };

	if (h->out) {
		int r = message_send(h->fd, &iov, 1, &h->out_fd, h->out_fd >= 0 ? 1 : 0);

		if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
			return -EAGAIN;
		out_clear(h);
	}
	return h->event_waiting ? flush_event(h) : 0;
}

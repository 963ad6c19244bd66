/* SPDX-License-Identifier: MIT */
/*
 * sim-serve.c - receiving and answering. Whoever sends a record of a wrong size, with wrong
 * descriptors, of an unknown operation or on the wrong socket is hung up on; what he held is
 * released as at a close. Refusals of well-formed requests are answers.
 */
#include "kernel-glue/sim-serve.h"

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* One fd more than is legal: CMSG_SPACE rounds up, so the kernel could put one more there. */
#define FD_SLOTS   (SIM_MAX_FDS + 1)
#define BODY_BYTES 64u
#define DATA_BYTES (BODY_BYTES + IOB_MAX_REGION_BYTES)

struct incoming {
	struct sim_req_hdr header;
	alignas(8) uint8_t data[DATA_BYTES];
	size_t data_bytes;
	int fds[FD_SLOTS];
	size_t fd_count;
	int answer_fd; /* where the answer goes; owned if it is not the handle's */
};

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static void collect_fds(struct msghdr *m, struct incoming *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (in->fd_count < FD_SLOTS)
				in->fds[in->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* 0, -EAGAIN when there is nothing, or -EPROTO; only with 0 there is something to close. */
static int receive(int fd, struct incoming *in)
{
	struct iovec iov[2] = {
		{ .iov_base = &in->header, .iov_len = sizeof(in->header) },
		{ .iov_base = in->data, .iov_len = sizeof(in->data) },
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SIM_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	in->fd_count = 0;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPROTO;
	collect_fds(&m, in);
	if ((size_t)n >= sizeof(in->header) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		in->data_bytes = (size_t)n - sizeof(in->header);
		return 0;
	}
	close_all(in->fds, in->fd_count);
	return -EPROTO;
}

/* Nothing but the kind of socket we ask for: writing to others might wait, or do things. */
static bool is_reply_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) || domain != AF_UNIX)
		return false;
	bytes = sizeof(int);
	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) && type == SOCK_SEQPACKET;
}

/* The last fd is the reply socket, if the flags say so. */
static bool take_answer_fd(struct sim_handle *h, struct incoming *in)
{
	in->answer_fd = h->fd;
	if (in->header.flags & ~SIM_REQ_REPLY_FD)
		return false;
	if (!(in->header.flags & SIM_REQ_REPLY_FD))
		return true;
	if (!in->fd_count || !is_reply_socket(in->fds[in->fd_count - 1]))
		return false;
	in->answer_fd = in->fds[--in->fd_count];
	return true;
}

static bool is_legal(const struct sim_operation *o, const struct sim_handle *h,
		     const struct incoming *in)
{
	return o && (o->kinds & h->kind) && in->data_bytes >= o->body_bytes &&
	       in->data_bytes - o->body_bytes <= o->tail_max && in->fd_count >= o->fds_min &&
	       in->fd_count <= o->fds_max;
}

static void attach_fd(struct msghdr *m, char *control, size_t bytes, int fd)
{
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = bytes;
	memset(control, 0, bytes);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

/* A peer that leaves no room for its answer does not read: not 0, hang up. */
static int send_reply(int fd, int error, const struct sim_request *r)
{
	struct sim_rep_hdr header = { .error = -error, .detail = r->detail };
	struct iovec iov[2] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = r->reply, .iov_len = error ? 0 : r->reply_bytes },
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (r->reply_fd >= 0)
		attach_fd(&m, control.bytes, sizeof(control.bytes), r->reply_fd);
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int answer(const struct sim_operation *o, struct sim_handle *h, struct incoming *in)
{
	static alignas(8) uint8_t reply[IOB_MAX_REGION_BYTES];
	struct sim_request r = { .from = h,
				 .body = in->data,
				 .tail = in->data + o->body_bytes,
				 .tail_bytes = in->data_bytes - o->body_bytes,
				 .fds = in->fds,
				 .fd_count = in->fd_count,
				 .reply = reply,
				 .reply_bytes = o->reply_bytes,
				 .reply_fd = -1 };
	int error, sent;

	memset(reply, 0, o->reply_bytes);
	error = o->handler(&r);
	sent = send_reply(in->answer_fd, error, &r);
	if (r.reply_fd >= 0)
		close(r.reply_fd);
	/* who lost his reply socket lost one answer; others may use this handle */
	return in->answer_fd == h->fd ? sent : 0;
}

int sim_serve_one(struct sim_handle *h)
{
	static struct incoming in;
	const struct sim_operation *o;
	int error = receive(h->fd, &in);

	if (error)
		return error == -EAGAIN ? 0 : error;
	error = -EPROTO;
	o = sim_operation_find(in.header.op);
	if (take_answer_fd(h, &in) && is_legal(o, h, &in))
		error = answer(o, h, &in);
	close_all(in.fds, in.fd_count);
	if (in.answer_fd != h->fd)
		close(in.answer_fd);
	return error;
}

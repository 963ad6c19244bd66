/* SPDX-License-Identifier: MIT */
/*
 * sim-call.c - blocking RPC to the simulator. Under the session's seccomp filter: sendmsg, recvmsg
 * and close only.
 */
#include "kernel-glue/sim-call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for one fd more than any answer carries: CMSG_SPACE rounds up to it anyway. */
#define REPLY_FD_SLOTS 2

union request_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(SIM_MAX_FDS * sizeof(int))];
};

union reply_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(REPLY_FD_SLOTS * sizeof(int))];
};

static void attach_fds(struct msghdr *m, union request_control *control, const struct sim_call *c)
{
	struct cmsghdr *cmsg;

	m->msg_control = control->bytes;
	m->msg_controllen = CMSG_SPACE(c->fd_count * sizeof(int));
	memset(control->bytes, 0, m->msg_controllen);
	cmsg = CMSG_FIRSTHDR(m);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(c->fd_count * sizeof(int));
	memcpy(CMSG_DATA(cmsg), c->fds, c->fd_count * sizeof(int));
}

int sim_call_send(const struct sim_call *c, uint32_t flags)
{
	struct sim_req_hdr header = { .op = c->op, .flags = flags };
	struct iovec iov[3] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)(uintptr_t)c->body, .iov_len = c->body_bytes },
		{ .iov_base = (void *)(uintptr_t)c->tail, .iov_len = c->tail_bytes },
	};
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
	union request_control control;
	ssize_t n;

	if (c->fd_count > SIM_MAX_FDS)
		return -EINVAL;
	if (c->fd_count)
		attach_fds(&m, &control, c);
	do
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? -EIO : -errno;
}

/* All descriptors of the answer; returns how many there were, *first is the first or -1. What is
 * more than one is closed: no answer carries two. */
static size_t collect_fds(struct msghdr *m, int *first)
{
	size_t seen = 0;

	*first = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (seen++ == 0)
				*first = fd;
			else
				close(fd);
		}
	}
	return seen;
}

static int judge(const struct sim_call *c, const struct sim_rep_hdr *header, size_t bytes,
		 size_t fds, int msg_flags)
{
	if (bytes < sizeof(*header) || (msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return -EIO;
	if (header->error) {
		if (c->detail)
			*c->detail = header->detail;
		return header->error > 0 && header->error < 4096 ? -header->error : -EIO;
	}
	if (bytes != sizeof(*header) + c->reply_bytes || fds != (c->reply_fd ? 1 : 0))
		return -EIO;
	return 0;
}

int sim_call_receive(int fd, const struct sim_call *c)
{
	struct sim_rep_hdr header = { 0 };
	struct iovec iov[2] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = c->reply, .iov_len = c->reply_bytes },
	};
	union reply_control control;
	struct msghdr m = { .msg_iov = iov,
			    .msg_iovlen = 2,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	int got, error;
	size_t fds;
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -EIO;
	fds = collect_fds(&m, &got);
	error = judge(c, &header, (size_t)n, fds, m.msg_flags);
	if (!error && c->reply_fd)
		*c->reply_fd = got;
	else if (got >= 0)
		close(got);
	return error;
}

int sim_call(const struct sim_call *c)
{
	int error = sim_call_send(c, 0);

	return error ? error : sim_call_receive(c->fd, c);
}

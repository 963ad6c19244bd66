/* SPDX-License-Identifier: MIT */
/* message.c - records and descriptors over AF_UNIX SOCK_SEQPACKET. */
#include "proto/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

void fd_list_close(struct fd_list *l)
{
	for (unsigned i = 0; i < l->count; i++)
		if (l->fd[i] >= 0)
			close(l->fd[i]);
	l->count = 0;
}

int fd_list_steal(struct fd_list *l, unsigned i)
{
	int fd = l->fd[i];

	l->fd[i] = -1;
	return fd;
}

/* Every control message is walked, also of a refused record: each fd in it is ours already. */
static void collect_fds(struct msghdr *m, struct fd_list *fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n && fds->count < MESSAGE_MAX_FDS; i++) {
			memcpy(&fds->fd[fds->count], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			fds->count++;
		}
	}
}

ssize_t message_receive(int sock, void *buffer, size_t size, struct fd_list *fds, unsigned max_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MESSAGE_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* CMSG_LEN, not CMSG_SPACE, whose padding has room for one more. */
		.msg_controllen = max_fds > 0 ? CMSG_LEN(max_fds * sizeof(int)) : 0,
	};
	ssize_t n;

	fds->count = 0;
	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	collect_fds(&m, fds);
	if (m.msg_flags & MSG_CTRUNC)
		return -EMFILE;
	if (m.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return n;
}

int message_send(int sock, const struct iovec *iov, size_t iov_count, const int *fds,
		 unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MESSAGE_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = iov_count };
	ssize_t n;

	if (fd_count > MESSAGE_MAX_FDS)
		return -EINVAL;
	if (fd_count > 0) {
		memset(&control, 0, CMSG_SPACE(fd_count * sizeof(int)));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int message_socketpair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
}

int message_cookie(int fd, uint64_t *cookie)
{
	socklen_t length = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &length) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * transport.c - one message out, one message in.
 *
 * The peer is the broker, and still every descriptor that arrives is counted and closed unless
 * somebody asked for it, and every length is compared with what the kernel says. message_receive()
 * reads into one buffer; here replies go straight to where the caller wants them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"
#include "proto/message.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04 /* Linux 6.5; younger than the C library this is built with */
#endif

/* Room for more descriptors than any reply has, so that a wrong number is seen, not guessed from
 * MSG_CTRUNC; and for the credentials that another user of the socket may have switched on. */
#define CONTROL_BYTES (CMSG_SPACE(sizeof(int) * 8) + 256)

static int wait_for(int sock, short what)
{
	struct pollfd p = { .fd = sock, .events = what };

	while (poll(&p, 1, -1) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int client_send(int sock, const struct iovec *parts, size_t part_count, const int *fds,
		uint32_t fd_count)
{
	int err = message_send(sock, parts, part_count, fds, fd_count);

	while (err == -EAGAIN) {
		err = wait_for(sock, POLLOUT);
		if (err == 0)
			err = message_send(sock, parts, part_count, fds, fd_count);
	}
	return err;
}

static void collect_fds(const struct cmsghdr *c, struct inbox *in)
{
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (in->fd_count++ == 0)
			in->fd = fd;
		else
			close(fd);
	}
}

/* Linux installs the descriptors before we see the message: walk all of it, also after CTRUNC. */
static void collect_control(struct msghdr *msg, struct inbox *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_len < CMSG_LEN(0))
			continue;
		if (c->cmsg_type == SCM_RIGHTS) {
			collect_fds(c, in);
		} else if (c->cmsg_type == SCM_PIDFD && c->cmsg_len >= CMSG_LEN(sizeof(fd))) {
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
			close(fd);
		}
	}
	in->fds_lost = (msg->msg_flags & MSG_CTRUNC) != 0;
}

ssize_t client_recv_raw(int sock, struct iovec *parts, size_t part_count, bool wait,
			struct inbox *in)
{
	union {
		char bytes[CONTROL_BYTES];
		struct cmsghdr align;
	} control;
	int flags = MSG_CMSG_CLOEXEC | MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT);
	bool was_reset = false;

	in->fd = -1;
	in->fd_count = 0;
	in->fds_lost = false;
	for (;;) {
		struct msghdr msg = {
			.msg_iov = parts,
			.msg_iovlen = part_count,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
		};
		ssize_t n = recvmsg(sock, &msg, flags);

		if (n >= 0) {
			collect_control(&msg, in);
			return n;
		}
		if (errno == EAGAIN && wait) {
			int err = wait_for(sock, POLLIN);

			if (err < 0)
				return err;
		} else if (errno == ECONNRESET && !was_reset) {
			/* The peer closed with something of ours unread. The error comes first,
			 * and once; what the peer had to say is still in the queue. */
			was_reset = true;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

int client_recv(int sock, struct iovec *parts, size_t part_count, bool wait, struct inbox *in)
{
	struct iovec all[CALL_PARTS + 2];
	ssize_t n;

	if (part_count + 1 > sizeof(all) / sizeof(all[0])) {
		in->fd = -1;
		return -EINVAL;
	}
	all[0] = (struct iovec){ .iov_base = &in->hdr, .iov_len = sizeof(in->hdr) };
	memcpy(&all[1], parts, part_count * sizeof(*parts));
	n = client_recv_raw(sock, all, part_count + 1, wait, in);
	if (n < 0)
		return n == -ECONNRESET ? -EPIPE : (int)n;
	if (n == 0)
		return -EPIPE;
	if ((size_t)n < sizeof(in->hdr) || (size_t)n != in->hdr.size || n > IOB_MAX_MSG_BYTES)
		return -EBADMSG;
	in->body_bytes = (size_t)n - sizeof(in->hdr);
	return 0;
}

void client_inbox_drop(struct inbox *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}

static bool option_is(int fd, int option, int wanted)
{
	int value = 0;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

bool client_is_handle(int fd)
{
	return option_is(fd, SO_DOMAIN, AF_UNIX) && option_is(fd, SO_TYPE, SOCK_SEQPACKET) &&
	       option_is(fd, SO_ACCEPTCONN, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * message.h - the one sendmsg, and the daemon's one recvmsg. (The library receives into scattered
 * buffers, and blocks: client/transport.c.)
 *
 * A descriptor received is born close-on-exec and owned by the caller, also when the message is
 * refused: an fd list always says what must be closed.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The most the kernel passes in one message (SCM_MAX_FD in include/net/scm.h). With room for all
 * of them MSG_CTRUNC can only mean that this process ran out of descriptors. */
#define MESSAGE_MAX_FDS 253u

struct fd_list {
	unsigned count;
	int fd[MESSAGE_MAX_FDS];
};

void fd_list_close(struct fd_list *l);
/* Hands out the i-th fd; the list no longer owns it. */
int fd_list_steal(struct fd_list *l, unsigned i);

/*
 * Receive one record of at most size bytes and max_fds descriptors without blocking. What exceeds
 * max_fds never becomes a descriptor of this process. Returns its length, 0 at the end of
 * the connection, or -errno: -EAGAIN nothing there, -EMSGSIZE the record was longer, -EMFILE not all
 * of its descriptors were received. fds is valid in every case; the caller disposes of it.
 */
ssize_t message_receive(int sock, void *buffer, size_t size, struct fd_list *fds, unsigned max_fds);

/*
 * Send one record without blocking. 0 or -errno: -EAGAIN the peer does not read, -EPIPE it is
 * gone. Sending is not transferring: the caller still owns fds.
 */
int message_send(int sock, const struct iovec *iov, size_t iov_count, const int *fds,
		 unsigned fd_count);

/* A connected pair of SOCK_SEQPACKET sockets, close-on-exec. 0 or -errno. */
int message_socketpair(int pair[2]);

/* The kernel's identity of a socket, unique since boot (SO_COOKIE). -ENOTSOCK for other files. */
int message_cookie(int fd, uint64_t *cookie);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * passing.c - a descriptor over somebody's socket.
 *
 * One byte of data goes along: on a stream a descriptor needs one to travel with, and reading
 * exactly one byte keeps the next descriptor with its own.
 */
#include <errno.h>

#include "internal.h"

int iob_handle_send(int sock, int fd)
{
	char byte = 'h';
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	int err;

	if (sock < 0 || fd < 0)
		return client_error_argument("no socket, or no descriptor");
	err = client_send(sock, &part, 1, &fd, 1);
	if (err == 0)
		return IOB_OK;
	if (err == -EPIPE || err == -ECONNRESET)
		return client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, -err,
					"the other end of the socket is closed");
	errno = -err;
	return client_error_system(IOB_STEP_TRANSPORT, "sendmsg");
}

static int recv_check(ssize_t n, struct inbox *in)
{
	if (n == 0 && in->fd_count == 0)
		return client_error_set(IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0,
					"the other end of the socket is closed");
	if (in->fds_lost && in->fd_count == 0)
		return client_error_set(IOB_E_SYSTEM, IOB_STEP_TRANSPORT, EMFILE,
					"a descriptor was lost: this process has too many open");
	if (n != 1 || in->fd_count != 1 || in->fds_lost)
		return client_error_set(IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0,
					"expected one byte with one descriptor");
	return IOB_OK;
}

int iob_handle_recv(int sock, int *fd)
{
	char byte;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct inbox in;
	ssize_t n;
	int code;

	if (sock < 0 || !fd)
		return client_error_argument("no socket, or no place for the descriptor");
	n = client_recv_raw(sock, &part, 1, true, &in);
	if (n == -ECONNRESET)
		n = 0;
	if (n < 0) {
		errno = (int)-n;
		return client_error_system(IOB_STEP_TRANSPORT, "recvmsg");
	}
	code = recv_check(n, &in);
	if (code == IOB_OK) {
		*fd = in.fd;
		in.fd = -1;
	}
	client_inbox_drop(&in);
	return code;
}

/* SPDX-License-Identifier: MIT */
/*
 * pingpong.c - two processes exchange messages of given sizes over SOCK_SEQPACKET and do nothing
 * else: the least that any broker in a process of its own costs.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

static char buffer[IOB_MAX_MSG_BYTES];

static void answer(int fd)
{
	uint32_t reply_bytes;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
		memcpy(&reply_bytes, buffer, sizeof(reply_bytes));
		if (send(fd, buffer, reply_bytes, 0) < 0)
			break;
	}
	_exit(0);
}

void pingpong_start(struct pingpong *p)
{
	int ends[2];

	must_be(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
	p->peer = fork();
	must_be(p->peer >= 0, "fork");
	if (p->peer == 0) {
		close(ends[0]);
		answer(ends[1]);
	}
	close(ends[1]);
	p->fd = ends[0];
}

void pingpong_exchange(const struct pingpong *p, uint32_t request_bytes, uint32_t reply_bytes)
{
	memcpy(buffer, &reply_bytes, sizeof(reply_bytes));
	must_be(send(p->fd, buffer, request_bytes, 0) == (ssize_t)request_bytes, "sending");
	must_be(recv(p->fd, buffer, sizeof(buffer), 0) == (ssize_t)reply_bytes, "receiving");
}

void pingpong_stop(struct pingpong *p)
{
	close(p->fd);
	waitpid(p->peer, NULL, 0);
}

uint32_t map_request_bytes(uint32_t count)
{
	return (uint32_t)(sizeof(struct iob_hdr) + sizeof(struct iob_batch_req)) +
	       count * (uint32_t)sizeof(struct iob_map_op);
}

uint32_t unmap_request_bytes(uint32_t count)
{
	return (uint32_t)(sizeof(struct iob_hdr) + sizeof(struct iob_batch_req)) +
	       count * (uint32_t)sizeof(struct iob_unmap_op);
}

uint32_t batch_reply_bytes(uint32_t count)
{
	return (uint32_t)(sizeof(struct iob_hdr) + sizeof(struct iob_batch_rep)) +
	       count * (uint32_t)sizeof(struct iob_result);
}

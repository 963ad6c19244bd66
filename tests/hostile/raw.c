/* SPDX-License-Identifier: MIT */
#include "tests/hostile/raw.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_FDS 253

struct raw_reply raw;
const struct iob_hello_req raw_hello = { .version_min = 1, .version_max = 1, .features = 3 };

static uint32_t last_tag;

/* ---- one message ---- */

int raw_send(int fd, const void *message, size_t bytes, const int *fds, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)message, bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count > 0) {
		struct cmsghdr *c = &control.align;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

bool raw_request(int fd, uint16_t op, const void *body, size_t bytes, const int *fds,
		 unsigned fd_count)
{
	static uint8_t message[2 * IOB_MAX_MSG_BYTES];
	struct iob_hdr hdr = { .size = (uint32_t)(sizeof(hdr) + bytes),
			       .op = op,
			       .tag = ++last_tag };
	int error;

	ck_assert_uint_le(hdr.size, sizeof(message));
	memcpy(message, &hdr, sizeof(hdr));
	if (bytes > 0)
		memcpy(message + sizeof(hdr), body, bytes);
	error = raw_send(fd, message, hdr.size, fds, fd_count);
	ck_assert_msg(error == 0 || error == EAGAIN || error == EPIPE, "sendmsg: %s",
		      strerror(error));
	return error == 0;
}

static void take_fds(struct msghdr *m)
{
	raw.fd_count = 0;
	raw.fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		ck_assert_int_eq(c->cmsg_type, SCM_RIGHTS);
		raw.fd_count += (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(&raw.fd, CMSG_DATA(c), sizeof(int));
	}
	ck_assert_uint_le(raw.fd_count, 1);
}

static void take_refusal(void)
{
	struct iob_error_body e;

	raw.text[0] = '\0';
	raw.step = 0;
	if (raw.hdr.code == IOB_OK || raw.hdr.flags != IOB_MSG_REPLY)
		return;
	ck_assert_uint_ge(raw.bytes, sizeof(e));
	memcpy(&e, raw.body, sizeof(e));
	ck_assert_uint_eq(raw.bytes, sizeof(e) + e.text_bytes);
	ck_assert_uint_le(e.text_bytes, IOB_MAX_TEXT);
	ck_assert_uint_gt(e.text_bytes, 0);
	ck_assert_uint_eq(e.reserved, 0);
	ck_assert_uint_ne(e.step, IOB_STEP_NONE);
	ck_assert_uint_eq(raw.fd_count, 0);
	memcpy(raw.text, raw.body + sizeof(e), e.text_bytes);
	raw.text[e.text_bytes] = '\0';
	raw.step = e.step;
}

bool raw_receive(int fd)
{
	static uint8_t message[IOB_MAX_MSG_BYTES];
	char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov = { message, sizeof(message) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	ck_assert_msg(poll(&p, 1, (int)(20000 * patience())) == 1, "the broker does not answer");
	n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == ECONNRESET) /* told once, before what is still in the queue */
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return false;
	ck_assert_uint_eq(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	ck_assert_uint_ge((size_t)n, sizeof(raw.hdr));
	memcpy(&raw.hdr, message, sizeof(raw.hdr));
	ck_assert_uint_eq(raw.hdr.size, (size_t)n);
	raw.bytes = (size_t)n - sizeof(raw.hdr);
	memcpy(raw.body, message + sizeof(raw.hdr), raw.bytes);
	take_fds(&m);
	take_refusal();
	return true;
}

uint32_t raw_code(int fd)
{
	do
		ck_assert_msg(raw_receive(fd), "the broker closed the handle");
	while (raw.hdr.flags == IOB_MSG_EVENT);
	ck_assert_uint_eq(raw.hdr.flags, IOB_MSG_REPLY);
	return raw.hdr.code;
}

uint32_t raw_ask_fds(int fd, uint16_t op, const void *body, size_t bytes, const int *fds,
		     unsigned fd_count)
{
	uint32_t code;

	ck_assert(raw_request(fd, op, body, bytes, fds, fd_count));
	code = raw_code(fd);
	ck_assert_uint_eq(raw.hdr.op, op);
	ck_assert_uint_eq(raw.hdr.tag, last_tag);
	return code;
}

uint32_t raw_ask(int fd, uint16_t op, const void *body, size_t bytes)
{
	return raw_ask_fds(fd, op, body, bytes, NULL, 0);
}

bool raw_is_closed(int fd)
{
	while (raw_receive(fd))
		;
	return true;
}

/* ---- connections and handles ---- */

int raw_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(a.sun_path, broker_socket(), sizeof(a.sun_path) - 1);
	ck_assert_msg(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect: %s",
		      strerror(errno));
	return fd;
}

/* A monitor that is killed between accept() and INIT hangs up on the client. */
static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	return broker_is_shaken() && poll(&p, 1, (int)(20000 * patience())) == 1 &&
	       recv(fd, &byte, 1, MSG_PEEK) <= 0;
}

int raw_connected(void)
{
	int fd = raw_connect();

	while (!raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0) ||
	       hung_up(fd)) {
		close(fd);
		fd = raw_connect();
	}
	raw_ok(raw_code(fd));
	return fd;
}

struct raw_handles raw_handles;

void raw_open_all(void)
{
	const struct iob_domain_create_req create = { .max_bytes = 64 * MIB, .max_mappings = 8192 };
	const struct iob_memory_add_req add = { .access = IOB_READ | IOB_WRITE };
	struct memory m = memory_make(PAGE, SEALED);
	struct {
		struct iob_batch_req batch;
		struct iob_map_op op;
	} map = { { 1, sizeof(map.op) }, map_at(RAW_IOVA, &m, 0, PAGE, IOB_READ | IOB_WRITE) };
	struct iob_device_open_req open = { 0 };

	strncpy(open.name, device_name(EDU_1), sizeof(open.name) - 1);
	raw_handles.conn = raw_connected();
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_DOMAIN_CREATE, &create, sizeof(create)));
	raw_handles.domain = raw.fd;
	raw_ok(raw_ask_fds(raw_handles.domain, IOB_OP_MEMORY_ADD, &add, sizeof(add), &m.fd, 1));
	map.op.memory = 1;
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_MAP, &map, sizeof(map)));
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_DEVICE_OPEN, &open, sizeof(open)));
	raw_handles.device = raw.fd;
}

int raw_handle_for(uint32_t kind)
{
	switch (kind) {
	case IOB_KIND_DOMAIN:
		return raw_handles.domain;
	case IOB_KIND_DEVICE:
		return raw_handles.device;
	default:
		return raw_handles.conn;
	}
}

#define CONN   IOB_KIND_CONNECTION
#define DOMAIN IOB_KIND_DOMAIN
#define DEVICE IOB_KIND_DEVICE

const struct raw_operation raw_operations[] = {
	{ IOB_OP_HELLO, 0, sizeof(struct iob_hello_req), 0, false },
	{ IOB_OP_DEVICE_LIST, CONN, sizeof(struct iob_list_req), 0, false },
	{ IOB_OP_DOMAIN_CREATE, CONN, sizeof(struct iob_domain_create_req), 0, false },
	{ IOB_OP_DEVICE_OPEN, CONN, sizeof(struct iob_device_open_req), 0, false },
	{ IOB_OP_DOMAIN_LIST, CONN, sizeof(struct iob_list_req), 0, false },
	{ IOB_OP_DOMAIN_OPEN, CONN, sizeof(struct iob_domain_open_req), 0, false },
	{ IOB_OP_STATUS, CONN, 0, 0, false },
	{ IOB_OP_DRIVER_LIST, CONN, sizeof(struct iob_driver_list_req), 0, false },
	{ IOB_OP_DRIVER_SET, CONN, sizeof(struct iob_driver_set_req), 0, false },
	{ IOB_OP_DOMAIN_INFO, DOMAIN, 0, 0, false },
	{ IOB_OP_MEMORY_ADD, DOMAIN, sizeof(struct iob_memory_add_req), 1, false },
	{ IOB_OP_MEMORY_DROP, DOMAIN, sizeof(struct iob_memory_drop_req), 0, false },
	{ IOB_OP_MAP, DOMAIN, sizeof(struct iob_batch_req), 0, true },
	{ IOB_OP_UNMAP, DOMAIN, sizeof(struct iob_batch_req), 0, true },
	{ IOB_OP_MAP_LIST, DOMAIN, sizeof(struct iob_map_list_req), 0, false },
	{ IOB_OP_DOMAIN_BIND, DOMAIN, 0, 1, false },
	{ IOB_OP_GRANT, DOMAIN, sizeof(struct iob_grant_req), 0, false },
	{ IOB_OP_REVOKE, DOMAIN, sizeof(struct iob_revoke_req), 0, false },
	{ IOB_OP_DEVICE_INFO, DEVICE, 0, 0, false },
	{ IOB_OP_REGION_INFO, DEVICE, sizeof(struct iob_index_req), 0, false },
	{ IOB_OP_IRQ_INFO, DEVICE, sizeof(struct iob_index_req), 0, false },
	{ IOB_OP_DEVICE_BIND, DEVICE, 0, 1, false },
	{ IOB_OP_REGION_READ, DEVICE, sizeof(struct iob_region_req), 0, false },
	{ IOB_OP_REGION_WRITE, DEVICE, sizeof(struct iob_region_req), 0, true },
	{ IOB_OP_SET_IRQ, DEVICE, sizeof(struct iob_set_irq_req), 0, false },
	{ IOB_OP_DEVICE_RESET, DEVICE, 0, 0, false },
	{ IOB_OP_DEVICE_FD, DEVICE, 0, 0, false },
	{ IOB_OP_DEVICE_UNBIND, DEVICE, 0, 0, false },
	/* last: it undoes what the others may look at */
	{ IOB_OP_UNMAP_ALL, DOMAIN, 0, 0, false },
};
const size_t raw_operation_count = COUNT(raw_operations);

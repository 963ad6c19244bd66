/* SPDX-License-Identifier: MIT */
/*
 * The library against brokers of every bad kind: a thread plays the broker on the other end of a
 * socket pair. Assertions are made in the main thread only; the broker notes what it disliked.
 * Every test ends with as many open descriptors as it began with.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "iommubroker.h"

Suite *test_client_suite(void);

#define MAX_FDS 253
#define REPLY	IOB_MSG_REPLY
#define EVENT	IOB_MSG_EVENT

/* ---- the broker ---- */

struct broker {
	int sock;  /* its end */
	int other; /* the library's end, until it is taken */
	pthread_t thread;
	bool threaded;
	void (*serve)(struct broker *b);
	const void *arg;
	const char *bad; /* first thing that was not as expected */
	/* last request */
	struct iob_hdr hdr;
	char body[IOB_MAX_MSG_BYTES];
	size_t body_bytes;
	int fds[MAX_FDS];
	int fd_count;
};

static struct broker broker;
static int fds_at_start;

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void disliked(struct broker *b, const char *what)
{
	if (!b->bad)
		b->bad = what;
}

static void put_raw(int sock, const void *data, size_t bytes, const int *fds, int fd_count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd_count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * (size_t)fd_count);
	}
	sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void put(struct broker *b, struct iob_hdr hdr, const void *body, size_t bytes,
		const int *fds, int fd_count)
{
	char *message = malloc(sizeof(hdr) + bytes);

	if (hdr.size == 0)
		hdr.size = (uint32_t)(sizeof(hdr) + bytes);
	memcpy(message, &hdr, sizeof(hdr));
	if (bytes > 0)
		memcpy(message + sizeof(hdr), body, bytes);
	put_raw(b->sock, message, sizeof(hdr) + bytes, fds, fd_count);
	free(message);
}

/* Answer the request read last. */
static void answer(struct broker *b, const void *body, size_t bytes, const int *fds, int fd_count)
{
	put(b, (struct iob_hdr){ .op = b->hdr.op, .flags = REPLY, .tag = b->hdr.tag }, body, bytes,
	    fds, fd_count);
}

static void refuse(struct broker *b, uint32_t code, const char *text)
{
	struct {
		struct iob_error_body error;
		char text[IOB_MAX_TEXT];
	} body = { .error = { .step = IOB_STEP_MAP, .sys_errno = ENOSPC } };

	body.error.text_bytes = (uint32_t)strlen(text);
	memcpy(body.text, text, strlen(text));
	put(b, (struct iob_hdr){ .op = b->hdr.op, .flags = REPLY, .tag = b->hdr.tag, .code = code },
	    &body, sizeof(body.error) + strlen(text), NULL, 0);
}

static void announce(struct broker *b, uint16_t type, uint32_t domain_id)
{
	struct iob_ev_device body = { .domain_id = domain_id, .reason = IOB_UNBOUND_REQUEST };

	put(b, (struct iob_hdr){ .op = type, .flags = EVENT }, &body, sizeof(body), NULL, 0);
}

static void close_fds(struct broker *b)
{
	for (int i = 0; i < b->fd_count; i++)
		close(b->fds[i]);
	b->fd_count = 0;
}

/* Read one request; false when the library hung up. */
static bool get(struct broker *b, uint16_t op, size_t body_bytes, int fd_count)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec parts[2] = { { .iov_base = &b->hdr, .iov_len = sizeof(b->hdr) },
				  { .iov_base = b->body, .iov_len = sizeof(b->body) } };
	struct msghdr msg = { .msg_iov = parts,
			      .msg_iovlen = 2,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	ssize_t n;

	close_fds(b);
	n = recvmsg(b->sock, &msg, MSG_CMSG_CLOEXEC);
	if (n <= 0) {
		disliked(b, "no request came");
		return false;
	}
	c = CMSG_FIRSTHDR(&msg);
	if (c) {
		b->fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(b->fds, CMSG_DATA(c), sizeof(int) * (size_t)b->fd_count);
	}
	b->body_bytes = (size_t)n - sizeof(b->hdr);
	if (b->hdr.size != (size_t)n || b->hdr.flags != 0 || b->hdr.tag == 0 || b->hdr.code != 0)
		disliked(b, "a header is wrong");
	if (b->hdr.op != op)
		disliked(b, "another operation came");
	if (b->body_bytes != body_bytes)
		disliked(b, "a body has another length");
	if (b->fd_count != fd_count)
		disliked(b, "another number of descriptors came");
	return true;
}

static void hello(struct broker *b, uint32_t kind)
{
	const struct iob_hello_rep rep = {
		.version = 1,
		.kind = kind,
		.features = IOB_FEATURE_GRANT,
		.backend = IOB_BACKEND_SIM,
		.max_msg_bytes = IOB_MAX_MSG_BYTES,
		.max_batch = IOB_MAX_BATCH,
	};

	if (get(b, IOB_OP_HELLO, sizeof(struct iob_hello_req), 0))
		answer(b, &rep, sizeof(rep), NULL, 0);
}

static void hang_up(struct broker *b)
{
	close(b->sock);
	b->sock = -1;
}

static void *broker_main(void *arg)
{
	struct broker *b = arg;

	b->serve(b);
	return NULL;
}

static void broker_pair(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	broker.sock = pair[0];
	broker.other = pair[1];
}

static void broker_start(void (*serve)(struct broker *b), const void *arg)
{
	if (broker.sock < 0)
		broker_pair();
	broker.serve = serve;
	broker.arg = arg;
	ck_assert_int_eq(pthread_create(&broker.thread, NULL, broker_main, &broker), 0);
	broker.threaded = true;
}

/* Wait until the broker has done its part, and see whether it liked ours. */
static void broker_finish(void)
{
	if (broker.threaded)
		pthread_join(broker.thread, NULL);
	broker.threaded = false;
	close_fds(&broker);
	if (broker.sock >= 0)
		close(broker.sock);
	broker.sock = -1;
	ck_assert_msg(!broker.bad, "broker: %s", broker.bad);
}

static void setup(void)
{
	memset(&broker, 0, sizeof(broker));
	broker.sock = -1;
	broker.other = -1;
	fds_at_start = count_fds();
}

static void teardown(void)
{
	broker_finish();
	ck_assert_int_eq(count_fds(), fds_at_start);
}

static iob_conn *start_conn(void (*serve)(struct broker *b), const void *arg)
{
	iob_conn *conn = NULL;

	broker_start(serve, arg);
	ck_assert_int_eq(iob_connect_fd(broker.other, &conn), IOB_OK);
	return conn;
}

static iob_domain *start_domain(void (*serve)(struct broker *b), const void *arg)
{
	iob_domain *domain = NULL;

	broker_start(serve, arg);
	ck_assert_int_eq(iob_domain_from_fd(broker.other, &domain), IOB_OK);
	return domain;
}

static iob_device *start_device(void (*serve)(struct broker *b), const void *arg)
{
	iob_device *device = NULL;

	broker_start(serve, arg);
	ck_assert_int_eq(iob_device_from_fd(broker.other, &device), IOB_OK);
	return device;
}

static void expect_error(int got, int code, int step, int sys_errno)
{
	ck_assert_msg(got == code, "code %d (%s), not %d", got, iob_error()->text, code);
	ck_assert_int_eq(iob_error()->code, code);
	ck_assert_int_eq(iob_error()->step, step);
	ck_assert_int_eq(iob_error()->sys_errno, sys_errno);
	ck_assert_uint_gt(strlen(iob_error()->text), 0);
}

/* ---- connecting ---- */

static void serve_hello_only(struct broker *b)
{
	const struct iob_hello_req *req = (const void *)b->body;

	hello(b, IOB_KIND_CONNECTION);
	if (req->version_min != 1 || req->version_max != 1)
		disliked(b, "versions");
}

START_TEST(connect_tells_the_broker)
{
	iob_conn *conn = start_conn(serve_hello_only, NULL);

	ck_assert_uint_eq(iob_conn_hello(conn)->backend, IOB_BACKEND_SIM);
	ck_assert_uint_eq(iob_conn_hello(conn)->features, IOB_FEATURE_GRANT);
	ck_assert_int_eq(iob_conn_fd(conn), broker.other);
	iob_conn_close(conn);
}
END_TEST

static void put_denial(struct broker *b)
{
	b->hdr = (struct iob_hdr){ .op = IOB_OP_HELLO };
	refuse(b, IOB_E_DENIED, "nothing for you");
}

START_TEST(denied_before_hello_is_sent)
{
	iob_conn *conn = NULL;

	broker_pair();
	put_denial(&broker);
	hang_up(&broker);
	expect_error(iob_connect_fd(broker.other, &conn), IOB_E_DENIED, IOB_STEP_MAP, ENOSPC);
	ck_assert_str_eq(iob_error()->text, "nothing for you");
	ck_assert_ptr_null(conn);
	ck_assert_int_eq(close(broker.other), 0); /* stayed ours */
}
END_TEST

/* The broker closes with HELLO unread: the kernel reports ECONNRESET before the denial. */
static void serve_denial_without_reading(struct broker *b)
{
	struct pollfd p = { .fd = b->sock, .events = POLLIN };

	put_denial(b);
	poll(&p, 1, -1);
	hang_up(b);
}

static void serve_reset(struct broker *b)
{
	struct pollfd p = { .fd = b->sock, .events = POLLIN };

	poll(&p, 1, -1);
	put_denial(b);
	hang_up(b);
}

START_TEST(denied_while_hello_is_unread)
{
	iob_conn *conn;

	broker_start(_i == 0 ? serve_denial_without_reading : serve_reset, NULL);
	expect_error(iob_connect_fd(broker.other, &conn), IOB_E_DENIED, IOB_STEP_MAP, ENOSPC);
	close(broker.other);
}
END_TEST

START_TEST(hung_up_without_a_word)
{
	iob_conn *conn;

	broker_pair();
	hang_up(&broker);
	expect_error(iob_connect_fd(broker.other, &conn), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	close(broker.other);
}
END_TEST

static void serve_hello_tag_0(struct broker *b)
{
	const struct iob_hello_rep rep = { .version = 1, .kind = IOB_KIND_CONNECTION };

	get(b, IOB_OP_HELLO, sizeof(struct iob_hello_req), 0);
	b->hdr.tag = 0;
	answer(b, &rep, sizeof(rep), NULL, 0);
}

START_TEST(success_must_carry_the_tag)
{
	iob_conn *conn;

	broker_start(serve_hello_tag_0, NULL);
	expect_error(iob_connect_fd(broker.other, &conn), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0);
	close(broker.other);
}
END_TEST

static void serve_version_2(struct broker *b)
{
	const struct iob_hello_rep rep = { .version = 2, .kind = IOB_KIND_CONNECTION };

	get(b, IOB_OP_HELLO, sizeof(struct iob_hello_req), 0);
	answer(b, &rep, sizeof(rep), NULL, 0);
}

START_TEST(version_not_asked_for)
{
	iob_conn *conn;

	broker_start(serve_version_2, NULL);
	expect_error(iob_connect_fd(broker.other, &conn), IOB_E_VERSION, IOB_STEP_HELLO, 0);
	close(broker.other);
}
END_TEST

static void serve_device_hello(struct broker *b)
{
	announce(b, IOB_EV_DEVICE_BOUND, 7); /* events may come before anything else */
	hello(b, IOB_KIND_DEVICE);
	hello(b, IOB_KIND_DEVICE);
}

START_TEST(kind_is_checked_and_fd_stays)
{
	iob_domain *domain;
	iob_device *device;

	broker_start(serve_device_hello, NULL);
	expect_error(iob_domain_from_fd(broker.other, &domain), IOB_E_WRONG_KIND, IOB_STEP_HANDLE,
		     0);
	ck_assert_int_eq(iob_device_from_fd(broker.other, &device), IOB_OK);
	iob_device_close(device);
}
END_TEST

START_TEST(other_descriptors_are_refused)
{
	iob_conn *conn;
	iob_domain *domain;
	int pair[2];
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	expect_error(iob_connect_fd(pair[0], &conn), IOB_E_ARGUMENT, IOB_STEP_NONE, 0);
	expect_error(iob_domain_from_fd(file, &domain), IOB_E_ARGUMENT, IOB_STEP_NONE, 0);
	expect_error(iob_connect_fd(-1, &conn), IOB_E_ARGUMENT, IOB_STEP_NONE, 0);
	close(pair[0]);
	close(pair[1]);
	close(file);
}
END_TEST

static void serve_accept(struct broker *b)
{
	int listener = b->sock;

	b->sock = accept(listener, NULL, NULL);
	close(listener);
	hello(b, IOB_KIND_CONNECTION);
}

START_TEST(connect_by_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char directory[] = "/tmp/iob-test-XXXXXX";
	char too_long[200];
	iob_conn *conn;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	expect_error(iob_connect(address.sun_path, &conn), IOB_E_CONNECT, IOB_STEP_CONNECT, ENOENT);
	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	expect_error(iob_connect(too_long, &conn), IOB_E_ARGUMENT, IOB_STEP_NONE, 0);

	broker.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(broker.sock, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(broker.sock, 1), 0);
	setenv("IOMMU_BROKER_SOCKET", address.sun_path, 1);
	broker_start(serve_accept, NULL);
	ck_assert_int_eq(iob_connect(NULL, &conn), IOB_OK);
	ck_assert_int_ne(fcntl(iob_conn_fd(conn), F_GETFD) & FD_CLOEXEC, 0);
	iob_conn_close(conn);
	unsetenv("IOMMU_BROKER_SOCKET");
	unlink(address.sun_path);
	rmdir(directory);
}
END_TEST

/* ---- replies that break the rules; all in answer to STATUS ---- */

struct wrong {
	const char *what;
	uint32_t size; /* in the header; 0: as it is */
	int op_off;
	int tag_off;
	uint16_t flags;
	uint32_t code;
	size_t body_bytes;
	int fds;
	uint32_t text_bytes;
};

#define GOOD  sizeof(struct iob_status_rep)
#define ERROR sizeof(struct iob_error_body)

static const struct wrong wrongs[] = {
	{ .what = "size too small", .size = 79, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "size too large", .size = 81, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "size 2^32 - 1", .size = UINT32_MAX, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "wrong op", .op_off = 1, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "wrong tag", .tag_off = 1, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "older tag", .tag_off = -1, .flags = REPLY, .body_bytes = GOOD },
	{ .what = "no flags", .body_bytes = GOOD },
	{ .what = "unknown flag", .flags = REPLY | 0x8000, .body_bytes = GOOD },
	{ .what = "reply and event", .flags = REPLY | EVENT, .body_bytes = GOOD },
	{ .what = "body short by one", .flags = REPLY, .body_bytes = GOOD - 1 },
	{ .what = "no body", .flags = REPLY, .body_bytes = 0 },
	{ .what = "a descriptor", .flags = REPLY, .body_bytes = GOOD, .fds = 1 },
	{ .what = "many descriptors", .flags = REPLY, .body_bytes = GOOD, .fds = MAX_FDS },
	{ .what = "error without body", .flags = REPLY, .code = IOB_E_BUSY },
	{ .what = "error short by one",
	  .flags = REPLY,
	  .code = IOB_E_BUSY,
	  .body_bytes = ERROR - 1 },
	{ .what = "error text not there",
	  .flags = REPLY,
	  .code = IOB_E_BUSY,
	  .body_bytes = ERROR + 4,
	  .text_bytes = 5 },
	{ .what = "error text too long",
	  .flags = REPLY,
	  .code = IOB_E_BUSY,
	  .body_bytes = ERROR + 241,
	  .text_bytes = 241 },
	{ .what = "error text of 2^32 - 1",
	  .flags = REPLY,
	  .code = IOB_E_BUSY,
	  .body_bytes = ERROR + 9,
	  .text_bytes = UINT32_MAX },
	{ .what = "error with a descriptor",
	  .flags = REPLY,
	  .code = IOB_E_BUSY,
	  .body_bytes = ERROR,
	  .fds = 1 },
	{ .what = "code of the library",
	  .flags = REPLY,
	  .code = IOB_E_CONNECT,
	  .body_bytes = ERROR },
	{ .what = "code 2^32 - 1", .flags = REPLY, .code = UINT32_MAX, .body_bytes = ERROR },
	{ .what = "event with a tag", .flags = EVENT, .body_bytes = GOOD },
	{ .what = "message too long",
	  .flags = REPLY,
	  .body_bytes = IOB_MAX_MSG_BYTES - sizeof(struct iob_hdr) + 1 },
};

static void serve_wrong(struct broker *b)
{
	const struct wrong *w = b->arg;
	struct iob_hdr hdr = { .size = w->size, .flags = w->flags, .code = w->code };
	char *body = calloc(1, IOB_MAX_MSG_BYTES);
	struct iob_error_body *error = (void *)body;
	int fds[MAX_FDS];

	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = b->sock;
	error->text_bytes = w->text_bytes;
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	hdr.op = (uint16_t)(b->hdr.op + w->op_off);
	hdr.tag = b->hdr.tag + (uint32_t)w->tag_off;
	put(b, hdr, body, w->body_bytes, fds, w->fds);
	free(body);
	if (recv(b->sock, b->body, 1, 0) != 0)
		disliked(b, "a broken handle was used again");
}

static void expect_broken(iob_conn *conn, const char *what)
{
	struct iob_status_rep status;
	struct iob_event event;

	memset(&status, 0x5a, sizeof(status));
	ck_assert_msg(iob_status(conn, &status) == IOB_E_PROTOCOL, "%s: %s", what,
		      iob_error()->text);
	ck_assert_int_eq(iob_error()->step, IOB_STEP_TRANSPORT);
	ck_assert_uint_eq(status.sessions, 0x5a5a5a5a);
	expect_error(iob_status(conn, &status), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	expect_error(iob_conn_next_event(conn, &event), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	iob_conn_close(conn);
}

START_TEST(wrong_reply_breaks_the_handle)
{
	expect_broken(start_conn(serve_wrong, &wrongs[_i]), wrongs[_i].what);
}
END_TEST

static void serve_short_header(struct broker *b)
{
	const uint32_t size = 15;
	char message[15] = { 0 };

	memcpy(message, &size, sizeof(size));
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	put_raw(b->sock, message, sizeof(message), NULL, 0);
}

START_TEST(half_a_header_breaks_the_handle)
{
	expect_broken(start_conn(serve_short_header, NULL), "15 bytes");
}
END_TEST

static void serve_bad_event(struct broker *b)
{
	struct iob_hdr hdr = { .op = IOB_EV_DEVICE_BOUND, .flags = EVENT };
	const char body[8] = { 0 };
	int kind = *(const int *)b->arg;

	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	hdr.code = kind == 0 ? IOB_E_BUSY : 0;
	put(b, hdr, body, kind == 1 ? 7 : 8, &b->sock, kind == 2 ? 1 : 0);
}

START_TEST(bad_event_breaks_the_handle)
{
	expect_broken(start_conn(serve_bad_event, &_i), "bad event");
}
END_TEST

static void serve_long_status(struct broker *b)
{
	size_t bytes = *(const size_t *)b->arg;
	char *body = malloc(bytes);

	memset(body, 'A', bytes); /* also: no string in it has an end */
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	answer(b, body, bytes, NULL, 0);
	free(body);
}

START_TEST(longer_replies_are_taken)
{
	static const size_t bytes[] = { 64, 65, 500, IOB_MAX_MSG_BYTES - sizeof(struct iob_hdr) };
	struct iob_status_rep status;
	iob_conn *conn = start_conn(serve_long_status, &bytes[_i]);

	ck_assert_int_eq(iob_status(conn, &status), IOB_OK);
	ck_assert_uint_eq(status.sessions, 0x41414141);
	ck_assert_uint_eq(strlen(status.version), IOB_NAME_BYTES - 1);
	iob_conn_close(conn);
}
END_TEST

static void serve_refusals(struct broker *b)
{
	char text[IOB_MAX_TEXT + 1];

	memset(text, 'x', sizeof(text));
	text[IOB_MAX_TEXT] = '\0';
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	refuse(b, 999, "red \033[31m\n\xff alert");
	get(b, IOB_OP_STATUS, 0, 0);
	refuse(b, IOB_E_BUSY, "");
	get(b, IOB_OP_STATUS, 0, 0);
	refuse(b, IOB_E_BUSY, text);
	get(b, IOB_OP_STATUS, 0, 0);
	answer(b, text, sizeof(struct iob_status_rep), NULL, 0);
}

START_TEST(refusals_are_told_and_harmless)
{
	struct iob_status_rep status;
	iob_conn *conn = start_conn(serve_refusals, NULL);

	expect_error(iob_status(conn, &status), 999, IOB_STEP_MAP, ENOSPC);
	ck_assert_str_eq(iob_error()->text, "red ?[31m?? alert");
	expect_error(iob_status(conn, &status), IOB_E_BUSY, IOB_STEP_MAP, ENOSPC);
	ck_assert_str_eq(iob_error()->text, iob_strcode(IOB_E_BUSY));
	expect_error(iob_status(conn, &status), IOB_E_BUSY, IOB_STEP_MAP, ENOSPC);
	ck_assert_uint_eq(strlen(iob_error()->text), IOB_MAX_TEXT);
	ck_assert_int_eq(iob_status(conn, &status), IOB_OK);
	ck_assert_int_eq(iob_error()->code, IOB_E_BUSY); /* success leaves it alone */
	iob_conn_close(conn);
}
END_TEST

static void serve_eof(struct broker *b)
{
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_STATUS, 0, 0);
	announce(b, IOB_EV_DEVICE_BOUND, 3);
	hang_up(b);
}

START_TEST(eof_instead_of_a_reply)
{
	struct iob_status_rep status;
	struct iob_event event;
	iob_conn *conn = start_conn(serve_eof, NULL);

	expect_error(iob_status(conn, &status), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	expect_error(iob_status(conn, &status), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	ck_assert_int_eq(iob_conn_next_event(conn, &event), IOB_OK);
	ck_assert_uint_eq(event.domain_id, 3);
	expect_error(iob_conn_next_event(conn, &event), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	iob_conn_close(conn);
}
END_TEST

/* ---- events ---- */

static void serve_events(struct broker *b)
{
	uint32_t count = *(const uint32_t *)b->arg;

	hello(b, IOB_KIND_DEVICE);
	get(b, IOB_OP_DEVICE_RESET, 0, 0);
	for (uint32_t i = 0; i < count; i++)
		announce(b, IOB_EV_DEVICE_UNBOUND, i);
	announce(b, 0x03ff, 0); /* of a newer broker */
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_DEVICE_UNBIND, 0, 0);
	answer(b, NULL, 0, NULL, 0);
	announce(b, IOB_EV_DEVICE_BOUND, 1000);
}

static void expect_event(iob_device *device, uint32_t type, uint32_t domain_id, uint32_t lost)
{
	struct iob_event event;

	ck_assert_int_eq(iob_device_next_event(device, &event), IOB_OK);
	ck_assert_uint_eq(event.type, type);
	ck_assert_uint_eq(event.domain_id, domain_id);
	ck_assert_uint_eq(event.lost, lost);
}

START_TEST(events_between_wait_in_order)
{
	static const uint32_t counts[] = { 3, 16, 17, 40 };
	uint32_t count = counts[_i];
	uint32_t lost = count > 16 ? count - 16 : 0;
	iob_device *device = start_device(serve_events, &count);

	expect_event(device, 0, 0, 0);
	ck_assert_int_eq(iob_device_reset(device), IOB_OK);
	for (uint32_t i = lost; i < count; i++)
		expect_event(device, IOB_EV_DEVICE_UNBOUND, i, i == lost ? lost : 0);
	expect_event(device, 0, 0, 0);
	ck_assert_int_eq(iob_device_unbind(device), IOB_OK);
	broker_finish();
	expect_event(device, IOB_EV_DEVICE_BOUND, 1000, 0);
	iob_device_close(device);
}
END_TEST

static void serve_stray_reply(struct broker *b)
{
	hello(b, IOB_KIND_DEVICE);
	answer(b, NULL, 0, NULL, 0);
}

START_TEST(reply_to_nothing_breaks_the_handle)
{
	struct iob_event event;
	iob_device *device = start_device(serve_stray_reply, NULL);

	broker_finish();
	expect_error(iob_device_next_event(device, &event), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0);
	expect_error(iob_device_reset(device), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	iob_device_close(device);
}
END_TEST

/* ---- descriptors in replies ---- */

static void serve_create(struct broker *b)
{
	const struct iob_domain_create_rep rep = { .max_bytes = 1 << 20, .domain_id = 5 };
	int count = *(const int *)b->arg;
	int pair[2];
	int fds[MAX_FDS];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		disliked(b, "socketpair");
	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = pair[1];
	hello(b, IOB_KIND_CONNECTION);
	if (get(b, IOB_OP_DOMAIN_CREATE, sizeof(struct iob_domain_create_req), 0))
		answer(b, &rep, sizeof(rep), fds, count);
	close(pair[0]);
	close(pair[1]);
}

START_TEST(wrong_number_of_descriptors)
{
	static const int counts[] = { 0, 2, 3, 9, 40, 100, MAX_FDS };
	iob_domain *domain = NULL;
	iob_conn *conn = start_conn(serve_create, &counts[_i]);

	expect_error(iob_domain_create(conn, 0, 0, &domain, NULL), IOB_E_PROTOCOL,
		     IOB_STEP_TRANSPORT, 0);
	ck_assert_ptr_null(domain);
	iob_conn_close(conn);
}
END_TEST

START_TEST(domain_comes_close_on_exec)
{
	static const int one = 1;
	struct iob_domain_create_rep rep;
	iob_domain *domain = NULL;
	iob_conn *conn = start_conn(serve_create, &one);

	ck_assert_int_eq(iob_domain_create(conn, 0, 0, &domain, &rep), IOB_OK);
	ck_assert_uint_eq(rep.domain_id, 5);
	ck_assert_int_ne(fcntl(iob_domain_fd(domain), F_GETFD) & FD_CLOEXEC, 0);
	iob_domain_close(domain);
	iob_conn_close(conn);
}
END_TEST

static void serve_file_for_handle(struct broker *b)
{
	const char body[sizeof(struct iob_device_rec)] = { 0 };
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_DEVICE_OPEN, sizeof(struct iob_device_open_req), 0);
	answer(b, body, sizeof(body), &file, 1);
	close(file);
}

START_TEST(handle_must_be_a_socket)
{
	iob_device *device = NULL;
	iob_conn *conn = start_conn(serve_file_for_handle, NULL);

	expect_error(iob_device_open(conn, "0000:00:03.0", 0, &device, NULL), IOB_E_PROTOCOL,
		     IOB_STEP_TRANSPORT, 0);
	ck_assert_ptr_null(device);
	iob_conn_close(conn);
}
END_TEST

#ifndef IOB_INSTRUMENTED
static void serve_then_status(struct broker *b)
{
	const char body[sizeof(struct iob_status_rep)] = { 0 };
	const struct iob_domain_create_rep rep = { .domain_id = 5 };

	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_DOMAIN_CREATE, sizeof(struct iob_domain_create_req), 0);
	answer(b, &rep, sizeof(rep), &b->sock, 1);
	get(b, IOB_OP_STATUS, 0, 0);
	answer(b, body, sizeof(body), NULL, 0);
}

START_TEST(descriptor_lost_for_want_of_room)
{
	struct rlimit before;
	struct rlimit tight;
	struct iob_status_rep status;
	iob_domain *domain = NULL;
	iob_conn *conn = start_conn(serve_then_status, NULL);
	int lowest = dup(iob_conn_fd(conn));

	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)lowest;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	expect_error(iob_domain_create(conn, 0, 0, &domain, NULL), IOB_E_SYSTEM, IOB_STEP_TRANSPORT,
		     EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_ptr_null(domain);
	ck_assert_int_eq(iob_status(conn, &status), IOB_OK); /* the channel is in step */
	iob_conn_close(conn);
}
END_TEST
#endif

/* ---- lists ---- */

struct page {
	struct iob_list_rep rep;
	size_t records_bytes; /* sent behind rep */
	int code;	      /* what the library is to make of it */
};

static void put_page(struct broker *b, const struct page *page)
{
	size_t bytes = sizeof(page->rep) + page->records_bytes;
	char *body = malloc(bytes);

	memset(body, 'B', bytes);
	memcpy(body, &page->rep, sizeof(page->rep));
	answer(b, body, bytes, NULL, 0);
	free(body);
}

static void serve_page(struct broker *b)
{
	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_DEVICE_LIST, sizeof(struct iob_list_req), 0);
	put_page(b, b->arg);
}

static const struct page pages[] = {
	{ { 0, 80, 0, 0 }, 0, IOB_OK },
	{ { 0, 0, 0, 0 }, 0, IOB_OK },
	{ { 2, 80, 0, 0 }, 160, IOB_OK },
	{ { 32, 80, 0, 0 }, 32 * 80, IOB_OK },
	{ { 2, 96, 0, 0 }, 192, IOB_OK },	   /* records that grew */
	{ { 32, 2000, 0, 0 }, 32 * 2000, IOB_OK }, /* much */
	{ { 2, 80, 0, 0 }, 159, IOB_E_PROTOCOL },
	{ { 2, 79, 0, 0 }, 160, IOB_E_PROTOCOL },
	{ { 2, 0, 0, 0 }, 160, IOB_E_PROTOCOL },
	{ { 33, 80, 0, 0 }, 33 * 80, IOB_E_PROTOCOL },
	{ { UINT32_MAX, 80, 0, 0 }, 160, IOB_E_PROTOCOL },
	{ { 2, UINT32_MAX, 0, 0 }, 160, IOB_E_PROTOCOL },
	{ { 2, 0x80000000, 0, 0 }, 160, IOB_E_PROTOCOL },
	{ { 0, 80, 1, 0 }, 0, IOB_E_PROTOCOL }, /* empty, and not the last */
};

START_TEST(list_pages)
{
	struct iob_device_rec *list = NULL;
	size_t count = 77;
	iob_conn *conn = start_conn(serve_page, &pages[_i]);

	ck_assert_int_eq(iob_device_list(conn, &list, &count), pages[_i].code);
	if (pages[_i].code == IOB_OK) {
		ck_assert_uint_eq(count, pages[_i].rep.count);
		ck_assert(!list == (count == 0));
		for (size_t i = 0; i < count; i++)
			ck_assert_uint_eq(strlen(list[i].name), IOB_NAME_BYTES - 1);
	} else {
		ck_assert_uint_eq(count, 77);
		ck_assert_ptr_null(list);
	}
	free(list);
	iob_conn_close(conn);
}
END_TEST

static void serve_two_pages(struct broker *b)
{
	const struct iob_list_req *req = (const void *)b->body;
	struct page page = { { 32, 64, 17, 0 }, 32 * 64, IOB_OK };

	hello(b, IOB_KIND_CONNECTION);
	get(b, IOB_OP_DOMAIN_LIST, sizeof(struct iob_list_req), 0);
	if (req->cursor != 0)
		disliked(b, "first cursor");
	put_page(b, &page);
	get(b, IOB_OP_DOMAIN_LIST, sizeof(struct iob_list_req), 0);
	if (req->cursor != 17)
		disliked(b, "second cursor");
	page = (struct page){ { 1, 64, 0, 0 }, 64, IOB_OK };
	put_page(b, &page);
}

START_TEST(list_of_two_pages)
{
	struct iob_domain_rec *list = NULL;
	size_t count = 0;
	iob_conn *conn = start_conn(serve_two_pages, NULL);

	ck_assert_int_eq(iob_domain_list(conn, &list, &count), IOB_OK);
	ck_assert_uint_eq(count, 33);
	ck_assert_uint_eq(strlen(list[32].first_device), IOB_NAME_BYTES - 1);
	free(list);
	iob_conn_close(conn);
}
END_TEST

static void serve_endless_list(struct broker *b)
{
	const struct page page = { { 32, 80, 1, 0 }, 32 * 80, IOB_OK };

	hello(b, IOB_KIND_CONNECTION);
	for (int i = 0; i < 65536 / 32; i++) {
		get(b, IOB_OP_DEVICE_LIST, sizeof(struct iob_list_req), 0);
		put_page(b, &page);
	}
}

START_TEST(list_without_end)
{
	struct iob_device_rec *list = NULL;
	size_t count;
	iob_conn *conn = start_conn(serve_endless_list, NULL);

	expect_error(iob_device_list(conn, &list, &count), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0);
	iob_conn_close(conn);
}
END_TEST

struct map_page {
	uint64_t iovas[3];
	uint32_t count;
	uint32_t more;
	int code;
};

static void serve_map_list(struct broker *b)
{
	const struct map_page *page = b->arg;
	const struct iob_map_list_req *req = (const void *)b->body;
	struct {
		struct iob_map_list_rep rep;
		struct iob_map_rec recs[3];
	} body = { .rep = { .count = page->count, .stride = 32, .more = page->more } };

	for (int i = 0; i < 3; i++)
		body.recs[i].iova = page->iovas[i];
	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_MAP_LIST, sizeof(*req), 0);
	if (req->start != 100 || req->max != 3)
		disliked(b, "start and max");
	answer(b, &body, sizeof(body), NULL, 0);
}

static const struct map_page map_pages[] = {
	{ { 100, 200, 300 }, 3, 0, IOB_OK },
	{ { 100, 200, 300 }, 3, 1, IOB_OK },
	{ { 0, 0, 0 }, 0, 0, IOB_OK },
	{ { 99, 200, 300 }, 3, 0, IOB_E_PROTOCOL },
	{ { 100, 100, 300 }, 3, 0, IOB_E_PROTOCOL },
	{ { 100, 200, 150 }, 3, 0, IOB_E_PROTOCOL },
	{ { 100, 200, 300 }, 4, 0, IOB_E_PROTOCOL },
	{ { 0, 0, 0 }, 0, 1, IOB_E_PROTOCOL },
};

START_TEST(map_list_pages)
{
	const struct map_page *page = &map_pages[_i];
	struct iob_map_rec list[3];
	uint32_t count = 77;
	int more = 77;
	iob_domain *domain = start_domain(serve_map_list, page);

	ck_assert_int_eq(iob_map_list(domain, 100, list, 3, &count, &more), page->code);
	ck_assert_uint_eq(count, page->code == IOB_OK ? page->count : 77);
	ck_assert_int_eq(more, page->code == IOB_OK ? (int)page->more : 77);
	iob_domain_close(domain);
}
END_TEST

/* ---- domain ---- */

static void serve_info(struct broker *b)
{
	const struct wrong *w = b->arg;
	struct {
		struct iob_domain_info_rep rep;
		struct iob_range ranges[IOB_MAX_RANGES + 1];
	} body = { .rep = { .domain_id = 4, .range_count = w->size } };

	for (uint32_t i = 0; i <= IOB_MAX_RANGES; i++)
		body.ranges[i] = (struct iob_range){ .first = i, .last = i };
	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_DOMAIN_INFO, 0, 0);
	answer(b, &body, sizeof(body.rep) + w->body_bytes, NULL, 0);
}

START_TEST(info_counts_ranges)
{
	static const struct wrong cases[] = {
		{ .size = 3, .body_bytes = 48, .code = IOB_OK },
		{ .size = 64, .body_bytes = 1024, .code = IOB_OK },
		{ .size = 0, .body_bytes = 0, .code = IOB_OK },
		{ .size = 3, .body_bytes = 47, .code = IOB_E_PROTOCOL },
		{ .size = 65, .body_bytes = 1040, .code = IOB_E_PROTOCOL },
		{ .size = UINT32_MAX, .body_bytes = 1024, .code = IOB_E_PROTOCOL },
	};
	struct iob_domain_info_rep info;
	struct iob_range ranges[3] = { [2] = { .first = 42 } };
	iob_domain *domain = start_domain(serve_info, &cases[_i]);
	int code = iob_domain_info(domain, &info, ranges, 2);

	ck_assert_int_eq(code, (int)cases[_i].code);
	if (code == IOB_OK) {
		ck_assert_uint_eq(info.range_count, cases[_i].size);
		ck_assert_uint_eq(ranges[1].last, info.range_count > 1 ? 1 : 0);
	}
	ck_assert_uint_eq(ranges[2].first, 42);
	iob_domain_close(domain);
}
END_TEST

static ino_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void serve_domain_calls(struct broker *b)
{
	const struct iob_memory_add_rep memory = { .memory = 9, .page_shift = 12, .bytes = 4096 };
	const struct iob_unmap_all_rep all = { .count = 2, .bytes = 8192 };
	const struct iob_grant_rep grant = { .grant_id = 31 };

	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_MEMORY_ADD, sizeof(struct iob_memory_add_req), 1);
	if (inode(b->fds[0]) != inode(*(const int *)b->arg))
		disliked(b, "another file came");
	answer(b, &memory, sizeof(memory), NULL, 0);
	get(b, IOB_OP_MEMORY_DROP, sizeof(struct iob_memory_drop_req), 0);
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_UNMAP_ALL, 0, 0);
	answer(b, &all, sizeof(all), NULL, 0);
	get(b, IOB_OP_DOMAIN_BIND, 0, 1);
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_GRANT, sizeof(struct iob_grant_req), 0);
	answer(b, &grant, sizeof(grant), &b->sock, 1);
	get(b, IOB_OP_REVOKE, sizeof(struct iob_revoke_req), 0);
	answer(b, NULL, 0, NULL, 0);
}

START_TEST(domain_calls)
{
	int file = memfd_create("test", MFD_CLOEXEC);
	struct iob_grant_req request = { .rights = IOB_RIGHT_MAP, .window_last = UINT64_MAX };
	struct iob_memory_add_rep memory;
	struct iob_unmap_all_rep all;
	iob_domain *grant = NULL;
	uint32_t grant_id;
	iob_domain *domain = start_domain(serve_domain_calls, &file);

	/* What never leaves the process leaves the handle as it was. */
	expect_error(iob_memory_add(domain, -1, IOB_READ, &memory), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_memory_add(domain, 1000000, IOB_READ, &memory), IOB_E_SYSTEM,
		     IOB_STEP_TRANSPORT, EBADF);
	ck_assert_int_eq(iob_memory_add(domain, file, IOB_READ, &memory), IOB_OK);
	ck_assert_uint_eq(memory.memory, 9);
	ck_assert_int_eq(iob_memory_drop(domain, 9), IOB_OK);
	ck_assert_int_eq(iob_unmap_all(domain, &all), IOB_OK);
	ck_assert_uint_eq(all.bytes, 8192);
	ck_assert_int_eq(iob_domain_bind(domain, file), IOB_OK);
	ck_assert_int_eq(iob_domain_grant(domain, &request, &grant, &grant_id), IOB_OK);
	ck_assert_uint_eq(grant_id, 31);
	ck_assert_int_eq(iob_domain_revoke(domain, grant_id), IOB_OK);
	iob_domain_close(grant);
	iob_domain_close(domain);
	close(file);
}
END_TEST

/* ---- batches ---- */

struct batch_case {
	uint32_t count; /* operations, results sent */
	struct iob_batch_rep rep;
	size_t extra; /* bytes behind the results */
	uint32_t codes[4];
	int code;
};

static void serve_batch(struct broker *b)
{
	const struct batch_case *t = b->arg;
	struct iob_batch_req req;
	size_t bytes = sizeof(t->rep) + t->count * sizeof(struct iob_result);
	char *body = calloc(1, bytes + t->extra);

	memcpy(body, &t->rep, sizeof(t->rep));
	memset(body + bytes, 'w', t->extra);
	for (uint32_t i = 0; i < t->count; i++) {
		struct iob_result r = { .iova = 0x100000u + i * 0x1000u };

		r.code = i < 4 ? t->codes[i] : 0;
		r.step = r.code ? IOB_STEP_MAP : 0;
		r.sys_errno = r.code ? EIO : 0;
		memcpy(body + sizeof(t->rep) + i * sizeof(r), &r, sizeof(r));
	}
	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_MAP,
	    sizeof(struct iob_batch_req) + (t->count ? t->count : 1) * sizeof(struct iob_map_op),
	    0);
	memcpy(&req, b->body, sizeof(req));
	if (req.stride != sizeof(struct iob_map_op))
		disliked(b, "stride");
	announce(b, IOB_EV_DEVICE_BOUND, 1); /* lands where the results belong, and is taken out */
	answer(b, body, bytes + t->extra, NULL, 0);
	free(body);
}

#define ALL UINT32_MAX

static const struct batch_case batches[] = {
	{ .count = 1, .rep = { 1, 1, ALL, 0 }, .code = IOB_OK },
	{ .count = 1024, .rep = { 1024, 1024, ALL, 0 }, .code = IOB_OK },
	{ .count = 4, .rep = { 4, 4, ALL, 0 }, .extra = 400, .code = IOB_OK }, /* grew */
	{ .count = 4, .rep = { 4, 3, 1, 3 }, .extra = 3, .codes = { 0, 16 }, .code = 16 },
	{ .count = 4,
	  .rep = { 4, 2, 1, 240 },
	  .extra = 240,
	  .codes = { 0, 16, 0, 21 },
	  .code = 16 },
	{ .count = 4, .rep = { 4, 0, 0, 0 }, .codes = { 14, 14, 14, 14 }, .code = 14 },
	/* wrong count, text, and contradictions */
	{ .count = 2, .rep = { 3, 3, ALL, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 1, 1, ALL, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 3, 2, ALL, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 2, ALL, 1 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 2, ALL, 241 }, .extra = 241, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 2, ALL, UINT32_MAX }, .extra = 9, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 1, ALL, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 2, 0, 0 }, .codes = { 16 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 1, 0, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 1, 2, 0 }, .code = IOB_E_PROTOCOL },
	{ .count = 2, .rep = { 2, 1, 0, 0 }, .codes = { 1001 }, .code = IOB_E_PROTOCOL },
};

START_TEST(map_batches)
{
	const struct batch_case *t = &batches[_i];
	struct iob_map_op *ops = calloc(t->count, sizeof(*ops));
	struct iob_result *results = calloc(t->count + 1, sizeof(*results));
	iob_domain *domain = start_domain(serve_batch, t);
	uint32_t done = 77;

	results[t->count].iova = 42;
	ck_assert_int_eq(iob_map_batch(domain, ops, t->count, results, &done), t->code);
	ck_assert_uint_eq(done, t->code == IOB_E_PROTOCOL ? 0 : t->rep.done);
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t code =
			t->code == IOB_E_PROTOCOL ? IOB_E_PROTOCOL : (i < 4 ? t->codes[i] : 0);

		ck_assert_uint_eq(results[i].code, code);
		if (t->code != IOB_E_PROTOCOL)
			ck_assert_uint_eq(results[i].iova, 0x100000u + i * 0x1000u);
	}
	if (t->code == 16) {
		ck_assert_int_eq(iob_error()->sys_errno, EIO);
		ck_assert_uint_eq(strlen(iob_error()->text), t->rep.text_bytes);
	}
	ck_assert_uint_eq(results[t->count].iova, 42); /* nothing written behind the end */
	iob_domain_close(domain);
	free(ops);
	free(results);
}
END_TEST

static void serve_batch_refused(struct broker *b)
{
	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_UNMAP, sizeof(struct iob_batch_req) + 3 * sizeof(struct iob_unmap_op), 0);
	refuse(b, IOB_E_RIGHTS, "this text is longer than the room that three results take up");
	get(b, IOB_OP_UNMAP, sizeof(struct iob_batch_req) + 3 * sizeof(struct iob_unmap_op), 0);
	hang_up(b);
}

START_TEST(batch_that_fails_as_a_whole)
{
	const struct iob_unmap_op ops[3] = { { .iova = 0 } };
	struct iob_result results[IOB_MAX_BATCH + 1];
	uint32_t done = 77;
	iob_domain *domain = start_domain(serve_batch_refused, NULL);

	expect_error(iob_unmap_batch(domain, ops, 0, results, &done), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_unmap_batch(domain, ops, IOB_MAX_BATCH + 1, results, &done),
		     IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_unmap_batch(domain, ops, 3, NULL, &done), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_unmap_batch(domain, ops, 3, results, &done), IOB_E_RIGHTS, IOB_STEP_MAP,
		     ENOSPC);
	ck_assert_str_eq(iob_error()->text,
			 "this text is longer than the room that three results take up");
	ck_assert_uint_eq(done, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(results[i].code, IOB_E_RIGHTS);
		ck_assert_uint_eq(results[i].step, IOB_STEP_MAP);
		ck_assert_uint_eq(results[i].sys_errno, ENOSPC);
	}
	expect_error(iob_unmap_batch(domain, ops, 3, results, NULL), IOB_E_CLOSED,
		     IOB_STEP_TRANSPORT, 0);
	ck_assert_uint_eq(results[2].code, IOB_E_CLOSED);
	iob_domain_close(domain);
}
END_TEST

/* ---- device ---- */

static void serve_device_calls(struct broker *b)
{
	const struct iob_region_req *req = (const void *)b->body;
	const uint32_t value = 0x12345678;
	uint32_t seen;

	hello(b, IOB_KIND_DEVICE);
	get(b, IOB_OP_REGION_READ, sizeof(*req), 0);
	if (req->index != 2 || req->bytes != 4 || req->offset != 0x10)
		disliked(b, "read request");
	answer(b, &value, sizeof(value), NULL, 0);
	get(b, IOB_OP_REGION_WRITE, sizeof(*req) + 4, 0);
	memcpy(&seen, b->body + sizeof(*req), sizeof(seen));
	if (req->bytes != 4 || seen != value)
		disliked(b, "write request");
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_SET_IRQ, sizeof(struct iob_set_irq_req), IOB_MAX_IRQ_FDS);
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_SET_IRQ, sizeof(struct iob_set_irq_req), 0);
	answer(b, NULL, 0, NULL, 0);
	get(b, IOB_OP_DEVICE_FD, 0, 0);
	answer(b, NULL, 0, &b->sock, 1);
	get(b, IOB_OP_REGION_READ, sizeof(*req), 0);
	answer(b, &value, 3, NULL, 0);
}

START_TEST(device_calls)
{
	iob_device *device = start_device(serve_device_calls, NULL);
	int fds[IOB_MAX_IRQ_FDS + 1];
	char data[IOB_MAX_REGION_BYTES + 1];
	uint32_t value = 0;
	int fd = -1;

	for (size_t i = 0; i <= IOB_MAX_IRQ_FDS; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	expect_error(iob_device_read(device, 0, 0, data, 0), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_device_read(device, 0, 0, data, sizeof(data)), IOB_E_ARGUMENT, 0, 0);
	ck_assert_int_eq(iob_device_read32(device, 2, 0x10, &value), IOB_OK);
	ck_assert_uint_eq(value, 0x12345678);
	ck_assert_int_eq(iob_device_write32(device, 2, 0x10, value), IOB_OK);
	expect_error(iob_device_set_irq(device, 2, IOB_IRQ_TRIGGER, 0, 17, fds, 17), IOB_E_ARGUMENT,
		     0, 0);
	expect_error(iob_device_set_irq(device, 2, IOB_IRQ_TRIGGER, 0, 2, fds, 1), IOB_E_ARGUMENT,
		     0, 0);
	ck_assert_int_eq(iob_device_set_irq(device, 2, IOB_IRQ_TRIGGER, 0, 16, fds, 16), IOB_OK);
	ck_assert_int_eq(iob_device_set_irq(device, 2, IOB_IRQ_DISABLE, 0, 0, NULL, 0), IOB_OK);
	ck_assert_int_eq(iob_device_vfio_fd(device, &fd), IOB_OK);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
	value = 7;
	expect_error(iob_device_read32(device, 2, 0, &value), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT,
		     0);
	ck_assert_uint_eq(value, 7);
	for (size_t i = 0; i <= IOB_MAX_IRQ_FDS; i++)
		close(fds[i]);
	iob_device_close(device);
}
END_TEST

/* Of the command register one bit is changed, in one access of 16 bits. */
static void serve_command(struct broker *b)
{
	static const uint16_t found = 0x0107, wanted[] = { 0x0107, 0x0103 };
	const struct iob_region_req *req = (const void *)b->body;
	uint16_t written;

	hello(b, IOB_KIND_DEVICE);
	for (size_t i = 0; i < 2; i++) {
		get(b, IOB_OP_REGION_READ, sizeof(*req), 0);
		if (req->index != IOB_REGION_CONFIG || req->bytes != 2 || req->offset != 4)
			disliked(b, "read of the command");
		answer(b, &found, sizeof(found), NULL, 0);
		get(b, IOB_OP_REGION_WRITE, sizeof(*req) + 2, 0);
		memcpy(&written, b->body + sizeof(*req), sizeof(written));
		if (req->index != IOB_REGION_CONFIG || req->bytes != 2 || req->offset != 4 ||
		    written != wanted[i])
			disliked(b, "write of the command");
		answer(b, NULL, 0, NULL, 0);
	}
	get(b, IOB_OP_REGION_READ, sizeof(*req), 0);
	answer(b, &found, 1, NULL, 0);
}

START_TEST(bus_mastering)
{
	iob_device *device = start_device(serve_command, NULL);

	expect_error(iob_device_bus_master(NULL, 1), IOB_E_ARGUMENT, 0, 0);
	ck_assert_int_eq(iob_device_bus_master(device, 1), IOB_OK);
	ck_assert_int_eq(iob_device_bus_master(device, 0), IOB_OK);
	expect_error(iob_device_bus_master(device, 1), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0);
	expect_error(iob_device_bus_master(device, 1), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	iob_device_close(device);
}
END_TEST

/* ---- sockets in odd modes ---- */

static void interrupt(int number)
{
	(void)number;
}

static void serve_slowly(struct broker *b)
{
	hello(b, IOB_KIND_DEVICE);
	get(b, IOB_OP_DEVICE_RESET, 0, 0);
	for (int i = 0; i < 5; i++) {
		usleep(10000);
		pthread_kill(*(const pthread_t *)b->arg, SIGUSR1);
	}
	answer(b, NULL, 0, NULL, 0);
}

START_TEST(waits_through_signals_and_o_nonblock)
{
	struct sigaction action = { .sa_handler = interrupt };
	pthread_t self = pthread_self();
	iob_device *device;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	device = start_device(serve_slowly, &self);
	if (_i == 1)
		fcntl(iob_device_fd(device), F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(iob_device_reset(device), IOB_OK);
	iob_device_close(device);
}
END_TEST

static void *fail_in_thread(void *arg)
{
	const struct iob_error *error = iob_error();

	(void)arg;
	return error->code == IOB_OK && error->text[0] == '\0' && iob_device_reset(NULL) != IOB_OK ?
		       NULL :
		       (void *)"shared";
}

START_TEST(errors_belong_to_threads)
{
	pthread_t thread;
	void *result;

	expect_error(iob_handle_send(-1, -1), IOB_E_ARGUMENT, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_in_thread, NULL), 0);
	pthread_join(thread, &result);
	ck_assert_ptr_null(result);
	ck_assert_str_eq(iob_error()->text, "no socket, or no descriptor");
}
END_TEST

/* ---- passing handles ---- */

START_TEST(passing_over_any_socket)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int first = memfd_create("first", MFD_CLOEXEC);
	int second = memfd_create("second", MFD_CLOEXEC);
	int pair[2];
	int got[2] = { -1, -1 };

	ck_assert_int_eq(socketpair(AF_UNIX, types[_i] | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(iob_handle_send(pair[0], first), IOB_OK);
	ck_assert_int_eq(iob_handle_send(pair[0], second), IOB_OK);
	ck_assert_int_eq(iob_handle_recv(pair[1], &got[0]), IOB_OK);
	ck_assert_int_eq(iob_handle_recv(pair[1], &got[1]), IOB_OK);
	ck_assert(inode(got[0]) == inode(first) && inode(got[1]) == inode(second));
	ck_assert_int_ne(fcntl(got[0], F_GETFD) & FD_CLOEXEC, 0);
	close(pair[0]);
	if (types[_i] != SOCK_DGRAM) /* a datagram socket has no end */
		expect_error(iob_handle_recv(pair[1], &got[0]), IOB_E_CLOSED, IOB_STEP_TRANSPORT,
			     0);
	close(pair[1]);
	close(first);
	close(second);
	close(got[0]);
	close(got[1]);
}
END_TEST

START_TEST(passing_refuses_what_is_not_one_descriptor)
{
	static const int counts[] = { 0, 2, 5, 100, MAX_FDS, 1 };
	int fds[MAX_FDS];
	int pair[2];
	int got = -1;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < MAX_FDS; i++)
		fds[i] = pair[0];
	put_raw(pair[0], "hh", counts[_i] == 1 ? 2 : 1, fds, counts[_i]);
	expect_error(iob_handle_recv(pair[1], &got), IOB_E_PROTOCOL, IOB_STEP_TRANSPORT, 0);
	ck_assert_int_eq(got, -1);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(passing_to_nobody)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	expect_error(iob_handle_send(pair[0], pair[0]), IOB_E_CLOSED, IOB_STEP_TRANSPORT, EPIPE);
	close(pair[0]);
}
END_TEST

/* ---- memory for DMA ---- */

#define DMA_BYTES 5000u

static void check_dma_file(struct broker *b)
{
	struct stat st;
	int wanted = F_SEAL_SHRINK | F_SEAL_GROW;

	if (fstat(b->fds[0], &st) < 0 || st.st_size != 8192 || st.st_blocks * 512 < 8192)
		disliked(b, "memory not sized or not populated");
	if ((fcntl(b->fds[0], F_GET_SEALS) & wanted) != wanted)
		disliked(b, "memory not sealed");
	if ((fcntl(b->fds[0], F_GETFL) & O_ACCMODE) != O_RDWR)
		disliked(b, "memory not writeable");
}

static void answer_batch(struct broker *b, uint64_t iova)
{
	const struct {
		struct iob_batch_rep rep;
		struct iob_result result;
	} body = { { 1, 1, UINT32_MAX, 0 }, { .iova = iova } };

	answer(b, &body, sizeof(body), NULL, 0);
}

static void serve_dma(struct broker *b)
{
	const struct iob_memory_add_rep memory = { .memory = 9, .page_shift = 12, .bytes = 8192 };
	struct iob_map_op op;

	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_MEMORY_ADD, sizeof(struct iob_memory_add_req), 1);
	check_dma_file(b);
	answer(b, &memory, sizeof(memory), NULL, 0);
	get(b, IOB_OP_MAP, sizeof(struct iob_batch_req) + sizeof(op), 0);
	memcpy(&op, b->body + sizeof(struct iob_batch_req), sizeof(op));
	if (op.memory != 9 || op.flags != (IOB_READ | IOB_WRITE) || op.length != 8192 ||
	    op.iova != 0 || op.offset != 0 || op.iova_limit != 0xfffffff)
		disliked(b, "map operation");
	if (!b->arg) {
		answer_batch(b, 0x100000);
		get(b, IOB_OP_UNMAP, sizeof(struct iob_batch_req) + sizeof(struct iob_unmap_op), 0);
		answer_batch(b, 0x100000);
		get(b, IOB_OP_MEMORY_DROP, sizeof(struct iob_memory_drop_req), 0);
		answer(b, NULL, 0, NULL, 0);
		return;
	}
	refuse(b, IOB_E_QUOTA, "budget used up");
	get(b, IOB_OP_MEMORY_DROP, sizeof(struct iob_memory_drop_req), 0);
	refuse(b, IOB_E_INTERNAL, "and this as well");
}

START_TEST(dma_alloc_and_free)
{
	struct iob_dma dma;
	iob_domain *domain = start_domain(serve_dma, NULL);

	expect_error(iob_dma_alloc(domain, 0, IOB_READ, 0, &dma), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_dma_alloc(domain, 1, IOB_FIXED, 0, &dma), IOB_E_ARGUMENT, 0, 0);
	expect_error(iob_dma_alloc(domain, SIZE_MAX, IOB_READ, 0, &dma), IOB_E_ARGUMENT, 0, 0);
	ck_assert_int_eq(iob_dma_alloc(domain, DMA_BYTES, IOB_READ | IOB_WRITE, 0xfffffff, &dma),
			 IOB_OK);
	ck_assert_uint_eq(dma.bytes, 8192);
	ck_assert_uint_eq(dma.iova, 0x100000);
	ck_assert_uint_eq(dma.page_shift, 12);
	memset(dma.address, 0xff, dma.bytes);
	ck_assert_int_eq(iob_dma_free(domain, &dma), IOB_OK);
	ck_assert_ptr_null(dma.address);
	ck_assert_int_eq(iob_dma_free(domain, &dma), IOB_OK);
	iob_domain_close(domain);
}
END_TEST

START_TEST(dma_alloc_undoes_and_tells_why)
{
	struct iob_dma dma = { .fd = 42 };
	iob_domain *domain = start_domain(serve_dma, "refuse");

	expect_error(iob_dma_alloc(domain, DMA_BYTES, IOB_READ | IOB_WRITE, 0xfffffff, &dma),
		     IOB_E_QUOTA, IOB_STEP_MAP, ENOSPC);
	ck_assert_str_eq(iob_error()->text, "budget used up");
	ck_assert_int_eq(dma.fd, 42);
	iob_domain_close(domain);
}
END_TEST

static void serve_dma_then_vanish(struct broker *b)
{
	const struct iob_memory_add_rep memory = { .memory = 9, .page_shift = 12 };

	hello(b, IOB_KIND_DOMAIN);
	get(b, IOB_OP_MEMORY_ADD, sizeof(struct iob_memory_add_req), 1);
	answer(b, &memory, sizeof(memory), NULL, 0);
	get(b, IOB_OP_MAP, sizeof(struct iob_batch_req) + sizeof(struct iob_map_op), 0);
	answer_batch(b, 0x200000);
	hang_up(b);
}

START_TEST(dma_free_without_a_broker)
{
	struct iob_dma dma;
	iob_domain *domain = start_domain(serve_dma_then_vanish, NULL);

	/* 2 MiB and a bit: huge pages where the machine has them, else quietly plain ones */
	ck_assert_int_eq(iob_dma_alloc(domain, (2 << 20) + 1, IOB_READ, 0, &dma), IOB_OK);
	ck_assert_uint_ge(dma.bytes, (2 << 20) + 4096);
	memset(dma.address, 0xff, dma.bytes);
	broker_finish();
	expect_error(iob_dma_free(domain, &dma), IOB_E_CLOSED, IOB_STEP_TRANSPORT, 0);
	ck_assert_ptr_null(dma.address);
	iob_domain_close(domain);
}
END_TEST

START_TEST(nothing_is_refused_politely)
{
	struct iob_hello_rep *none = NULL;

	ck_assert_ptr_eq(iob_conn_hello(NULL), none);
	ck_assert_int_eq(iob_conn_fd(NULL), -1);
	ck_assert_int_eq(iob_connect_fd(0, NULL), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_device_list(NULL, NULL, NULL), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_domain_info(NULL, NULL, NULL, 0), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_map(NULL, NULL, NULL), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_unmap(NULL, 0, 0), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_device_bind(NULL, -1), IOB_E_ARGUMENT);
	ck_assert_int_eq(iob_dma_free(NULL, NULL), IOB_E_ARGUMENT);
	ck_assert_str_eq(iob_code_name(IOB_E_ARGUMENT), "IOB_E_ARGUMENT");
	ck_assert_ptr_nonnull(iob_strcode(-1));
	ck_assert_ptr_nonnull(iob_strstep(-1));
	iob_conn_close(NULL);
	iob_domain_close(NULL);
	iob_device_close(NULL);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static void add_connection_tests(TCase *tc)
{
	tcase_add_test(tc, connect_tells_the_broker);
	tcase_add_test(tc, denied_before_hello_is_sent);
	tcase_add_loop_test(tc, denied_while_hello_is_unread, 0, 2);
	tcase_add_test(tc, hung_up_without_a_word);
	tcase_add_test(tc, success_must_carry_the_tag);
	tcase_add_test(tc, version_not_asked_for);
	tcase_add_test(tc, kind_is_checked_and_fd_stays);
	tcase_add_test(tc, other_descriptors_are_refused);
	tcase_add_test(tc, connect_by_path);
}

static void add_reply_tests(TCase *tc)
{
	tcase_add_loop_test(tc, wrong_reply_breaks_the_handle, 0, COUNT(wrongs));
	tcase_add_test(tc, half_a_header_breaks_the_handle);
	tcase_add_loop_test(tc, bad_event_breaks_the_handle, 0, 3);
	tcase_add_loop_test(tc, longer_replies_are_taken, 0, 4);
	tcase_add_test(tc, refusals_are_told_and_harmless);
	tcase_add_test(tc, eof_instead_of_a_reply);
	tcase_add_loop_test(tc, events_between_wait_in_order, 0, 4);
	tcase_add_test(tc, reply_to_nothing_breaks_the_handle);
	tcase_add_loop_test(tc, wrong_number_of_descriptors, 0, 7);
	tcase_add_test(tc, domain_comes_close_on_exec);
	tcase_add_test(tc, handle_must_be_a_socket);
#ifndef IOB_INSTRUMENTED /* valgrind keeps limits to itself, the kernel does not learn of them */
	tcase_add_test(tc, descriptor_lost_for_want_of_room);
#endif
	tcase_add_loop_test(tc, list_pages, 0, COUNT(pages));
	tcase_add_test(tc, list_of_two_pages);
	tcase_add_test(tc, list_without_end);
	tcase_add_loop_test(tc, map_list_pages, 0, COUNT(map_pages));
}

static void add_call_tests(TCase *tc)
{
	tcase_add_loop_test(tc, info_counts_ranges, 0, 6);
	tcase_add_test(tc, domain_calls);
	tcase_add_loop_test(tc, map_batches, 0, COUNT(batches));
	tcase_add_test(tc, batch_that_fails_as_a_whole);
	tcase_add_test(tc, device_calls);
	tcase_add_test(tc, bus_mastering);
	tcase_add_loop_test(tc, waits_through_signals_and_o_nonblock, 0, 2);
	tcase_add_test(tc, errors_belong_to_threads);
	tcase_add_loop_test(tc, passing_over_any_socket, 0, 3);
	tcase_add_loop_test(tc, passing_refuses_what_is_not_one_descriptor, 0, 6);
	tcase_add_test(tc, passing_to_nobody);
	tcase_add_test(tc, dma_alloc_and_free);
	tcase_add_test(tc, dma_alloc_undoes_and_tells_why);
	tcase_add_test(tc, dma_free_without_a_broker);
	tcase_add_test(tc, nothing_is_refused_politely);
}

Suite *test_client_suite(void)
{
	Suite *s = suite_create("client");
	static const struct {
		const char *name;
		void (*add)(TCase *tc);
	} cases[] = {
		{ "connection", add_connection_tests },
		{ "replies", add_reply_tests },
		{ "calls", add_call_tests },
	};

	for (int i = 0; i < COUNT(cases); i++) {
		TCase *tc = tcase_create(cases[i].name);

		tcase_add_checked_fixture(tc, setup, teardown);
		tcase_set_timeout(tc, 30);
		cases[i].add(tc);
		suite_add_tcase(s, tc);
	}
	return s;
}

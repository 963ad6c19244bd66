/* SPDX-License-Identifier: MIT */
/* connection.c - reaching the broker, and what a connection can be asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

#define CONNECT_TRIES	 100
#define CONNECT_PAUSE_US 10000

/* 5 ms, 10, 20 .. 1280: two and a half seconds, as long as the broker waits at BIND. */
#define OPEN_FIRST_PAUSE_US 5000
#define OPEN_LAST_PAUSE_US  1280000
#define OPEN_OWN_PAUSE_US   160000 /* a third of a second in all */

static int connect_failed(const char *path)
{
	int saved = errno;
	char buffer[128];

	return client_error_set(IOB_E_CONNECT, IOB_STEP_CONNECT, saved, "%s: %s", path,
				strerror_r(saved, buffer, sizeof(buffer)));
}

/* A connected socket into *out. */
static int connect_path(const char *path, int *out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	int code;
	int fd;

	if (length == 0 || length >= sizeof(address.sun_path))
		return client_error_argument(
			"the path of the broker's socket is empty or too long");
	memcpy(address.sun_path, path, length);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return client_error_system(IOB_STEP_CONNECT, "socket");
	while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR)
			continue;
		code = connect_failed(path);
		close(fd);
		return code;
	}
	*out = fd;
	return IOB_OK;
}

static int connect_once(const char *path, iob_conn **out)
{
	int fd = -1;
	int code = connect_path(path, &fd);

	if (code != IOB_OK)
		return code;
	code = iob_connect_fd(fd, out);
	if (code != IOB_OK)
		close(fd);
	return code;
}

/* A broker that is restarted between accept() and the first reply hangs up, and the next one, whose
 * socket is the same, knows nothing of it. */
int iob_connect(const char *path, iob_conn **out)
{
	int code;

	if (!out)
		return client_error_argument("no place for the connection");
	if (!path)
		path = secure_getenv("IOMMU_BROKER_SOCKET");
	if (!path || path[0] == '\0')
		path = IOB_DEFAULT_SOCKET;
	for (int i = 0; (code = connect_once(path, out)) == IOB_E_CLOSED && i < CONNECT_TRIES; i++)
		usleep(CONNECT_PAUSE_US);
	return code;
}

int iob_connect_fd(int fd, iob_conn **out)
{
	cleanup_free iob_conn *conn = NULL;
	int code;

	if (!out)
		return client_error_argument("no place for the connection");
	conn = client_alloc(sizeof(*conn));
	if (!conn)
		return IOB_E_SYSTEM;
	code = client_handle_init(&conn->handle, fd);
	if (code != IOB_OK)
		return code;
	code = client_hello(&conn->handle, IOB_KIND_CONNECTION, &conn->hello);
	if (code != IOB_OK)
		return code;
	*out = conn;
	conn = NULL;
	return IOB_OK;
}

void iob_conn_close(iob_conn *conn)
{
	if (!conn)
		return;
	client_handle_deinit(&conn->handle);
	free(conn);
}

int iob_conn_fd(const iob_conn *conn)
{
	return conn ? conn->handle.fd : -1;
}

const struct iob_hello_rep *iob_conn_hello(const iob_conn *conn)
{
	return conn ? &conn->hello : NULL;
}

int iob_conn_next_event(iob_conn *conn, struct iob_event *out)
{
	if (!conn || !out)
		return client_error_argument("no connection, or no place for the event");
	return client_event_next(&conn->handle, out);
}

/* Strings of the broker end inside their field, whatever it sent. */
static void device_rec_end_strings(struct iob_device_rec *rec)
{
	rec->name[sizeof(rec->name) - 1] = '\0';
	rec->driver[sizeof(rec->driver) - 1] = '\0';
}

int iob_device_list(iob_conn *conn, struct iob_device_rec **list, size_t *count)
{
	void *all;
	int code;

	if (!conn || !list || !count)
		return client_error_argument("no connection, or no place for the list");
	code = client_list_all(&conn->handle, IOB_OP_DEVICE_LIST, sizeof(**list), &all, count);
	if (code != IOB_OK)
		return code;
	*list = all;
	for (size_t i = 0; i < *count; i++)
		device_rec_end_strings(&(*list)[i]);
	return IOB_OK;
}

int iob_domain_list(iob_conn *conn, struct iob_domain_rec **list, size_t *count)
{
	void *all;
	int code;

	if (!conn || !list || !count)
		return client_error_argument("no connection, or no place for the list");
	code = client_list_all(&conn->handle, IOB_OP_DOMAIN_LIST, sizeof(**list), &all, count);
	if (code != IOB_OK)
		return code;
	*list = all;
	for (size_t i = 0; i < *count; i++)
		(*list)[i].first_device[IOB_NAME_BYTES - 1] = '\0';
	return IOB_OK;
}

int iob_status(iob_conn *conn, struct iob_status_rep *out)
{
	int code;

	if (!conn || !out)
		return client_error_argument("no connection, or no place for the status");
	code = client_call_fixed(&conn->handle, IOB_OP_STATUS, NULL, 0, out, sizeof(*out));
	if (code == IOB_OK)
		out->version[sizeof(out->version) - 1] = '\0';
	return code;
}

/* Whoever has the device, or one of its group, may be a client that has just ended: the broker learns of
 * it a moment later, and taking the device back includes a reset. Of a client that stays, no more can be
 * said than that. Of this very connection it can: that it has just closed the device is all there is to
 * wait for. */
static useconds_t longest_pause(int code)
{
	if (code == IOB_E_BUSY && iob_error()->sys_errno == EALREADY)
		return OPEN_OWN_PAUSE_US;
	return code == IOB_E_BUSY || code == IOB_E_GROUP ? OPEN_LAST_PAUSE_US : 0;
}

static int open_patiently(struct handle *h, struct call *c)
{
	int code;

	for (useconds_t pause = OPEN_FIRST_PAUSE_US;; pause *= 2) {
		code = client_call(h, c);
		if (pause > longest_pause(code))
			return code;
		usleep(pause);
	}
}

int iob_device_open(iob_conn *conn, const char *name, uint32_t access, iob_device **out,
		    struct iob_device_rec *rec)
{
	struct iob_device_open_req req = { .access = access };
	struct iob_device_rec reply;
	cleanup_free iob_device *device = NULL;
	int fd = -1;
	struct call c = {
		.op = IOB_OP_DEVICE_OPEN,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
		.rep = { { .iov_base = &reply, .iov_len = sizeof(reply) } },
		.rep_min = sizeof(reply),
		.fd_out = &fd,
	};
	int code;

	if (!conn || !name || !out)
		return client_error_argument("no connection, no name, or no place for the device");
	if (name[0] == '\0' || strlen(name) >= sizeof(req.name))
		return client_error_argument("a device name has 1 to 31 characters");
	memcpy(req.name, name, strlen(name));
	device = client_alloc(sizeof(*device));
	if (!device)
		return IOB_E_SYSTEM;
	code = open_patiently(&conn->handle, &c);
	if (code != IOB_OK)
		return code;
	code = client_handle_init_received(&device->handle, fd, &conn->handle);
	if (code != IOB_OK)
		return code;
	device_rec_end_strings(&reply);
	if (rec)
		*rec = reply;
	*out = device;
	device = NULL;
	return IOB_OK;
}

/* DOMAIN_CREATE, DOMAIN_OPEN: a request whose reply carries a domain handle. */
static int conn_get_domain(iob_conn *conn, struct call *c, iob_domain **out)
{
	cleanup_free iob_domain *domain = client_alloc(sizeof(*domain));
	int fd = -1;
	int code;

	if (!domain)
		return IOB_E_SYSTEM;
	c->fd_out = &fd;
	code = client_call(&conn->handle, c);
	if (code != IOB_OK)
		return code;
	code = client_handle_init_received(&domain->handle, fd, &conn->handle);
	if (code != IOB_OK)
		return code;
	*out = domain;
	domain = NULL;
	return IOB_OK;
}

int iob_domain_create(iob_conn *conn, uint64_t max_bytes, uint32_t max_mappings, iob_domain **out,
		      struct iob_domain_create_rep *rep)
{
	struct iob_domain_create_req req = { .max_bytes = max_bytes, .max_mappings = max_mappings };
	struct iob_domain_create_rep reply;
	struct call c = {
		.op = IOB_OP_DOMAIN_CREATE,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
		.rep = { { .iov_base = &reply, .iov_len = sizeof(reply) } },
		.rep_min = sizeof(reply),
	};
	int code;

	if (!conn || !out)
		return client_error_argument("no connection, or no place for the domain");
	code = conn_get_domain(conn, &c, out);
	if (code == IOB_OK && rep)
		*rep = reply;
	return code;
}

int iob_domain_open(iob_conn *conn, uint32_t domain_id, iob_domain **out)
{
	struct iob_domain_open_req req = { .domain_id = domain_id };
	struct call c = {
		.op = IOB_OP_DOMAIN_OPEN,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
	};

	if (!conn || !out)
		return client_error_argument("no connection, or no place for the domain");
	return conn_get_domain(conn, &c, out);
}

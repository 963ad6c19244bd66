/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the library's files share. Nothing here is exported; "client_" keeps the names
 * apart from the daemon's where tests link both.
 *
 * Layers, each knowing only those before it:
 *   error.c       the thread's last failure
 *   transport.c   one message out, one message in, descriptors accounted for
 *   events.c      the event queue of a handle
 *   call.c        request and reply on a handle, HELLO
 *   list.c        replies made of records
 *   connection.c domain.c mapping.c device.c region.c   the operations
 *   passing.c     descriptors over foreign sockets
 *   dma.c         built on the public calls only
 */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "iommubroker.h"

#define cleanup_free __attribute__((cleanup(client_cleanup_free)))
void client_cleanup_free(void *pointer);

/* ---- error.c ---- */

/* Record a failure of this thread and return its code, for "return client_error_set(...)". */
int client_error_set(int code, int step, int sys_errno, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Record what the broker said: text_bytes of untrusted text at text. An empty text becomes the
 * general meaning of the code. */
int client_error_from_broker(uint32_t code, uint32_t step, int32_t sys_errno, const char *text,
			     size_t text_bytes);
/* IOB_E_ARGUMENT with a text. */
int client_error_argument(const char *text);
/* IOB_E_SYSTEM with the present errno and the name of the call that failed. */
int client_error_system(int step, const char *what);

/* ---- transport.c ---- */

/* One received message. Its body went into the iovec given to client_recv(). */
struct inbox {
	struct iob_hdr hdr;
	size_t body_bytes; /* as sent, which may be more than there was room for */
	int fd;		   /* the first descriptor, owned by the inbox until taken; or -1 */
	uint32_t fd_count; /* how many came; all but the first are closed already */
	bool fds_lost;	   /* the kernel could not deliver all of them */
};

/*
 * Send one message. 0 or -errno; on failure nothing was sent. fds stay the caller's. Waits for
 * room, also on a non-blocking socket.
 */
int client_send(int sock, const struct iovec *parts, size_t part_count, const int *fds,
		uint32_t fd_count);

/*
 * Receive one message: the header into in->hdr, the body into parts. 0, -EPIPE when the peer is
 * gone and everything it sent was read, or -errno. The framing is checked: -EBADMSG when size and
 * length disagree. in->fd is valid (or -1) on every path and must be dropped or taken. wait false:
 * -EAGAIN when there is no message.
 */
int client_recv(int sock, struct iovec *parts, size_t part_count, bool wait, struct inbox *in);

void client_inbox_drop(struct inbox *in);

/* Receive, with descriptors into in->fd, in->fd_count and in->fds_lost. Bytes (the true length,
 * also of a truncated record) or -errno. */
ssize_t client_recv_raw(int sock, struct iovec *parts, size_t part_count, bool wait,
			struct inbox *in);

/* A connected AF_UNIX SOCK_SEQPACKET socket? */
bool client_is_handle(int fd);

/* ---- handles ---- */

#define EVENT_QUEUE 16u

struct event_queue {
	struct iob_event slots[EVENT_QUEUE];
	uint32_t first;
	uint32_t count;
};

enum handle_state {
	HANDLE_LIVE,
	HANDLE_CLOSED, /* no further requests; events that came before may still be read */
	HANDLE_BROKEN, /* out of step: nothing read from it can be trusted */
};

struct handle {
	int fd;
	enum handle_state state;
	uint32_t tag;
	struct event_queue events;
};

struct iob_conn {
	struct handle handle;
	struct iob_hello_rep hello;
};

struct iob_domain {
	struct handle handle;
};

struct iob_device {
	struct handle handle;
};

/* ---- events.c ---- */

/* Take an event message whose body is in parts. IOB_OK, or IOB_E_PROTOCOL and the handle broken. */
int client_event_take(struct handle *h, const struct inbox *in, const struct iovec *parts,
		      size_t part_count);
int client_event_next(struct handle *h, struct iob_event *out);

/* ---- call.c ---- */

#define CALL_PARTS 3u

/* One request and the room for its reply. Unused parts are zero. */
struct call {
	uint16_t op;
	struct iovec req[CALL_PARTS]; /* body */
	struct iovec rep[CALL_PARTS]; /* body; contents undefined unless the call succeeds */
	size_t rep_min;		      /* bytes a successful reply must have */
	const int *fds;		      /* sent along, stay the caller's */
	uint32_t fd_count;
	int *fd_out; /* NULL: the reply carries none; else exactly one, the caller's on success */
	size_t rep_bytes; /* out: body of the successful reply, also what found no room */
};

/* Send, wait, check. IOB_OK or the code, recorded for iob_error(). */
int client_call(struct handle *h, struct call *c);
/* The same for fixed bodies; *rep is written on success only. */
int client_call_fixed(struct handle *h, uint16_t op, const void *req, size_t req_bytes, void *rep,
		      size_t rep_bytes);
/* HELLO; IOB_E_WRONG_KIND when the handle is not of the kind. */
int client_hello(struct handle *h, uint32_t kind, struct iob_hello_rep *rep);

/* The peer broke the protocol: the handle is dead. Returns IOB_E_PROTOCOL. */
int client_break(struct handle *h, const char *text);

/* Take fd. IOB_OK, or IOB_E_ARGUMENT when it is no such socket (fd stays the caller's). */
int client_handle_init(struct handle *h, int fd);
void client_handle_deinit(struct handle *h);
/* A handle received in a reply on h: fd is taken in any case; a wrong one breaks h. */
int client_handle_init_received(struct handle *made, int fd, struct handle *h);

/* calloc that records its failure. */
void *client_alloc(size_t bytes);
/* Copy from scattered bytes; false when there are fewer than bytes at offset. */
bool client_parts_copy(const struct iovec *parts, size_t part_count, size_t offset, void *out,
		       size_t bytes);

/* ---- list.c ---- */

struct list_page {
	uint32_t count;
	uint32_t next; /* cursor, or "more" of MAP_LIST */
};

/*
 * A reply of {count, stride, next, reserved} and records: copies the records, as far as they are
 * known, to out, which has room for capacity of them. More than that breaks the handle.
 */
int client_list_page(struct handle *h, uint16_t op, const void *req, size_t req_bytes, void *out,
		     size_t record_bytes, uint32_t capacity, struct list_page *page);
/* All pages of DEVICE_LIST or DOMAIN_LIST as one array. */
int client_list_all(struct handle *h, uint16_t op, size_t record_bytes, void **list, size_t *count);

#endif

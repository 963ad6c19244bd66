/* SPDX-License-Identifier: MIT */
/*
 * session.h - one client's sandboxed process: its handles, domains, devices and memory.
 *
 * Single-threaded around libevent. Every handle is a socket; a request is read, checked against
 * the table of operations, and answered before the next one of that handle is read. What needs the
 * monitor is sent over the private channel and answered when the monitor answers; the handle waits,
 * the others go on.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <bsd/sys/queue.h>
#include <event2/event.h>
#include <stdbool.h>

#include "daemon/interval-map.h"
#include "kernel-glue/glue.h"
#include "proto/message.h"
#include "proto/operations.h"
#include "proto/priv.h"
#include "proto/rate.h"

/* Named limits of one session. */
#define SESSION_MAX_FDS	     4096u /* RLIMIT_NOFILE */
#define SESSION_MAX_MEMORIES 2048u /* registered, over all handles */
/* Ids of a handle follow each other: a bucket has few, whatever a client does. */
#define SESSION_MEMORY_BUCKETS 512u
#define SESSION_MAX_REGIONS    16u		    /* of a device, that are looked at */
#define SESSION_RATE_WINDOW_NS UINT64_C(1000000000) /* max-rate: what may come at once */
#define SESSION_LOOKER_RATE    100u /* operations a second, of all lookers together */

struct session;
struct domain;
struct handle;

/* Memory that a client registered on one handle. Freed with the handle, or by MEMORY_DROP. */
struct memory {
	LIST_ENTRY(memory) link;
	LIST_ENTRY(memory) in_bucket;
	struct handle *handle;
	struct glue_memory glue; /* owns fd */
	uint32_t id;
	uint32_t access;
	uint32_t mappings; /* that refer to it */
	uint64_t checked;  /* batch in which its seals were last looked at */
};

struct domain {
	LIST_ENTRY(domain) link;
	struct session *session;
	uint32_t id;
	int context_fd;
	uint32_t token;
	uint64_t max_bytes;
	uint32_t max_mappings;
	uint32_t devices; /* attached now */
	bool online;	  /* mappings exist in the kernel */
	struct interval_map map;
	struct iob_range ranges[IOB_MAX_RANGES];
	uint32_t range_count;
	uint64_t page_sizes;
};

struct device {
	struct iob_device_rec record;
	uint32_t access; /* opened with */
	int fd;		 /* -1: not bound */
	uint32_t domain_id;
	uint32_t lost_domain; /* that the device was taken out of, until it is free */
	bool direct;	      /* the client may have the fd */
	struct iob_device_info_rep info;
	struct iob_region_info_rep regions[SESSION_MAX_REGIONS];
};

/* 64 KiB of mappings with what malloc() adds. */
#define SESSION_BLOCK_MAPPINGS 744u

struct mapping_block {
	struct mapping_block *next;
	uint32_t used;
	struct mapping mappings[SESSION_BLOCK_MAPPINGS];
};

/* A request handed to the monitor. */
struct pending {
	LIST_ENTRY(pending) link;
	struct handle *handle; /* NULL: it is gone, the answer goes to nobody */
	uint32_t serial;
	uint32_t priv_op;
	uint16_t op;
	uint32_t tag;
	struct iob_grant_req grant; /* GRANT: what was asked for */
	int fd;			    /* that went with it, owned, or -1 */
	size_t bytes;		    /* of the body, kept for the next monitor */
	uint8_t body[];
};

struct handle {
	LIST_ENTRY(handle) link;
	struct session *session;
	int fd;
	uint32_t id; /* the monitor's; 0 for the connection */
	uint32_t kind;
	bool greeted; /* HELLO is done; only a connection needs it */
	struct event *on_read;
	struct event *on_write;
	struct event *on_closed; /* instead of on_read while it is throttled */
	struct pending *pending;

	/* a reply that the client did not take yet */
	void *out;
	size_t out_bytes;
	int out_fd;
	/* the latest event that the client did not take yet */
	bool event_waiting;
	uint16_t event_op;
	struct iob_ev_device event;

	struct domain *domain; /* kind DOMAIN */
	bool looker;	       /* opened by its number, not given by the client */
	bool root;	       /* the first handle: its end is the domain's end */
	struct handle *giver;  /* of a grant: the handle it was made through; ends no later */
	uint32_t rights;
	uint32_t flags; /* IOB_GRANT_* */
	uint64_t window_first;
	uint64_t window_last;
	uint32_t last_memory;
	LIST_HEAD(, memory) memories;

	struct device *device; /* kind DEVICE */
};

/* A message that the monitor did not take yet: it is restarting, or busy. There are at most two
 * for each handle, its request and its end. */
struct queued {
	STAILQ_ENTRY(queued) link;
	uint32_t op;
	uint32_t serial;
	bool reply;
	int fd; /* owned, or -1 */
	struct priv_message msg;
};

/* How often those may ask who have part in it, and whether they have to wait just now. */
struct throttle {
	struct session *session;
	uint32_t max_rate;
	struct rate rate;
	struct event *on_over; /* the end of a pause; NULL: there was none yet */
	bool active;
};

struct session {
	struct event_base *base;
	struct event *on_channel;
	struct event *on_channel_write;
	STAILQ_HEAD(, queued) queue;
	int channel; /* -1: the monitor is gone for good */
	bool kept;   /* its other end is kept while no monitor is there */
	uint32_t id;
	uint32_t backend;
	uint32_t next_serial;
	uint32_t memory_count;
	uint32_t handle_count;
	uint64_t batch;		 /* counts MAP requests */
	struct throttle own;	 /* of the client and whom he gave handles: max-rate */
	struct throttle lookers; /* so that they do not spend it */
	struct mapping_block *blocks;
	struct mapping *spare; /* of the blocks, not in use; linked by the left child */
	uint32_t mapping_count;
	const struct glue_mapper *glue;
	LIST_HEAD(, handle) handles;
	LIST_HEAD(, domain) domains;
	LIST_HEAD(, pending) pendings;
	LIST_HEAD(, memory) memories[SESSION_MEMORY_BUCKETS]; /* by id */
	_Alignas(8) uint8_t in[IOB_MAX_MSG_BYTES];
	_Alignas(8) uint8_t out[IOB_MAX_MSG_BYTES];
};

/* A request as the handlers see it; valid until they return. */
struct request {
	const struct operation *operation;
	uint16_t op;
	uint32_t tag;
	const uint8_t *body; /* 8-byte aligned */
	size_t bytes;
	struct fd_list *fds; /* what a handler does not steal is closed after it */
};

/* ---- session-handle.c ---- */
/* Takes fd. NULL when out of memory; then fd is closed. */
struct handle *handle_new(struct session *s, int fd, uint32_t id, uint32_t kind);
/* Stop serving and free it, with the memory and mappings made through it. Tells nobody. */
void handle_free(struct handle *h);
/* The client sees EOF, the monitor is told. What was granted through the handle goes with it, and
 * with a root handle the domain. */
void handle_close(struct handle *h);
void handle_event(struct handle *h, uint16_t op, uint32_t domain_id, uint32_t reason);
struct handle *handle_by_id(struct session *s, uint32_t id, uint32_t kind);

/* ---- session-rate.c ---- */
void rate_init(struct session *s);
/* What the monitor allows, operations a second. Takes effect at once. */
void rate_limit(struct session *s, uint32_t max_rate);
/* Operations that are about to be done. When that is more than there is credit for, no handle that
 * draws on it is read for a moment: clients wait, and nothing is refused. */
void rate_spend(struct handle *h, uint32_t operations);
/* There is something to read. Not now? Then only the end of the handle is looked for. */
bool rate_park(struct handle *h);

/* ---- session-reply.c ---- */
/* Exactly one of these for each request; fd: sent along, borrowed, or -1. */
void reply(struct handle *h, uint16_t op, uint32_t tag, const void *body, size_t bytes, int fd);
void reply_fault(struct handle *h, uint16_t op, uint32_t tag, const struct fault *f);
/* Try again what the client did not take. 0, or -EAGAIN. */
int reply_flush(struct handle *h);

/* ---- session-channel.c ---- */
/* Hand a request to the monitor; the handle waits for the answer. Answers the client itself when
 * the monitor is away. Returns the pending request, or NULL. */
struct pending *channel_ask(struct handle *h, const struct request *q, struct priv_message *msg,
			    uint32_t priv_op, const int *fds);
/* BIND, with the handle that the client passed. */
void channel_bind(struct handle *h, const struct request *q);
void channel_closed(struct session *s, uint32_t handle_id);
int channel_start(struct session *s);

/* ---- requests: called by the dispatch in session-handle.c ---- */
void connection_hello(struct handle *h, const struct request *q);
void connection_request(struct handle *h, const struct request *q);
void domain_request(struct handle *h, const struct request *q);
void device_request(struct handle *h, const struct request *q);

/* ---- answers of the monitor: called by session-channel.c; fds as priv_rule says ---- */
void connection_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds);
void domain_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds);
void device_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds);

/* ---- session-domain.c ---- */
struct domain *domain_new(struct session *s, const struct priv_domain_created *c, int context_fd);
void domain_free(struct domain *d);
struct domain *domain_by_id(struct session *s, uint32_t id);
/* ATTACH, ONLINE, DETACH */
int domain_attach(struct domain *d, int device_fd, uint32_t devices, struct fault *why);
void domain_detach(struct domain *d, uint32_t devices);
void domain_refresh_ranges(struct domain *d);

/* ---- session-memory.c ---- */
void memory_add(struct handle *h, const struct request *q);
void memory_drop(struct handle *h, const struct request *q);
struct memory *memory_by_id(struct handle *h, uint32_t id);
void memory_free(struct memory *m);
/* May the device still write to it? Looked at once in a batch. */
int memory_check_seals(struct memory *m, uint64_t batch, uint32_t access, struct fault *why);

/* ---- session-mapping.c ---- */
void mapping_map(struct handle *h, const struct request *q);
void mapping_unmap(struct handle *h, const struct request *q);
void mapping_unmap_all(struct handle *h, const struct request *q);
void mapping_list(struct handle *h, const struct request *q);
/* Remove the mappings made through this handle, or all of the domain; in the kernel too while the
 * domain is online. */
void mapping_drop_handle(struct handle *h);
void mapping_drop_domain(struct domain *d);
/* Unmap everything in the kernel; the map keeps it for mapping_replay(). */
void mapping_withdraw(struct domain *d);
/* Map again in the kernel what the map says. On failure nothing of it stays there. */
int mapping_replay(struct domain *d, struct fault *why);

/* ---- session-device.c ---- */
struct device *device_new(const struct iob_device_rec *record, uint32_t access);
void device_gained(struct handle *h, int fd, uint32_t domain_id, bool direct);
void device_lost(struct handle *h);
void device_freed(struct handle *h, uint32_t reason);
void device_free(struct device *d);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * priv.h - the private channel between the monitor and one session.
 *
 * Fixed-size messages over a SOCK_SEQPACKET pair made before the session is started. One table
 * says for each operation its direction, its exact size, its exact number of descriptors and the
 * session states in which it is legal; whatever does not fit ends the session. No path, no flag
 * of the kernel and no ioctl number ever crosses.
 *
 * Both ends are built together, but a monitor that was upgraded goes on with the sessions of the
 * one before: PRIV_VERSION moves with every change here that such a session would notice.
 */
#ifndef PROTO_PRIV_H
#define PROTO_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/fault.h"

#define PRIV_VERSION 2

/* Descriptors a session is started with. */
#define PRIV_FD_CHANNEL	  3
#define PRIV_FD_EMPTY_DIR 4

enum priv_op {
	/* session to monitor */
	PRIV_READY = 1, /* one way: locked up, may be given its client */
	PRIV_DEVICE_LIST = 2,
	PRIV_DOMAIN_CREATE = 3,
	PRIV_DEVICE_OPEN = 4,
	PRIV_DOMAIN_LIST = 5,
	PRIV_DOMAIN_OPEN = 6,
	PRIV_STATUS = 7,
	PRIV_GRANT = 8,
	PRIV_BIND = 9, /* carries the other handle, as the client passed it */
	PRIV_UNBIND = 10,
	PRIV_CLOSED = 11, /* one way: the last copy of a handle is gone */
	PRIV_DRIVER_LIST = 16,
	PRIV_DRIVER_SET = 17,
	/* monitor to session */
	PRIV_INIT = 32,	  /* one way: carries the client's connection */
	PRIV_ATTACH = 33, /* carries a device bound to the domain's context, to be attached */
	PRIV_ONLINE = 34, /* type1: a group is in the container now, replay */
	PRIV_DETACH = 35, /* a device is about to leave the domain */
	PRIV_GAINED = 36, /* one way: carries the bound device of a device handle */
	PRIV_LOST = 37,	  /* give up the device of a device handle, then answer */
	PRIV_FREED = 39,  /* one way: the lost device is out of its domain and can be bound again */
	PRIV_ADOPT = 38,  /* one way: carries the session's end of a new handle of its domain */
	PRIV_RESUME = 40, /* a new monitor is here: what do you have? then ask again */
	PRIV_LIMITS = 41, /* one way: what INIT said of limits has changed */
};

enum priv_state {
	PRIV_STATE_STARTING = 1 << 0, /* isolating itself, has seen no client byte */
	PRIV_STATE_READY = 1 << 1,
};

struct priv_hdr {
	uint32_t op;	 /* enum priv_op */
	uint32_t serial; /* of the asker; echoed */
	uint32_t reply;	 /* 1 in a reply */
	uint32_t again;	 /* 1 in a request that an earlier monitor got, and may have carried out */
};
IOB_ASSERT_SIZE(struct priv_hdr, 16);

/* First member of every reply body. A reply with a code carries no descriptors. */
struct priv_status {
	uint32_t code; /* enum iob_code */
	uint32_t step;
	int32_t sys_errno;
	uint32_t reserved;
	char text[IOB_MAX_TEXT + 8]; /* NUL-terminated */
};
IOB_ASSERT_SIZE(struct priv_status, 264);

struct priv_cursor {
	uint32_t cursor;
	uint32_t reserved;
};

struct priv_device_list {
	struct priv_status status;
	uint32_t count;
	uint32_t next;
	struct iob_device_rec records[IOB_MAX_DEVICE_LIST];
};

struct priv_domain_list {
	struct priv_status status;
	uint32_t count;
	uint32_t next;
	struct iob_domain_rec records[IOB_MAX_DEVICE_LIST];
};

struct priv_domain_create {
	uint64_t max_bytes;
	uint32_t max_mappings;
	uint32_t reserved;
};

struct priv_domain_created { /* fds: session's end, client's end, context */
	struct priv_status status;
	uint32_t domain_id;
	uint32_t handle_id;
	uint32_t token;
	uint32_t max_mappings;
	uint64_t max_bytes;
};

struct priv_device_open {
	char name[IOB_NAME_BYTES];
	uint32_t access;
	uint32_t reserved;
};

struct priv_device_opened { /* fds: session's end, client's end */
	struct priv_status status;
	uint32_t handle_id;
	uint32_t access; /* as given */
	struct iob_device_rec record;
};

struct priv_id { /* DOMAIN_OPEN: domain; BIND, UNBIND, CLOSED: handle */
	uint32_t id;
	uint32_t reserved;
};

struct priv_done { /* BIND, UNBIND; DOMAIN_OPEN with the client's end */
	struct priv_status status;
	uint32_t id; /* of the domain */
	uint32_t reserved;
};

struct priv_status_rep {
	struct priv_status status;
	struct iob_status_rep data;
};

struct priv_grant {
	uint32_t handle_id; /* the giver */
	uint32_t rights;
	uint32_t flags; /* IOB_GRANT_* */
	uint32_t reserved;
	uint64_t window_first;
	uint64_t window_last;
};

struct priv_granted { /* fds: session's end, client's end */
	struct priv_status status;
	uint32_t handle_id;
	uint32_t reserved;
};

struct priv_driver_list {
	struct priv_status status;
	uint32_t count;
	uint32_t next;
	struct iob_driver_rec records[IOB_MAX_DEVICE_LIST];
};

struct priv_driver_set {
	struct priv_status status;
	struct iob_driver_set_rep data;
};

struct priv_init {	     /* fd: the client's connection */
	uint32_t session_id; /* for logs */
	uint32_t kept;	     /* 1: the end of the channel means that the service was stopped */
	uint32_t max_rate;   /* operations a second, or RATE_UNLIMITED */
	uint32_t reserved;
};

struct priv_limits {
	uint32_t max_rate;
	uint32_t reserved;
};

struct priv_attach { /* ATTACH: fd: the bound device */
	uint32_t domain_id;
	uint32_t devices;   /* there: with this one (ATTACH, ONLINE), after it left (DETACH) */
	uint32_t handle_id; /* ATTACH, ONLINE: the domain handle it was bound through */
	uint32_t reserved;
};

struct priv_gained { /* fd: the bound device */
	uint32_t handle_id;
	uint32_t domain_id;
	uint32_t direct; /* 1: the client may have the fd */
	uint32_t reserved;
};

struct priv_lost { /* LOST, FREED */
	uint32_t handle_id;
	uint32_t reason; /* enum iob_unbound_reason */
};

struct priv_adopt { /* fd: the session's end of the looker's handle */
	uint32_t handle_id;
	uint32_t domain_id;
	uint32_t rights;
	uint32_t flags;
	uint64_t window_first;
	uint64_t window_last;
};

#define PRIV_OWN_HANDLES 256u /* that one session serves for its client, and whom he gave some */
#define PRIV_MAX_LOOKERS 16u  /* and for those who open a domain by its number, to look at it */
#define PRIV_MAX_HANDLES (PRIV_OWN_HANDLES + PRIV_MAX_LOOKERS)

enum priv_bound {
	PRIV_NOT_BOUND = 0,
	PRIV_BOUND = 1,	    /* the session has the device's descriptor */
	PRIV_UNBINDING = 2, /* it has given it back, and will ask UNBIND again */
};

struct priv_known {
	uint32_t handle_id;
	uint32_t kind;
	uint32_t bound; /* enum priv_bound; of a device */
	uint32_t reserved;
};

struct priv_resumed {
	struct priv_status status;
	uint32_t session_id; /* 0: never got its client */
	uint32_t count;
	struct priv_known known[PRIV_MAX_HANDLES];
};

struct priv_answer { /* ATTACH, ONLINE, DETACH, LOST */
	struct priv_status status;
};

#define PRIV_MAX_BODY sizeof(struct priv_resumed)
_Static_assert(sizeof(struct priv_device_list) <= PRIV_MAX_BODY &&
		       sizeof(struct priv_domain_list) <= PRIV_MAX_BODY &&
		       sizeof(struct priv_driver_list) <= PRIV_MAX_BODY,
	       "the longest of all");
#define PRIV_MAX_FDS 1u /* with a request of a session */

struct priv_message {
	struct priv_hdr hdr;
	union {
		struct priv_status status; /* of any reply */
		struct priv_cursor cursor;
		struct priv_device_list device_list;
		struct priv_domain_list domain_list;
		struct priv_domain_create domain_create;
		struct priv_domain_created domain_created;
		struct priv_device_open device_open;
		struct priv_device_opened device_opened;
		struct priv_id id;
		struct priv_done done;
		struct priv_status_rep status_rep;
		struct priv_grant grant;
		struct priv_granted granted;
		struct iob_driver_list_req driver_list_req;
		struct priv_driver_list driver_list;
		struct iob_driver_set_req driver_set_req;
		struct priv_driver_set driver_set;
		struct priv_init init;
		struct priv_limits limits;
		struct priv_attach attach;
		struct priv_gained gained;
		struct priv_lost lost;
		struct priv_adopt adopt;
		struct priv_resumed resumed;
		struct priv_answer answer;
	};
};

/* One row of the table. */
struct priv_rule {
	uint32_t op;
	bool from_monitor;
	uint8_t states;	      /* enum priv_state in which it may be sent */
	uint8_t fds;	      /* exact, with the request */
	uint8_t reply_fds;    /* exact, with a successful reply */
	uint16_t bytes;	      /* exact, of the request body */
	uint16_t reply_bytes; /* exact, of the reply body; 0: one way */
	const char *name;
};

const struct priv_rule *priv_rule_find(uint32_t op);
const char *priv_name(uint32_t op);

/*
 * Does this record fit the table? from_monitor: who sent it. -EBADMSG otherwise. The texts of a
 * reply are made safe to print.
 */
int priv_check(struct priv_message *m, size_t bytes, unsigned fds, bool from_monitor,
	       uint32_t state);

/* Send a request or a reply whose body and hdr.again are filled in; sizes come from the table. 0 or -errno. The
 * caller still owns fds. */
int priv_send(int channel, struct priv_message *m, uint32_t op, uint32_t serial, bool reply,
	      const int *fds);

void priv_status_from_fault(struct priv_status *s, const struct fault *f);
void priv_status_to_fault(const struct priv_status *s, struct fault *f);

#endif

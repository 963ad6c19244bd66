/* SPDX-License-Identifier: MIT */
/*
 * monitor-keep.h - the ledger on paper: what the next monitor needs to go on where this one ends,
 * whenever that is.
 *
 * Numbers are in tables in memfds (monitor-table.h), descriptors with the service manager, and so
 * are the memfds. The rule: before a message leaves the monitor, what it says is on paper.
 * Without a service manager nothing is kept, and these functions do nothing.
 *
 * The layouts are read by later versions: members are only ever added, where `room` is now; zero
 * must mean what it meant before. What cannot be told that way takes a new TABLE_MAGIC.
 */
#ifndef DAEMON_MONITOR_KEEP_H
#define DAEMON_MONITOR_KEEP_H

#include "daemon/monitor.h"

#define KEEP_MAX_SESSIONS 65536u
#define KEEP_MAX_DOMAINS  65536u
#define KEEP_MAX_HANDLES  524288u
#define KEEP_MAX_DEVICES  4096u

struct kept_self {
	uint32_t backend; /* enum iob_backend */
	uint32_t next_session_id;
	uint32_t next_domain_id;
	uint32_t next_handle_id;
	uint32_t private_version; /* PRIV_VERSION */
	uint32_t generation;	  /* counts the monitors */
	uint32_t room[10];
};
IOB_ASSERT_SIZE(struct kept_self, 64);

struct kept_session {
	uint32_t id;
	uint32_t uid; /* it runs as */
	int32_t pid;
	uint32_t peer_uid;
	uint32_t peer_gid;
	int32_t peer_pid;
	uint32_t group_count;
	uint32_t groups[PEER_MAX_GROUPS];
	uint32_t room[25];
};
IOB_ASSERT_SIZE(struct kept_session, 384);

struct kept_domain {
	uint32_t id;
	uint32_t dying;
	uint32_t session_id;
	uint32_t uid; /* charged */
	int32_t pid;
	uint32_t max_mappings;
	uint64_t max_bytes;
	uint32_t token;
	uint32_t room[7];
};
IOB_ASSERT_SIZE(struct kept_domain, 64);

struct kept_handle {
	uint64_t cookie;
	uint32_t id;
	uint32_t kind;
	uint32_t session_id;
	uint32_t domain_id; /* kind DOMAIN */
	uint32_t device;    /* kind DEVICE: row */
	uint32_t root;
	uint32_t rights;
	uint32_t flags;
	uint64_t window_first;
	uint64_t window_last;
	uint32_t looker;
	uint32_t room[5];
};
IOB_ASSERT_SIZE(struct kept_handle, 80);

struct kept_device {
	struct glue_device info;
	uint32_t state; /* enum device_state */
	uint32_t session_id;
	uint32_t domain_id;
	uint32_t access;
	uint32_t direct;
	uint32_t gained;
	uint32_t lost;
	uint32_t room[37];
};
IOB_ASSERT_SIZE(struct kept_device, 440);

/* Make the tables, or take over those of an earlier monitor. */
int keep_open(struct monitor *m, struct fault *why);
/* Begin with nothing. */
void keep_clear(struct monitor *m);
/* The backend of what there still is, sessions that live and domains that die, or 0. */
uint32_t keep_backend(const struct monitor *m);

/* Room for so many descriptors more? */
int keep_check_room(const struct monitor *m, unsigned fds, struct fault *why);

/* Room in the tables for one more of them? To be asked before anything is made. */
int keep_check_sessions(const struct monitor *m, struct fault *why);
int keep_check_domains(const struct monitor *m, struct fault *why);
int keep_check_handles(const struct monitor *m, struct fault *why);
int keep_check_devices(const struct monitor *m, struct fault *why);

void keep_self(struct monitor *m);
/* Write down how it is now. The first time, its descriptors are kept too. */
void keep_session(struct session *s);
void keep_domain(struct monitor *m, struct domain *d);
void keep_handle(struct monitor *m, struct handle *h);
void keep_device(struct monitor *m, struct device *d);
/* The descriptors of a device that was just bound. */
void keep_bound(struct monitor *m, struct device *d);

/* Before the last descriptors of a device go to the process that takes it apart: it must be alone. */
void keep_forget_bound(struct monitor *m, struct device *d);
void keep_drop_session(struct session *s);
void keep_drop_domain(struct monitor *m, struct domain *d);
void keep_drop_handle(struct monitor *m, struct handle *h);

/* Names of descriptors with the service manager. */
#define KEEP_NAME_BYTES 32
void keep_name(char name[KEEP_NAME_BYTES], const char *what, uint32_t number);
#define KEEP_SESSION   "session" /* its channel, and its process: told apart by their kind */
#define KEEP_CONTEXT   "context"
#define KEEP_DEVICE    "device"
#define KEEP_GROUP     "group"
#define KEEP_SIMULATOR "simulator"

/* ---- monitor-adopt.c ---- */
/* Go on with the sessions of an earlier monitor: the inventory is there, nothing else yet. */
void adopt_all(struct monitor *m);

/* ---- monitor-resume.c ---- */
/* Ask an adopted session what it knows of; until it has answered nothing else of it counts. Whether
 * a message is that answer, and not one to an earlier monitor, session_resumes() says. */
void session_resume(struct session *s);
bool session_resumes(const struct session *s, const struct priv_hdr *hdr);
/* What such a session said. */
void session_resumed(struct session *s, const struct priv_message *msg);

#endif

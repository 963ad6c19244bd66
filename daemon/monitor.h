/* SPDX-License-Identifier: MIT */
/*
 * monitor.h - the ledger: who holds what. Every decision of the monitor is taken from here, never
 * from what a session says.
 *
 * Ownership: the monitor owns sessions and devices; a session owns its domains; a domain owns its
 * handles; a device has at most one handle. Everything a session holds is charged to the account
 * of its peer's uid and refunded where the object is freed.
 */
#ifndef DAEMON_MONITOR_H
#define DAEMON_MONITOR_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event.h>
#include <stdbool.h>

#include "daemon/monitor-config.h"
#include "daemon/monitor-table.h"
#include "daemon/peer.h"
#include "kernel-glue/glue.h"
#include "proto/message.h"
#include "proto/priv.h"
#include "proto/rate.h"

/* Named limits; those of the configuration come on top. */
#define MONITOR_START_SECONDS	60  /* a session must be locked up by then */
#define MONITOR_ANSWER_SECONDS	120 /* DETACH, LOST: behind a batch that pins */
#define MONITOR_END_SECONDS	2   /* a dead session's companion, which may hang in a close() */
#define MONITOR_ATTACH_SECONDS	120 /* ATTACH, ONLINE: may pin many gigabytes */
#define MONITOR_BIND_TRIES	100 /* while somebody who has just ended still has the device */
#define MONITOR_BIND_PAUSE_US	20000
#define MONITOR_DOMAIN_DEVICES	64 /* devices in one domain */
#define MONITOR_NO_SLOT		UINT32_MAX
#define MONITOR_MESSAGES_A_TURN 16  /* taken from one session before others have their turn */
#define MONITOR_DRIVER_SECONDS	10  /* who wants a driver changed is answered by then */
#define MONITOR_DRIVER_MOVES	16u /* such changes under way at a time, of all users */
#define MONITOR_USER_MOVES	4u  /* and of one */
#define MONITOR_REFUSALS_TOLD	5u  /* connections refused, of which each has a line, a second */
#define MONITOR_RELOAD_SECONDS	60  /* for looking up the names of users and groups */

/* What may come at once of what is limited by the second, as so many seconds' worth of it. */
#define MONITOR_RATE_WINDOW_NS UINT64_C(4000000000)
#define MONITOR_MAX_PAUSE_NS   UINT64_C(1000000000) /* of a session that asks too much */

struct monitor;
struct session;
struct domain;

/* What one uid uses, over all its sessions. Freed when nothing is charged, and what it did lately does
 * not count any more. */
struct account {
	LIST_ENTRY(account) link;
	uid_t uid;
	unsigned references;
	uint32_t sessions;
	uint32_t domains;
	uint32_t devices;
	uint32_t mappings;
	uint32_t moves; /* changes of drivers under way */
	uint64_t bytes;
	struct rate connects;
	struct rate setups;
};

/* A socket given to a client. Found again by the cookie of the client's end. */
struct handle {
	RB_ENTRY(handle) by_cookie;
	RB_ENTRY(handle) by_id;
	LIST_ENTRY(handle) of_domain;
	uint64_t cookie;
	uint32_t id;
	uint32_t kind;		 /* IOB_KIND_DOMAIN or IOB_KIND_DEVICE */
	struct session *session; /* that serves it */
	struct domain *domain;	 /* kind DOMAIN */
	struct device *device;	 /* kind DEVICE */
	uint32_t rights;
	uint32_t flags; /* IOB_GRANT_* */
	uint64_t window_first;
	uint64_t window_last;
	bool looker;  /* made by DOMAIN_OPEN: not the doing of whom its session serves */
	uint32_t row; /* in the kept ledger, as of each object; 0: not there */
	bool adopted; /* of an earlier monitor; its session has not said yet that it knows it */
};

enum domain_state {
	DOMAIN_LIVE,
	DOMAIN_DYING, /* being taken apart; only waits for the reaper */
};

struct domain {
	LIST_ENTRY(domain) link;       /* all domains */
	LIST_ENTRY(domain) of_session; /* while LIVE */
	uint32_t id;
	enum domain_state state;
	struct session *session; /* NULL when DYING */
	uint32_t session_id;
	struct account *account; /* charged until freed */
	uint64_t max_bytes;
	uint32_t max_mappings;
	pid_t pid; /* of the client, for people */
	int context_fd;
	uint32_t token;
	struct handle *root;
	LIST_HEAD(, handle) handles;
	LIST_HEAD(, device) devices;
	uint32_t row;
	bool context_kept;
};

enum device_state {
	DEVICE_FREE,
	DEVICE_OPEN,	/* has a handle, is in no domain */
	DEVICE_BINDING, /* bound to the context, the domain's session attaches it */
	DEVICE_BOUND,
	DEVICE_DETACHING, /* sessions give it up, then the reaper takes it out */
};

/* What a DETACHING device waits for. */
enum device_wait {
	DEVICE_WAIT_LOST = 1 << 0,   /* the owner's session to close its descriptor */
	DEVICE_WAIT_DETACH = 1 << 1, /* the domain's session to stop counting on it */
	DEVICE_WAIT_REAPER = 1 << 2,
};

/* Who asked, to be answered when it is done; sessions may be gone by then. */
struct requester {
	uint32_t session_id; /* 0: nobody */
	uint32_t serial;
	uint32_t op;
};

/* A BIND that came while the device was still on its way out of somebody's hands. */
struct parked_bind {
	struct requester requester; /* session_id 0: none */
	uint64_t domain_cookie;
	unsigned tries; /* left */
};

struct device {
	struct monitor *monitor;
	struct glue_device info;
	enum device_state state;
	struct session *owner; /* NULL when FREE, or DETACHING after the owner died */
	struct handle *handle;
	LIST_ENTRY(device) of_domain;
	struct domain *domain; /* BINDING, BOUND, DETACHING */
	struct glue_bound bound;
	uint32_t access; /* IOB_ACCESS_* opened with */
	bool direct;	 /* the binding handle carried IOB_RIGHT_DIRECT */
	bool gained;	 /* the owner's session was given the descriptor */
	uint32_t lost; /* enum iob_unbound_reason told to the owner's session; 0: it asked itself */
	bool reaping;  /* a throwaway process is taking it out */
	bool reaped_with_domain; /* that process takes the whole domain apart */
	unsigned waiting;
	struct requester requester;
	struct fault outcome; /* for the requester; code IOB_OK on success */
	struct parked_bind parked;
	uint32_t row;
	bool bound_kept;
	bool leaving;	   /* adopted on its way in or out of a domain */
	struct move *move; /* the driver of a device of its group is being changed */
	char former[24];   /* the driver it had before it was moved to VFIO; "" when unknown */
	bool gone;	   /* there is none of that name any more, and nobody has it */
};

/* A command sent to a session whose answer is awaited. */
struct expectation {
	LIST_ENTRY(expectation) link;
	uint32_t op;
	uint32_t serial;
	struct device *device;
	struct session *session;
	struct event *timer;
};

struct session {
	LIST_ENTRY(session) link;
	struct monitor *monitor;
	uint32_t id;
	uint32_t slot; /* index of slots; MONITOR_NO_SLOT: adopted, from outside today's range */
	uid_t uid;     /* it runs as, when we are root */
	pid_t pid;
	int pidfd;
	int channel;
	int client_fd; /* until READY, then -1 */
	enum priv_state state;
	bool killed;
	bool ends_itself; /* nobody had a reason to kill it */
	bool adopted;	  /* started by an earlier monitor: not our child */
	bool resuming;	  /* has not answered RESUME yet: what else it says is from before */
	uint32_t row;
	struct event *on_channel;
	struct event *on_exit;
	struct event *on_end; /* after the exit: the end of the channel */
	struct event *on_end_timeout;
	struct event *on_start_timeout;
	struct event *on_pause_over;
	bool paused; /* its channel is not read for a moment */
	struct peer peer;
	struct account *account;
	struct quota quota;
	uint64_t memlock_bytes; /* of its live domains */
	uint32_t handle_count;	/* lookers' are not in it */
	uint32_t looker_count;
	uint32_t next_serial;
	LIST_HEAD(, domain) domains;
	LIST_HEAD(, expectation) expectations;
};

RB_HEAD(handle_tree, handle);
RB_HEAD(handle_ids, handle);
int handle_compare(const struct handle *a, const struct handle *b);
int handle_compare_ids(const struct handle *a, const struct handle *b);
RB_PROTOTYPE(handle_tree, handle, by_cookie, handle_compare)
RB_PROTOTYPE(handle_ids, handle, by_id, handle_compare_ids)

/* See monitor-keep.h. */
struct keep {
	bool active;
	struct table self, sessions, domains, handles, devices;
	uint32_t self_row;
	uint32_t generation;
	unsigned descriptors; /* with the service manager, the tables' not counted */
};

/* What the command line says; valid as long as the process. */
struct options {
	const char *config;
	const char *socket;
	const char *backend;
	const char *libexec;
	bool check; /* only look at the configuration */
};

struct reload;

struct monitor {
	struct event_base *base;
	struct options options;
	struct config config;
	struct reload *reload; /* under way, or NULL */
	unsigned reloads;
	bool reload_again; /* was asked for meanwhile */
	const struct glue_opener *glue;
	char *session_path;
	char *sim_path;
	int listen_fd;
	bool passed; /* the service manager's socket, which is not ours to remove */
	int lock_fd;
	int empty_dir_fd;
	struct event *on_listen;
	struct event *on_sigterm;
	struct event *on_sigint;
	struct event *on_sighup;
	struct rate refusals; /* told in the log */
	uint32_t untold;      /* others, since the last line about them */
	uint64_t started_ms;
	uint32_t next_session_id;
	uint32_t next_domain_id;
	uint32_t next_handle_id;
	uint32_t session_count;
	uint8_t *slots; /* one for each possible session: config.session_uids */
	struct device **devices;
	size_t device_count;
	uint64_t changes; /* of the inventory, when it was read last */
	bool outdated;	  /* it is to be read again in any case */
	LIST_HEAD(, move) moves;
	uint32_t move_count;
	bool ready;	     /* the service manager has heard so */
	bool ended;	     /* told to, while it started */
	size_t start_cursor; /* the next device to look at for [drivers] */
	LIST_HEAD(, session) sessions;
	LIST_HEAD(, account) accounts;
	LIST_HEAD(, domain) domains;
	struct handle_tree handles;
	struct handle_ids handle_ids;
	struct keep keep;
};

/* ---- monitor-ledger.c ---- */
struct account *account_get(struct monitor *m, uid_t uid); /* NULL: out of memory */
void account_put(struct account *a);

/* id 0: a new one. looker: made by DOMAIN_OPEN. */
struct handle *handle_new(struct monitor *m, struct session *s, uint32_t kind, uint64_t cookie,
			  uint32_t id, bool looker);
void handle_free(struct monitor *m, struct handle *h);
struct handle *handle_by_cookie(struct monitor *m, uint64_t cookie);
/* A handle with this id that this session serves, or NULL. */
struct handle *handle_of_session(struct monitor *m, const struct session *s, uint32_t id);
struct session *session_by_id(struct monitor *m, uint32_t id);
struct domain *domain_by_id(struct monitor *m, uint32_t id);
struct device *device_by_name(struct monitor *m, const char *name);
bool device_group_taken(const struct monitor *m, const struct device *d, const struct session *s);
void device_record(const struct session *s, const struct device *d, struct iob_device_rec *rec);

/* ---- monitor-listen.c ---- */
int listen_open(struct monitor *m, struct fault *why);
void listen_close(struct monitor *m);
/* The socket that is listened on, in words. */
#define LISTEN_TOLD_BYTES 160
void listen_tell(const struct monitor *m, char out[LISTEN_TOLD_BYTES]);

/* ---- monitor-session.c ---- */
/* Start a session for a client. Takes client_fd and p in every case. */
void session_start(struct monitor *m, int client_fd, struct peer *p);
/* Send SIGKILL and listen to it no more. What it holds is taken apart, and s freed, when the loop
 * sees that the process has ended: s stays valid in the caller. */
void session_kill(struct session *s, const char *reason);
/* Send a one-way command. A session that does not take it is killed. */
void session_tell(struct session *s, struct priv_message *msg, uint32_t op, const int *fds);
/* Send a command about a device whose answer, or the session's end, leads to device_answered().
 * False when there will be neither: out of memory, the session is killed. */
bool session_ask(struct session *s, struct device *d, struct priv_message *msg, uint32_t op,
		 const int *fds);
void session_reply(struct session *s, struct priv_message *msg, uint32_t op, uint32_t serial,
		   const int *fds);
/* Answers about the device that are still to come (op 0: all) lead to nothing any more. */
void session_forget_answer(struct monitor *m, struct device *d, uint32_t op);

/* The uid of an adopted session lies in the range of today, perhaps: then nobody else gets it. */
void session_claim_slot(struct session *s);
/* The channel and the end of the process from now on. */
int session_watch(struct session *s);

/* ---- monitor-requests.c ---- */
/* Its session has closed it, or knows nothing of it. */
void handle_gone(struct monitor *m, struct handle *h);
/* A request that passed priv_check(). Consumes fds. */
void monitor_request(struct session *s, struct priv_message *msg, struct fd_list *fds);

/* ---- monitor-inventory.c ---- */
/* Read it, the first time or again. What is in use stays as it was when its user got it. */
int inventory_load(struct monitor *m, struct fault *why);
/* Before something of it is told: read it again if anything has changed, at the session's expense. */
void inventory_look(struct session *s);
/* What is known of this device is this, unless it is in use. NULL: out of memory. */
struct device *inventory_learn(struct monitor *m, const struct glue_device *info);
size_t inventory_count(const struct monitor *m);
void inventory_free(struct monitor *m);

/* ---- monitor-domain.c ---- */
/* A new handle of the session for a device; pair: session's end, client's end. */
struct handle *handle_make_device(struct session *s, struct device *d, int pair[2],
				  struct fault *why);
void monitor_domain_create(struct session *s, struct priv_message *msg);
void monitor_domain_open(struct session *s, struct priv_message *msg);
void monitor_grant(struct session *s, struct priv_message *msg);
/* The first handle closed, or its session died: stop devices, unmap, destroy, refund. */
void domain_destroy(struct monitor *m, struct domain *d);
/* The part of it that needs no session: of a domain that is DYING. */
void domain_end(struct monitor *m, struct domain *d);
void domain_reaped(struct monitor *m, struct domain *d);

/* ---- monitor-device.c ---- */
void monitor_device_open(struct session *s, struct priv_message *msg);
/* The handle closed, or its session died. */
void device_release(struct monitor *m, struct device *d);
/* Out of the domain, nothing waits any more. */
void device_detached(struct monitor *m, struct device *d);

/* ---- monitor-driver.c ---- */
void monitor_driver_list(struct session *s, struct priv_message *msg);
void monitor_driver_set(struct session *s, struct priv_message *msg);

/* ---- monitor-driver-start.c ---- */
/* Move what the configuration wants on vfio-pci; waits a little. False: told to end meanwhile. */
bool drivers_at_start(struct monitor *m);

/* ---- monitor-bind.c ---- */
void monitor_bind(struct session *s, struct priv_message *msg, struct fd_list *fds);
void monitor_unbind(struct session *s, struct priv_message *msg);
/* Only now may the device's session, and through it the client, touch the device. Of a BOUND one;
 * on failure d->outcome says why. */
int device_give_to_owner(struct device *d);
/* The session answered ATTACH, ONLINE, DETACH or LOST; f: what it said. */
void device_answered(struct monitor *m, struct device *d, uint32_t op, const struct fault *f);
/* Take a BINDING or BOUND device out. tell_owner: its session still has the descriptor. */
void device_detach(struct monitor *m, struct device *d, enum iob_unbound_reason reason,
		   bool tell_owner);
/* The device is about to be nobody's: who waits to bind it waits in vain. */
void bind_give_up(struct device *d);
/* Something that a DETACHING device waited for is over. */
void device_waited(struct monitor *m, struct device *d, unsigned what);

/* ---- monitor-rate.c ---- */
/* A connection that is about to get a session. */
int account_charge_connect(struct account *a, const struct quota *q, struct fault *why);
/* Is there room in the log for a line about a connection that is refused? If not, it is counted, and
 * the count told soon. Anybody may connect, as often as he likes. */
bool refusal_is_told(struct monitor *m);
/* A request that costs the monitor much. A session whose user asks for too many is not heard for a
 * moment: nothing is refused, its client waits. */
void session_charge_setup(struct session *s);
void session_charge_setups(struct session *s, uint32_t count);
bool session_is_in_debt(const struct session *s);
bool account_is_rested(const struct account *a);

/* ---- monitor-reload.c ---- */
/* SIGHUP: read the configuration again, all of it or nothing. */
void reload_start(struct monitor *m);
void reload_cancel(struct reload *r); /* at the end; may be NULL */
/* What policy gives its user by now; the session is told what it has to know of that. */
void session_refresh_quota(struct session *s);

/* ---- monitor-main.c ---- */
/* What the command line says goes before what the files say. */
int options_apply(const struct options *o, struct config *c, struct fault *why);

/* ---- monitor-reaper.c ---- */
/* Take one device out in a throwaway process; calls device_waited(REAPER). */
void reap_device(struct monitor *m, struct device *d);
/* Take the domain and all its devices apart; calls device_waited() for each, domain_reaped(). */
void reap_domain(struct monitor *m, struct domain *d);

/* ---- monitor-spawn.c ---- */
/* fork and exec the session executable. 0 or -errno; *channel is ours. */
int spawn_session(struct monitor *m, uid_t uid, pid_t *pid, int *pidfd, int *channel);
/* Wait for a process that has ended or is about to (SIGKILL was sent). Its exit status, or minus the signal
 * that ended it. */
int spawn_collect(int pidfd);

/* ---- monitor-close.c ---- */
/* Close descriptors that a client could have chosen, or sockets in whose queue it could have left
 * some: close() may block for as long as somebody unfriendly likes (FUSE flush, lingering TCP), so
 * it is done in a thread that nobody waits for. */
void close_init(struct event_base *b);
void close_foreign(struct fd_list *fds);
void close_foreign_fd(int fd);
/* Of somebody who gets no session, and may be anybody at all. */
void close_refused_fd(int fd);
/* So many of those wait to be closed that no further ones should be accepted. */
bool close_is_behind(void);
void close_pair(const int pair[2]);

uint64_t monitor_now_ms(void);
uint64_t monitor_now_ns(void);

#endif

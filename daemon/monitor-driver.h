/* SPDX-License-Identifier: MIT */
/*
 * monitor-driver.h - moves of devices between the host's drivers and VFIO; private to
 * monitor-driver*.c.
 *
 * A move concerns one IOMMU group. All devices of the group that are in the ledger point to it for
 * as long as it lives, which is as long as its process, and nobody can open them meanwhile.
 */
#ifndef DAEMON_MONITOR_DRIVER_H
#define DAEMON_MONITOR_DRIVER_H

#include "daemon/monitor.h"

/* A device of a group, as it is now. */
struct member {
	struct glue_device info;
	struct device *device;
	bool chosen; /* to be moved */
};

struct group {
	struct member *members; /* sorted by name */
	size_t count;
	struct member *named; /* the one it was asked for by */
	uint64_t stamp;
};

/* Read the group of a device afresh, and what the ledger has of it. group_free() in any case. */
int group_load(struct monitor *m, const char *name, struct group *g, struct fault *why);
void group_free(struct group *g);

struct move_item {
	struct device *device;
	char from[24];	 /* its driver before */
	char former[24]; /* its driver before VFIO, if known */
};

/* What the process says, before each step and at the end. */
struct move_report {
	uint32_t index; /* of the item */
	uint32_t step;	/* enum glue_driver_step */
	uint32_t ended; /* 1: no further report; fault says how it went */
	struct fault fault;
};

struct move {
	LIST_ENTRY(move) link;
	struct monitor *monitor;
	struct account *account;    /* charged for it; NULL: the configuration wants it */
	struct requester requester; /* nobody any more once it is late */
	enum iob_driver to;
	bool late; /* took longer than anybody waits */
	size_t count;
	struct move_item *items;
	struct move_report report; /* the last one */
	int channel;		   /* to the process */
	int pidfd;
	struct event *on_report;
	struct event *on_exit;
	struct event *on_late;
};

/*
 * Move the chosen ones, at least one, of a group in which nobody uses anything. The requester and
 * the account (NULL: nobody's) are told and charged. 0, or -errno and nothing has begun.
 */
int move_start(struct monitor *m, const struct group *g, enum iob_driver to,
	       const struct requester *r, struct account *a, struct fault *why);
/* Is the group free for a move of the chosen ones? */
int move_check(const struct group *g, struct monitor *m, enum iob_driver to, struct fault *why);

/* ---- monitor-driver-child.c ---- */
/* Start the process; v->pidfd and v->channel are ours. It begins with the first byte it is sent. */
int move_fork(struct move *v, struct fault *why);
/* End the process, if there is one; only before it begins is there nothing to wait for. */
void move_unfork(struct move *v);
/* Take what it has said into v->report. */
void move_listen(struct move *v);

/* ---- monitor-driver-start.c ---- */
/* A move that the configuration wanted is over, or late. */
void start_went_on(struct monitor *m, const struct move *v, const struct fault *f);

#endif

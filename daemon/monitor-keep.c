/* SPDX-License-Identifier: MIT */
/* monitor-keep.c - the ledger on paper: writing it. */
#include "daemon/monitor-keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-manager.h"

void keep_name(char name[KEEP_NAME_BYTES], const char *what, uint32_t number)
{
	snprintf(name, KEEP_NAME_BYTES, "iob-%s-%u", what, number);
}

/* ---- tables ---- */

static int open_table(struct table *t, const char *name, size_t row_bytes, uint32_t rows)
{
	char kept[KEEP_NAME_BYTES];
	int fd, r;

	snprintf(kept, sizeof(kept), "iob-%s", name);
	fd = manager_take(kept);
	r = table_open(t, fd, name, row_bytes, rows);
	if (r < 0 && fd >= 0) {
		log_error("%s of an earlier monitor cannot be read; its sessions are ended", name);
		close(fd);
		manager_forget(kept);
		fd = -1;
		r = table_open(t, fd, name, row_bytes, rows);
	}
	if (r == 0 && fd < 0)
		manager_keep(kept, &t->fd, 1);
	return r;
}

int keep_open(struct monitor *m, struct fault *why)
{
	struct keep *k = &m->keep;

	if (!manager_keeps())
		return 0;
	if (open_table(&k->self, "self", sizeof(struct kept_self), 1) < 0 ||
	    open_table(&k->sessions, "sessions", sizeof(struct kept_session), KEEP_MAX_SESSIONS) <
		    0 ||
	    open_table(&k->domains, "domains", sizeof(struct kept_domain), KEEP_MAX_DOMAINS) < 0 ||
	    open_table(&k->handles, "handles", sizeof(struct kept_handle), KEEP_MAX_HANDLES) < 0 ||
	    open_table(&k->devices, "devices", sizeof(struct kept_device), KEEP_MAX_DEVICES) < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, 0,
				 "no memory to keep the ledger in");
	k->active = true;
	return 0;
}

void keep_clear(struct monitor *m)
{
	table_clear(&m->keep.self);
	table_clear(&m->keep.sessions);
	table_clear(&m->keep.domains);
	table_clear(&m->keep.handles);
	table_clear(&m->keep.devices);
	m->keep.self_row = 0;
}

uint32_t keep_backend(const struct monitor *m)
{
	struct kept_self self;
	struct kept_session session;
	struct kept_domain domain;

	if (!m->keep.active ||
	    (table_next((struct table *)&m->keep.sessions, 0, &session) == 0 &&
	     table_next((struct table *)&m->keep.domains, 0, &domain) == 0) ||
	    table_next((struct table *)&m->keep.self, 0, &self) == 0)
		return 0;
	return self.backend;
}

/* Nothing that is promised to a client may be missing after a restart. That there is room was asked
 * before it was promised: a monitor that dies of a full table is followed by one that finds it full. */
static void put(struct table *t, uint32_t *row, const void *data)
{
	if (table_put(t, row, data) == 0)
		return;
	log_error("the ledger is full");
	abort();
}

/* ---- descriptors ---- */

#define KEEP_OWN 6u /* the tables, and the simulator */

/* Sessions that are not ready yet have their row, and descriptors kept, when they are. */
static unsigned starting(const struct monitor *m)
{
	const struct session *s;
	unsigned n = 0;

	LIST_FOREACH(s, &m->sessions, link)
		n += s->row == 0;
	return n;
}

int keep_check_room(const struct monitor *m, unsigned fds, struct fault *why)
{
	unsigned room = manager_room();

	if (!m->keep.active || KEEP_OWN + m->keep.descriptors + 2 * starting(m) + fds <= room)
		return 0;
	return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
			 "the service manager keeps %u descriptors at most "
			 "(FileDescriptorStoreMax=)",
			 room);
}

static void keep_fds(struct monitor *m, const char *what, uint32_t number, const int *fds,
		     unsigned count)
{
	char name[KEEP_NAME_BYTES];

	keep_name(name, what, number);
	manager_keep(name, fds, count);
	m->keep.descriptors += count;
}

static void forget_fds(struct monitor *m, const char *what, uint32_t number, unsigned count)
{
	char name[KEEP_NAME_BYTES];

	keep_name(name, what, number);
	manager_forget(name);
	m->keep.descriptors -= count;
}

/* ---- rows ---- */

/* spoken_for: rows that are promised already. */
static int check_rows(const struct monitor *m, const struct table *t, uint32_t spoken_for,
		      const char *what, struct fault *why)
{
	if (!m->keep.active || table_room(t) > spoken_for)
		return 0;
	return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
			 "%s: the broker keeps %u at most, of all users", what, t->rows);
}

int keep_check_sessions(const struct monitor *m, struct fault *why)
{
	return check_rows(m, &m->keep.sessions, starting(m), "connections", why);
}

int keep_check_domains(const struct monitor *m, struct fault *why)
{
	return check_rows(m, &m->keep.domains, 0, "domains", why);
}

int keep_check_handles(const struct monitor *m, struct fault *why)
{
	return check_rows(m, &m->keep.handles, 0, "handles", why);
}

int keep_check_devices(const struct monitor *m, struct fault *why)
{
	return check_rows(m, &m->keep.devices, 0, "devices", why);
}

void keep_self(struct monitor *m)
{
	const struct kept_self k = {
		.backend = m->glue->backend,
		.next_session_id = m->next_session_id,
		.next_domain_id = m->next_domain_id,
		.next_handle_id = m->next_handle_id,
		.private_version = PRIV_VERSION,
		.generation = m->keep.generation,
	};

	if (m->keep.active)
		put(&m->keep.self, &m->keep.self_row, &k);
}

void keep_session(struct session *s)
{
	struct monitor *m = s->monitor;
	const int fds[] = { s->channel, s->pidfd };
	bool first = s->row == 0;
	struct kept_session k = {
		.id = s->id,
		.uid = s->uid,
		.pid = s->pid,
		.peer_uid = s->peer.uid,
		.peer_gid = s->peer.gid,
		.peer_pid = s->peer.pid,
		.group_count = s->peer.group_count,
	};

	if (!m->keep.active)
		return;
	for (unsigned i = 0; i < s->peer.group_count; i++)
		k.groups[i] = s->peer.groups[i];
	if (first)
		keep_fds(m, KEEP_SESSION, s->id, fds, 2);
	put(&m->keep.sessions, &s->row, &k);
	keep_self(m);
}

void keep_domain(struct monitor *m, struct domain *d)
{
	const struct kept_domain k = {
		.id = d->id,
		.dying = d->state == DOMAIN_DYING,
		.session_id = d->session_id,
		.uid = d->account->uid,
		.pid = d->pid,
		.max_mappings = d->max_mappings,
		.max_bytes = d->max_bytes,
		.token = d->token,
	};

	if (!m->keep.active)
		return;
	if (d->row == 0) {
		keep_fds(m, KEEP_CONTEXT, d->id, &d->context_fd, 1);
		d->context_kept = true;
	}
	put(&m->keep.domains, &d->row, &k);
	keep_self(m);
}

void keep_handle(struct monitor *m, struct handle *h)
{
	const struct kept_handle k = {
		.cookie = h->cookie,
		.id = h->id,
		.kind = h->kind,
		.session_id = h->session->id,
		.domain_id = h->domain ? h->domain->id : 0,
		.device = h->device ? h->device->row : 0,
		.root = h->domain && h->domain->root == h,
		.rights = h->rights,
		.flags = h->flags,
		.window_first = h->window_first,
		.window_last = h->window_last,
		.looker = h->looker,
	};

	if (!m->keep.active)
		return;
	put(&m->keep.handles, &h->row, &k);
	keep_self(m);
}

/* A device that nobody has is not on paper. */
void keep_device(struct monitor *m, struct device *d)
{
	struct kept_device k = {
		.info = d->info,
		.state = (uint32_t)d->state,
		.session_id = d->owner ? d->owner->id : 0,
		.domain_id = d->domain ? d->domain->id : 0,
		.access = d->access,
		.direct = d->direct,
		.gained = d->gained,
		.lost = d->lost,
	};

	if (!m->keep.active)
		return;
	if (d->state == DEVICE_FREE)
		table_drop(&m->keep.devices, &d->row);
	else
		put(&m->keep.devices, &d->row, &k);
}

/* The devices of a group share one open file, of which the service manager keeps a single copy
 * whatever it is called: it goes by the group, from the first device to the last. */
static bool group_is_kept(const struct monitor *m, const struct device *d)
{
	for (size_t i = 0; i < m->device_count; i++) {
		const struct device *o = m->devices[i];

		if (o != d && o->bound_kept && o->info.group == d->info.group &&
		    o->bound.group_fd >= 0)
			return true;
	}
	return false;
}

void keep_bound(struct monitor *m, struct device *d)
{
	if (!m->keep.active)
		return;
	keep_fds(m, KEEP_DEVICE, d->row, &d->bound.device_fd, 1);
	if (d->bound.group_fd >= 0 && !group_is_kept(m, d))
		keep_fds(m, KEEP_GROUP, d->info.group, &d->bound.group_fd, 1);
	d->bound_kept = true;
}

/* ---- the end of things ---- */

void keep_forget_bound(struct monitor *m, struct device *d)
{
	if (!d->bound_kept)
		return;
	forget_fds(m, KEEP_DEVICE, d->row, 1);
	if (d->bound.group_fd >= 0 && !group_is_kept(m, d))
		forget_fds(m, KEEP_GROUP, d->info.group, 1);
	d->bound_kept = false;
}

void keep_drop_session(struct session *s)
{
	if (s->row == 0)
		return;
	table_drop(&s->monitor->keep.sessions, &s->row);
	forget_fds(s->monitor, KEEP_SESSION, s->id, 2);
}

void keep_drop_domain(struct monitor *m, struct domain *d)
{
	table_drop(&m->keep.domains, &d->row);
	if (d->context_kept)
		forget_fds(m, KEEP_CONTEXT, d->id, 1);
	d->context_kept = false;
}

void keep_drop_handle(struct monitor *m, struct handle *h)
{
	table_drop(&m->keep.handles, &h->row);
}

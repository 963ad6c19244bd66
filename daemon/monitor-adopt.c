/* SPDX-License-Identifier: MIT */
/*
 * monitor-adopt.c - building the ledger from what an earlier monitor kept.
 *
 * First everything is read, then what was under way is either finished or undone by the same code
 * that does it otherwise. An object whose owner is missing is treated as if the owner had just died.
 */
#define _GNU_SOURCE
#include <bsd/string.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "daemon/monitor-manager.h"

/* ---- sessions ---- */

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void take_session_fds(struct session *s)
{
	char name[KEEP_NAME_BYTES];
	int fd;

	keep_name(name, KEEP_SESSION, s->id);
	while ((fd = manager_take(name)) >= 0) {
		int *to = is_socket(fd) ? &s->channel : &s->pidfd;

		if (*to >= 0)
			close_foreign_fd(fd);
		else
			*to = fd;
	}
}

static void peer_from_row(struct peer *p, const struct kept_session *k)
{
	p->uid = k->peer_uid;
	p->gid = k->peer_gid;
	p->pid = k->peer_pid;
	p->pidfd = -1;
	p->group_count = k->group_count < PEER_MAX_GROUPS ? k->group_count : PEER_MAX_GROUPS;
	for (unsigned i = 0; i < p->group_count; i++)
		p->groups[i] = k->groups[i];
}

static struct session *session_from_row(struct monitor *m, const struct kept_session *k)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->monitor = m;
	s->id = k->id;
	s->uid = k->uid;
	s->pid = k->pid;
	s->channel = s->pidfd = s->client_fd = -1;
	s->state = PRIV_STATE_READY;
	s->adopted = true;
	LIST_INIT(&s->domains);
	LIST_INIT(&s->expectations);
	peer_from_row(&s->peer, k);
	take_session_fds(s);
	s->account = account_get(m, s->peer.uid);
	return s;
}

/* Without its channel it cannot be heard, without its pidfd its end would not be noticed. */
static void session_give_up(struct session *s)
{
	log_error("session %u: its descriptors were not kept; it is ended", s->id);
	if (s->on_channel)
		event_free(s->on_channel);
	if (s->on_exit)
		event_free(s->on_exit);
	if (s->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
		close(s->pidfd);
	}
	if (s->channel >= 0)
		close_foreign_fd(s->channel);
	keep_drop_session(s);
	if (s->account)
		account_put(s->account);
	free(s);
}

static void adopt_session(struct monitor *m, const struct kept_session *k, uint32_t row)
{
	struct session *s = session_from_row(m, k);

	if (!s)
		return;
	s->row = row;
	m->keep.descriptors += 2;
	if (!s->account || s->channel < 0 || s->pidfd < 0 || session_watch(s) < 0) {
		session_give_up(s);
		return;
	}
	policy_quota(&m->config, &s->peer, &s->quota);
	s->slot = MONITOR_NO_SLOT;
	session_claim_slot(s);
	s->account->sessions++;
	m->session_count++;
	LIST_INSERT_HEAD(&m->sessions, s, link);
}

/* ---- domains ---- */

/* Newest first, as DOMAIN_LIST has it; rows are in no order. */
static void insert_by_id(struct monitor *m, struct domain *d)
{
	struct domain *o, *before = NULL;

	LIST_FOREACH(o, &m->domains, link) {
		if (o->id < d->id)
			break;
		before = o;
	}
	if (before)
		LIST_INSERT_AFTER(before, d, link);
	else
		LIST_INSERT_HEAD(&m->domains, d, link);
}

static void adopt_domain(struct monitor *m, const struct kept_domain *k, uint32_t row)
{
	struct session *s = session_by_id(m, k->session_id);
	struct domain *d = calloc(1, sizeof(*d));
	char name[KEEP_NAME_BYTES];

	if (!d || !(d->account = account_get(m, k->uid)))
		abort(); /* nothing is lost: the next start tries again */
	keep_name(name, KEEP_CONTEXT, k->id);
	d->id = k->id;
	d->row = row;
	d->session_id = k->session_id;
	d->session = k->dying ? NULL : s;
	d->state = d->session ? DOMAIN_LIVE : DOMAIN_DYING;
	d->pid = k->pid;
	d->max_bytes = k->max_bytes;
	d->max_mappings = k->max_mappings;
	d->token = k->token;
	d->context_fd = manager_take(name);
	d->context_kept = d->context_fd >= 0;
	m->keep.descriptors += d->context_kept;
	LIST_INIT(&d->handles);
	LIST_INIT(&d->devices);
	d->account->domains++;
	d->account->bytes += d->max_bytes;
	d->account->mappings += d->max_mappings;
	insert_by_id(m, d);
	if (d->state == DOMAIN_LIVE)
		LIST_INSERT_HEAD(&d->session->domains, d, of_session);
	if (s) /* also of a dying one: domain_reaped() takes it off */
		s->memlock_bytes += d->max_bytes;
}

/* ---- devices ---- */

/* What is in use stays as it was when its user got it, and its user was allowed to. One that is no longer in
 * the inventory was pulled out: its user has to be told all the same. */
static struct device *find_device(struct monitor *m, const struct glue_device *info)
{
	struct device *d = device_by_name(m, info->name);

	m->outdated = true;
	if (d) {
		d->info = *info;
		return d;
	}
	d = inventory_learn(m, info);
	if (!d)
		abort();
	d->info.usable = false;
	strlcpy(d->info.why, "it is no longer there", sizeof(d->info.why));
	return d;
}

/* All devices of a group have the same open file, which is kept once. */
static int sibling_group_dup(const struct monitor *m, const struct device *d)
{
	for (size_t i = 0; i < m->device_count; i++) {
		const struct device *o = m->devices[i];

		if (o != d && o->bound_kept && o->info.group == d->info.group &&
		    o->bound.group_fd >= 0)
			return m->glue->descriptor_dup(o->bound.group_fd);
	}
	return -1;
}

static void take_bound(struct monitor *m, struct device *d)
{
	char name[KEEP_NAME_BYTES];

	keep_name(name, KEEP_DEVICE, d->row);
	d->bound.device_fd = manager_take(name);
	if (d->bound.device_fd < 0)
		return; /* the group is for those that have theirs */
	d->bound_kept = true;
	m->keep.descriptors++;
	keep_name(name, KEEP_GROUP, d->info.group);
	d->bound.group_fd = manager_take(name);
	if (d->bound.group_fd >= 0)
		m->keep.descriptors++;
	else
		d->bound.group_fd = sibling_group_dup(m, d);
}

static void adopt_device(struct monitor *m, const struct kept_device *k, uint32_t row)
{
	struct device *d = find_device(m, &k->info);

	d->row = row;
	/* device_detach() takes it from there, whatever else had been done of it */
	d->leaving = k->state == DEVICE_BINDING || k->state == DEVICE_DETACHING;
	d->state = k->state == DEVICE_OPEN ? DEVICE_OPEN : DEVICE_BOUND;
	d->owner = session_by_id(m, k->session_id);
	d->domain = k->domain_id ? domain_by_id(m, k->domain_id) : NULL;
	d->access = k->access;
	d->direct = k->direct;
	d->gained = k->gained;
	d->lost = k->lost;
	take_bound(m, d);
	if (d->owner)
		d->owner->account->devices++;
	if (d->domain)
		LIST_INSERT_HEAD(&d->domain->devices, d, of_domain);
}

static struct device *device_by_row(struct monitor *m, uint32_t row)
{
	for (size_t i = 0; i < m->device_count; i++)
		if (row != 0 && m->devices[i]->row == row)
			return m->devices[i];
	return NULL;
}

/* ---- handles ---- */

static bool handle_fits(struct monitor *m, const struct kept_handle *k)
{
	struct session *s = session_by_id(m, k->session_id);

	if (!s)
		return false;
	if (k->kind == IOB_KIND_DEVICE) {
		const struct device *d = device_by_row(m, k->device);

		return d && d->owner == s && !d->handle;
	}
	const struct domain *d = domain_by_id(m, k->domain_id);

	return d && d->session == s && !(k->root && d->root); /* a dying one has none */
}

static void adopt_handle(struct monitor *m, const struct kept_handle *k, uint32_t row)
{
	struct session *s = session_by_id(m, k->session_id);
	struct handle *h;

	if (!handle_fits(m, k)) {
		table_drop(&m->keep.handles, &row);
		return;
	}
	h = handle_new(m, s, k->kind, k->cookie, k->id, k->looker == 1);
	if (!h)
		abort();
	h->row = row;
	h->adopted = true;
	h->rights = k->rights;
	h->flags = k->flags;
	h->window_first = k->window_first;
	h->window_last = k->window_last;
	if (k->kind == IOB_KIND_DEVICE) {
		h->device = device_by_row(m, k->device);
		h->device->handle = h;
		return;
	}
	h->domain = domain_by_id(m, k->domain_id);
	LIST_INSERT_HEAD(&h->domain->handles, h, of_domain);
	if (k->root)
		h->domain->root = h;
}

/* ---- what was under way ---- */

/* A domain without a handle, or whose context was not kept, can be neither used nor closed. */
static void settle_domains(struct monitor *m)
{
	struct domain *d, *next;

	LIST_FOREACH_SAFE(d, &m->domains, link, next) {
		if (d->state == DOMAIN_LIVE && (!d->root || d->context_fd < 0))
			domain_destroy(m, d);
		else if (d->state == DOMAIN_DYING)
			domain_end(m, d);
	}
}

/* Its domain was taken apart, with it, and its user was told to let go of it. */
static void settle_without_domain(struct monitor *m, struct device *d)
{
	session_forget_answer(m, d, 0);
	keep_forget_bound(m, d);
	if (d->bound.device_fd >= 0)
		close(d->bound.device_fd);
	if (d->bound.group_fd >= 0)
		close(d->bound.group_fd);
	device_detached(m, d);
}

static void settle_device(struct monitor *m, struct device *d)
{
	if (d->state == DEVICE_OPEN) {
		d->state = d->owner ? DEVICE_OPEN : DEVICE_FREE;
		keep_device(m, d);
	} else if (!d->domain) {
		settle_without_domain(m, d);
	} else if (d->state == DEVICE_BOUND &&
		   (d->leaving || d->bound.device_fd < 0 || !d->owner)) {
		device_detach(m, d, d->lost ? d->lost : IOB_UNBOUND_FAILED, d->gained);
	}
	d->leaving = false;
}

static void settle_devices(struct monitor *m)
{
	for (size_t i = 0; i < m->device_count; i++)
		if (m->devices[i]->row != 0)
			settle_device(m, m->devices[i]);
}

/* Opened on paper, and the handle was not made. */
static void settle_owners(struct monitor *m)
{
	for (size_t i = 0; i < m->device_count; i++) {
		struct device *d = m->devices[i];

		if (!d->owner || d->handle)
			continue;
		d->owner->account->devices--;
		d->owner = NULL;
	}
}

/* ---- all ---- */

static void read_tables(struct monitor *m)
{
	struct keep *k = &m->keep;
	struct kept_session session;
	struct kept_domain domain;
	struct kept_device device;
	struct kept_handle handle;

	for (uint32_t r = 0; (r = table_next(&k->sessions, r, &session)) != 0;)
		adopt_session(m, &session, r);
	for (uint32_t r = 0; (r = table_next(&k->domains, r, &domain)) != 0;)
		adopt_domain(m, &domain, r);
	for (uint32_t r = 0; (r = table_next(&k->devices, r, &device)) != 0;)
		adopt_device(m, &device, r);
	for (uint32_t r = 0; (r = table_next(&k->handles, r, &handle)) != 0;)
		adopt_handle(m, &handle, r);
}

/* It must not map any more while its domains are taken apart. */
static void end_session(uint32_t id)
{
	struct session s = { .id = id, .channel = -1, .pidfd = -1 };
	char name[KEEP_NAME_BYTES];

	take_session_fds(&s);
	if (s.pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, s.pidfd, SIGKILL, NULL, 0);
		close(s.pidfd);
	}
	if (s.channel >= 0)
		close_foreign_fd(s.channel);
	keep_name(name, KEEP_SESSION, id);
	manager_forget(name);
}

/* Of sessions that are not gone on with only the domains are known: that nothing stays mapped in them is
 * for us to see to, for a device in somebody's hands would keep it. */
static void adopt_orphans(struct monitor *m)
{
	struct keep *k = &m->keep;
	struct kept_session session;
	struct kept_domain domain;

	for (uint32_t r = 0; (r = table_next(&k->sessions, r, &session)) != 0;)
		end_session(session.id);
	table_clear(&k->sessions);
	table_clear(&k->handles);
	table_clear(&k->devices);
	for (uint32_t r = 0; (r = table_next(&k->domains, r, &domain)) != 0;)
		adopt_domain(m, &domain, r);
	settle_domains(m);
}

static void adopt_ids(struct monitor *m, const struct kept_self *self)
{
	m->keep.generation = self->generation + 1;
	m->next_session_id = self->next_session_id;
	m->next_domain_id = self->next_domain_id;
	m->next_handle_id = self->next_handle_id;
}

/* Sessions whose private protocol is another are not heard: their channels end, and they. */
static bool speaks_as_we_do(const struct kept_self *self)
{
	if (self->private_version == PRIV_VERSION)
		return true;
	log_error("the sessions there are speak version %u of the private protocol, not %u",
		  self->private_version, PRIV_VERSION);
	return false;
}

void adopt_all(struct monitor *m)
{
	struct kept_self self;
	struct session *s;

	if (!m->keep.active)
		return;
	m->keep.self_row = table_next(&m->keep.self, 0, &self);
	if (m->keep.self_row == 0) {
		keep_clear(m);
	} else if (speaks_as_we_do(&self)) {
		adopt_ids(m, &self);
		keep_self(m); /* the generation, before anything is said in it */
		read_tables(m);
		LIST_FOREACH(s, &m->sessions, link)
			session_resume(s);
		settle_owners(m);
		settle_domains(m);
		settle_devices(m);
	} else {
		adopt_ids(m, &self);
		adopt_orphans(m);
	}
	keep_self(m);
	if (m->session_count)
		log_info("%u sessions of an earlier monitor go on", m->session_count);
}

/* SPDX-License-Identifier: MIT */
/* monitor-ledger.c - finding things, and accounts that are charged and refunded. */
#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/monitor-keep.h"

int handle_compare(const struct handle *a, const struct handle *b)
{
	return (a->cookie > b->cookie) - (a->cookie < b->cookie);
}

RB_GENERATE(handle_tree, handle, by_cookie, handle_compare)

int handle_compare_ids(const struct handle *a, const struct handle *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(handle_ids, handle, by_id, handle_compare_ids)

/* Who closes everything and comes again must not find his limits as new. */
static void account_drop(struct account *a)
{
	if (a->references > 0 || !account_is_rested(a))
		return;
	LIST_REMOVE(a, link);
	free(a);
}

struct account *account_get(struct monitor *m, uid_t uid)
{
	struct account *a, *next;

	LIST_FOREACH_SAFE(a, &m->accounts, link, next) {
		if (a->uid == uid) {
			a->references++;
			return a;
		}
		account_drop(a);
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->uid = uid;
	a->references = 1;
	LIST_INSERT_HEAD(&m->accounts, a, link);
	return a;
}

void account_put(struct account *a)
{
	a->references--;
	account_drop(a);
}

/* Ids are never 0, and never given twice: a monitor that made one handle a microsecond would need
 * over an hour to wrap, with at most a few thousand alive; those are skipped. */
static uint32_t handle_next_id(struct monitor *m)
{
	struct handle key = { 0 };

	do {
		key.id = ++m->next_handle_id;
	} while (key.id == 0 || RB_FIND(handle_ids, &m->handle_ids, &key));
	return key.id;
}

/* Who looks must not take from what the looked-at may have: there is a count for each. */
static uint32_t *handle_counter(const struct handle *h)
{
	return h->looker ? &h->session->looker_count : &h->session->handle_count;
}

struct handle *handle_new(struct monitor *m, struct session *s, uint32_t kind, uint64_t cookie,
			  uint32_t id, bool looker)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->cookie = cookie;
	h->id = id ? id : handle_next_id(m);
	h->kind = kind;
	h->session = s;
	h->looker = looker;
	h->window_last = UINT64_MAX;
	if (RB_INSERT(handle_tree, &m->handles, h)) { /* the kernel never gives a cookie twice */
		free(h);
		return NULL;
	}
	if (RB_INSERT(handle_ids, &m->handle_ids, h)) {
		RB_REMOVE(handle_tree, &m->handles, h);
		free(h);
		return NULL;
	}
	(*handle_counter(h))++;
	return h;
}

void handle_free(struct monitor *m, struct handle *h)
{
	keep_drop_handle(m, h);
	if (h->domain)
		LIST_REMOVE(h, of_domain);
	(*handle_counter(h))--;
	RB_REMOVE(handle_tree, &m->handles, h);
	RB_REMOVE(handle_ids, &m->handle_ids, h);
	free(h);
}

struct handle *handle_by_cookie(struct monitor *m, uint64_t cookie)
{
	struct handle key = { .cookie = cookie };

	return RB_FIND(handle_tree, &m->handles, &key);
}

struct handle *handle_of_session(struct monitor *m, const struct session *s, uint32_t id)
{
	struct handle key = { .id = id };
	struct handle *h = RB_FIND(handle_ids, &m->handle_ids, &key);

	return h && h->session == s ? h : NULL;
}

struct session *session_by_id(struct monitor *m, uint32_t id)
{
	struct session *s;

	LIST_FOREACH(s, &m->sessions, link)
		if (s->id == id)
			return s;
	return NULL;
}

struct domain *domain_by_id(struct monitor *m, uint32_t id)
{
	struct domain *d;

	LIST_FOREACH(d, &m->domains, link)
		if (d->id == id)
			return d;
	return NULL;
}

struct device *device_by_name(struct monitor *m, const char *name)
{
	for (size_t i = 0; i < m->device_count; i++)
		if (strcmp(m->devices[i]->info.name, name) == 0)
			return m->devices[i];
	return NULL;
}

/* The IOMMU group is the smallest unit of trust: it is never split between two sessions. */
bool device_group_taken(const struct monitor *m, const struct device *d, const struct session *s)
{
	for (size_t i = 0; i < m->device_count; i++) {
		const struct device *o = m->devices[i];

		if (o != d && o->info.group == d->info.group && o->state != DEVICE_FREE &&
		    o->owner != s)
			return true;
	}
	return false;
}

void device_record(const struct session *s, const struct device *d, struct iob_device_rec *rec)
{
	memset(rec, 0, sizeof(*rec));
	strlcpy(rec->name, d->info.name, sizeof(rec->name));
	strlcpy(rec->driver, d->info.driver, sizeof(rec->driver));
	rec->class_code = d->info.class_code;
	rec->vendor = d->info.vendor;
	rec->device = d->info.device;
	rec->group = d->info.group;
	rec->owner_uid = d->owner ? d->owner->peer.uid : UINT32_MAX;
	rec->access = policy_device_access(&s->monitor->config, &s->peer, &d->info);
	if (d->state != DEVICE_FREE)
		rec->flags |= IOB_DEVICE_OPENED;
	if (d->state == DEVICE_BOUND)
		rec->flags |= IOB_DEVICE_BOUND;
	if (d->owner == s)
		rec->flags |= IOB_DEVICE_YOURS;
	if (!d->info.usable)
		rec->flags |= IOB_DEVICE_UNUSABLE;
}

/* SPDX-License-Identifier: MIT */
/* monitor-requests.c - what a session may ask: the dispatch, and the requests that only look. */
#include <bsd/string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/monitor.h"

#ifndef IOB_VERSION
#define IOB_VERSION "unknown"
#endif

/* The cursor is the place in the inventory at which to go on. */
static void monitor_device_list(struct session *s, struct priv_message *msg)
{
	struct monitor *m = s->monitor;
	struct priv_message rep = { 0 };
	struct priv_device_list *l = &rep.device_list;

	if (msg->cursor.cursor == 0)
		inventory_look(s);
	for (size_t i = msg->cursor.cursor; i < m->device_count; i++) {
		const struct device *d = m->devices[i];

		if (d->gone || (policy_device_access(&m->config, &s->peer, &d->info) == 0 &&
				!policy_may_inspect_all(&m->config, &s->peer)))
			continue;
		if (l->count == IOB_MAX_DEVICE_LIST) {
			l->next = (uint32_t)i;
			break;
		}
		device_record(s, d, &l->records[l->count++]);
	}
	session_reply(s, &rep, PRIV_DEVICE_LIST, msg->hdr.serial, NULL);
}

static void domain_record(const struct domain *d, struct iob_domain_rec *rec)
{
	const struct device *dev;

	rec->domain_id = d->id;
	rec->uid = d->account->uid;
	rec->pid = (uint32_t)d->pid;
	rec->max_bytes = d->max_bytes;
	rec->max_mappings = d->max_mappings;
	LIST_FOREACH(dev, &d->devices, of_domain) {
		if (dev->state != DEVICE_BOUND)
			continue;
		if (rec->devices++ == 0)
			strlcpy(rec->first_device, dev->info.name, sizeof(rec->first_device));
	}
}

/* The list is newest first, by id: the cursor is the lowest id told so far. */
static void monitor_domain_list(struct session *s, struct priv_message *msg)
{
	struct monitor *m = s->monitor;
	struct priv_message rep = { 0 };
	struct priv_domain_list *l = &rep.domain_list;
	bool all = policy_may_inspect_all(&m->config, &s->peer);
	struct domain *d;

	LIST_FOREACH(d, &m->domains, link) {
		if (d->state != DOMAIN_LIVE || (!all && d->account->uid != s->peer.uid) ||
		    (msg->cursor.cursor != 0 && d->id >= msg->cursor.cursor))
			continue;
		if (l->count == IOB_MAX_DEVICE_LIST) {
			l->next = l->records[l->count - 1].domain_id;
			break;
		}
		domain_record(d, &l->records[l->count++]);
	}
	session_reply(s, &rep, PRIV_DOMAIN_LIST, msg->hdr.serial, NULL);
}

uint64_t monitor_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t monitor_now_ms(void)
{
	return monitor_now_ns() / 1000000;
}

static void monitor_status(struct session *s, struct priv_message *msg)
{
	struct monitor *m = s->monitor;
	struct priv_message rep = { 0 };
	struct iob_status_rep *r = &rep.status_rep.data;
	struct domain *d;

	inventory_look(s);
	r->monitor_pid = (uint32_t)getpid();
	r->backend = m->glue->backend;
	r->uptime_ms = monitor_now_ms() - m->started_ms;
	r->sessions = m->session_count;
	LIST_FOREACH(d, &m->domains, link)
		r->domains++;
	r->devices = (uint32_t)inventory_count(m);
	for (size_t i = 0; i < m->device_count; i++)
		r->devices_open += m->devices[i]->state != DEVICE_FREE;
	strlcpy(r->version, IOB_VERSION, sizeof(r->version));
	session_reply(s, &rep, PRIV_STATUS, msg->hdr.serial, NULL);
}

void handle_gone(struct monitor *m, struct handle *h)
{
	if (h->kind == IOB_KIND_DEVICE) {
		h->device->gained = false; /* the session closes its descriptor before it tells */
		device_release(m, h->device);
	} else if (h == h->domain->root) {
		domain_destroy(m, h->domain);
	} else {
		handle_free(m, h);
	}
}

/* The last copy of a handle is gone. An unknown id is a handle that went with its domain. */
static void monitor_closed(struct session *s, struct priv_message *msg)
{
	struct handle *h = handle_of_session(s->monitor, s, msg->id.id);

	if (h)
		handle_gone(s->monitor, h);
}

void monitor_request(struct session *s, struct priv_message *msg, struct fd_list *fds)
{
	switch (msg->hdr.op) {
	case PRIV_DEVICE_LIST:
		monitor_device_list(s, msg);
		break;
	case PRIV_DOMAIN_CREATE:
		session_charge_setup(s);
		monitor_domain_create(s, msg);
		break;
	case PRIV_DEVICE_OPEN:
		session_charge_setup(s);
		monitor_device_open(s, msg);
		break;
	case PRIV_DOMAIN_LIST:
		monitor_domain_list(s, msg);
		break;
	case PRIV_DOMAIN_OPEN:
		session_charge_setup(s); /* wakes the session of somebody else */
		monitor_domain_open(s, msg);
		break;
	case PRIV_STATUS:
		monitor_status(s, msg);
		break;
	case PRIV_GRANT:
		monitor_grant(s, msg);
		break;
	case PRIV_BIND:
		session_charge_setup(s);
		monitor_bind(s, msg, fds);
		break;
	case PRIV_UNBIND:
		monitor_unbind(s, msg);
		break;
	case PRIV_CLOSED:
		monitor_closed(s, msg);
		break;
	case PRIV_DRIVER_LIST:
		session_charge_setup(s); /* reads all of a group */
		monitor_driver_list(s, msg);
		break;
	case PRIV_DRIVER_SET:
		session_charge_setup(s);
		monitor_driver_set(s, msg);
		break;
	default:
		session_kill(s, "it asked for what does not exist");
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * monitor-driver-move.c - a move of devices to another driver, from its begin to its end.
 *
 * A process does it. Who asked is answered when the process has ended, or after
 * MONITOR_DRIVER_SECONDS, whatever comes first; the devices are nobody's until it has ended.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-driver.h"

static const char *driver_words(const char *driver)
{
	return driver[0] ? driver : "no driver";
}

/* ---- answers ---- */

static void move_answer(struct move *v, const struct fault *f)
{
	struct requester *r = &v->requester;
	struct session *s = r->session_id ? session_by_id(v->monitor, r->session_id) : NULL;
	struct priv_message rep = { 0 };

	if (!v->account)
		start_went_on(v->monitor, v, f);
	if (s) {
		priv_status_from_fault(&rep.status, f);
		rep.driver_set.data.moved = (uint32_t)v->count;
		session_reply(s, &rep, r->op, r->serial, NULL);
	}
	r->session_id = 0;
}

static void late_words(const struct move *v, struct fault *f)
{
	const struct move_item *item = &v->items[v->report.index];
	const char *name = item->device->info.name;
	const char *to = v->to == IOB_DRIVER_VFIO ? "vfio-pci" : "the host";

	switch (v->report.step) {
	case GLUE_DRIVER_UNBIND:
		fault_set(f, IOB_E_BUSY, IOB_STEP_DRIVER, ETIMEDOUT,
			  "driver %s has not let go of %s yet: something uses it. Still waiting; "
			  "then it goes to %s",
			  driver_words(item->from), name, to);
		break;
	case GLUE_DRIVER_PROBE:
		fault_set(
			f, IOB_E_BUSY, IOB_STEP_DRIVER, ETIMEDOUT,
			"%s is on its way to %s, whose driver has not taken it yet. Still waiting",
			name, to);
		break;
	default:
		fault_set(f, IOB_E_BUSY, IOB_STEP_DRIVER, ETIMEDOUT,
			  "the kernel is busy with %s: another change of its driver is under way. "
			  "Still waiting; then it goes to %s",
			  name, to);
	}
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct move *v = arg;
	struct fault f = { 0 };

	(void)fd;
	(void)what;
	move_listen(v);
	late_words(v, &f);
	log_warn("%s", f.text);
	v->late = true;
	move_answer(v, &f);
}

/* ---- the end ---- */

static void move_free(struct move *v)
{
	struct event *const events[] = { v->on_report, v->on_exit, v->on_late };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	if (v->channel >= 0)
		close(v->channel);
	if (v->pidfd >= 0)
		close(v->pidfd);
	free(v->items);
	free(v);
}

/* What it was called before. Of one that came from the host, for the way back. */
static void item_done(const struct move *v, const struct move_item *item)
{
	struct device *d = item->device;

	if (strcmp(item->from, d->info.driver) == 0)
		return;
	log_info("device %s: %s -> %s", d->info.name, driver_words(item->from),
		 driver_words(d->info.driver));
	if (v->to == IOB_DRIVER_VFIO && d->info.on_vfio)
		strlcpy(d->former, item->from, sizeof(d->former));
	else if (!d->info.on_vfio)
		d->former[0] = '\0';
}

static void move_outcome(const struct move *v, struct fault *f)
{
	const struct glue_device *d = &v->items[v->report.index].device->info;

	*f = v->report.fault;
	if (v->report.ended == 0)
		fault_set(f, IOB_E_INTERNAL, IOB_STEP_DRIVER, 0,
			  "the process that changes drivers has ended early; %s has %s now",
			  d->name, driver_words(d->driver));
	else if (f->code != IOB_OK && v->count > 1)
		fault_set(f, (enum iob_code)f->code, (enum iob_step)f->step, f->sys_errno,
			  "%u of %zu devices were moved, then: %.190s", v->report.index, v->count,
			  v->report.fault.text);
}

static void move_end(struct move *v)
{
	struct monitor *m = v->monitor;
	struct group g = { 0 };
	struct fault f = { 0 };

	/* for the ledger, which takes over what is read */
	if (group_load(m, v->items[0].device->info.name, &g, &f) < 0)
		log_warn("after a change of drivers: %s", f.text);
	group_free(&g);
	for (size_t i = 0; i < m->device_count; i++)
		if (m->devices[i]->move == v)
			m->devices[i]->move = NULL;
	for (size_t i = 0; i < v->count; i++)
		item_done(v, &v->items[i]);
	move_outcome(v, &f);
	if (f.code != IOB_OK)
		log_warn("%s", f.text);
	LIST_REMOVE(v, link);
	m->move_count--;
	if (!v->late)
		move_answer(v, &f);
	if (v->account) {
		v->account->moves--;
		account_put(v->account);
	}
	move_free(v);
}

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct move *v = arg;

	(void)what;
	move_listen(v);
	spawn_collect((int)fd);
	move_end(v);
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	struct move *v = arg;
	char byte;

	(void)what;
	move_listen(v);
	if (recv((int)fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		event_del(v->on_report); /* its end; the pidfd tells */
}

/* ---- the begin ---- */

int move_check(const struct group *g, struct monitor *m, enum iob_driver to, struct fault *why)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct member *e = &g->members[i];
		const struct device *d = e->device;

		if (d->move)
			return fault_set(why, IOB_E_BUSY, IOB_STEP_DRIVER, 0,
					 "the driver of %s, or of another device of its IOMMU "
					 "group, is being changed already",
					 e->info.name);
		if (d->owner)
			return fault_set(why, IOB_E_BUSY, IOB_STEP_DRIVER, 0,
					 "device %s is open in a client", e->info.name);
		if (d->state != DEVICE_FREE)
			return fault_set(why, IOB_E_BUSY, IOB_STEP_DRIVER, 0,
					 "device %s is still being taken from its last user",
					 e->info.name);
		if (!e->chosen)
			continue;
		if (m->glue->driver_check(&e->info, to, why) < 0)
			return -1;
	}
	return 0;
}

static struct move *move_new(struct monitor *m, const struct group *g)
{
	struct move *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->monitor = m;
	v->channel = v->pidfd = -1;
	v->items = calloc(g->count, sizeof(*v->items));
	if (!v->items) {
		move_free(v);
		return NULL;
	}
	for (size_t i = 0; i < g->count; i++) {
		struct member *e = &g->members[i];
		struct move_item *item = &v->items[v->count];

		if (!e->chosen)
			continue;
		item->device = e->device;
		strlcpy(item->from, e->info.driver, sizeof(item->from));
		strlcpy(item->former, e->device->former, sizeof(item->former));
		v->count++;
	}
	return v;
}

static int move_watch(struct move *v, struct fault *why)
{
	const struct timeval limit = { .tv_sec = MONITOR_DRIVER_SECONDS };
	struct event_base *base = v->monitor->base;
	char go = 0;

	v->on_exit = event_new(base, v->pidfd, EV_READ, on_exit_event, v);
	v->on_report = event_new(base, v->channel, EV_READ | EV_PERSIST, on_report, v);
	v->on_late = evtimer_new(base, on_late, v);
	if (!v->on_exit || !v->on_report || !v->on_late || event_add(v->on_exit, NULL) < 0 ||
	    event_add(v->on_report, NULL) < 0 || event_add(v->on_late, &limit) < 0 ||
	    send(v->channel, &go, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_DRIVER, ENOMEM,
				 "the process that changes drivers cannot be watched");
	return 0;
}

int move_start(struct monitor *m, const struct group *g, enum iob_driver to,
	       const struct requester *r, struct account *a, struct fault *why)
{
	struct move *v = move_new(m, g);

	if (!v)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_DRIVER, ENOMEM, "out of memory");
	v->to = to;
	v->requester = *r;
	if (move_fork(v, why) < 0 || move_watch(v, why) < 0) {
		move_unfork(v);
		move_free(v);
		return -1;
	}
	if (a) {
		v->account = account_get(m, a->uid); /* there is one: a */
		v->account->moves++;
	}
	for (size_t i = 0; i < g->count; i++)
		g->members[i].device->move = v;
	LIST_INSERT_HEAD(&m->moves, v, link);
	m->move_count++;
	return 0;
}

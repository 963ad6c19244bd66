/* SPDX-License-Identifier: MIT */
/*
 * monitor-driver-start.c - what [drivers] of the configuration wants moved to vfio-pci at the start.
 *
 * A few groups at a time. The start waits for them, but not for those that are late, and never
 * longer than START_SECONDS; what is not done by then goes on while clients are served. Nothing of
 * it keeps the broker from starting.
 */
#include "daemon/log.h"
#include "daemon/monitor-driver.h"

#define START_SECONDS	15
#define START_AT_A_TIME 8u

/* Those matching, of the group of one of them. */
static int choose(struct monitor *m, struct group *g)
{
	int chosen = 0;

	for (size_t i = 0; i < g->count; i++) {
		struct member *e = &g->members[i];

		e->chosen = !e->info.on_vfio && policy_wants_vfio(&m->config, &e->info);
		chosen += e->chosen;
	}
	return chosen;
}

static void start_group(struct monitor *m, const char *name)
{
	const struct requester nobody = { 0 };
	struct fault why = { 0 };
	struct group g;

	if (group_load(m, name, &g, &why) < 0 ||
	    (choose(m, &g) > 0 && (move_check(&g, m, IOB_DRIVER_VFIO, &why) < 0 ||
				   move_start(m, &g, IOB_DRIVER_VFIO, &nobody, NULL, &why) < 0)))
		log_warn("[drivers]: %s is not moved to vfio-pci: %s", name, why.text);
	group_free(&g);
}

static unsigned under_way(const struct monitor *m)
{
	const struct move *v;
	unsigned n = 0;

	LIST_FOREACH(v, &m->moves, link)
		n += !v->account && !v->late;
	return n;
}

static void start_more(struct monitor *m)
{
	while (m->start_cursor < m->device_count && under_way(m) < START_AT_A_TIME) {
		const struct device *d = m->devices[m->start_cursor++];

		if (!d->move && !d->info.on_vfio && policy_wants_vfio(&m->config, &d->info))
			start_group(m, d->info.name);
	}
}

void start_went_on(struct monitor *m, const struct move *v, const struct fault *f)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct glue_device *d = &v->items[i].device->info;

		if (f->code == IOB_OK && !d->usable)
			log_warn("[drivers]: %s is on vfio-pci, but %s", d->name, d->why);
	}
	start_more(m);
}

static void tell_unmatched(const struct monitor *m)
{
	const char *word;

	for (size_t i = 0; (word = policy_vfio_word(&m->config, i)) != NULL; i++) {
		size_t n = 0;

		while (n < m->device_count &&
		       !policy_vfio_matches(&m->config, i, &m->devices[n]->info))
			n++;
		if (n == m->device_count)
			log_warn("[drivers]: no device matches %s", word);
	}
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

bool drivers_at_start(struct monitor *m)
{
	const struct timeval limit = { .tv_sec = START_SECONDS };
	bool over = false;
	struct event *timer;

	tell_unmatched(m);
	start_more(m);
	/* Sessions of an earlier monitor are served meanwhile; who is new waits. */
	if (m->on_listen)
		event_del(m->on_listen);
	timer = evtimer_new(m->base, on_limit, &over);
	if (!timer || event_add(timer, &limit) < 0)
		over = true;
	while (!over && under_way(m) > 0 && !event_base_got_break(m->base))
		event_base_loop(m->base, EVLOOP_ONCE);
	if (timer)
		event_free(timer);
	if (m->on_listen)
		event_add(m->on_listen, NULL);
	return !event_base_got_break(m->base);
}

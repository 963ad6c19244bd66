/* SPDX-License-Identifier: MIT */
/*
 * monitor-inventory.c - which devices there are, and on which drivers.
 *
 * Others than the broker plug devices, make virtual functions and change drivers, and nobody tells the
 * monitor, which has no network to hear the kernel's messages from. So it looks, when somebody asks, and
 * reads again only if the kernel has announced anything since.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

/* Reading as many devices takes the monitor as long as setting one thing up. */
#define DEVICES_A_SETUP 32u

/* Nothing points to it. */
static bool is_at_rest(const struct device *d)
{
	return d->state == DEVICE_FREE && !d->move;
}

/* Places are for ever, because DEVICE_LIST counts on them; only one of a device that is gone is used
 * again. So there are no more than there were devices at one time. */
static struct device *place_find(const struct monitor *m)
{
	for (size_t i = 0; i < m->device_count; i++)
		if (m->devices[i]->gone && is_at_rest(m->devices[i]))
			return m->devices[i];
	return NULL;
}

static struct device *place_add(struct monitor *m)
{
	struct device **more =
		reallocarray(m->devices, m->device_count + 1, sizeof(struct device *));
	struct device *d = calloc(1, sizeof(*d));

	if (more)
		m->devices = more;
	if (!more || !d) {
		free(d);
		return NULL;
	}
	m->devices[m->device_count++] = d;
	return d;
}

static bool is_of_a_kind(const struct glue_device *a, const struct glue_device *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->class_code == b->class_code;
}

static bool is_same(const struct glue_device *a, const struct glue_device *b)
{
	return is_of_a_kind(a, b) && a->group == b->group && a->usable == b->usable &&
	       strcmp(a->driver, b->driver) == 0 && strcmp(a->node, b->node) == 0;
}

struct device *inventory_learn(struct monitor *m, const struct glue_device *info)
{
	struct device *d = device_by_name(m, info->name);

	if (d)
		d->gone = false;
	if (d && d->state != DEVICE_FREE)
		return d;
	if (!d) {
		d = place_find(m);
		if (!d)
			d = place_add(m);
		if (!d)
			return NULL;
		*d = (struct device){ .monitor = m, .bound = { -1, -1 } };
	}
	/* what the broker moved is no more, or was moved on by others */
	if (!info->on_vfio || !is_of_a_kind(&d->info, info))
		d->former[0] = '\0';
	d->info = *info;
	return d;
}

/* Of one that is in use and has changed, the new state is to be read when its user is done with it. */
static bool take(struct monitor *m, const struct glue_device *info, bool *outdated)
{
	const struct device *d = inventory_learn(m, info);

	if (d && !is_same(&d->info, info))
		*outdated = true;
	return d != NULL;
}

static bool is_listed(const struct glue_device *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return true;
	return false;
}

static void forget_absent(struct monitor *m, const struct glue_device *list, size_t count,
			  bool *outdated)
{
	for (size_t i = 0; i < m->device_count; i++) {
		struct device *d = m->devices[i];

		if (d->gone || is_listed(list, count, d->info.name))
			continue;
		if (is_at_rest(d)) {
			d->gone = true;
			d->former[0] = '\0';
		} else {
			*outdated = true;
		}
	}
}

int inventory_load(struct monitor *m, struct fault *why)
{
	struct glue_device *list;
	uint64_t changes = 0;
	bool outdated = m->glue->changes(&changes) < 0;
	bool complete = true;
	size_t count;

	if (m->glue->inventory(&list, &count, why) < 0)
		return -1;
	for (size_t i = 0; i < count && complete; i++)
		complete = take(m, &list[i], &outdated);
	if (complete)
		forget_absent(m, list, count, &outdated);
	free(list);
	/* those before the reading: what was announced meanwhile is read another time */
	m->changes = changes;
	m->outdated = outdated || !complete;
	return complete ? 0 :
			  fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_NONE, ENOMEM, "out of memory");
}

void inventory_look(struct session *s)
{
	struct monitor *m = s->monitor;
	struct fault why = { 0 };
	uint64_t changes;

	if (!m->outdated && m->glue->changes(&changes) == 0 && changes == m->changes)
		return;
	/* Anybody can have the kernel announce something. Who asks too often hears what was so. */
	if (session_is_in_debt(s))
		return;
	if (inventory_load(m, &why) < 0)
		log_warn("the devices cannot be looked at again: %s", why.text);
	session_charge_setups(s, 1 + (uint32_t)m->device_count / DEVICES_A_SETUP);
}

size_t inventory_count(const struct monitor *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->device_count; i++)
		n += !m->devices[i]->gone;
	return n;
}

void inventory_free(struct monitor *m)
{
	for (size_t i = 0; i < m->device_count; i++)
		free(m->devices[i]);
	free(m->devices);
	m->devices = NULL;
	m->device_count = 0;
}

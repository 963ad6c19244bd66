/* SPDX-License-Identifier: MIT */
/* monitor-device.c - opening a device, and what happens when its handle is gone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "proto/names.h"

static bool name_is_terminated(const char name[IOB_NAME_BYTES])
{
	return memchr(name, '\0', IOB_NAME_BYTES) != NULL;
}

/* What may have changed since the start: the driver, the group, the node. */
static int device_refresh(struct monitor *m, struct device *d, struct fault *why)
{
	struct glue_device *list;
	size_t count;
	bool found = false;

	if (m->glue->group(d->info.name, &list, &count, why) < 0)
		return -1;
	for (size_t i = 0; i < count && !found; i++) {
		found = strcmp(list[i].name, d->info.name) == 0;
		if (found)
			inventory_learn(m, &list[i]); /* there is one: d */
	}
	free(list);
	if (!found)
		return fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_DEVICE_OPEN, 0,
				 "device %s is no longer there", d->info.name);
	return 0;
}

static int device_check(struct session *s, struct device *d, uint32_t wanted, uint32_t allowed,
			struct fault *why)
{
	const char *name = d->info.name;
	char gives[NAMES_BYTES], asked[NAMES_BYTES];

	if ((wanted & ~allowed) != 0)
		return fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
				 "device %s: policy gives %s, %s was asked", name,
				 names_access(allowed, gives),
				 names_access(wanted & ~allowed, asked));
	/* The errno tells whether it makes sense to wait. */
	if (d->owner == s)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_DEVICE_OPEN, EALREADY,
				 "device %s: you have it open already", name);
	if (d->state != DEVICE_FREE)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_DEVICE_OPEN, EBUSY, "device %s: %s",
				 name,
				 d->owner ? "another client has it open" :
					    "it is still being taken from its last user");
	if (d->move)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_DEVICE_OPEN, EBUSY,
				 "device %s: a driver in its IOMMU group is being changed", name);
	if (s->account->devices >= s->quota.max_devices)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "max-devices: uid %u has %u devices", (unsigned)s->peer.uid,
				 s->account->devices);
	if (device_refresh(s->monitor, d, why) < 0)
		return -1;
	/* another device may sit there by now, or another driver */
	if ((wanted & ~policy_device_access(&s->monitor->config, &s->peer, &d->info)) != 0)
		return fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
				 "device %s: it has changed, and policy no longer gives %s", name,
				 names_access(wanted, asked));
	if (!d->info.usable)
		return fault_set(why, IOB_E_UNSAFE, IOB_STEP_DEVICE_OPEN, 0, "device %s: %s", name,
				 d->info.why);
	if (device_group_taken(s->monitor, d, s))
		return fault_set(why, IOB_E_GROUP, IOB_STEP_GROUP, 0,
				 "device %s: another client has a device of IOMMU group %u", name,
				 d->info.group);
	return 0;
}

static struct device *device_find(struct session *s, const char *name, uint32_t *allowed)
{
	struct device *d = name_is_terminated(name) ? device_by_name(s->monitor, name) : NULL;

	*allowed = d ? policy_device_access(&s->monitor->config, &s->peer, &d->info) : 0;
	return *allowed ? d : NULL;
}

/* A device that policy hides does not exist for the asker. */
static struct device *device_lookup(struct session *s, const struct priv_device_open *q,
				    uint32_t *allowed, struct fault *why)
{
	struct device *d = device_find(s, q->name, allowed);

	if (!d) {
		inventory_look(s);
		d = device_find(s, q->name, allowed);
	}
	if (d)
		return d;
	fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_POLICY, 0, "device %.31s: none that you may open",
		  name_is_terminated(q->name) ? q->name : "(unterminated name)");
	return NULL;
}

static struct device *device_open(struct session *s, const struct priv_device_open *q, int pair[2],
				  struct fault *why)
{
	uint32_t wanted = q->access ? q->access : IOB_ACCESS_MEDIATED;
	uint32_t allowed;
	struct device *d = device_lookup(s, q, &allowed, why);

	if (!d || device_check(s, d, wanted, allowed, why) < 0 ||
	    keep_check_devices(s->monitor, why) < 0)
		return NULL;
	d->handle = handle_make_device(s, d, pair, why);
	if (!d->handle)
		return NULL;
	d->state = DEVICE_OPEN;
	d->owner = s;
	d->access = wanted;
	s->account->devices++;
	keep_device(s->monitor, d);
	keep_handle(s->monitor, d->handle);
	return d;
}

void monitor_device_open(struct session *s, struct priv_message *msg)
{
	struct priv_message rep = { 0 };
	struct fault why = { 0 };
	int pair[2];
	struct device *d = device_open(s, &msg->device_open, pair, &why);

	priv_status_from_fault(&rep.status, &why);
	if (!d) {
		session_reply(s, &rep, PRIV_DEVICE_OPEN, msg->hdr.serial, NULL);
		return;
	}
	rep.device_opened.handle_id = d->handle->id;
	rep.device_opened.access = d->access;
	device_record(s, d, &rep.device_opened.record);
	log_info("device %s: opened by session %u", d->info.name, s->id);
	session_reply(s, &rep, PRIV_DEVICE_OPEN, msg->hdr.serial, pair);
	close_pair(pair);
}

void device_release(struct monitor *m, struct device *d)
{
	struct session *owner = d->owner;

	log_info("device %s: released by session %u", d->info.name, owner->id);
	bind_give_up(d);
	handle_free(m, d->handle);
	d->handle = NULL;
	d->owner = NULL;
	owner->account->devices--;
	if (d->state == DEVICE_BINDING)
		fault_set(&d->outcome, IOB_E_GONE, IOB_STEP_BIND, 0,
			  "the device handle was closed meanwhile");
	if (d->state == DEVICE_OPEN)
		d->state = DEVICE_FREE;
	else if (d->state != DEVICE_DETACHING)
		device_detach(m, d, IOB_UNBOUND_REQUEST, false);
	keep_device(m, d);
}

void device_detached(struct monitor *m, struct device *d)
{
	struct priv_message freed = { 0 };
	uint32_t lost = d->lost;

	d->lost = 0;
	d->bound = (struct glue_bound){ -1, -1 };
	d->gained = false;
	d->direct = false;
	d->reaping = false;
	d->reaped_with_domain = false;
	d->state = d->owner ? DEVICE_OPEN : DEVICE_FREE;
	log_info("device %s: out of its domain", d->info.name);
	/* Not before: who hears of it may bind it elsewhere at once. That it is told comes before
	 * that it was: a new monitor tells it twice rather than never. */
	if (lost != 0 && d->owner) {
		freed.lost.handle_id = d->handle->id;
		freed.lost.reason = lost;
		session_tell(d->owner, &freed, PRIV_FREED, NULL);
	}
	keep_device(m, d);
}

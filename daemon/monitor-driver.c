/* SPDX-License-Identifier: MIT */
/*
 * monitor-driver.c - who may move which devices to another driver: DRIVER_LIST and DRIVER_SET.
 *
 * A session names one device. Which ones are in its group, what drivers they have, and whether the
 * user may, is read afresh from the kernel and from policy. The stamp makes sure that the group is
 * what a person was shown before; it protects from mistakes, not from anybody.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/monitor-driver.h"

#define CLASS_BRIDGE 0x06u /* of any kind, also to nowhere */

/*
 * What is left out when the group is moved. A bridge that is a device to VFIO is no use to a client,
 * so that it need not move, unless a driver of the host on it is in the way.
 */
static bool stays(const struct group *g, const struct member *e)
{
	if (glue_is_bridge(&e->info))
		return true;
	return e != g->named && e->info.class_code >> 16 == CLASS_BRIDGE && !e->info.driver[0];
}

/* ---- groups ---- */

/* FNV-1a, 64 bits. */
static void stamp_add(uint64_t *stamp, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		*stamp = (*stamp ^ p[i]) * UINT64_C(0x100000001b3);
}

static void group_stamp(struct group *g)
{
	uint64_t stamp = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < g->count; i++) {
		const struct glue_device *d = &g->members[i].info;

		stamp_add(&stamp, d->name, strlen(d->name) + 1);
		stamp_add(&stamp, d->driver, strlen(d->driver) + 1);
		stamp_add(&stamp, &d->vendor, sizeof(d->vendor));
		stamp_add(&stamp, &d->device, sizeof(d->device));
		stamp_add(&stamp, &d->class_code, sizeof(d->class_code));
	}
	g->stamp = stamp ? stamp : 1;
}

static const struct glue_device *find(const struct glue_device *list, size_t count,
				      const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

static bool group_take(struct monitor *m, struct group *g, const struct glue_device *info,
		       bool named)
{
	struct member *e = &g->members[g->count];

	e->info = *info;
	e->device = inventory_learn(m, info);
	if (!e->device)
		return false;
	if (named)
		g->named = e;
	g->count++;
	return true;
}

int group_load(struct monitor *m, const char *name, struct group *g, struct fault *why)
{
	const struct glue_device *one;
	struct glue_device *list;
	bool complete = true;
	size_t count;

	*g = (struct group){ 0 };
	if (m->glue->group(name, &list, &count, why) < 0)
		return -1;
	one = find(list, count, name);
	g->members = one ? calloc(count, sizeof(*g->members)) : NULL;
	for (size_t i = 0; g->members && complete && i < count; i++)
		if (list[i].group == one->group)
			complete = group_take(m, g, &list[i], &list[i] == one);
	group_stamp(g);
	free(list);
	if (!g->named || !complete)
		return one ? fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_DRIVER, ENOMEM,
				       "out of memory") :
			     fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_DRIVER, 0,
				       "device %s is no longer there", name);
	return 0;
}

void group_free(struct group *g)
{
	free(g->members);
	*g = (struct group){ 0 };
}

/* ---- rights ---- */

static bool may_move(const struct session *s, const struct glue_device *d)
{
	return policy_may_move(&s->monitor->config, &s->peer, d);
}

static bool may_see(const struct session *s, const struct glue_device *d)
{
	const struct config *c = &s->monitor->config;

	return may_move(s, d) || policy_may_inspect_all(c, &s->peer) ||
	       policy_device_access(c, &s->peer, d) != 0;
}

/* The group of a device that the user may see; others do not exist for the asker. */
static int group_of(struct session *s, const char name[IOB_NAME_BYTES], struct group *g,
		    struct fault *why)
{
	bool terminated = memchr(name, '\0', IOB_NAME_BYTES) != NULL;

	*g = (struct group){ 0 };
	if (terminated && !device_by_name(s->monitor, name))
		inventory_look(s);
	if (terminated && device_by_name(s->monitor, name)) {
		if (group_load(s->monitor, name, g, why) < 0)
			return -1;
		if (may_see(s, &g->named->info))
			return 0;
	}
	return fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_POLICY, 0,
			 "device %.31s: none that you may see",
			 terminated ? name : "(unterminated name)");
}

/* ---- DRIVER_LIST ---- */

static void driver_record(const struct session *s, const struct group *g, const struct member *e,
			  struct iob_driver_rec *rec)
{
	const struct device *d = e->device;

	device_record(s, d, &rec->device);
	/* whose it is, is told to those who see the device anyway */
	if (!may_see(s, &e->info))
		rec->device.owner_uid = UINT32_MAX;
	strlcpy(rec->former, d->former, sizeof(rec->former));
	rec->stamp = g->stamp;
	if (e->info.on_vfio)
		rec->flags |= IOB_DRIVER_ON_VFIO;
	if (stays(g, e))
		rec->flags |= IOB_DRIVER_STAYS;
	else if (may_move(s, &e->info))
		rec->flags |= IOB_DRIVER_YOURS;
	if (d->move)
		rec->flags |= IOB_DRIVER_MOVING;
}

void monitor_driver_list(struct session *s, struct priv_message *msg)
{
	const struct iob_driver_list_req *q = &msg->driver_list_req;
	struct priv_message rep = { 0 };
	struct priv_driver_list *l = &rep.driver_list;
	struct fault why = { 0 };
	struct group g;

	if (group_of(s, q->name, &g, &why) == 0) {
		for (size_t i = q->cursor; i < g.count && l->next == 0; i++) {
			if (l->count == IOB_MAX_DEVICE_LIST)
				l->next = (uint32_t)i;
			else
				driver_record(s, &g, &g.members[i], &l->records[l->count++]);
		}
	}
	priv_status_from_fault(&l->status, &why);
	group_free(&g);
	session_reply(s, &rep, PRIV_DRIVER_LIST, msg->hdr.serial, NULL);
}

/* ---- DRIVER_SET ---- */

static int request_check(const struct iob_driver_set_req *q, struct fault *why)
{
	if ((q->driver == IOB_DRIVER_VFIO || q->driver == IOB_DRIVER_HOST) &&
	    (q->flags & ~IOB_DRIVER_GROUP) == 0)
		return 0;
	return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
			 "driver must be 1 (VFIO) or 2 (HOST), flags 0 or 1 (GROUP), not %u and %u",
			 q->driver, q->flags);
}

static int rights_check(const struct session *s, const struct group *g, bool whole,
			struct fault *why)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct member *e = &g->members[i];

		if (e != g->named && (!whole || stays(g, e)))
			continue;
		if (!may_move(s, &e->info))
			return fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
					 "device %s: policy does not let uid %u change its driver",
					 e->info.name, (unsigned)s->peer.uid);
	}
	return 0;
}

/* Those that are not there already. A device of the group that has no driver keeps none, unless it
 * is asked for by its name. */
static size_t choose(struct group *g, const struct iob_driver_set_req *q)
{
	size_t chosen = 0;

	for (size_t i = 0; i < g->count; i++) {
		struct member *e = &g->members[i];
		bool asked = e == g->named || ((q->flags & IOB_DRIVER_GROUP) && !stays(g, e));
		bool bare = e == g->named && !e->info.driver[0];

		e->chosen = asked && (q->driver == IOB_DRIVER_VFIO ? !e->info.on_vfio :
								     e->info.on_vfio || bare);
		chosen += e->chosen;
	}
	return chosen;
}

static int limit_check(const struct session *s, struct fault *why)
{
	if (s->account->moves >= MONITOR_USER_MOVES)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "uid %u has %u changes of drivers under way",
				 (unsigned)s->peer.uid, s->account->moves);
	if (s->monitor->move_count >= MONITOR_DRIVER_MOVES)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "%u changes of drivers are under way", s->monitor->move_count);
	return 0;
}

/* 1: begun, will be answered. 0: nothing to do. */
static int driver_set(struct session *s, const struct priv_message *msg, struct group *g,
		      struct fault *why)
{
	const struct iob_driver_set_req *q = &msg->driver_set_req;
	const struct requester r = { s->id, msg->hdr.serial, msg->hdr.op };
	enum iob_driver to = (enum iob_driver)q->driver;

	if (group_of(s, q->name, g, why) < 0 || request_check(q, why) < 0 ||
	    rights_check(s, g, (q->flags & IOB_DRIVER_GROUP) != 0, why) < 0)
		return -1;
	/* Asked again after a restart, and the earlier monitor had done it: the group is as it was
	 * asked to be, though not as it was shown. */
	if (msg->hdr.again == 1 && choose(g, q) == 0)
		return 0;
	if (q->stamp != g->stamp)
		return fault_set(
			why, IOB_E_GROUP, IOB_STEP_GROUP, ESTALE,
			"IOMMU group %u, or a driver in it, is no longer what it was: look "
			"again",
			g->named->info.group);
	if (choose(g, q) == 0)
		return 0;
	if (move_check(g, s->monitor, to, why) < 0 || limit_check(s, why) < 0 ||
	    move_start(s->monitor, g, to, &r, s->account, why) < 0)
		return -1;
	log_info("session %u: uid %u moves %s%s to %s", s->id, (unsigned)s->peer.uid,
		 g->named->info.name, q->flags & IOB_DRIVER_GROUP ? " and its group" : "",
		 to == IOB_DRIVER_VFIO ? "vfio-pci" : "the host");
	return 1;
}

void monitor_driver_set(struct session *s, struct priv_message *msg)
{
	struct priv_message rep = { 0 };
	struct fault why = { 0 };
	struct group g;
	int r = driver_set(s, msg, &g, &why);

	group_free(&g);
	if (r > 0)
		return;
	priv_status_from_fault(&rep.status, &why);
	session_reply(s, &rep, PRIV_DRIVER_SET, msg->hdr.serial, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * monitor-resume.c - going on with a session of an earlier monitor.
 *
 * What was said on the channel before this monitor came may have been heard or not, carried out or
 * not. So none of it counts: the session is asked what it has, and drops, or asks again, what is
 * unanswered. Its word only ever takes away: what the ledger has and the session does not know is
 * released; what the session claims and the ledger does not have ends it.
 */
#include <string.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"

/* Serials of one monitor are not those of the next. */
#define GENERATION_SHIFT 20

void session_resume(struct session *s)
{
	struct priv_message msg = { 0 }, limits = { 0 };

	s->resuming = true;
	s->next_serial = s->monitor->keep.generation << GENERATION_SHIFT;
	session_ask(s, NULL, &msg, PRIV_RESUME, NULL);
	/* The configuration may have changed since. Whom it names no more keeps what the session has. */
	limits.limits.max_rate = s->quota.max_rate;
	if (policy_knows(&s->monitor->config, &s->peer))
		session_tell(s, &limits, PRIV_LIMITS, NULL);
}

/* The session may have been asked by a monitor between, which did not live to hear the answer. */
bool session_resumes(const struct session *s, const struct priv_hdr *hdr)
{
	const struct expectation *e;

	LIST_FOREACH(e, &s->expectations, link)
		if (e->op == PRIV_RESUME)
			return hdr->reply == 1 && hdr->op == PRIV_RESUME &&
			       hdr->serial == e->serial;
	return false;
}

/* The handles that it knows; NULL or the reason why it must end. */
static const char *known_check(struct session *s, const struct priv_resumed *r)
{
	if (r->session_id != s->id)
		return "it never got its client";
	if (r->count > PRIV_MAX_HANDLES)
		return "it broke the private protocol";
	for (uint32_t i = 0; i < r->count; i++) {
		const struct priv_known *k = &r->known[i];
		struct handle *h = handle_of_session(s->monitor, s, k->handle_id);

		if (!h || h->kind != k->kind)
			return "it has a handle that was not kept";
		if (k->bound == PRIV_BOUND &&
		    (h->kind != IOB_KIND_DEVICE || h->device->state == DEVICE_OPEN))
			return "it has a device that is in no domain";
		h->adopted = false;
		if (k->bound == PRIV_NOT_BOUND && h->kind == IOB_KIND_DEVICE)
			h->device->gained = false;
	}
	return NULL;
}

static struct handle *unknown_handle(struct monitor *m, const struct session *s)
{
	struct handle *h;

	RB_FOREACH(h, handle_tree, &m->handles)
		if (h->session == s && h->adopted)
			return h;
	return NULL;
}

void session_resumed(struct session *s, const struct priv_message *msg)
{
	struct monitor *m = s->monitor;
	const char *wrong = known_check(s, &msg->resumed);
	struct handle *h;

	s->resuming = false;
	if (wrong) {
		session_kill(s, wrong);
		return;
	}
	/* one may take others along */
	while ((h = unknown_handle(m, s)) != NULL)
		handle_gone(m, h);
	for (size_t i = 0; i < m->device_count; i++) {
		struct device *d = m->devices[i];

		if (d->owner != s || d->state != DEVICE_BOUND || d->gained)
			continue;
		if (device_give_to_owner(d) < 0)
			device_detach(m, d, IOB_UNBOUND_FAILED, false);
	}
	log_info("session %u: goes on, process %d", s->id, (int)s->pid);
}

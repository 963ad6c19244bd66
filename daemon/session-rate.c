/* SPDX-License-Identifier: MIT */
/*
 * session-rate.c - max-rate: so many operations a second on one connection.
 *
 * It counts for the connection and all handles that its session serves, not for the user over all
 * connections: sessions share nothing, and a bucket they share would be memory that a session taken
 * over could write, or a message for every operation. max-sessions times max-rate bounds the user.
 *
 * Who opened a domain by its number to look at it has no part in that: lookers have a rate of their
 * own, one for all of them, for it is the client's session whose time they take, and he did not
 * invite them.
 *
 * Whoever goes beyond it is not read for a while, so that in the end his send() waits. No request is
 * lost or refused. Revocation and the like go on: they come over the channel.
 */
#include <stdlib.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/session.h"

#define MICROSECOND_NS 1000

/* Coarse: to a few milliseconds, and without a system call even where the clock needs one. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- handles meanwhile ---- */

static void on_closed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	handle_close(arg);
}

/* On which of the two it draws. */
static struct throttle *throttle_of(const struct handle *h)
{
	return h->looker ? &h->session->lookers : &h->session->own;
}

/* Who is gone must not keep memory mapped until his pause is over. Without memory for the event he
 * does: then he is read too early instead. */
bool rate_park(struct handle *h)
{
	struct throttle *t = throttle_of(h);

	if (!t->active)
		return false;
	if (!h->on_closed)
		h->on_closed =
			event_new(t->session->base, h->fd, EV_CLOSED | EV_PERSIST, on_closed, h);
	if (h->on_closed && event_add(h->on_closed, NULL) == 0)
		event_del(h->on_read);
	else
		t->active = false;
	return true;
}

static void unpark_all(struct throttle *t)
{
	struct handle *h;

	LIST_FOREACH(h, &t->session->handles, link) {
		if (throttle_of(h) != t || !h->on_closed ||
		    !event_pending(h->on_closed, EV_CLOSED, NULL))
			continue;
		event_del(h->on_closed);
		if (!h->pending && !h->out)
			event_add(h->on_read, NULL);
	}
}

/* ---- pauses ---- */

static void pause_end(struct throttle *t)
{
	t->active = false;
	event_del(t->on_over);
	unpark_all(t);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pause_end(arg);
}

static void log_first(const struct throttle *t)
{
	const struct session *s = t->session;

	if (t == &s->own)
		log_info("session %u: throttled, max-rate is %u", s->id, t->max_rate);
	else
		log_info("session %u: those who look at its domains are throttled, to %u "
			 "operations a second",
			 s->id, t->max_rate);
}

static void pause_begin(struct throttle *t, uint64_t ns)
{
	struct timeval length = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_usec = (suseconds_t)(ns % 1000000000 / MICROSECOND_NS),
	};

	if (!t->on_over) {
		t->on_over = evtimer_new(t->session->base, on_pause_over, t);
		log_first(t);
	}
	t->active = t->on_over && event_add(t->on_over, &length) == 0;
}

void rate_spend(struct handle *h, uint32_t operations)
{
	struct throttle *t = throttle_of(h);
	uint64_t debt;

	if (t->max_rate == RATE_UNLIMITED || operations == 0)
		return;
	debt = rate_charge(&t->rate, now_ns(), t->max_rate, SESSION_RATE_WINDOW_NS, operations);
	if (debt > 0)
		pause_begin(t, debt);
}

void rate_init(struct session *s)
{
	s->own.session = s->lookers.session = s;
	s->lookers.max_rate = SESSION_LOOKER_RATE;
}

/* A debt was made at the old rate: it is forgiven, lest a pause of minutes outlasts its reason. */
void rate_limit(struct session *s, uint32_t max_rate)
{
	struct throttle *t = &s->own;

	if (t->max_rate == max_rate)
		return;
	t->max_rate = max_rate;
	t->rate = (struct rate){ 0 };
	if (t->active)
		pause_end(t);
}

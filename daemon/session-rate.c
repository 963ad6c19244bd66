/* SPDX-License-Identifier: MIT */
/*
 * session-rate.c - max-rate: so many operations a second on one connection.
 *
 * It counts for the connection and all handles that its session serves, not for the user over all
 * connections: sessions share nothing, and a bucket they share would be memory that a session taken
 * over could write, or a message for every operation. max-sessions times max-rate bounds the user.
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

/* Who is gone must not keep memory mapped until his pause is over. Without memory for the event he
 * does: then he is read too early instead. */
void rate_park(struct handle *h)
{
	struct session *s = h->session;

	if (!h->on_closed)
		h->on_closed = event_new(s->base, h->fd, EV_CLOSED | EV_PERSIST, on_closed, h);
	if (h->on_closed && event_add(h->on_closed, NULL) == 0)
		event_del(h->on_read);
	else
		s->throttled = false;
}

static void unpark_all(struct session *s)
{
	struct handle *h;

	LIST_FOREACH(h, &s->handles, link) {
		if (!h->on_closed || !event_pending(h->on_closed, EV_CLOSED, NULL))
			continue;
		event_del(h->on_closed);
		if (!h->pending && !h->out)
			event_add(h->on_read, NULL);
	}
}

/* ---- pauses ---- */

static void pause_end(struct session *s)
{
	s->throttled = false;
	event_del(s->on_rate);
	unpark_all(s);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pause_end(arg);
}

static void pause_begin(struct session *s, uint64_t ns)
{
	struct timeval length = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_usec = (suseconds_t)(ns % 1000000000 / MICROSECOND_NS),
	};

	if (!s->on_rate) {
		s->on_rate = evtimer_new(s->base, on_pause_over, s);
		log_info("session %u: throttled, max-rate is %u", s->id, s->max_rate);
	}
	s->throttled = s->on_rate && event_add(s->on_rate, &length) == 0;
}

void rate_spend(struct session *s, uint32_t operations)
{
	uint64_t debt;

	if (s->max_rate == RATE_UNLIMITED || operations == 0)
		return;
	debt = rate_charge(&s->rate, now_ns(), s->max_rate, SESSION_RATE_WINDOW_NS, operations);
	if (debt > 0)
		pause_begin(s, debt);
}

/* A debt was made at the old rate: it is forgiven, lest a pause of minutes outlasts its reason. */
void rate_limit(struct session *s, uint32_t max_rate)
{
	if (s->max_rate == max_rate)
		return;
	s->max_rate = max_rate;
	s->rate = (struct rate){ 0 };
	if (s->throttled)
		pause_end(s);
}

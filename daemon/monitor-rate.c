/* SPDX-License-Identifier: MIT */
/*
 * monitor-rate.c - what costs the monitor much is limited by the second, for each user.
 *
 * A connection is a fork and an exec; making a domain, opening and binding a device, looking at drivers
 * or changing them open nodes, read sysfs, and lead to a reaper; to look at somebody's domain takes his
 * session's time. One user could keep the monitor busy with them, and all others wait.
 * Operations that only a session has work with are limited there, see session-rate.c.
 */
#include "daemon/log.h"
#include "daemon/monitor.h"

/* ---- connections ---- */

/* Only those that would get a session are counted: refusing costs little. */
int account_charge_connect(struct account *a, const struct quota *q, struct fault *why)
{
	if (rate_take(&a->connects, monitor_now_ns(), q->max_connects, MONITOR_RATE_WINDOW_NS, 1))
		return 0;
	return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
			 "max-connects: uid %u makes more than %u connections a second; try again "
			 "in a moment",
			 (unsigned)a->uid, q->max_connects);
}

/* ---- the log ---- */

#define REFUSALS_WINDOW_NS UINT64_C(1000000000)

static void on_refusals(evutil_socket_t fd, short what, void *arg)
{
	struct monitor *m = arg;

	(void)fd;
	(void)what;
	log_info("%u further connections refused", m->untold);
	m->untold = 0;
}

bool refusal_is_told(struct monitor *m)
{
	struct timeval second = { .tv_sec = 1 };

	if (rate_take(&m->refusals, monitor_now_ns(), MONITOR_REFUSALS_TOLD, REFUSALS_WINDOW_NS, 1))
		return true;
	if (m->untold == 0 && event_base_once(m->base, -1, EV_TIMEOUT, on_refusals, m, &second) < 0)
		return true; /* nothing would tell the count */
	m->untold++;
	return false;
}

/* ---- setups ---- */

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	s->paused = false;
	if (!s->killed)
		event_add(s->on_channel, NULL);
}

/* Its answers and the ends of its handles wait as well: bounded, and in the end felt by others only
 * when they share a device with it. */
static void session_pause(struct session *s, uint64_t ns)
{
	uint64_t us = (ns < MONITOR_MAX_PAUSE_NS ? ns : MONITOR_MAX_PAUSE_NS) / 1000;
	struct timeval length = {
		.tv_sec = (time_t)(us / 1000000),
		.tv_usec = (suseconds_t)(us % 1000000),
	};

	if (!s->on_pause_over) {
		s->on_pause_over = evtimer_new(s->monitor->base, on_pause_over, s);
		log_info("session %u: slowed down, max-setups of uid %u is %u", s->id,
			 (unsigned)s->peer.uid, s->quota.max_setups);
	}
	if (!s->on_pause_over || event_add(s->on_pause_over, &length) < 0)
		return; /* out of memory: it goes on as it likes, and others get the same trouble */
	s->paused = true;
	event_del(s->on_channel);
}

void session_charge_setups(struct session *s, uint32_t count)
{
	uint64_t debt = rate_charge(&s->account->setups, monitor_now_ns(), s->quota.max_setups,
				    MONITOR_RATE_WINDOW_NS, count);

	if (debt > 0 && !s->killed)
		session_pause(s, debt);
}

bool session_is_in_debt(const struct session *s)
{
	struct rate now = s->account->setups;

	return rate_charge(&now, monitor_now_ns(), s->quota.max_setups, MONITOR_RATE_WINDOW_NS, 0) >
	       0;
}

void session_charge_setup(struct session *s)
{
	session_charge_setups(s, 1);
}

bool account_is_rested(const struct account *a)
{
	uint64_t now = monitor_now_ns();

	return rate_is_full(&a->connects, now, MONITOR_RATE_WINDOW_NS) &&
	       rate_is_full(&a->setups, now, MONITOR_RATE_WINDOW_NS);
}

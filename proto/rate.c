/* SPDX-License-Identifier: MIT */
/* rate.c - see rate.h. */
#include "proto/rate.h"

#define SECOND_NS UINT64_C(1000000000)

/* A machine that has just started must not count as one that has been busy until now. */
#define BEFORE_BOOT_NS (3600 * SECOND_NS)

static uint64_t earliest(uint64_t now_ns, uint64_t window_ns)
{
	return now_ns + BEFORE_BOOT_NS - window_ns;
}

uint64_t rate_charge(struct rate *r, uint64_t now_ns, uint32_t per_second, uint64_t window_ns,
		     uint32_t count)
{
	if (per_second == RATE_UNLIMITED)
		return 0;
	if (r->spent_until_ns < earliest(now_ns, window_ns))
		r->spent_until_ns = earliest(now_ns, window_ns);
	r->spent_until_ns += SECOND_NS / (per_second ? per_second : 1) * count;
	return r->spent_until_ns > earliest(now_ns, 0) ? r->spent_until_ns - earliest(now_ns, 0) :
							 0;
}

bool rate_take(struct rate *r, uint64_t now_ns, uint32_t per_second, uint64_t window_ns,
	       uint32_t count)
{
	struct rate after = *r;

	if (rate_charge(&after, now_ns, per_second, window_ns, count) > 0)
		return false;
	*r = after;
	return true;
}

bool rate_is_full(const struct rate *r, uint64_t now_ns, uint64_t window_ns)
{
	return r->spent_until_ns <= earliest(now_ns, window_ns);
}

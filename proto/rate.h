/* SPDX-License-Identifier: MIT */
/*
 * rate.h - how much in a second: a token bucket that is one number.
 *
 * Pure: it is told the time. The number is the time by which everything taken so far would have been
 * used up at the allowed rate; while it lies in the future there is a debt. A pause earns credit for
 * at most one window, which is what may come at once. So nothing has to happen while nothing is asked.
 */
#ifndef PROTO_RATE_H
#define PROTO_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_UNLIMITED UINT32_MAX
#define RATE_MAX       10000000u /* so that a part of a nanosecond does not matter */

struct rate {
	uint64_t spent_until_ns; /* zero: never used */
};

/*
 * Take count operations. Returns the debt after it, in ns: 0 when there was credit enough, else how
 * long to wait before more is taken. now_ns: CLOCK_MONOTONIC, of one clock for one bucket. per_second:
 * 1 to RATE_MAX (0 counts as 1), or RATE_UNLIMITED. window_ns: at most an hour.
 */
uint64_t rate_charge(struct rate *r, uint64_t now_ns, uint32_t per_second, uint64_t window_ns,
		     uint32_t count);
/* Take count operations, or nothing at all when there is not credit enough. */
bool rate_take(struct rate *r, uint64_t now_ns, uint32_t per_second, uint64_t window_ns,
	       uint32_t count);
/* Has it all the credit that there can be? Then it is like a new one. */
bool rate_is_full(const struct rate *r, uint64_t now_ns, uint64_t window_ns);

#endif

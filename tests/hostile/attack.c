/* SPDX-License-Identifier: MIT */
/* attack.c - the witness: somebody honest who must not notice. */
#include "tests/hostile/raw.h"

static iob_conn *conn;
static iob_domain *domain;
static struct memory memory;

static void bob_settles(void)
{
	struct iob_map_op op;

	conn = connected();
	domain = domain_made(conn);
	memory = memory_registered(domain, 4 * PAGE, IOB_READ | IOB_WRITE);
	op = map_at(MIB, &memory, 0, 4 * PAGE, IOB_READ | IOB_WRITE);
	ok(iob_map(domain, &op, NULL));
}

static void bob_is_unharmed(void)
{
	struct iob_domain_info_rep info;
	struct iob_status_rep status;
	iob_domain *second;
	iob_conn *new_one;

	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 1);
	ok(iob_unmap(domain, MIB, 4 * PAGE));
	ok(iob_status(conn, &status));
	new_one = connected();
	second = domain_made(new_one);
	iob_domain_close(second);
	iob_conn_close(new_one);
	iob_domain_close(domain);
	iob_conn_close(conn);
}

void attack(step_fn *step)
{
	as(BOB, bob_settles);
	as(ALICE, step);
	/* connections that only looked for a name end soon */
	broker_sessions_wait(2);
	as(BOB, bob_is_unharmed);
	broker_sessions_wait(1);
}

void attack_to_the_end(step_fn *step)
{
	as(BOB, bob_settles);
	as(ALICE, step);
	as(BOB, bob_is_unharmed);
}

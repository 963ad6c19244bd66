/* SPDX-License-Identifier: MIT */
/* So much in a second: nothing is refused or lost, it only takes longer. That something took a while
 * is all that can be said for certain: what is fast on one machine is slow on another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/scene.h"

#define BOBS "[allow bob]\nuser = $bob\ndevice = *\n"
#define RULE "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\nmax-bytes = 1G\n"

#define BATCH 200u
#define FAR   UINT64_C(0x10000000)

static struct iob_map_op ops[BATCH];
static struct iob_result results[BATCH];

/* Each monitor begins with full buckets. */
static void start(const char *name, const char *rules)
{
	broker_start(&(struct broker_options){
		.name = name, .rules = rules, .alone = broker_is_shaken() });
}

static void reload(const char *rules)
{
	ck_assert(broker_reloads(&(struct broker_options){ .rules = rules }));
}

static void prepares(void)
{
	conn = connected();
	domain = domain_made(conn);
	memory = memory_registered(domain, PAGE, IOB_READ);
}

static void maps_many(void)
{
	for (uint32_t i = 0; i < BATCH; i++)
		ops[i] = map_at(FAR + i * PAGE, &memory, 0, PAGE, IOB_READ);
	ok(iob_map_batch(domain, ops, BATCH, results, NULL));
}

static void counts_them(void)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, BATCH);
	board[0]++;
}

/* ---- operations of a connection ---- */

/* 100 a second, and as many at once. */
static void takes_a_second(void)
{
	uint64_t begin;

	prepares();
	begin = now_ms();
	maps_many();
	counts_them();
	ck_assert_uint_ge(now_ms() - begin, 900);
	begin = now_ms();
	for (unsigned i = 0; i < 50; i++)
		counts_them();
	ck_assert_uint_ge(now_ms() - begin, 400);
}

START_TEST(operations_beyond_the_rate_wait)
{
	start("rate", RULE "max-rate = 100\n");
	as(ALICE, takes_a_second);
	ck_assert(broker_log_has("throttled, max-rate is 100"));
	user_exits(ALICE);
	baseline_check();
}
END_TEST

START_TEST(without_a_rate_nothing_waits)
{
	start("rate-none", RULE);
	as(ALICE, prepares);
	as(ALICE, maps_many);
	as(ALICE, counts_them);
	ck_assert(!broker_log_has("throttled"));
}
END_TEST

/* Minutes, at the old rate. With the new one she goes on at once. */
START_TEST(another_rate_counts_at_once)
{
	start("rate-reload", RULE);
	as(ALICE, prepares);
	reload(RULE "max-rate = 1\n");
	as(ALICE, maps_many);
	as_begin(ALICE, counts_them);
	ck_assert(broker_log_gets("throttled, max-rate is 1"));
	ck_assert_uint_eq(board[0], 0);
	reload(RULE);
	user_done(ALICE);
	ck_assert_uint_eq(board[0], 1);
}
END_TEST

static void unmaps_and_maps(void)
{
	ok(iob_unmap_all(domain, NULL));
	maps_many();
}

/* Her handles are not read for minutes; that they end is seen all the same. */
START_TEST(who_is_throttled_can_die)
{
	start("rate-death", RULE);
	as(ALICE, prepares);
	reload(RULE "max-rate = 1\n");
	as(ALICE, maps_many);
	as_begin(ALICE, unmaps_and_maps); /* is in the queue, unread */
	ck_assert(broker_log_gets("throttled, max-rate is 1"));
	user_is_killed(ALICE);
	broker_sessions_wait(0);
	baseline_check();
}
END_TEST

static void bob_takes(void)
{
	bob_opens();
	domain = domain_taken(BOB); /* a request to alice's session */
}

static void bob_puts_it_in(void)
{
	ok(iob_device_bind(device, iob_domain_fd(domain)));
}

/* What others are owed does not wait for alice: her domain takes a device while her handles are not
 * read. */
START_TEST(who_is_throttled_serves_others)
{
	start("rate-others", RULE BOBS);
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_takes);
	reload(RULE "max-rate = 1\n" BOBS "max-rate = 1\n"); /* the larger one counts for one uid */
	as(ALICE, maps_many);
	ck_assert(broker_log_gets("throttled, max-rate is 1"));
	as(BOB, bob_puts_it_in);
	user_exits(BOB);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* ---- what costs the monitor ---- */

static void makes_sixty(void)
{
	uint64_t begin = now_ms();
	iob_domain *d;

	for (unsigned i = 0; i < 60; i++) {
		ok(iob_domain_create(conn, MIB, 16, &d, NULL));
		iob_domain_close(d);
	}
	ck_assert_uint_ge(now_ms() - begin, 1700);
}

/* 10 a second, 40 of them at once; of 60 the last can come after two seconds less a turn. */
START_TEST(setups_beyond_the_rate_wait)
{
	start("rate-setups", RULE "max-setups = 10\nmax-domains = 100\n");
	as(ALICE, prepares);
	as(ALICE, makes_sixty);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

static void lists_sixty(void)
{
	uint64_t begin = now_ms();
	struct iob_driver_rec *list;
	size_t count;

	for (unsigned i = 0; i < 60; i++) {
		ok(iob_driver_list(conn, device_name(EDU_1), &list, &count));
		free(list);
	}
	ck_assert_uint_ge(now_ms() - begin, 1700);
}

/* Each reads all of a group. */
START_TEST(driver_lists_beyond_the_rate_wait)
{
	start("rate-drivers", RULE "max-setups = 10\n");
	as(ALICE, prepares);
	as(ALICE, lists_sixty);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

Suite *rate_suite(void)
{
	Suite *s = suite_create("rate");
	TCase *tc = case_private(s, "rate");

	tcase_add_test(tc, operations_beyond_the_rate_wait);
	tcase_add_test(tc, without_a_rate_nothing_waits);
	tcase_add_test(tc, another_rate_counts_at_once);
	tcase_add_test(tc, who_is_throttled_can_die);
	tcase_add_test(tc, who_is_throttled_serves_others);
	tcase_add_test(tc, setups_beyond_the_rate_wait);
	tcase_add_test(tc, driver_lists_beyond_the_rate_wait);
	return s;
}

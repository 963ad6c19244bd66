/* SPDX-License-Identifier: MIT */
/* Who looks at the domains of others takes nothing from them: not their handles, not their rate. */
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define ALICES                                                                      \
	"[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\nmax-bytes = 1G\n" \
	"max-connects = unlimited\n"
#define BOBS "[allow bob]\nuser = $bob\ninspect-all = yes\n"

/* Of a connection, as PROTOCOL.md says. */
#define HANDLES 256u
#define LOOKERS 16u
#define BATCH	200u
#define FAR	UINT64_C(0x10000000)

enum { DOMAIN_ID };

static iob_domain *looking[LOOKERS];

/* What is counted here is another number after a restart in the middle. */
static void start(const char *name, const char *rules)
{
	broker_start(&(struct broker_options){
		.name = name, .rules = rules, .alone = broker_is_shaken() });
}

static void alice_has_a_domain(void)
{
	struct iob_domain_info_rep info;

	alice_maps();
	ok(iob_domain_info(domain, &info, NULL, 0));
	board[DOMAIN_ID] = info.domain_id;
}

static int look(iob_domain **d)
{
	return iob_domain_open(conn, (uint32_t)board[DOMAIN_ID], d);
}

static void no_more_may_look(void)
{
	iob_domain *more;

	refused(look(&more), IOB_E_LIMIT);
	ck_assert_msg(strstr(iob_error()->text, "lookers") != NULL, "%s", iob_error()->text);
}

static void look_through_all(void)
{
	struct iob_domain_info_rep info;

	for (uint32_t i = 0; i < LOOKERS; i++) {
		ok(iob_domain_info(looking[i], &info, NULL, 0));
		ck_assert_uint_eq(info.used_mappings, 2);
	}
}

static void bob_looks_as_often_as_he_may(void)
{
	conn = connected();
	for (uint32_t i = 0; i < LOOKERS; i++)
		ok(look(&looking[i]));
	no_more_may_look();
	look_through_all();
}

/* ---- handles ---- */

/* With the first one of the domain. */
static void alice_has_all_her_handles(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_ALL, .window_last = UINT64_MAX };
	int fd;

	for (uint32_t i = 1; i < HANDLES; i++)
		ok(iob_domain_grant_fd(domain, &req, &fd, NULL));
	refused(iob_domain_grant_fd(domain, &req, &fd, NULL), IOB_E_LIMIT);
	ck_assert_msg(strstr(iob_error()->text, "handles") != NULL, "%s", iob_error()->text);
}

static void bob_looks_again_when_he_has_closed_one(void)
{
	int code = IOB_E_LIMIT;

	iob_domain_close(looking[0]);
	for (int i = 0; i < 1000 && code == IOB_E_LIMIT; i++) { /* takes effect soon */
		code = look(&looking[0]);
		usleep(10000);
	}
	ok(code);
	no_more_may_look();
}

START_TEST(lookers_take_no_handles)
{
	start("lookers", ALICES BOBS);
	as(ALICE, alice_has_a_domain);
	as(BOB, bob_looks_as_often_as_he_may);
	as(ALICE, alice_has_all_her_handles);
	as(BOB, bob_looks_again_when_he_has_closed_one);
	as(BOB, look_through_all);
	user_exits(BOB);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* Also of a monitor that was not there when they came. */
START_TEST(lookers_are_known_after_a_restart)
{
	broker_start(&(struct broker_options){
		.name = "lookers-kept", .rules = ALICES BOBS, .kept = true });
	as(ALICE, alice_has_a_domain);
	as(BOB, bob_looks_as_often_as_he_may);
	broker_restarts();
	ck_assert(broker_log_gets("goes on, process"));
	as(BOB, no_more_may_look);
	as(ALICE, alice_has_all_her_handles);
	broker_restarts();
	as(BOB, no_more_may_look);
	as(BOB, look_through_all);
	as(BOB, bob_looks_again_when_he_has_closed_one);
	user_exits(BOB);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* ---- rates ---- */

static void bob_looks(void)
{
	conn = connected();
	ok(look(&looking[0]));
}

static void looks_often(unsigned times)
{
	struct iob_domain_info_rep info;

	for (unsigned i = 0; i < times; i++)
		ok(iob_domain_info(looking[0], &info, NULL, 0));
}

/* 100 a second, and as many at once. */
static void bob_looks_very_often(void)
{
	uint64_t begin = now_ms();

	looks_often(250);
	ck_assert_uint_ge(now_ms() - begin, 1400);
}

static void alice_does_fifty_things(void)
{
	struct iob_domain_info_rep info;

	for (unsigned i = 0; i < 50; i++)
		ok(iob_domain_info(domain, &info, NULL, 0));
}

START_TEST(lookers_spend_a_rate_of_their_own)
{
	start("lookers-rate", ALICES "max-rate = 100\n" BOBS "max-rate = 100\n");
	as(ALICE, alice_has_a_domain);
	as(BOB, bob_looks);
	as_begin(BOB, bob_looks_very_often);
	ck_assert(broker_log_gets("who look at its domains are throttled"));
	as(ALICE, alice_does_fifty_things);
	user_done(BOB);
	as(ALICE, alice_does_fifty_things);
	ck_assert(!broker_log_has("throttled, max-rate"));
	user_exits(BOB);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

static void alice_maps_many(void)
{
	struct iob_map_op ops[BATCH];
	struct iob_result results[BATCH];

	for (uint32_t i = 0; i < BATCH; i++)
		ops[i] = map_at(FAR + i * PAGE, &memory, 0, PAGE, IOB_READ);
	ok(iob_map_batch(domain, ops, BATCH, results, NULL));
}

static void bob_looks_a_little(void)
{
	looks_often(50);
	iob_domain_close(looking[0]);
}

/* Her pause is minutes long. */
START_TEST(who_looks_waits_for_nobody)
{
	const char *slow = ALICES "max-rate = 1\n" BOBS "max-rate = 1\n";

	start("lookers-slow", ALICES BOBS);
	as(ALICE, alice_has_a_domain);
	as(BOB, bob_looks);
	ck_assert(broker_reloads(&(struct broker_options){ .rules = slow }));
	as(ALICE, alice_maps_many);
	ck_assert(broker_log_gets("throttled, max-rate is 1"));
	as(BOB, bob_looks_a_little);
	user_exits(BOB);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* 10 a second, 40 of them at once. That there is no such domain takes the same. */
static void bob_looks_for_sixty(void)
{
	uint64_t begin = now_ms();
	iob_domain *none;

	conn = connected();
	for (unsigned i = 0; i < 60; i++)
		refused(iob_domain_open(conn, 4000000000u + i, &none), IOB_E_GONE);
	ck_assert_uint_ge(now_ms() - begin, 1700);
}

START_TEST(who_looks_is_charged)
{
	start("lookers-setups", BOBS "max-setups = 10\n");
	as(BOB, bob_looks_for_sixty);
	user_exits(BOB);
	baseline_check();
}
END_TEST

Suite *look_suite(void)
{
	Suite *s = suite_create("look");
	TCase *tc = case_private(s, "look");

	tcase_add_test(tc, lookers_take_no_handles);
	if (!broker_is_shaken()) /* what is asked again is counted twice for a moment */
		tcase_add_test(tc, lookers_are_known_after_a_restart);
	tcase_add_test(tc, lookers_spend_a_rate_of_their_own);
	tcase_add_test(tc, who_looks_waits_for_nobody);
	tcase_add_test(tc, who_looks_is_charged);
	return s;
}

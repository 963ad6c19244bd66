/* SPDX-License-Identifier: MIT */
/* Accounts: how long they are remembered. */
#include "daemon/monitor.h"

#include <check.h>
#include <string.h>

Suite *test_ledger_suite(void);

#define MUCH 1000u /* a second's worth each */

static struct monitor m;

static void set_up(void)
{
	memset(&m, 0, sizeof(m));
	LIST_INIT(&m.accounts);
}

START_TEST(who_used_nothing_is_forgotten)
{
	struct account *a = account_get(&m, 7), *same = account_get(&m, 7);

	ck_assert_ptr_eq(a, same);
	account_put(a);
	ck_assert_ptr_eq(LIST_FIRST(&m.accounts), a);
	account_put(same);
	ck_assert_ptr_null(LIST_FIRST(&m.accounts));
}
END_TEST

/* Nobody gets rid of a debt by closing everything. */
static void is_in_debt(struct account *a, struct rate *r)
{
	rate_charge(r, monitor_now_ns(), 1, MONITOR_RATE_WINDOW_NS, MUCH);
	account_put(a);
	ck_assert_ptr_eq(account_get(&m, 7), a);
	ck_assert(!rate_is_full(r, monitor_now_ns(), MONITOR_RATE_WINDOW_NS));
	memset(r, 0, sizeof(*r)); /* paid */
	account_put(a);
	ck_assert_ptr_null(LIST_FIRST(&m.accounts));
}

START_TEST(who_has_a_debt_is_remembered)
{
	struct account *a = account_get(&m, 7);

	is_in_debt(a, &a->connects);
	a = account_get(&m, 7);
	is_in_debt(a, &a->setups);
}
END_TEST

Suite *test_ledger_suite(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tc = tcase_create("accounts");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, who_used_nothing_is_forgotten);
	tcase_add_test(tc, who_has_a_debt_is_remembered);
	suite_add_tcase(suite, tc);
	return suite;
}

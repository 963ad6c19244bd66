/* SPDX-License-Identifier: MIT */
/* So much in a second: credit, debt, and what a pause earns. */
#include "proto/rate.h"

#include <check.h>

Suite *test_rate_suite(void);

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

static const struct rate unused;

START_TEST(a_window_at_once_then_debt)
{
	struct rate r = unused;
	uint64_t now = 5 * SECOND;

	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(rate_charge(&r, now, 10, SECOND, 1), 0);
	ck_assert_uint_eq(rate_charge(&r, now, 10, SECOND, 1), 100 * MS);
	ck_assert_uint_eq(rate_charge(&r, now, 10, SECOND, 20), 2100 * MS);
	ck_assert_uint_eq(rate_charge(&r, now + 2000 * MS, 10, SECOND, 0), 100 * MS);
	ck_assert_uint_eq(rate_charge(&r, now + 2200 * MS, 10, SECOND, 1), 0);
}
END_TEST

/* However long it was: no more than a window's worth. */
START_TEST(a_pause_earns_one_window)
{
	struct rate r = unused;

	rate_charge(&r, SECOND, 10, SECOND, 10);
	ck_assert_uint_eq(rate_charge(&r, 9999 * SECOND, 10, SECOND, 10), 0);
	ck_assert_uint_eq(rate_charge(&r, 9999 * SECOND, 10, SECOND, 1), 100 * MS);
	/* and no less, also right after the start of the machine */
	r = unused;
	ck_assert_uint_eq(rate_charge(&r, 0, 10, 4 * SECOND, 40), 0);
	ck_assert_uint_eq(rate_charge(&r, 0, 10, 4 * SECOND, 1), 100 * MS);
}
END_TEST

START_TEST(over_a_long_time_it_is_the_rate)
{
	struct rate r = unused;
	uint64_t begin = 77 * SECOND, now = begin;

	for (unsigned i = 0; i < 100000; i++)
		now += rate_charge(&r, now, 3000, SECOND, 3);
	ck_assert_uint_ge(now - begin, 98 * SECOND);
	ck_assert_uint_le(now - begin, 100 * SECOND);
}
END_TEST

START_TEST(take_is_all_or_nothing)
{
	struct rate r = unused;

	ck_assert(rate_take(&r, SECOND, 5, 4 * SECOND, 20));
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(!rate_take(&r, SECOND, 5, 4 * SECOND, 1));
	ck_assert(rate_take(&r, SECOND + 200 * MS, 5, 4 * SECOND, 1));
	ck_assert(!rate_take(&r, SECOND + 200 * MS, 5, 4 * SECOND, 1));
	ck_assert(!rate_take(&r, 900 * SECOND, 5, 4 * SECOND, 21));
	ck_assert(rate_take(&r, 900 * SECOND, 5, 4 * SECOND, 20));
}
END_TEST

START_TEST(limits)
{
	struct rate r = unused;

	ck_assert_uint_eq(rate_charge(&r, 0, RATE_UNLIMITED, SECOND, UINT32_MAX), 0);
	ck_assert_uint_eq(r.spent_until_ns, 0);
	ck_assert_uint_eq(rate_charge(&r, SECOND, RATE_MAX, SECOND, RATE_MAX), 0);
	ck_assert_uint_eq(rate_charge(&r, SECOND, RATE_MAX, SECOND, 1), 100);
	r = unused;
	ck_assert_uint_eq(rate_charge(&r, SECOND, 0, SECOND, 2), SECOND); /* as 1 */
	ck_assert_uint_eq(rate_charge(&r, SECOND, 1, SECOND, UINT32_MAX),
			  (UINT32_MAX + UINT64_C(1)) * SECOND);
}
END_TEST

START_TEST(full_again_after_a_window)
{
	struct rate r = unused;

	ck_assert(rate_is_full(&r, 0, 4 * SECOND));
	ck_assert(rate_take(&r, SECOND, 10, 4 * SECOND, 1));
	ck_assert(!rate_is_full(&r, SECOND, 4 * SECOND));
	ck_assert(!rate_is_full(&r, SECOND + 99 * MS, 4 * SECOND));
	ck_assert(rate_is_full(&r, SECOND + 100 * MS, 4 * SECOND));
}
END_TEST

Suite *test_rate_suite(void)
{
	Suite *suite = suite_create("rate");
	TCase *tests = tcase_create("rate");

	tcase_add_test(tests, a_window_at_once_then_debt);
	tcase_add_test(tests, a_pause_earns_one_window);
	tcase_add_test(tests, over_a_long_time_it_is_the_rate);
	tcase_add_test(tests, take_is_all_or_nothing);
	tcase_add_test(tests, limits);
	tcase_add_test(tests, full_again_after_a_window);
	suite_add_tcase(suite, tests);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Domains: making, budgets, limits, information, the end. */
#include <unistd.h>

#include "tests/conformance/suites.h"

static iob_conn *conn;
static iob_domain *domain;

/* ---- making ---- */

static void make_with_defaults(void)
{
	struct iob_domain_create_rep rep;
	struct iob_domain_info_rep info;
	struct iob_range ranges[IOB_MAX_RANGES];

	conn = connected();
	ok(iob_domain_create(conn, 0, 0, &domain, &rep));
	/* half of what is left, so that there is something for the next one */
	ck_assert_uint_eq(rep.max_bytes, 512 * MIB);
	ck_assert_uint_eq(rep.max_mappings, 32768);
	ck_assert_uint_ne(rep.domain_id, 0);
	ok(iob_domain_info(domain, &info, ranges, IOB_MAX_RANGES));
	ck_assert_uint_eq(info.domain_id, rep.domain_id);
	ck_assert_uint_eq(info.rights, IOB_RIGHT_ALL);
	ck_assert_uint_eq(info.page_sizes & -info.page_sizes, PAGE);
	ck_assert_uint_eq(info.window_first, 0);
	ck_assert_uint_eq(info.window_last, UINT64_MAX);
	ck_assert_uint_eq(info.max_bytes, rep.max_bytes);
	ck_assert_uint_eq(info.max_mappings, rep.max_mappings);
	ck_assert_uint_eq(info.used_bytes, 0);
	ck_assert_uint_eq(info.used_mappings, 0);
	ck_assert_uint_eq(info.devices, 0);
	ck_assert_uint_ge(info.range_count, 1);
	for (uint32_t i = 0; i < info.range_count; i++) {
		ck_assert_uint_le(ranges[i].first, ranges[i].last);
		ck_assert(i == 0 || ranges[i].first > ranges[i - 1].last);
	}
}

START_TEST(domain_has_what_policy_gives)
{
	as(ALICE, make_with_defaults);
}
END_TEST

static void info_follows_use(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op;
	struct memory m;
	uint64_t iova;

	conn = connected();
	domain = domain_made(conn);
	m = memory_registered(domain, 4 * PAGE, IOB_READ | IOB_WRITE);
	op = map_anywhere(&m, 0, 3 * PAGE, IOB_READ);
	ok(iob_map(domain, &op, &iova));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_bytes, 3 * PAGE);
	ck_assert_uint_eq(info.used_mappings, 1);
	ok(iob_unmap(domain, iova, 3 * PAGE));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_bytes, 0);
	ck_assert_uint_eq(info.used_mappings, 0);
}

START_TEST(information_follows_use)
{
	as(ALICE, info_follows_use);
}
END_TEST

/* ---- budgets of a domain ---- */

static void byte_budget(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op;
	struct memory m;
	uint64_t iova;

	ok(iob_domain_create(connected(), 4 * PAGE, 100, &domain, NULL));
	m = memory_registered(domain, 8 * PAGE, IOB_READ);
	op = map_anywhere(&m, 0, 5 * PAGE, IOB_READ);
	refused(iob_map(domain, &op, NULL), IOB_E_QUOTA);
	op.length = 3 * PAGE;
	ok(iob_map(domain, &op, &iova));
	op.length = 2 * PAGE;
	refused(iob_map(domain, &op, NULL), IOB_E_QUOTA);
	op.length = PAGE;
	ok(iob_map(domain, &op, NULL));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_bytes, 4 * PAGE);
	ok(iob_unmap(domain, iova, 3 * PAGE));
	op.length = 3 * PAGE;
	ok(iob_map(domain, &op, NULL));
}

START_TEST(bytes_beyond_the_budget_are_refused)
{
	as(ALICE, byte_budget);
}
END_TEST

static void mapping_budget(void)
{
	struct iob_map_op op;
	struct memory m;
	uint64_t iova;

	ok(iob_domain_create(connected(), MIB, 2, &domain, NULL));
	m = memory_registered(domain, PAGE, IOB_READ);
	op = map_anywhere(&m, 0, PAGE, IOB_READ);
	ok(iob_map(domain, &op, NULL));
	ok(iob_map(domain, &op, &iova));
	refused(iob_map(domain, &op, NULL), IOB_E_QUOTA);
	ok(iob_unmap(domain, iova, PAGE));
	ok(iob_map(domain, &op, NULL));
}

START_TEST(mappings_beyond_the_budget_are_refused)
{
	as(ALICE, mapping_budget);
}
END_TEST

/* ---- quota of a user ---- */

static const struct broker_options small = {
	.rules = "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\nmax-bytes = 1M\n"
		 "max-mappings = 100\nmax-domains = 3\nmax-devices = 1\nmax-sessions = 4\n",
	.name = "small",
};

static void quota_of_bytes(void)
{
	struct iob_domain_create_rep rep;
	iob_domain *second;

	conn = connected();
	refused(iob_domain_create(conn, MIB + 1, 1, &domain, NULL), IOB_E_QUOTA);
	refused(iob_domain_create(conn, MIB, 101, &domain, NULL), IOB_E_QUOTA);
	ok(iob_domain_create(conn, MIB - 4 * PAGE, 60, &domain, &rep));
	refused(iob_domain_create(conn, 5 * PAGE, 10, &second, NULL), IOB_E_QUOTA);
	refused(iob_domain_create(conn, PAGE, 41, &second, NULL), IOB_E_QUOTA);
	/* one quota for all connections of the user */
	refused(iob_domain_create(connected(), 5 * PAGE, 10, &second, NULL), IOB_E_QUOTA);
	ok(iob_domain_create(connected(), 0, 0, &second, &rep));
	ck_assert_uint_eq(rep.max_bytes, 2 * PAGE);
	ck_assert_uint_eq(rep.max_mappings, 20);
	iob_domain_close(second);
	iob_domain_close(domain);
}

/* Refunded when the domain is gone, which is a little after its last close. */
static void quota_is_refunded(void)
{
	int code = IOB_E_QUOTA;

	for (int i = 0; i < 1000 && code == IOB_E_QUOTA; i++) {
		code = iob_domain_create(conn, MIB, 100, &domain, NULL);
		usleep(10000);
	}
	ok(code);
}

START_TEST(quota_is_the_users)
{
	broker_start(&small);
	as(ALICE, quota_of_bytes);
	as(ALICE, quota_is_refunded);
}
END_TEST

/* The connections that looked for names of devices have to end first. */
static iob_conn *connected_when_possible(void)
{
	iob_conn *c = NULL;
	int code = IOB_E_LIMIT;

	for (int i = 0; i < 1000 && code == IOB_E_LIMIT; i++) {
		code = iob_connect(broker_socket(), &c);
		if (code == IOB_E_LIMIT)
			usleep(10000);
	}
	ok(code);
	return c;
}

static void count_limits(void)
{
	iob_domain *d[4];
	iob_device *device, *second;
	iob_conn *c[4];

	conn = connected();
	for (int i = 0; i < 3; i++)
		ok(iob_domain_create(conn, PAGE, 1, &d[i], NULL));
	refused(iob_domain_create(conn, PAGE, 1, &d[3], NULL), IOB_E_LIMIT);
	device = device_opened(conn, EDU_1);
	refused(iob_device_open(conn, device_name(EDU_2), 0, &second, NULL), IOB_E_LIMIT);
	iob_device_close(device);
	for (int i = 0; i < 3; i++)
		c[i] = connected_when_possible();
	refused(iob_connect(broker_socket(), &c[3]), IOB_E_LIMIT);
	/* a refusal costs nothing: what there is works on */
	ok(iob_domain_info(d[0], &(struct iob_domain_info_rep){ 0 }, NULL, 0));
	iob_conn_close(c[0]);
}

START_TEST(numbers_of_things_are_limited)
{
	broker_start(&small);
	as(ALICE, count_limits);
}
END_TEST

/* ---- the end ---- */

static void close_with_everything(void)
{
	struct iob_map_op op;
	struct memory m;

	conn = connected();
	domain = domain_made(conn);
	m = memory_registered(domain, 16 * PAGE, IOB_READ | IOB_WRITE);
	op = map_anywhere(&m, 0, 16 * PAGE, IOB_READ | IOB_WRITE);
	ok(iob_map(domain, &op, NULL));
	iob_domain_close(domain);
	/* the connection lives on */
	domain = domain_made(conn);
	iob_domain_close(domain);
}

START_TEST(last_close_tears_down)
{
	as(ALICE, close_with_everything);
	broker_sessions_wait(1);
}
END_TEST

static void keep_domain_only(void)
{
	struct iob_map_op op;
	struct memory m;

	conn = connected();
	domain = domain_made(conn);
	iob_conn_close(conn);
	m = memory_registered(domain, PAGE, IOB_READ);
	op = map_anywhere(&m, 0, PAGE, IOB_READ);
	ok(iob_map(domain, &op, NULL));
}

START_TEST(domain_outlives_its_connection)
{
	as(ALICE, keep_domain_only);
	broker_sessions_wait(1);
}
END_TEST

static void pass_domain(void)
{
	conn = connected();
	domain = domain_made(conn);
	give(BOB, iob_domain_fd(domain));
}

static void take_domain(void)
{
	domain = domain_taken(BOB);
}

static void use_domain(void)
{
	struct iob_map_op op;
	struct memory m = memory_registered(domain, PAGE, IOB_READ | IOB_WRITE);

	op = map_anywhere(&m, 0, PAGE, IOB_READ | IOB_WRITE);
	ok(iob_map(domain, &op, NULL));
}

START_TEST(handle_passed_on_keeps_the_domain)
{
	as(ALICE, pass_domain);
	as(BOB, take_domain);
	user_exits(ALICE);
	as(BOB, use_domain);
	broker_sessions_wait(1);
	user_exits(BOB);
	broker_sessions_wait(0);
}
END_TEST

static void dma_in_one_call(void)
{
	struct iob_domain_info_rep info;
	struct iob_dma dma;

	conn = connected();
	domain = domain_made(conn);
	ok(iob_dma_alloc(domain, 3 * PAGE - 5, IOB_READ | IOB_WRITE, UINT32_MAX, &dma));
	ck_assert_uint_eq(dma.bytes, 3 * PAGE);
	ck_assert_uint_le(dma.iova + dma.bytes - 1, UINT32_MAX);
	((uint8_t *)dma.address)[dma.bytes - 1] = 1;
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_bytes, 3 * PAGE);
	ok(iob_dma_free(domain, &dma));
	ok(iob_dma_alloc(domain, 2 * MIB, IOB_READ, 0, &dma));
	ck_assert(dma.page_shift == 12 || dma.page_shift == 21);
	ck_assert_uint_eq(dma.iova % (2 * MIB), 0);
	ok(iob_dma_free(domain, &dma));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 0);
}

START_TEST(memory_for_dma_in_one_call)
{
	as(ALICE, dma_in_one_call);
}
END_TEST

Suite *domain_suite(void)
{
	Suite *s = suite_create("domain");
	TCase *tc = case_shared(s, "domain");

	tcase_add_test(tc, domain_has_what_policy_gives);
	tcase_add_test(tc, information_follows_use);
	tcase_add_test(tc, bytes_beyond_the_budget_are_refused);
	tcase_add_test(tc, mappings_beyond_the_budget_are_refused);
	tcase_add_test(tc, last_close_tears_down);
	tcase_add_test(tc, domain_outlives_its_connection);
	tcase_add_test(tc, handle_passed_on_keeps_the_domain);
	tcase_add_test(tc, memory_for_dma_in_one_call);
	case_shared_end(tc);
	tc = case_private(s, "quota");
	tcase_add_test(tc, quota_is_the_users);
	tcase_add_test(tc, numbers_of_things_are_limited);
	return s;
}

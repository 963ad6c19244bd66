/* SPDX-License-Identifier: MIT */
/* What policy gives, to whom, and what users see of each other. */
#include <stdio.h>
#include <unistd.h>

#include "tests/conformance/suites.h"

static iob_conn *conn;

/* ---- policy ---- */

static void carol_gets_nothing(void)
{
	struct iob_device_rec *list;
	struct iob_domain_rec *domains;
	iob_domain *domain;
	iob_device *d;
	size_t count;

	conn = connected();
	ok(iob_device_list(conn, &list, &count));
	ck_assert_uint_eq(count, 0);
	ok(iob_domain_list(conn, &domains, &count));
	ck_assert_uint_eq(count, 0);
	refused(iob_domain_create(conn, 0, 0, &domain, NULL), IOB_E_DENIED);
	/* what she may not see does not exist for her */
	refused(iob_device_open(conn, backend_is_real() ? "0000:00:03.0" : "51b0:00:01.0", 0, &d,
				NULL),
		IOB_E_NO_DEVICE);
	refused(iob_device_open(conn, "0000:77:01.0", 0, &d, NULL), IOB_E_NO_DEVICE);
}

/* When all users have one uid, that one is named without rights. */
START_TEST(named_without_rights_sees_nothing)
{
	broker_start(&(struct broker_options){ .rules = "[allow carol]\nuser = $carol\n",
					       .name = "policy" });
	as(CAROL, carol_gets_nothing);
}
END_TEST

static void stranger_is_denied(void)
{
	iob_conn *c;

	refused(iob_connect(broker_socket(), &c), IOB_E_DENIED);
	ck_assert_int_eq(iob_error()->step, IOB_STEP_POLICY);
}

START_TEST(stranger_is_denied_at_once)
{
	broker_start(&(struct broker_options){ .rules = "[allow none]\nuser = 4242\n",
					       .name = "stranger" });
	as(STRANGER, stranger_is_denied);
	ck_assert_uint_eq(broker_sessions(NULL, 0), 0);
}
END_TEST

static void sees_one(void)
{
	struct iob_device_rec *list;
	iob_device *d;
	size_t count;

	conn = connected();
	ok(iob_device_list(conn, &list, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(list[0].access, IOB_ACCESS_MEDIATED);
	ok(iob_device_open(conn, list[0].name, 0, &d, NULL));
	iob_device_close(d);
	refused(iob_device_open(conn, list[0].name, IOB_ACCESS_FD, &d, NULL), IOB_E_DENIED);
	refused(iob_device_open(conn, backend_is_real() ? "0000:00:04.0" : "51b0:00:02.0", 0, &d,
				NULL),
		IOB_E_NO_DEVICE);
}

START_TEST(one_device_by_name)
{
	char rules[128];

	snprintf(rules, sizeof(rules), "[allow alice]\nuser = $alice\ndevice = %s\n",
		 backend_is_real() ? "0000:00:03.0" : "51b0:00:01.0");
	broker_start(&(struct broker_options){ .rules = rules, .name = "one" });
	as(ALICE, sees_one);
}
END_TEST

/* ---- domains of others ---- */

static void alice_makes_domain(void)
{
	struct iob_domain_create_rep rep;
	iob_domain *d;

	conn = connected();
	ok(iob_domain_create(conn, MIB, 16, &d, &rep));
	board[0] = rep.domain_id;
}

static void alice_looks(void)
{
	struct iob_domain_rec *list;
	struct iob_domain_info_rep info;
	iob_domain *looking;
	struct iob_map_rec rec;
	uint32_t n;
	int more;
	size_t count;

	ok(iob_domain_list(conn, &list, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(list[0].domain_id, board[0]);
	ck_assert_uint_eq(list[0].uid, getuid());
	ck_assert_uint_eq(list[0].pid, (uint32_t)getpid());
	ck_assert_uint_eq(list[0].max_bytes, MIB);
	ck_assert_uint_eq(list[0].max_mappings, 16);
	ok(iob_domain_open(conn, (uint32_t)board[0], &looking));
	ok(iob_domain_info(looking, &info, NULL, 0));
	ck_assert_uint_eq(info.rights, IOB_RIGHT_INSPECT);
	ok(iob_map_list(looking, 0, &rec, 1, &n, &more));
	refused(iob_unmap_all(looking, NULL), IOB_E_RIGHTS);
	refused(iob_unmap(looking, 0, PAGE), IOB_E_RIGHTS);
	refused(iob_domain_open(conn, 4000000000u, &looking), IOB_E_GONE);
}

static void bob_does_not_see(void)
{
	struct iob_domain_rec *list;
	iob_domain *looking;
	size_t count;

	conn = connected();
	ok(iob_domain_list(conn, &list, &count));
	ck_assert_uint_eq(count, users_differ() ? 0 : 1);
	if (users_differ())
		refused(iob_domain_open(conn, (uint32_t)board[0], &looking), IOB_E_GONE);
	else
		ok(iob_domain_open(conn, (uint32_t)board[0], &looking));
}

START_TEST(domains_are_seen_by_their_user_only)
{
	as(ALICE, alice_makes_domain);
	as(ALICE, alice_looks);
	as(BOB, bob_does_not_see);
}
END_TEST

Suite *policy_suite(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = case_shared(s, "others");

	tcase_add_test(tc, domains_are_seen_by_their_user_only);
	case_shared_end(tc);
	tc = case_private(s, "rules");
	tcase_add_test(tc, named_without_rights_sees_nothing);
	tcase_add_test(tc, stranger_is_denied_at_once);
	tcase_add_test(tc, one_device_by_name);
	return s;
}

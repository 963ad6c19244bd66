/* SPDX-License-Identifier: MIT */
/* What the rules give to whom. */
#include "daemon/monitor-config-rules.h"

#include <check.h>
#include <string.h>

Suite *test_policy_suite(void);

static const uid_t alice[] = { 1000 }, root_and_bob[] = { 0, 1001 };
static const gid_t nvme[] = { 500 }, two_groups[] = { 600, 601 };
static const struct device_pattern all[] = { { .kind = PATTERN_ALL } };
static const struct device_pattern several[] = {
	{ .kind = PATTERN_NAME, .text = "0000:01:00.0" },
	{ .kind = PATTERN_ID, .vendor = 0x1234, .device = 0x11e8 },
	{ .kind = PATTERN_CLASS, .class_code = 0x0108, .class_shift = 8 },
	{ .kind = PATTERN_DRIVER, .text = "vfio-pci" },
};

/* The policy only reads; the casts are for the members that the loader fills. */
static struct config_rule rules[] = {
	{
		.name = (char *)"alice",
		.users = (uid_t *)alice,
		.user_count = 1,
		.patterns = (struct device_pattern *)several,
		.pattern_count = 4,
		.access = IOB_ACCESS_MEDIATED,
		.quota = { 1000, 5, 1, 7, 1, 100, 6, 3 },
		.written = UINT32_MAX,
	},
	{
		.name = (char *)"group",
		.groups = (gid_t *)nvme,
		.group_count = 1,
		.patterns = (struct device_pattern *)several,
		.pattern_count = 1,
		.access = IOB_ACCESS_FD,
		.domains = true,
		.quota = { 500, 50, 0, 7, 3, QUOTA_UNLIMITED, 5, 9 },
		.written = UINT32_MAX,
	},
	{
		.name = (char *)"both",
		.users = (uid_t *)root_and_bob,
		.user_count = 2,
		.groups = (gid_t *)two_groups,
		.group_count = 2,
		.patterns = (struct device_pattern *)all,
		.pattern_count = 1,
		.access = IOB_ACCESS_MEDIATED,
		.inspect_all = true,
		.quota = { 1, 1, 2, 1, 1, 0, 0, 0 },
		.written = UINT32_MAX,
	},
};

static const struct config three_rules = {
	.session_uid_base = 5000,
	.max_sessions = 10,
	.session_uids = 10,
	.rules = rules,
	.rule_count = 3,
};
static const struct config no_rules = { .session_uid_base = 5000, .session_uids = 10 };

static const struct glue_device nvme_device = {
	.name = "0000:01:00.0",
	.driver = "nvme",
	.class_code = 0x020000,
	.vendor = 0x8086,
	.device = 0x11e8,
};

static struct peer make_peer(uid_t uid, gid_t gid)
{
	return (struct peer){ .uid = uid, .gid = gid, .pidfd = -1 };
}

START_TEST(stranger_gets_nothing)
{
	struct peer p = make_peer(1002, 1002);
	struct quota q;

	p.group_count = 1;
	p.groups[0] = 501;
	p.groups[1] = 500; /* beyond the count */
	memset(&q, 0xff, sizeof(q));
	ck_assert(!policy_knows(&three_rules, &p));
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &nvme_device), 0);
	ck_assert(!policy_may_create_domain(&three_rules, &p));
	ck_assert(!policy_may_inspect_all(&three_rules, &p));
	policy_quota(&three_rules, &p, &q);
	ck_assert(q.max_bytes == 0 && q.max_mappings == 0 && q.max_sessions == 0);
	ck_assert(q.max_domains == 0 && q.max_devices == 0);
}
END_TEST

START_TEST(user_and_groups)
{
	struct peer p = make_peer(1000, 1000);

	ck_assert(policy_knows(&three_rules, &p));
	ck_assert(!policy_knows(&no_rules, &p));
	p = make_peer(1002, 500); /* primary group */
	ck_assert(policy_knows(&three_rules, &p));
	p = make_peer(500, 1000); /* a uid is no gid, nor the other way round */
	ck_assert(!policy_knows(&three_rules, &p));
	p.group_count = 3;
	p.groups[2] = 601;
	ck_assert(policy_knows(&three_rules, &p));
	p.groups[2] = 602;
	ck_assert(!policy_knows(&three_rules, &p));
	p.group_count = PEER_MAX_GROUPS;
	p.groups[PEER_MAX_GROUPS - 1] = 500;
	ck_assert(policy_knows(&three_rules, &p));
}
END_TEST

START_TEST(rules_add_up)
{
	struct peer p = make_peer(1000, 500);
	struct quota q;

	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &nvme_device),
			  IOB_ACCESS_MEDIATED | IOB_ACCESS_FD);
	ck_assert(policy_may_create_domain(&three_rules, &p));
	ck_assert(!policy_may_inspect_all(&three_rules, &p));
	policy_quota(&three_rules, &p, &q);
	ck_assert_uint_eq(q.max_bytes, 1000);
	ck_assert_uint_eq(q.max_mappings, 50);
	ck_assert_uint_eq(q.max_sessions, 1);
	ck_assert_uint_eq(q.max_domains, 7);
	ck_assert_uint_eq(q.max_devices, 3);
	ck_assert_uint_eq(q.max_rate, QUOTA_UNLIMITED);
	ck_assert_uint_eq(q.max_connects, 6);
	ck_assert_uint_eq(q.max_setups, 9);
	p.gid = 501;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &nvme_device),
			  IOB_ACCESS_MEDIATED);
	ck_assert(!policy_may_create_domain(&three_rules, &p));
}
END_TEST

/* A rule that gives a device to a group is not there to lift what another one says of one of them. */
START_TEST(what_is_not_written_lifts_nothing)
{
	struct config_rule two[2] = { rules[0], rules[1] };
	const struct config c = { .rules = two, .rule_count = 2 };
	struct peer p = make_peer(1000, 500);
	struct quota q;

	two[0].quota = (struct quota){ .max_bytes = 1 << 20, .max_devices = 0 };
	two[0].written = QUOTA_BIT(max_bytes) | QUOTA_BIT(max_devices);
	two[1].quota = (struct quota){ .max_connects = 1 };
	two[1].written = QUOTA_BIT(max_connects);
	policy_quota(&c, &p, &q);
	ck_assert_uint_eq(q.max_bytes, 1 << 20);
	ck_assert_uint_eq(q.max_devices, 0);
	ck_assert_uint_eq(q.max_connects, 1);
	ck_assert_uint_eq(q.max_domains, 16);
	ck_assert_uint_eq(q.max_mappings, 65536);
	ck_assert_uint_eq(q.max_rate, QUOTA_UNLIMITED);
	p.uid = 0; /* has what looking takes, whatever a rule says */
	policy_quota(&c, &p, &q);
	ck_assert_uint_eq(q.max_connects, RULE_DEFAULT_CONNECTS);
	ck_assert_uint_eq(q.max_bytes, 256 << 20);
}
END_TEST

START_TEST(device_patterns)
{
	struct peer p = make_peer(1000, 1000);
	struct glue_device d = { .name = "0000:01:00.1", .driver = "vfio-pci-not" };

	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), 0);
	strcpy(d.driver, "vfio-pci");
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), IOB_ACCESS_MEDIATED);
	strcpy(d.driver, "vfio");
	d.class_code = 0x010802;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), IOB_ACCESS_MEDIATED);
	d.class_code = 0x01080;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), 0);
	d.class_code = 0x010700;
	d.vendor = 0x1234;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), 0);
	d.device = 0x11e8;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), IOB_ACCESS_MEDIATED);
	d.vendor = 0;
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), 0);
	strcpy(d.name, "0000:01:00.0");
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), IOB_ACCESS_MEDIATED);
	memset(d.name, '0', sizeof(d.name)); /* a name without terminator is never a match */
	memcpy(d.name, "0000:01:00.0", 12);
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &d), 0);
}
END_TEST

START_TEST(root_may_look_but_not_touch)
{
	struct peer p = make_peer(0, 0);
	struct quota q;

	ck_assert(policy_knows(&no_rules, &p));
	ck_assert(policy_may_inspect_all(&no_rules, &p));
	ck_assert(!policy_may_create_domain(&no_rules, &p));
	ck_assert_uint_eq(policy_device_access(&no_rules, &p, &nvme_device), 0);
	policy_quota(&no_rules, &p, &q);
	ck_assert_uint_eq(q.max_sessions, RULE_DEFAULT_SESSIONS);
	ck_assert(q.max_bytes == 0 && q.max_mappings == 0 && q.max_domains == 0);
	ck_assert_uint_eq(q.max_devices, 0);
	ck_assert_uint_eq(q.max_rate, QUOTA_UNLIMITED);
	ck_assert_uint_eq(q.max_connects, RULE_DEFAULT_CONNECTS);
	ck_assert_uint_eq(q.max_setups, RULE_DEFAULT_SETUPS);
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &nvme_device),
			  IOB_ACCESS_MEDIATED); /* named by a rule */
	p = make_peer(1002, 0);
	ck_assert(!policy_knows(&no_rules, &p)); /* gid 0 is not root */
	ck_assert(!policy_may_inspect_all(&no_rules, &p));
}
END_TEST

START_TEST(moving_is_for_those_named)
{
	struct peer p = make_peer(1000, 1000);

	rules[0].drivers = true;
	ck_assert(policy_may_move(&three_rules, &p, &nvme_device));
	ck_assert(!policy_may_move(&no_rules, &p, &nvme_device));
	p = make_peer(1001, 1001); /* may open it */
	ck_assert(policy_device_access(&three_rules, &p, &nvme_device) != 0);
	ck_assert(!policy_may_move(&three_rules, &p, &nvme_device));
	p = make_peer(5005, 500); /* a session */
	rules[1].drivers = true;
	ck_assert(!policy_may_move(&three_rules, &p, &nvme_device));
	p = make_peer(0, 0);
	ck_assert(policy_may_move(&no_rules, &p, &nvme_device));
	rules[0].drivers = rules[1].drivers = false;
}
END_TEST

START_TEST(session_is_no_client)
{
	struct peer p = make_peer(5000, 500);

	ck_assert(!policy_knows(&three_rules, &p));
	ck_assert_uint_eq(policy_device_access(&three_rules, &p, &nvme_device), 0);
	p.uid = 5009;
	ck_assert(!policy_knows(&three_rules, &p));
	p.uid = 5010;
	ck_assert(policy_knows(&three_rules, &p));
	p.uid = 4999;
	ck_assert(policy_knows(&three_rules, &p));
}
END_TEST

Suite *test_policy_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *tests = tcase_create("policy");

	tcase_add_test(tests, stranger_gets_nothing);
	tcase_add_test(tests, user_and_groups);
	tcase_add_test(tests, rules_add_up);
	tcase_add_test(tests, what_is_not_written_lifts_nothing);
	tcase_add_test(tests, device_patterns);
	tcase_add_test(tests, root_may_look_but_not_touch);
	tcase_add_test(tests, moving_is_for_those_named);
	tcase_add_test(tests, session_is_no_client);
	suite_add_tcase(suite, tests);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Grants: a handle with less, for somebody else. Taking them back: test_revoke.c. */
#include <unistd.h>

#include "tests/conformance/scene.h"

/* ---- window ---- */

static int map(uint64_t iova, uint64_t bytes)
{
	struct iob_map_op op = map_at(iova, &memory, 0, bytes, BOTH);

	return iob_map(domain, &op, NULL);
}

static void bob_works_in_window(void)
{
	struct iob_domain_info_rep info;
	struct iob_map_op op;
	uint64_t iova;

	domain = domain_taken(BOB);
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.rights, WORKER);
	ck_assert_uint_eq(info.window_first, WINDOW);
	ck_assert_uint_eq(info.window_last, WINDOW_LAST);
	memory = memory_registered(domain, WINDOW_BYTES + PAGE, BOTH);
	refused(map(WINDOW - PAGE, PAGE), IOB_E_IOVA_WINDOW);
	refused(map(WINDOW - PAGE, 2 * PAGE), IOB_E_IOVA_WINDOW);
	refused(map(WINDOW_LAST + 1, PAGE), IOB_E_IOVA_WINDOW);
	refused(map(WINDOW_LAST + 1 - PAGE, 2 * PAGE), IOB_E_IOVA_WINDOW);
	refused(map(WINDOW, WINDOW_BYTES + PAGE), IOB_E_IOVA_WINDOW);
	refused(map(IOVA, PAGE), IOB_E_IOVA_WINDOW);
	ok(map(WINDOW, PAGE));
	ok(map(WINDOW_LAST + 1 - PAGE, PAGE));
	op = map_anywhere(&memory, 0, 14 * PAGE, BOTH);
	ok(iob_map(domain, &op, &iova));
	ck_assert_uint_eq(iova, WINDOW + PAGE);
	op.length = PAGE;
	refused(iob_map(domain, &op, NULL), IOB_E_IOVA_EXHAUSTED);
}

static void bob_sees_window_only(void)
{
	struct iob_map_rec recs[8];
	uint32_t count;
	int more;

	ok(iob_map_list(domain, 0, recs, COUNT(recs), &count, &more));
	ck_assert_uint_eq(count, 3);
	ck_assert_int_eq(more, 0);
	ck_assert_uint_eq(recs[0].iova, WINDOW);
	ck_assert_uint_eq(recs[2].iova, WINDOW_LAST + 1 - PAGE);
}

static void bob_unmaps_window_only(void)
{
	struct iob_unmap_all_rep rep;

	refused(iob_unmap(domain, WINDOW - PAGE, PAGE), IOB_E_IOVA_WINDOW);
	refused(iob_unmap(domain, WINDOW_LAST + 1, PAGE), IOB_E_IOVA_WINDOW);
	refused(iob_unmap(domain, IOVA, BYTES), IOB_E_IOVA_WINDOW);
	refused(iob_unmap(domain, 0, UINT64_MAX), IOB_E_IOVA_WINDOW);
	ok(iob_unmap(domain, WINDOW, PAGE));
	ok(iob_unmap_all(domain, &rep));
	ck_assert_uint_eq(rep.count, 2);
}

static void alice_has_hers(void)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 4);
}

START_TEST(window_confines)
{
	as(ALICE, alice_grants_window);
	as(BOB, bob_works_in_window);
	as(BOB, bob_sees_window_only);
	as(BOB, bob_unmaps_window_only);
	as(ALICE, alice_has_hers);
}
END_TEST

/* ---- rights ---- */

static void alice_grants_each_right(void)
{
	alice_maps();
	for (uint32_t right = 1; right < IOB_RIGHT_ALL; right <<= 1)
		alice_grants(right, 0, 0, UINT64_MAX, NULL);
}

/* With one right, what needs another one is refused for want of it. */
static void bob_tries_each(void)
{
	const struct iob_grant_req inspect = { .rights = IOB_RIGHT_INSPECT };
	struct memory m = memory_make(PAGE, SEALED);
	iob_device *d = device_opened(connected(), EDU_1);
	struct iob_memory_add_rep rep;
	struct iob_map_rec rec;
	struct iob_map_op op = { .flags = BOTH };
	uint32_t count;
	int more;

	for (uint32_t right = 1; right < IOB_RIGHT_ALL; right <<= 1) {
		iob_domain *g = domain_taken(BOB), *none;
		int code;

#define CHECK(call, needs)                                                                        \
	do {                                                                                      \
		code = (call);                                                                    \
		ck_assert_msg((code == IOB_E_RIGHTS) == (right != (needs)), "right 0x%x: %s: %s", \
			      right, #call, iob_code_name(code));                                 \
	} while (0)
		CHECK(iob_memory_add(g, m.fd, BOTH, &rep), IOB_RIGHT_MAP);
		CHECK(iob_memory_drop(g, 1), IOB_RIGHT_MAP);
		CHECK(iob_map(g, &op, NULL), IOB_RIGHT_MAP);
		CHECK(iob_unmap(g, NOWHERE, PAGE), IOB_RIGHT_UNMAP);
		CHECK(iob_map_list(g, 0, &rec, 1, &count, &more), IOB_RIGHT_INSPECT);
		CHECK(iob_domain_bind(g, iob_device_fd(d)), IOB_RIGHT_BIND);
		CHECK(iob_domain_revoke(g, 12345), IOB_RIGHT_GRANT);
		/* nobody has the right to grant and one to give away */
		refused(iob_domain_grant(g, &inspect, &none, NULL), IOB_E_RIGHTS);
#undef CHECK
	}
}

static void bob_binds_from_device_side(void)
{
	iob_device *d = device_opened(connected(), EDU_1);

	for (uint32_t right = 1; right < IOB_RIGHT_ALL; right <<= 1) {
		iob_domain *g = domain_taken(BOB);

		if (right == IOB_RIGHT_BIND)
			ok(iob_device_bind(d, iob_domain_fd(g)));
		else
			refused(iob_device_bind(d, iob_domain_fd(g)), IOB_E_RIGHTS);
		if (right == IOB_RIGHT_BIND)
			ok(iob_device_unbind(d));
	}
}

START_TEST(each_operation_needs_its_right)
{
	as(ALICE, alice_grants_each_right);
	as(BOB, bob_tries_each);
}
END_TEST

START_TEST(binding_needs_its_right_from_either_side)
{
	as(ALICE, alice_grants_each_right);
	as(BOB, bob_binds_from_device_side);
}
END_TEST

/* ---- grants of grants ---- */

static void subset_only(void)
{
	struct iob_grant_req req = { .rights = WORKER | IOB_RIGHT_GRANT,
				     .window_first = WINDOW,
				     .window_last = WINDOW_LAST };
	iob_domain *first, *second;
	uint32_t id, sibling;

	alice_maps();
	ok(iob_domain_grant(domain, &req, &second, &sibling));
	ok(iob_domain_grant(domain, &req, &first, NULL));
	req.rights = IOB_RIGHT_MAP | IOB_RIGHT_BIND;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_RIGHTS);
	req.rights = IOB_RIGHT_MAP;
	req.window_first = WINDOW - 1;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_IOVA_WINDOW);
	req.window_first = WINDOW;
	req.window_last = WINDOW_LAST + 1;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_IOVA_WINDOW);
	req.window_first = WINDOW_LAST;
	req.window_last = WINDOW;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_IOVA_WINDOW);
	req.window_first = WINDOW;
	req.window_last = WINDOW + 2 * PAGE - 1;
	req.rights = 0;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_UNSUPPORTED);
	req.rights = 0x40;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_RIGHTS);
	req.rights = IOB_RIGHT_MAP;
	req.flags = 2;
	refused(iob_domain_grant(first, &req, &second, NULL), IOB_E_UNSUPPORTED);
	req.flags = 0;
	ok(iob_domain_grant(first, &req, &second, &id));
	/* not granted by it, nor inside it: not its to revoke */
	refused(iob_domain_revoke(first, 0), IOB_E_GONE);
	refused(iob_domain_revoke(first, 99999), IOB_E_GONE);
	ok(iob_domain_revoke(first, id));
	refused(iob_domain_revoke(first, id), IOB_E_GONE);
	domain_is_closed(second);
}

START_TEST(grant_of_a_grant_is_less)
{
	as(ALICE, subset_only);
}
END_TEST

/* "End a grant made through this handle": that of another is none. */
static void not_of_others(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_INSPECT | IOB_RIGHT_GRANT,
					   .window_last = UINT64_MAX };
	iob_domain *first, *second;
	uint32_t first_id;

	alice_maps();
	ok(iob_domain_grant(domain, &req, &first, &first_id));
	ok(iob_domain_grant(domain, &req, &second, NULL));
	refused(iob_domain_revoke(second, first_id), IOB_E_GONE);
	ok(iob_domain_info(first, &(struct iob_domain_info_rep){ 0 }, NULL, 0));
}

START_TEST(grant_of_another_cannot_be_revoked)
{
	as(ALICE, not_of_others);
}
END_TEST

/* ---- read-only ---- */

static void read_only(void)
{
	struct iob_grant_req req = { .rights = WORKER | IOB_RIGHT_GRANT,
				     .flags = IOB_GRANT_READ_ONLY,
				     .window_last = UINT64_MAX };
	struct iob_memory_add_rep rep;
	struct iob_map_op op;
	iob_domain *first, *second;
	struct memory m = memory_make(PAGE, SEALED);

	alice_maps();
	ok(iob_domain_grant(domain, &req, &first, NULL));
	req.flags = 0;
	ok(iob_domain_grant(first, &req, &second, NULL)); /* cannot be shaken off */
	for (int i = 0; i < 2; i++) {
		iob_domain *g = i ? second : first;

		refused(iob_memory_add(g, m.fd, BOTH, &rep), IOB_E_RIGHTS);
		refused(iob_memory_add(g, m.fd, IOB_WRITE, &rep), IOB_E_RIGHTS);
		ok(iob_memory_add(g, m.fd, IOB_READ, &rep));
		m.id = rep.memory;
		op = map_anywhere(&m, 0, PAGE, BOTH);
		ck_assert_int_ne(iob_map(g, &op, NULL), IOB_OK);
		op.flags = IOB_READ;
		ok(iob_map(g, &op, NULL));
	}
}

START_TEST(read_only_grant_never_lets_devices_write)
{
	as(ALICE, read_only);
}
END_TEST

Suite *grant_suite(void)
{
	Suite *s = suite_create("grant");
	TCase *tc = case_shared(s, "grant");

	tcase_add_test(tc, window_confines);
	tcase_add_test(tc, each_operation_needs_its_right);
	tcase_add_test(tc, binding_needs_its_right_from_either_side);
	tcase_add_test(tc, grant_of_a_grant_is_less);
	tcase_add_test(tc, grant_of_another_cannot_be_revoked);
	tcase_add_test(tc, read_only_grant_never_lets_devices_write);
	case_shared_end(tc);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* What refusals say: names instead of bits, and the way out. */
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define says(call, code, words)                                                                \
	do {                                                                                   \
		refused((call), (code));                                                       \
		ck_assert_msg(strstr(iob_error()->text, (words)) != NULL, "%s: \"%s\"", #call, \
			      iob_error()->text);                                              \
	} while (0)

/* ---- rights ---- */

static void alice_grants_two(void)
{
	alice_maps();
	alice_grants(IOB_RIGHT_BIND | IOB_RIGHT_INSPECT, 0, 0, UINT64_MAX, NULL);
}

static void bob_lacks_map(void)
{
	const struct iob_map_op op = { .flags = BOTH };

	domain = domain_taken(BOB);
	says(iob_map(domain, &op, NULL), IOB_E_RIGHTS,
	     "MAP needs the right MAP; this handle has BIND INSPECT");
}

static void grants_too_much(void)
{
	struct iob_grant_req req = { .rights = IOB_RIGHT_MAP | IOB_RIGHT_GRANT,
				     .window_last = UINT64_MAX };
	iob_domain *first, *second;

	ok(iob_domain_grant(domain, &req, &first, NULL));
	req.rights = IOB_RIGHT_MAP | IOB_RIGHT_DIRECT | 0x40;
	says(iob_domain_grant(first, &req, &second, NULL), IOB_E_RIGHTS,
	     "rights MAP DIRECT 0x40 asked, the giver has MAP GRANT");
	req.rights = 0;
	says(iob_domain_grant(first, &req, &second, NULL), IOB_E_UNSUPPORTED, "without any right");
}

START_TEST(rights_have_names)
{
	as(ALICE, alice_grants_two);
	as(BOB, bob_lacks_map);
	as(ALICE, grants_too_much);
}
END_TEST

/* ---- access ---- */

static const struct broker_options mediated = {
	.rules = "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\n", .name = "words"
};

static void asks_for_fd(void)
{
	iob_device *d;

	conn = connected();
	says(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_FD | IOB_ACCESS_MEDIATED, &d,
			     NULL),
	     IOB_E_DENIED, "policy gives mediated, fd was asked");
	says(iob_device_open(conn, device_name(EDU_1), 12, &d, NULL), IOB_E_UNSUPPORTED,
	     "access must be mediated, fd or both, not 0xc");
}

START_TEST(access_to_devices_has_names)
{
	broker_start(&mediated);
	as(ALICE, asks_for_fd);
}
END_TEST

static void memory_access(void)
{
	struct memory m = memory_make(PAGE, SEALED);
	struct iob_memory_add_rep rep;
	struct iob_map_op op;

	conn = connected();
	domain = domain_made(conn);
	says(iob_memory_add(domain, m.fd, 0, &rep), IOB_E_UNSUPPORTED,
	     "access must be READ, WRITE or both, not none");
	says(iob_memory_add(domain, m.fd, IOB_READ | 4, &rep), IOB_E_UNSUPPORTED, "not READ 0x4");
	ok(iob_memory_add(domain, m.fd, IOB_READ, &rep));
	m.id = rep.memory;
	op = map_anywhere(&m, 0, PAGE, BOTH);
	says(iob_map(domain, &op, NULL), IOB_E_MEMORY_ACCESS, "READ WRITE asked, memory ");
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "is registered for READ"));
	op.flags = IOB_FIXED;
	says(iob_map(domain, &op, NULL), IOB_E_UNSUPPORTED, "READ, WRITE or both");
}

START_TEST(access_to_memory_has_names)
{
	as(ALICE, memory_access);
}
END_TEST

/* ---- kinds ---- */

static void kinds(void)
{
	iob_device *d;

	conn = connected();
	domain = domain_made(conn);
	says(iob_device_from_fd(iob_domain_fd(domain), &d), IOB_E_WRONG_KIND,
	     "this is a domain handle, not a device handle");
}

START_TEST(kinds_have_names)
{
	as(ALICE, kinds);
}
END_TEST

/* ---- budgets: the session's word and the monitor's ---- */

static void budgets(void)
{
	struct iob_map_op op;
	struct memory m;
	iob_domain *d;

	conn = connected();
	ok(iob_domain_create(conn, 8 * PAGE, 4, &domain, NULL));
	m = memory_registered(domain, 16 * PAGE, IOB_READ);
	op = map_anywhere(&m, 0, 9 * PAGE, IOB_READ);
	says(iob_map(domain, &op, NULL), IOB_E_QUOTA,
	     "max-bytes: 36K asked, 32K of 32K left in the domain");
	says(iob_domain_create(conn, 2048 * MIB, 4, &d, NULL), IOB_E_QUOTA,
	     "max-bytes: 2G needed, 1048544K of 1G left");
}

START_TEST(budgets_are_told_as_they_are_written)
{
	as(ALICE, budgets);
}
END_TEST

/* ---- what the broker cannot choose, and why ---- */

static void low_windows(void)
{
	struct iob_grant_req req = { .rights = IOB_RIGHT_MAP, .window_last = MIB / 8 - 1 };
	struct iob_map_op op;
	struct memory m;
	iob_domain *low, *high;

	conn = connected();
	domain = domain_made(conn);
	ok(iob_domain_grant(domain, &req, &low, NULL));
	m = memory_registered(low, PAGE, IOB_READ);
	op = map_anywhere(&m, 0, PAGE, IOB_READ);
	says(iob_map(low, &op, NULL), IOB_E_IOVA_EXHAUSTED,
	     "the window of this handle ends at 0x1ffff: below 1 MiB only IOB_FIXED maps");
	op.iova_limit = MIB / 16 - 1;
	says(iob_map(low, &op, NULL), IOB_E_IOVA_EXHAUSTED, "iova_limit ends at 0xffff");
	op = map_at(0x10000, &m, 0, PAGE, IOB_READ);
	ok(iob_map(low, &op, NULL));
	req.window_first = 16 * MIB;
	req.window_last = 17 * MIB - 1;
	ok(iob_domain_grant(domain, &req, &high, NULL));
	m = memory_registered(high, PAGE, IOB_READ);
	op = map_anywhere(&m, 0, PAGE, IOB_READ);
	op.iova_limit = 8 * MIB;
	says(iob_map(high, &op, NULL), IOB_E_IOVA_EXHAUSTED,
	     "iova_limit 0x800000 is below the window of this handle, which begins at 0x1000000");
}

START_TEST(windows_without_room_are_told)
{
	as(ALICE, low_windows);
}
END_TEST

/* ---- eventfds ---- */

static void no_eventfds(void)
{
	int file = memory_make(PAGE, 0).fd, pair[2];

	bob_is_bound();
	says(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &file, 1), IOB_E_KERNEL,
	     "SET_IRQ: descriptor 0 is no eventfd");
	ck_assert_int_eq(pipe(pair), 0);
	says(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1, &pair[1], 1),
	     IOB_E_KERNEL, "SET_IRQ: descriptor 0 is no eventfd");
}

START_TEST(what_is_no_eventfd_is_told)
{
	as(BOB, no_eventfds);
}
END_TEST

Suite *words_suite(void)
{
	Suite *s = suite_create("words");
	TCase *tc = case_shared(s, "words");

	tcase_add_test(tc, rights_have_names);
	tcase_add_test(tc, access_to_memory_has_names);
	tcase_add_test(tc, kinds_have_names);
	tcase_add_test(tc, budgets_are_told_as_they_are_written);
	tcase_add_test(tc, windows_without_room_are_told);
	tcase_add_test(tc, what_is_no_eventfd_is_told);
	case_shared_end(tc);
	tc = case_private(s, "words of policy");
	tcase_add_test(tc, access_to_devices_has_names);
	return s;
}

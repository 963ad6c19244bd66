/* SPDX-License-Identifier: MIT */
/* The end of a grant: revoked, closed, or its holder or its domain gone. */
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

static void bob_maps_and_drives(void)
{
	struct iob_map_op op;

	domain = domain_taken(BOB);
	memory = memory_registered(domain, 4 * PAGE, BOTH);
	op = map_at(WINDOW, &memory, 0, 4 * PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	conn = connected();
	device = device_opened(conn, EDU_1);
}

static void alice_adds_device(void)
{
	ok(iob_domain_bind(domain, take(ALICE)));
}

static void bob_gives_device(void)
{
	give(ALICE, iob_device_fd(device));
}

static void bob_uses_device(void)
{
	device_event(device, IOB_EV_DEVICE_BOUND);
	edu_ready(device);
	edu_fetch(device, IOVA, 256);
	edu_store(device, WINDOW, 256);
	memset(memory.at, 0x77, memory.bytes);
}

static void alice_revokes(void)
{
	struct iob_domain_info_rep info;

	memset(memory.at, 0, memory.bytes);
	ok(iob_domain_revoke(domain, (uint32_t)board[GRANT_ID]));
	ok(iob_domain_info(domain, &info, NULL, 0));
	ck_assert_uint_eq(info.used_mappings, 4); /* hers are left */
	ck_assert_uint_eq(info.devices, 1);	  /* and so is the device */
	refused(iob_domain_revoke(domain, (uint32_t)board[GRANT_ID]), IOB_E_GONE);
}

static void bob_is_cut_off(void)
{
	domain_is_closed(domain);
	edu_fetch(device, IOVA, 256);
	edu_store(device, WINDOW, 256);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x77));
	edu_store(device, IOVA + 512, 256);
}

START_TEST(revoked_grant_leaves_nothing)
{
	as(ALICE, alice_grants_window);
	as(BOB, bob_maps_and_drives);
	as(BOB, bob_gives_device);
	as(ALICE, alice_adds_device);
	as(BOB, bob_uses_device);
	as(ALICE, alice_revokes);
	as(BOB, bob_is_cut_off);
}
END_TEST

static void bob_closes_grant(void)
{
	iob_domain_close(domain);
}

static void alice_is_alone(void)
{
	struct iob_domain_info_rep info;

	for (int i = 0; i < 1000; i++) {
		ok(iob_domain_info(domain, &info, NULL, 0));
		if (info.used_mappings == 4)
			return;
		usleep(10000);
	}
	ck_abort_msg("%u mappings instead of 4", info.used_mappings);
}

START_TEST(closed_grant_takes_its_mappings_along)
{
	as(ALICE, alice_grants_window);
	as(BOB, bob_maps_and_drives);
	as(BOB, bob_closes_grant);
	as(ALICE, alice_is_alone);
}
END_TEST

START_TEST(killed_holder_of_a_grant_leaves_nothing)
{
	as(ALICE, alice_grants_window);
	as(BOB, bob_maps_and_drives);
	user_is_killed(BOB);
	as(ALICE, alice_is_alone);
}
END_TEST

static void alice_closes(void)
{
	iob_domain_close(domain);
}

static void bob_finds_it_closed(void)
{
	domain_is_closed(domain);
}

START_TEST(grants_do_not_keep_the_domain)
{
	as(ALICE, alice_grants_window);
	as(BOB, bob_maps_and_drives);
	as(ALICE, alice_closes);
	as(BOB, bob_finds_it_closed);
}
END_TEST

Suite *revoke_suite(void)
{
	Suite *s = suite_create("revoke");
	TCase *tc = case_shared(s, "revoke");

	tcase_add_test(tc, revoked_grant_leaves_nothing);
	tcase_add_test(tc, closed_grant_takes_its_mappings_along);
	tcase_add_test(tc, killed_holder_of_a_grant_leaves_nothing);
	tcase_add_test(tc, grants_do_not_keep_the_domain);
	case_shared_end(tc);
	return s;
}

/* SPDX-License-Identifier: MIT */
/*
 * One program maps, another drives: alice's memory, bob's device, real DMA. What bob's device
 * reaches, and what it does not.
 */
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

/* ---- reached ---- */

static void alice_prepares(void)
{
	memset(memory.at, 0xee, memory.bytes);
	memory_fill(&memory, OFFSET + 64, 1500, 11);
	memory_fill(&memory, READ_OFFSET + PAGE, 512, 12);
}

static void bob_copies(void)
{
	edu_fetch(device, IOVA + 64, 1500);
	edu_store(device, IOVA + 2 * PAGE + 128, 1500);
	edu_fetch(device, READ_IOVA + PAGE, 512);
	edu_store(device, IOVA + 3 * PAGE + 256, 512);
	/* over the border of two pages */
	edu_fetch(device, IOVA + 2 * PAGE + 128, 1500);
	edu_store(device, IOVA + PAGE - 700, 1500);
}

static void alice_compares(void)
{
	ck_assert(memory_is_filled(&memory, OFFSET + 2 * PAGE + 128, 1500, 11));
	ck_assert(memory_is_filled(&memory, OFFSET + 3 * PAGE + 256, 512, 12));
	ck_assert(memory_is_filled(&memory, OFFSET + PAGE - 700, 1500, 11));
	/* nothing beside it, least of all what was not mapped */
	ck_assert(memory_is(&memory, 0, OFFSET, 0xee));
	ck_assert(memory_is(&memory, OFFSET + 2 * PAGE + 128 + 1500, 1024, 0xee));
	ck_assert(memory_is(&memory, OFFSET + BYTES, READ_OFFSET - OFFSET - BYTES, 0xee));
}

static void bob_is_bound_elsewhere_to_nothing(void)
{
	struct iob_device_info_rep info;

	ok(iob_device_info(device, &info));
	ck_assert_uint_ne(info.domain_id, 0);
}

/* Mapped before the device came: there when it came. */
START_TEST(device_of_bob_reaches_memory_of_alice)
{
	set_scene();
	as(BOB, bob_is_bound_elsewhere_to_nothing);
	as(ALICE, alice_prepares);
	as(BOB, bob_copies);
	as(ALICE, alice_compares);
}
END_TEST

static void alice_maps_more(void)
{
	struct iob_map_op op = map_at(IOVA + BYTES, &memory, 12 * PAGE, PAGE, BOTH);

	ok(iob_map(domain, &op, NULL));
	memory_fill(&memory, 12 * PAGE, 1024, 99);
}

static void bob_copies_more(void)
{
	edu_fetch(device, IOVA + BYTES, 1024);
	edu_store(device, IOVA, 1024);
}

static void alice_compares_more(void)
{
	ck_assert(memory_is_filled(&memory, OFFSET, 1024, 99));
}

START_TEST(mapped_while_bound_is_reached_at_once)
{
	set_scene();
	as(ALICE, alice_maps_more);
	as(BOB, bob_copies_more);
	as(ALICE, alice_compares_more);
}
END_TEST

/* ---- pinned ---- */

static void alice_unmaps_all(void)
{
	ok(iob_unmap_all(domain, NULL));
}

/* The measure of the baseline sees what it is to see. */
START_TEST(memory_is_held_while_mapped)
{
	long before = pinned_pages();

	set_scene(); /* a further page may be held against seals */
	if (before >= 0)
		ck_assert_int_ge(pinned_pages() - before, (long)((BYTES + READ_BYTES) / PAGE));
	as(ALICE, alice_unmaps_all);
	ck_assert_int_le(pinned_pages() - before, 1);
}
END_TEST

/* ---- not reached ---- */

static void alice_fills(void)
{
	memset(memory.at, 0xa5, memory.bytes);
}

static void alice_finds_untouched(void)
{
	ck_assert(memory_is(&memory, 0, memory.bytes, 0xa5));
}

static void bob_stores_nowhere(void)
{
	edu_store(device, NOWHERE, 256);
}

static void provoke_nowhere(void)
{
	as(BOB, bob_stores_nowhere);
}

START_TEST(unmapped_memory_is_not_reached_and_the_fault_is_logged)
{
	set_scene();
	as(ALICE, alice_fills);
	faults_forget();
	ck_assert(fault_is_logged(device_name(EDU_1), NOWHERE, provoke_nowhere));
	as(ALICE, alice_finds_untouched);
}
END_TEST

static void bob_reads_nowhere(void)
{
	edu_fetch(device, IOVA + BYTES, 256);
}

static void provoke_read(void)
{
	as(BOB, bob_reads_nowhere);
}

static void alice_clears(void)
{
	memset(memory.at, 0, memory.bytes);
	memory_fill(&memory, OFFSET + BYTES, 256, 42); /* behind the mapping, not in it */
}

static void bob_stores_what_it_read(void)
{
	edu_store(device, IOVA, 256);
}

static void alice_finds_no_secret(void)
{
	ck_assert(!memory_is_filled(&memory, OFFSET, 256, 42));
}

START_TEST(neighbouring_pages_are_not_read)
{
	set_scene();
	as(ALICE, alice_clears);
	faults_forget();
	ck_assert(fault_is_logged(device_name(EDU_1), IOVA + BYTES, provoke_read));
	as(BOB, bob_stores_what_it_read);
	as(ALICE, alice_finds_no_secret);
}
END_TEST

static void bob_stores_read_only(void)
{
	edu_store(device, READ_IOVA, 512);
}

static void provoke_read_only(void)
{
	as(BOB, bob_stores_read_only);
}

START_TEST(read_only_memory_is_not_written)
{
	set_scene();
	as(ALICE, alice_fills);
	faults_forget();
	ck_assert(fault_is_logged(device_name(EDU_1), READ_IOVA, provoke_read_only));
	as(ALICE, alice_finds_untouched);
}
END_TEST

/* A device that is not in the domain reaches nothing of it, even where another one is. */
static void bob_has_another_domain(void)
{
	iob_device *second = device_opened(conn, EDU_2);
	iob_domain *own = domain_made(conn);

	ok(iob_device_bind(second, iob_domain_fd(own)));
	edu_ready(second);
	edu_store(second, IOVA, 512);
	iob_device_close(second);
	iob_domain_close(own);
}

START_TEST(device_of_another_domain_reaches_nothing)
{
	set_scene();
	as(ALICE, alice_fills);
	as(BOB, bob_has_another_domain);
	as(ALICE, alice_finds_untouched);
}
END_TEST

/* ---- unmapped while the device is at it ---- */

static void bob_stores_on_and_on(void)
{
	while (board[GO_ON]) {
		edu_store(device, IOVA, 1024);
		board[ROUNDS]++;
	}
}

static void alice_unmaps(void)
{
	uint64_t rounds;

	memset(memory.at, 0xa5, memory.bytes);
	while (board[ROUNDS] < 2)
		usleep(1000);
	ck_assert(!memory_is(&memory, OFFSET, 1024, 0xa5)); /* it is at it, */
	ok(iob_unmap(domain, IOVA, BYTES));
	memset(memory.at, 0xa5, memory.bytes); /* and from here on it is not */
	rounds = board[ROUNDS];
	while (board[ROUNDS] < rounds + 3)
		usleep(1000);
	ck_assert(memory_is(&memory, 0, memory.bytes, 0xa5));
}

START_TEST(unmap_stops_the_device_at_once)
{
	set_scene();
	board[GO_ON] = 1;
	as_begin(BOB, bob_stores_on_and_on);
	as(ALICE, alice_unmaps);
	board[GO_ON] = 0;
	user_done(BOB);
}
END_TEST

/* ---- what bob may not ---- */

static void bob_may_bind_only(void)
{
	const struct iob_grant_req less = { .rights = IOB_RIGHT_BIND, .window_last = PAGE - 1 };
	struct iob_domain_info_rep info;
	struct memory m = memory_make(PAGE, SEALED);
	struct iob_memory_add_rep rep;
	struct iob_range ranges[4];
	struct iob_map_rec rec;
	struct iob_map_op op = map_at(NOWHERE, &(struct memory){ .id = 1 }, 0, PAGE, BOTH);
	iob_domain *none;
	uint32_t count;
	int more;

	refused(iob_memory_add(domain, m.fd, BOTH, &rep), IOB_E_RIGHTS);
	refused(iob_memory_drop(domain, 1), IOB_E_RIGHTS);
	refused(iob_map(domain, &op, NULL), IOB_E_RIGHTS);
	refused(iob_unmap(domain, IOVA, BYTES), IOB_E_RIGHTS);
	refused(iob_unmap_all(domain, NULL), IOB_E_RIGHTS);
	refused(iob_map_list(domain, 0, &rec, 1, &count, &more), IOB_E_RIGHTS);
	refused(iob_domain_grant(domain, &less, &none, NULL), IOB_E_RIGHTS);
	refused(iob_domain_revoke(domain, 1), IOB_E_RIGHTS);
	ok(iob_domain_info(domain, &info, ranges, COUNT(ranges)));
	ck_assert_uint_eq(info.rights, IOB_RIGHT_BIND);
	ck_assert_uint_eq(info.used_bytes, 0);
	ck_assert_uint_eq(info.used_mappings, 0);
	board[0] = info.max_bytes;
	board[1] = info.range_count;
}

START_TEST(bind_only_handle_binds_only)
{
	set_scene();
	as(BOB, bob_may_bind_only);
	as(ALICE, alice_prepares);
	as(BOB, bob_copies);
	as(ALICE, alice_compares);
}
END_TEST

START_TEST(information_without_right_to_inspect_is_small)
{
	set_scene();
	as(BOB, bob_may_bind_only);
	ck_assert_uint_eq(board[0], 0);
	ck_assert_uint_eq(board[1], 0);
}
END_TEST

Suite *dma_suite(void)
{
	Suite *s = suite_create("dma");
	TCase *tc = case_shared(s, "dma");

	tcase_add_test(tc, device_of_bob_reaches_memory_of_alice);
	tcase_add_test(tc, mapped_while_bound_is_reached_at_once);
	tcase_add_test(tc, memory_is_held_while_mapped);
	tcase_add_test(tc, unmapped_memory_is_not_reached_and_the_fault_is_logged);
	tcase_add_test(tc, neighbouring_pages_are_not_read);
	tcase_add_test(tc, read_only_memory_is_not_written);
	tcase_add_test(tc, device_of_another_domain_reaches_nothing);
	tcase_add_test(tc, unmap_stops_the_device_at_once);
	tcase_add_test(tc, bind_only_handle_binds_only);
	tcase_add_test(tc, information_without_right_to_inspect_is_small);
	case_shared_end(tc);
	return s;
}

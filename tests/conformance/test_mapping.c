/* SPDX-License-Identifier: MIT */
/* MAP, UNMAP and their kin, in a domain without a device. With one: test_bound.c, test_dma.c. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/conformance/suites.h"

#define BOTH (IOB_READ | IOB_WRITE)
#define BASE UINT64_C(0x1000000)

static iob_domain *domain;
static struct memory memory;

static void begin(size_t bytes)
{
	domain = domain_made(connected());
	memory = memory_registered(domain, bytes, BOTH);
}

static int map(uint64_t iova, uint64_t offset, uint64_t length)
{
	struct iob_map_op op = map_at(iova, &memory, offset, length, BOTH);
	uint64_t got;
	int code = iob_map(domain, &op, &got);

	if (code == IOB_OK)
		ck_assert_uint_eq(got, iova);
	return code;
}

/* Refused by the broker itself, before any kernel is asked, which might refuse it too. */
#define refused_here(call, wanted)                                   \
	do {                                                         \
		refused((call), (wanted));                           \
		ck_assert_int_eq(iob_error()->step, IOB_STEP_RANGE); \
	} while (0)

static uint32_t mappings(void)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(domain, &info, NULL, 0));
	return info.used_mappings;
}

/* ---- fixed ---- */

static void overlaps(void)
{
	begin(16 * PAGE);
	ok(map(BASE, 0, 4 * PAGE));
	refused_here(map(BASE, 0, 4 * PAGE), IOB_E_IOVA_OVERLAP);
	refused_here(map(BASE + 3 * PAGE, 0, PAGE), IOB_E_IOVA_OVERLAP);
	refused_here(map(BASE - PAGE, 0, 2 * PAGE), IOB_E_IOVA_OVERLAP);
	refused_here(map(BASE - PAGE, 0, 6 * PAGE), IOB_E_IOVA_OVERLAP);
	ok(map(BASE + 4 * PAGE, 0, PAGE)); /* neighbours do not overlap, */
	ok(map(BASE - PAGE, 0, PAGE));	   /* and memory may be mapped twice */
	ck_assert_uint_eq(mappings(), 3);
}

START_TEST(overlap_is_refused)
{
	as(ALICE, overlaps);
}
END_TEST

static void alignment(void)
{
	begin(4 * PAGE);
	refused_here(map(BASE + 1, 0, PAGE), IOB_E_ALIGNMENT);
	refused_here(map(BASE + 512, 0, PAGE), IOB_E_ALIGNMENT);
	refused_here(map(BASE, 8, PAGE), IOB_E_ALIGNMENT);
	refused_here(map(BASE, 0, 100), IOB_E_ALIGNMENT);
	refused_here(map(BASE, 0, PAGE + 1), IOB_E_ALIGNMENT);
	ck_assert_uint_eq(mappings(), 0);
}

START_TEST(unaligned_is_refused)
{
	as(ALICE, alignment);
}
END_TEST

static void ranges(void)
{
	begin(4 * PAGE);
	refused_here(map(BASE, 0, 0), IOB_E_RANGE);
	refused_here(map(BASE, 0, 5 * PAGE), IOB_E_RANGE);
	refused_here(map(BASE, 4 * PAGE, PAGE), IOB_E_RANGE);
	refused_here(map(BASE, PAGE, 4 * PAGE), IOB_E_RANGE);
	refused_here(map(BASE, UINT64_MAX - PAGE + 1, PAGE), IOB_E_RANGE);
	refused_here(map(BASE, PAGE, UINT64_MAX - PAGE + 1), IOB_E_RANGE);
	refused_here(map(UINT64_MAX - PAGE + 1, 0, 2 * PAGE), IOB_E_RANGE);
	ck_assert_uint_eq(mappings(), 0);
	ok(map(0, 0, PAGE)); /* a fixed IOVA of 0 is legal */
}

START_TEST(beyond_the_end_is_refused)
{
	as(ALICE, ranges);
}
END_TEST

/* ---- chosen ---- */

static uint64_t chosen(uint64_t offset, uint64_t length, uint64_t limit)
{
	struct iob_map_op op = map_anywhere(&memory, offset, length, BOTH);
	uint64_t iova;

	op.iova_limit = limit;
	ok(iob_map(domain, &op, &iova));
	return iova;
}

static void choosing(void)
{
	struct iob_map_op op;
	uint64_t a, b;

	begin(16 * PAGE);
	a = chosen(0, 4 * PAGE, 0);
	b = chosen(0, 4 * PAGE, 0);
	ck_assert_uint_ne(a, 0);
	ck_assert(a + 4 * PAGE <= b || b + 4 * PAGE <= a);
	ck_assert_uint_le(chosen(0, 4 * PAGE, 0xfffffff) + 4 * PAGE - 1, 0xfffffff);
	op = map_anywhere(&memory, 0, PAGE, BOTH);
	op.iova = PAGE;
	refused(iob_map(domain, &op, NULL), IOB_E_UNSUPPORTED);
	op.iova = 0;
	op.iova_limit = PAGE - 2;
	refused(iob_map(domain, &op, NULL), IOB_E_IOVA_EXHAUSTED);
}

START_TEST(broker_chooses_free_ranges)
{
	as(ALICE, choosing);
}
END_TEST

/* So that the IOMMU can use its huge pages where the memory has them. */
static void congruence(void)
{
	begin(8 * MIB);
	chosen(0, PAGE, 0); /* something in the way */
	ck_assert_uint_eq(chosen(0, 4 * MIB, 0) % (2 * MIB), 0);
	ck_assert_uint_eq(chosen(MIB, 2 * MIB, 0) % (2 * MIB), MIB);
	ck_assert_uint_eq(chosen(MIB + 3 * PAGE, 4 * MIB, 0) % (2 * MIB), MIB + 3 * PAGE);
}

START_TEST(chosen_ranges_are_congruent_to_huge_pages)
{
	as(ALICE, congruence);
}
END_TEST

/* ---- unmap ---- */

static void exact_unmap(void)
{
	begin(16 * PAGE);
	ok(map(BASE, 0, 4 * PAGE));
	ok(map(BASE + 4 * PAGE, 0, 4 * PAGE));
	refused_here(iob_unmap(domain, BASE, 3 * PAGE), IOB_E_NOT_MAPPED);
	refused_here(iob_unmap(domain, BASE, 5 * PAGE), IOB_E_NOT_MAPPED);
	refused_here(iob_unmap(domain, BASE, 8 * PAGE), IOB_E_NOT_MAPPED);
	refused_here(iob_unmap(domain, BASE + PAGE, 2 * PAGE), IOB_E_NOT_MAPPED);
	refused_here(iob_unmap(domain, BASE + PAGE, 3 * PAGE), IOB_E_NOT_MAPPED);
	refused_here(iob_unmap(domain, BASE + 8 * PAGE, PAGE), IOB_E_NOT_MAPPED);
	ck_assert_uint_eq(mappings(), 2);
	refused_here(map(BASE + PAGE, 0, PAGE), IOB_E_IOVA_OVERLAP);
	ok(iob_unmap(domain, BASE, 4 * PAGE));
	refused_here(iob_unmap(domain, BASE, 4 * PAGE), IOB_E_NOT_MAPPED);
	ok(map(BASE, 0, PAGE));
	ck_assert_uint_eq(mappings(), 2);
}

START_TEST(unmap_is_exact)
{
	as(ALICE, exact_unmap);
}
END_TEST

static void unmap_everything(void)
{
	struct iob_unmap_all_rep rep;

	begin(16 * PAGE);
	ok(iob_unmap_all(domain, &rep));
	ck_assert_uint_eq(rep.count, 0);
	ok(map(BASE, 0, 4 * PAGE));
	ok(map(BASE + 8 * PAGE, 0, 2 * PAGE));
	ok(map(0x4000000000, 0, PAGE));
	ok(iob_unmap_all(domain, &rep));
	ck_assert_uint_eq(rep.count, 3);
	ck_assert_uint_eq(rep.bytes, 7 * PAGE);
	ck_assert_uint_eq(mappings(), 0);
	ok(iob_memory_drop(domain, memory.id));
}

START_TEST(unmap_all_removes_all)
{
	as(ALICE, unmap_everything);
}
END_TEST

/* ---- batches ---- */

static struct iob_map_op maps[IOB_MAX_BATCH];
static struct iob_unmap_op unmaps[IOB_MAX_BATCH];
static struct iob_result results[IOB_MAX_BATCH];

static void full_batch(void)
{
	uint32_t done;

	begin(4 * MIB);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++)
		maps[i] = map_at(BASE + i * 2 * PAGE, &memory, i * PAGE, PAGE, BOTH);
	ok(iob_map_batch(domain, maps, IOB_MAX_BATCH, results, &done));
	ck_assert_uint_eq(done, IOB_MAX_BATCH);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++) {
		ck_assert_uint_eq(results[i].code, IOB_OK);
		ck_assert_uint_eq(results[i].iova, maps[i].iova);
		unmaps[i] = (struct iob_unmap_op){ maps[i].iova, PAGE };
	}
	ck_assert_uint_eq(mappings(), IOB_MAX_BATCH);
	ok(iob_unmap_batch(domain, unmaps, IOB_MAX_BATCH, results, &done));
	ck_assert_uint_eq(done, IOB_MAX_BATCH);
	ck_assert_uint_eq(mappings(), 0);
	refused(iob_map_batch(domain, maps, IOB_MAX_BATCH + 1, results, &done), IOB_E_ARGUMENT);
	refused(iob_map_batch(domain, maps, 0, results, &done), IOB_E_ARGUMENT);
}

START_TEST(batch_of_1024)
{
	as(ALICE, full_batch);
}
END_TEST

/* Every third operation is wrong, in turn in one of three ways; the others take effect. */
static void mixed_batch(void)
{
	static const uint32_t codes[] = { IOB_E_ALIGNMENT, IOB_E_RANGE, IOB_E_MEMORY_ID };
	uint32_t done, wrong = 0;

	begin(4 * MIB);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++) {
		maps[i] = map_at(BASE + i * PAGE, &memory, i * PAGE, PAGE, BOTH);
		if (i % 3 != 1)
			continue;
		wrong++;
		maps[i].iova += i / 3 % 3 == 0;
		maps[i].length = i / 3 % 3 == 1 ? 0 : PAGE;
		maps[i].memory += i / 3 % 3 == 2 ? 7 : 0;
	}
	refused(iob_map_batch(domain, maps, IOB_MAX_BATCH, results, &done), IOB_E_ALIGNMENT);
	ck_assert_uint_eq(done, IOB_MAX_BATCH - wrong);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++) {
		uint32_t want = i % 3 == 1 ? codes[i / 3 % 3] : (uint32_t)IOB_OK;

		ck_assert_uint_eq(results[i].code, want);
		unmaps[i] = (struct iob_unmap_op){ BASE + i * PAGE, PAGE };
	}
	ck_assert_uint_eq(mappings(), IOB_MAX_BATCH - wrong);
	refused(iob_unmap_batch(domain, unmaps, IOB_MAX_BATCH, results, &done), IOB_E_NOT_MAPPED);
	ck_assert_uint_eq(done, IOB_MAX_BATCH - wrong);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++)
		ck_assert_uint_eq(results[i].code == IOB_OK, i % 3 != 1);
	ck_assert_uint_eq(mappings(), 0);
}

START_TEST(batch_tells_what_took_effect)
{
	as(ALICE, mixed_batch);
}
END_TEST

/* Operations are executed in order: a later one sees what an earlier one did. */
static void order(void)
{
	uint32_t done;

	begin(4 * PAGE);
	maps[0] = map_at(BASE, &memory, 0, PAGE, BOTH);
	maps[1] = map_at(BASE, &memory, PAGE, PAGE, BOTH);
	maps[2] = map_at(BASE + PAGE, &memory, PAGE, PAGE, BOTH);
	refused(iob_map_batch(domain, maps, 3, results, &done), IOB_E_IOVA_OVERLAP);
	ck_assert_uint_eq(done, 2);
	ck_assert_uint_eq(results[1].code, IOB_E_IOVA_OVERLAP);
	ck_assert_uint_eq(results[1].step, IOB_STEP_RANGE);
}

START_TEST(batch_is_executed_in_order)
{
	as(ALICE, order);
}
END_TEST

/* ---- list ---- */

static void listing(void)
{
	struct iob_map_rec recs[100];
	uint32_t done, count, seen = 0;
	uint64_t start = 0;
	int more = 1;

	begin(4 * MIB);
	for (uint32_t i = 0; i < 250; i++)
		maps[i] = map_at(BASE + (249 - i) * 2 * PAGE, &memory, i * PAGE, PAGE,
				 i % 2 ? IOB_READ : BOTH);
	ok(iob_map_batch(domain, maps, 250, results, &done));
	while (more) {
		ok(iob_map_list(domain, start, recs, COUNT(recs), &count, &more));
		ck_assert_uint_eq(count, seen < 200 ? 100 : 50);
		for (uint32_t i = 0; i < count; i++, seen++) {
			ck_assert_uint_eq(recs[i].iova, BASE + seen * 2 * PAGE);
			ck_assert_uint_eq(recs[i].length, PAGE);
			ck_assert_uint_eq(recs[i].offset, (249 - seen) * PAGE);
			ck_assert_uint_eq(recs[i].memory, memory.id);
			ck_assert_uint_eq(recs[i].flags, (249 - seen) % 2 ? IOB_READ : BOTH);
		}
		start = recs[count - 1].iova + 1;
	}
	ck_assert_uint_eq(seen, 250);
	ok(iob_map_list(domain, BASE + 249 * 2 * PAGE + 1, recs, COUNT(recs), &count, &more));
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(more, 0);
}

START_TEST(list_has_all_pages)
{
	as(ALICE, listing);
}
END_TEST

Suite *mapping_suite(void)
{
	Suite *s = suite_create("mapping");
	TCase *tc = case_shared(s, "mapping");

	tcase_add_test(tc, overlap_is_refused);
	tcase_add_test(tc, unaligned_is_refused);
	tcase_add_test(tc, beyond_the_end_is_refused);
	tcase_add_test(tc, broker_chooses_free_ranges);
	tcase_add_test(tc, chosen_ranges_are_congruent_to_huge_pages);
	tcase_add_test(tc, unmap_is_exact);
	tcase_add_test(tc, unmap_all_removes_all);
	tcase_add_test(tc, batch_of_1024);
	tcase_add_test(tc, batch_tells_what_took_effect);
	tcase_add_test(tc, batch_is_executed_in_order);
	tcase_add_test(tc, list_has_all_pages);
	case_shared_end(tc);
	return s;
}

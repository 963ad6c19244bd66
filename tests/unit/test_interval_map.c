/* SPDX-License-Identifier: MIT */
/* The interval map: edges of the address space, and a long comparison with a naive model. */
#include "daemon/interval-map.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

Suite *test_interval_map_suite(void);

static const struct iob_range everything = { 0, UINT64_MAX };

static int put(struct interval_map *map, struct mapping *m, uint64_t iova, uint64_t length)
{
	memset(m, 0xa5, sizeof(*m)); /* insert may rely on nothing but what the contract names */
	m->iova = iova;
	m->length = length;
	m->offset = 0;
	m->memory = NULL;
	m->access = IOB_READ;
	return interval_map_insert(map, m);
}

static struct interval_gap want_any(uint64_t length)
{
	return (struct interval_gap){
		.allowed = &everything,
		.allowed_count = 1,
		.first = 0,
		.last = UINT64_MAX,
		.length = length,
		.modulus = 1,
	};
}

static void expect_gap(struct interval_map *map, const struct interval_gap *want, uint64_t iova)
{
	uint64_t got = 42;

	ck_assert_int_eq(interval_map_find_gap(map, want, &got), 0);
	ck_assert_uint_eq(got, iova);
}

static void expect_none(struct interval_map *map, const struct interval_gap *want)
{
	uint64_t got = 42;

	ck_assert_int_eq(interval_map_find_gap(map, want, &got), -ENOSPC);
	ck_assert_uint_eq(got, 42);
}

/*
 * Every ck_assert tells the parent process that it was reached, by a system call: too slow where
 * there are millions.
 */
#define require(condition)                              \
	do {                                            \
		if (!(condition))                       \
			ck_abort_msg("%s", #condition); \
	} while (0)

/* ---- invariants ---- */
struct walk {
	uint64_t next_free; /* lowest address above what was walked */
	uint64_t bytes;
	uint32_t count;
	bool full; /* the walk reached 2^64 */
};

/* Returns the largest gap of the subtree; *black is its black height. */
static uint64_t check_subtree(const struct mapping *m, const struct mapping *parent, struct walk *w,
			      unsigned *black)
{
	uint64_t largest, below;
	unsigned left_black, right_black;

	if (!m) {
		*black = 1;
		return 0;
	}
	require(RB_PARENT(m, link) == parent);
	if (RB_COLOR(m, link) == RB_RED)
		require(parent && RB_COLOR(parent, link) == RB_BLACK);
	largest = check_subtree(RB_LEFT(m, link), m, w, &left_black);
	require(!w->full);
	require(m->iova >= w->next_free);
	require(m->gap == m->iova - w->next_free);
	w->next_free = m->iova + m->length;
	w->full = w->next_free == 0;
	w->bytes += m->length;
	w->count++;
	if (m->gap > largest)
		largest = m->gap;
	below = check_subtree(RB_RIGHT(m, link), m, w, &right_black);
	if (below > largest)
		largest = below;
	require(left_black == right_black);
	require(m->max_gap == largest);
	*black = left_black + (RB_COLOR(m, link) == RB_BLACK);
	return largest;
}

static void check_map(const struct interval_map *map)
{
	struct walk w = { 0 };
	unsigned black;

	check_subtree(RB_ROOT(&map->tree), NULL, &w, &black);
	require(w.bytes == map->bytes);
	require(w.count == map->count);
}

/* ---- edges ---- */
START_TEST(empty_map)
{
	struct interval_map map;
	struct interval_gap want = want_any(UINT64_MAX);

	interval_map_init(&map);
	check_map(&map);
	ck_assert_ptr_null(interval_map_from(&map, 0));
	ck_assert_ptr_null(interval_map_find(&map, 0, PAGE));
	ck_assert(!interval_map_overlaps(&map, 0, UINT64_MAX));
	expect_gap(&map, &want, 0);
	want.first = 1;
	expect_gap(&map, &want, 1);
	want.first = 2;
	expect_none(&map, &want);
}
END_TEST

START_TEST(lowest_and_highest_address)
{
	struct interval_map map;
	struct mapping low, high, m;

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &high, 0 - PAGE, PAGE), 0);
	ck_assert_int_eq(put(&map, &low, 0, PAGE), 0);
	check_map(&map);
	ck_assert_uint_eq(high.gap, 0 - 2 * PAGE);
	ck_assert_uint_eq(low.gap, 0);
	ck_assert_int_eq(put(&map, &m, UINT64_MAX, 1), -EEXIST);
	ck_assert_int_eq(put(&map, &m, 0, 1), -EEXIST);
	ck_assert_int_eq(put(&map, &m, PAGE - 1, 2), -EEXIST);
	ck_assert_int_eq(put(&map, &m, 1, UINT64_MAX), -EEXIST);
	ck_assert(interval_map_overlaps(&map, UINT64_MAX, UINT64_MAX));
	ck_assert(interval_map_overlaps(&map, 0, 0));
	ck_assert(!interval_map_overlaps(&map, PAGE, UINT64_MAX - PAGE));
	ck_assert(interval_map_overlaps(&map, PAGE, UINT64_MAX - PAGE + 1));
	ck_assert(interval_map_overlaps(&map, PAGE - 1, UINT64_MAX - PAGE));
	ck_assert(!interval_map_overlaps(&map, UINT64_MAX, 0));
	ck_assert_int_eq(put(&map, &m, PAGE, 0 - 2 * PAGE), 0);
	check_map(&map);
	ck_assert_uint_eq(map.bytes, 0); /* all 2^64 of them */
	interval_map_remove(&map, &high);
	check_map(&map);
	ck_assert_ptr_eq(interval_map_from(&map, PAGE), &m);
	ck_assert_ptr_null(interval_map_from(&map, PAGE + 1));
}
END_TEST

START_TEST(wrap_and_zero_refused)
{
	struct interval_map map;
	struct mapping m;

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &m, 0, 0), -EINVAL);
	ck_assert_int_eq(put(&map, &m, UINT64_MAX, 0), -EINVAL);
	ck_assert_int_eq(put(&map, &m, 0 - PAGE, PAGE + 1), -EINVAL);
	ck_assert_int_eq(put(&map, &m, UINT64_MAX, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(put(&map, &m, 2, UINT64_MAX), -EINVAL);
	ck_assert_uint_eq(map.count, 0);
	ck_assert_int_eq(put(&map, &m, 1, UINT64_MAX), 0);
	check_map(&map);
	interval_map_remove(&map, &m);
	ck_assert_int_eq(put(&map, &m, UINT64_MAX, 1), 0);
	check_map(&map);
}
END_TEST

START_TEST(refused_insert_changes_nothing)
{
	struct interval_map map;
	struct mapping a, b, m;

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &a, 4 * PAGE, PAGE), 0);
	ck_assert_int_eq(put(&map, &b, 8 * PAGE, PAGE), 0);
	ck_assert_int_eq(put(&map, &m, 3 * PAGE, 2 * PAGE), -EEXIST);
	ck_assert_int_eq(put(&map, &m, 4 * PAGE, PAGE), -EEXIST);
	ck_assert_int_eq(put(&map, &m, 5 * PAGE, 4 * PAGE), -EEXIST);
	ck_assert_int_eq(put(&map, &m, 0, 20 * PAGE), -EEXIST);
	check_map(&map);
	ck_assert_uint_eq(map.count, 2);
	ck_assert_uint_eq(map.bytes, 2 * PAGE);
	ck_assert_uint_eq(a.gap, 4 * PAGE);
	ck_assert_uint_eq(b.gap, 3 * PAGE);
}
END_TEST

START_TEST(find_is_exact)
{
	struct interval_map map;
	struct mapping a, b;

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &a, PAGE, 2 * PAGE), 0);
	ck_assert_int_eq(put(&map, &b, 3 * PAGE, PAGE), 0);
	ck_assert_ptr_eq(interval_map_find(&map, PAGE, 2 * PAGE), &a);
	ck_assert_ptr_eq(interval_map_find(&map, 3 * PAGE, PAGE), &b);
	ck_assert_ptr_null(interval_map_find(&map, PAGE, PAGE));
	ck_assert_ptr_null(interval_map_find(&map, PAGE, 3 * PAGE));
	ck_assert_ptr_null(interval_map_find(&map, 2 * PAGE, PAGE));
	ck_assert_ptr_null(interval_map_find(&map, 0, PAGE));
	ck_assert_ptr_null(interval_map_find(&map, 4 * PAGE, PAGE));
	ck_assert_ptr_eq(interval_map_next(&a), &b);
	ck_assert_ptr_null(interval_map_next(&b));
	ck_assert_ptr_eq(interval_map_from(&map, PAGE + 1), &b);
}
END_TEST

START_TEST(gap_at_the_edges)
{
	struct interval_map map;
	struct mapping low, high;
	struct interval_gap want = want_any(PAGE);

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &low, PAGE, PAGE), 0);
	expect_gap(&map, &want, 0);
	want.length = PAGE + 1;
	expect_gap(&map, &want, 2 * PAGE);
	want.length = 0 - 2 * PAGE; /* exactly what is left on top */
	expect_gap(&map, &want, 2 * PAGE);
	want.length++;
	expect_none(&map, &want);
	ck_assert_int_eq(put(&map, &high, 0 - PAGE, PAGE), 0);
	want.length = 0 - 3 * PAGE;
	expect_gap(&map, &want, 2 * PAGE);
	want.length++;
	expect_none(&map, &want);
	want.length = 1;
	want.first = 0 - PAGE;
	expect_none(&map, &want);
	want.first = 0 - PAGE - 1;
	expect_gap(&map, &want, 0 - PAGE - 1);
}
END_TEST

START_TEST(gap_respects_ranges_and_window)
{
	static const struct iob_range ranges[] = {
		{ 0, 0x0fff },
		{ 0x10000, 0xfedfffff },
		{ 0xfef00000, 0x7fffffffff },
	};
	struct interval_map map;
	struct mapping m;
	struct interval_gap want = want_any(2 * PAGE);

	interval_map_init(&map);
	want.allowed = ranges;
	want.allowed_count = 3;
	expect_gap(&map, &want, 0x10000);
	want.first = 0xfedff000;
	expect_gap(&map, &want, 0xfef00000);
	want.last = 0xfef01ffe;
	expect_none(&map, &want);
	want.last++;
	expect_gap(&map, &want, 0xfef00000);
	ck_assert_int_eq(put(&map, &m, 0xfef01000, PAGE), 0);
	expect_none(&map, &want);
	want.last = UINT64_MAX;
	expect_gap(&map, &want, 0xfef02000);
	want.first = 0x7fffffffff;
	expect_none(&map, &want);
	want.length = 1;
	expect_gap(&map, &want, 0x7fffffffff);
	want.first = 5;
	want.last = 4;
	expect_none(&map, &want);
	want.last = UINT64_MAX;
	want.allowed_count = 0;
	expect_none(&map, &want);
}
END_TEST

START_TEST(gap_respects_phase)
{
	struct interval_map map;
	struct mapping m;
	struct interval_gap want = want_any(PAGE);

	interval_map_init(&map);
	ck_assert_int_eq(put(&map, &m, 0x3000, PAGE), 0);
	want.modulus = 0x200000;
	want.phase = 0x3000;
	expect_gap(&map, &want, 0x203000);
	want.phase = 0x7fe03000; /* counted modulo, so the same */
	expect_gap(&map, &want, 0x203000);
	want.phase = 0x1000;
	expect_gap(&map, &want, 0x1000);
	want.modulus = UINT64_C(1) << 63;
	want.phase = 0x3000;
	expect_gap(&map, &want, want.modulus + 0x3000);
	want.first = want.modulus + 0x3001; /* the next one would wrap */
	expect_none(&map, &want);
}
END_TEST

START_TEST(gap_refuses_nonsense)
{
	struct interval_map map;
	struct interval_gap want = want_any(0);
	uint64_t iova;

	interval_map_init(&map);
	ck_assert_int_eq(interval_map_find_gap(&map, &want, &iova), -EINVAL);
	want.length = PAGE;
	want.modulus = 0;
	ck_assert_int_eq(interval_map_find_gap(&map, &want, &iova), -EINVAL);
	want.modulus = 3;
	ck_assert_int_eq(interval_map_find_gap(&map, &want, &iova), -EINVAL);
}
END_TEST

/* ---- against the naive model ---- */
#define MODEL_CELLS 512u
#define MODEL_STEPS 12000u

/*
 * A small world of cells around a base, so that collisions and tight holes are the rule. Owner of
 * a cell: the mapping that covers it, or NULL. What is outside of the world is never mapped.
 */
struct model {
	uint64_t
		base; /* address of cell 0; cells are one byte, so that no alignment hides anything */
	struct mapping *owner[MODEL_CELLS];
	struct mapping nodes[MODEL_CELLS];
	bool used[MODEL_CELLS];
	uint64_t random;
};

/* xorshift64: the same on every machine. */
static uint32_t model_random(struct model *s, uint32_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)(s->random >> 32) % below;
}

static bool model_free(const struct model *s, uint32_t first, uint32_t cells)
{
	for (uint32_t i = first; i < first + cells; i++) {
		if (s->owner[i])
			return false;
	}
	return true;
}

static void model_insert(struct model *s, struct interval_map *map)
{
	uint32_t slot = model_random(s, MODEL_CELLS), cells = 1 + model_random(s, 9);
	uint32_t first = model_random(s, MODEL_CELLS - cells + 1);
	struct mapping *m = &s->nodes[slot];
	bool is_free = model_free(s, first, cells);

	if (s->used[slot])
		return;
	require(put(map, m, s->base + first, cells) == (is_free ? 0 : -EEXIST));
	if (!is_free)
		return;
	s->used[slot] = true;
	for (uint32_t i = first; i < first + cells; i++)
		s->owner[i] = m;
}

static void model_remove(struct model *s, struct interval_map *map)
{
	uint32_t slot = model_random(s, MODEL_CELLS);
	struct mapping *m = &s->nodes[slot];

	if (!s->used[slot])
		return;
	require(interval_map_find(map, m->iova, m->length) == m);
	interval_map_remove(map, m);
	for (uint32_t i = 0; i < MODEL_CELLS; i++) {
		if (s->owner[i] == m)
			s->owner[i] = NULL;
	}
	s->used[slot] = false;
	memset(m, 0x5a, sizeof(*m)); /* the map must not look at it any more */
}

static struct mapping *model_from(const struct model *s, uint32_t cell)
{
	for (; cell < MODEL_CELLS; cell++) {
		if (s->owner[cell] && s->owner[cell]->iova == s->base + cell)
			return s->owner[cell];
	}
	return NULL;
}

static void model_look(struct model *s, struct interval_map *map)
{
	uint32_t cells = 1 + model_random(s, 12);
	uint32_t first = model_random(s, MODEL_CELLS - cells + 1);
	uint64_t iova = s->base + first;
	struct mapping *owner = s->owner[first], *m = model_from(s, first);

	require(interval_map_overlaps(map, iova, iova + cells - 1) == !model_free(s, first, cells));
	require(interval_map_from(map, iova) == m);
	if (m && m->iova - s->base + 1 < MODEL_CELLS)
		require(interval_map_next(m) == model_from(s, (uint32_t)(m->iova - s->base) + 1));
	if (!owner || owner->iova != iova || owner->length != cells)
		owner = NULL;
	require(interval_map_find(map, iova, cells) == owner);
}

/* Up to four ascending, disjoint ranges of cells; adjacent ones too. */
static size_t model_ranges(struct model *s, struct iob_range *ranges)
{
	uint32_t cell = model_random(s, MODEL_CELLS / 4);
	size_t count = 0;

	while (count < 4 && cell < MODEL_CELLS) {
		uint32_t last = cell + model_random(s, MODEL_CELLS / 3);

		if (last >= MODEL_CELLS)
			last = MODEL_CELLS - 1;
		ranges[count++] = (struct iob_range){ s->base + cell, s->base + last };
		cell = last + 1 + (model_random(s, 2) ? model_random(s, MODEL_CELLS / 6) : 0);
	}
	return count;
}

/* Does a placement at this cell satisfy the wish? */
static bool model_fits(const struct model *s, const struct interval_gap *want, uint32_t cell)
{
	uint64_t iova = s->base + cell, last = iova + want->length - 1;
	bool allowed = false;

	for (size_t i = 0; i < want->allowed_count; i++)
		allowed |= want->allowed[i].first <= iova && last <= want->allowed[i].last;
	return allowed && want->first <= iova && last <= want->last &&
	       (iova - want->phase) % want->modulus == 0 &&
	       model_free(s, cell, (uint32_t)want->length);
}

static void model_find_gap(struct model *s, struct interval_map *map)
{
	struct iob_range ranges[4];
	uint32_t cells = 1 + model_random(s, model_random(s, 4) ? 8 : 60), expected = 0;
	struct interval_gap want = { .allowed = ranges, .length = cells };
	uint64_t got = 0;
	int r;

	want.allowed_count = model_ranges(s, ranges);
	want.first = s->base + model_random(s, MODEL_CELLS);
	want.last = s->base + model_random(s, MODEL_CELLS);
	if (model_random(s, 2)) {
		want.first = 0;
		want.last = UINT64_MAX;
	}
	want.modulus = UINT64_C(1) << model_random(s, 7);
	want.phase = model_random(s, 200);
	while (expected + cells <= MODEL_CELLS && !model_fits(s, &want, expected))
		expected++;
	r = interval_map_find_gap(map, &want, &got);
	if (expected + cells > MODEL_CELLS) {
		require(r == -ENOSPC);
	} else {
		require(r == 0);
		require(got == s->base + expected);
	}
}

/* First address of the world, the seed: bottom, middle and the very top of the address space. */
static const struct {
	uint64_t base, seed;
} worlds[] = {
	{ 0, 0x9e3779b97f4a7c15 },
	{ 0, 77 },
	{ 0xfee00000, 0x123456789 },
	{ UINT64_C(1) << 63, 4711 },
	{ 0 - (uint64_t)MODEL_CELLS, 0xdeadbeef },
	{ 0 - (uint64_t)MODEL_CELLS, 31337 },
};

START_TEST(compare_with_model)
{
	struct model *s = calloc(1, sizeof(*s));
	struct interval_map map;

	ck_assert_ptr_nonnull(s);
	s->base = worlds[_i].base;
	s->random = worlds[_i].seed;
	interval_map_init(&map);
	for (uint32_t step = 0; step < MODEL_STEPS; step++) {
		/* The tide turns: the map is filled up and drained again several times. */
		uint32_t filling = step / 1000 % 2 ? 3 : 8;

		if (model_random(s, 11) < filling)
			model_insert(s, &map);
		else
			model_remove(s, &map);
		check_map(&map);
		model_look(s, &map);
		model_find_gap(s, &map);
	}
	free(s);
}
END_TEST

START_TEST(drain_in_every_order)
{
	enum { COUNT = 200 };
	static struct mapping nodes[COUNT];
	struct interval_map map;

	interval_map_init(&map);
	for (unsigned i = 0; i < COUNT; i++) /* 7 and 200 share no divisor: every slot once */
		ck_assert_int_eq(put(&map, &nodes[i], (i * 7 % COUNT) * 3 * PAGE, PAGE), 0);
	check_map(&map);
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned slot = _i == 0 ? i : _i == 1 ? COUNT - 1 - i : i * 37 % COUNT;

		interval_map_remove(&map, &nodes[slot]);
		check_map(&map);
	}
	ck_assert(RB_EMPTY(&map.tree));
	ck_assert_uint_eq(map.bytes, 0);
}
END_TEST

Suite *test_interval_map_suite(void)
{
	Suite *suite = suite_create("interval-map");
	TCase *edges = tcase_create("edges"), *model = tcase_create("model");

	tcase_add_test(edges, empty_map);
	tcase_add_test(edges, lowest_and_highest_address);
	tcase_add_test(edges, wrap_and_zero_refused);
	tcase_add_test(edges, refused_insert_changes_nothing);
	tcase_add_test(edges, find_is_exact);
	tcase_add_test(edges, gap_at_the_edges);
	tcase_add_test(edges, gap_respects_ranges_and_window);
	tcase_add_test(edges, gap_respects_phase);
	tcase_add_test(edges, gap_refuses_nonsense);
	suite_add_tcase(suite, edges);
	tcase_set_timeout(model, 300); /* valgrind */
	tcase_add_loop_test(model, drain_in_every_order, 0, 3);
	tcase_add_loop_test(model, compare_with_model, 0,
			    (int)(sizeof(worlds) / sizeof(worlds[0])));
	suite_add_tcase(suite, model);
	return suite;
}

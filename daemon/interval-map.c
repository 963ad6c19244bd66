/* SPDX-License-Identifier: MIT */
/*
 * interval-map.c - a red-black tree over IOVA, where each node knows the hole below it and the
 * largest hole of its subtree.
 *
 * What libbsd's tree.h does with RB_AUGMENT: a rotation recomputes the two nodes it turns and the one
 * above; RB_REMOVE recomputes the parent of the place that became empty, and only when a node with
 * two children goes the whole way up. It does not know that the hole of the neighbour above changed.
 * So holes are moved first, or with the new leaf, and repaired by a walk up that ends where nothing
 * changes any more; what the macros do then changes no largest hole but those they recompute.
 */

/* Before any include: tree.h takes whatever is defined when it is first read. */
#define RB_AUGMENT(m) mapping_augment(m)

#include "daemon/interval-map.h"

#include <errno.h>

/* A domain may hold a million of them: the budget for the broker's own memory counts on this. */
_Static_assert(sizeof(struct mapping) <= 88, "struct mapping has grown");

static void mapping_augment(struct mapping *m)
{
	const struct mapping *left = RB_LEFT(m, link), *right = RB_RIGHT(m, link);
	uint64_t largest = m->gap;

	if (left && left->max_gap > largest)
		largest = left->max_gap;
	if (right && right->max_gap > largest)
		largest = right->max_gap;
	m->max_gap = largest;
}

/* Mappings never overlap, so that their first addresses order them. */
static int mapping_compare(const struct mapping *a, const struct mapping *b)
{
	return (a->iova > b->iova) - (a->iova < b->iova);
}

/* RB_GENERATE_STATIC needs an __unused that libbsd leaves out where Linux headers use that name. */
RB_GENERATE_INTERNAL(mapping_tree, mapping, link, mapping_compare, static __attribute__((unused)))

/* Inclusive, because the end of a mapping at the very top is 2^64. */
static uint64_t mapping_last(const struct mapping *m)
{
	return m->iova + (m->length - 1);
}

/* The way up from a node whose hole or subtree changed, to where nothing changes any more; but at least
 * to beyond upper, an ancestor whose hole changed too, or NULL. */
static void augment_up(struct mapping *m, const struct mapping *upper)
{
	bool passed = upper == NULL;

	for (; m; m = RB_PARENT(m, link)) {
		uint64_t before = m->max_gap;

		mapping_augment(m);
		if (upper && m == upper)
			passed = true;
		else if (passed && m->max_gap == before)
			return;
	}
}

void interval_map_init(struct interval_map *map)
{
	RB_INIT(&map->tree);
	map->bytes = 0;
	map->count = 0;
	map->made = NULL;
	map->next = NULL;
}

struct mapping *interval_map_from(struct interval_map *map, uint64_t iova)
{
	struct mapping *m = RB_ROOT(&map->tree), *best = NULL;

	while (m) {
		if (m->iova >= iova) {
			best = m;
			m = RB_LEFT(m, link);
		} else {
			m = RB_RIGHT(m, link);
		}
	}
	return best;
}

struct mapping *interval_map_next(struct mapping *m)
{
	return RB_NEXT(mapping_tree, NULL, m);
}

struct mapping *interval_map_find(struct interval_map *map, uint64_t iova, uint64_t length)
{
	struct mapping *m = map->next && map->next->iova == iova ? map->next : RB_ROOT(&map->tree);

	while (m && m->iova != iova)
		m = iova < m->iova ? RB_LEFT(m, link) : RB_RIGHT(m, link);
	return m && m->length == length ? m : NULL;
}

/* Lowest mapping that ends at or above address, or NULL. */
static struct mapping *ending_from(struct interval_map *map, uint64_t address)
{
	struct mapping *m = RB_ROOT(&map->tree), *best = NULL;

	while (m) {
		if (mapping_last(m) >= address) {
			best = m;
			m = RB_LEFT(m, link);
		} else {
			m = RB_RIGHT(m, link);
		}
	}
	return best;
}

/* An empty range (first > last) touches nothing. */
bool interval_map_overlaps(struct interval_map *map, uint64_t first, uint64_t last)
{
	const struct mapping *m;

	if (first > last)
		return false;
	m = ending_from(map, first);
	return m && m->iova <= last;
}

/* Where a new mapping goes: its parent and on which side, and its neighbours in the order. */
struct place {
	struct mapping *parent;
	struct mapping *below, *above;
};

/* Right behind the mapping made last, if it belongs there. */
static bool find_next_place(const struct interval_map *map, const struct mapping *m,
			    struct place *p)
{
	struct mapping *below = map->made, *above;

	if (!below || below->iova >= m->iova)
		return false;
	above = interval_map_next(below);
	if (above && above->iova < m->iova)
		return false;
	*p = (struct place){ .parent = RB_RIGHT(below, link) ? above : below,
			     .below = below,
			     .above = above };
	return true;
}

/* One way down. */
static void find_any_place(const struct interval_map *map, const struct mapping *m, struct place *p)
{
	struct mapping *at = RB_ROOT(&map->tree);

	*p = (struct place){ 0 };
	while (at) {
		p->parent = at;
		if (m->iova < at->iova) {
			p->above = at;
			at = RB_LEFT(at, link);
		} else {
			p->below = at;
			at = RB_RIGHT(at, link);
		}
	}
}

/* Only the neighbours can overlap. */
static int find_place(const struct interval_map *map, const struct mapping *m, struct place *p)
{
	if (!find_next_place(map, m, p))
		find_any_place(map, m, p);
	if (p->below && mapping_last(p->below) >= m->iova)
		return -EEXIST;
	return p->above && p->above->iova <= mapping_last(m) ? -EEXIST : 0;
}

/*
 * The new node is linked as RB_INSERT would, which would search again. Neighbours in the order are
 * always ancestor and descendant; a leaf's are both above it. So one way up repairs the largest holes
 * before the tree is balanced, and rotations keep them right.
 */
int interval_map_insert(struct interval_map *map, struct mapping *m)
{
	struct place p;

	if (m->length == 0 || mapping_last(m) < m->iova)
		return -EINVAL; /* the contract of struct mapping is broken */
	if (find_place(map, m, &p) < 0)
		return -EEXIST;
	m->gap = p.below ? m->iova - mapping_last(p.below) - 1 : m->iova;
	m->max_gap = m->gap;
	if (p.above)
		p.above->gap = p.above->iova - mapping_last(m) - 1;
	RB_SET(m, p.parent, link);
	if (!p.parent)
		RB_ROOT(&map->tree) = m;
	else if (p.parent == p.above)
		RB_LEFT(p.parent, link) = m;
	else
		RB_RIGHT(p.parent, link) = m;
	augment_up(p.parent, p.above);
	mapping_tree_RB_INSERT_COLOR(&map->tree, m);
	map->made = m;
	map->bytes += m->length;
	map->count++;
	return 0;
}

/* Its hole goes to the next mapping first. A node without a hole can then be taken out by the macro,
 * which repairs the way up where it moves the next one into the empty place. */
void interval_map_remove(struct interval_map *map, struct mapping *m)
{
	struct mapping *above = interval_map_next(m);
	uint64_t gap = m->gap;

	m->gap = 0;
	if (above) {
		bool is_below_us = RB_RIGHT(m, link) != NULL;

		above->gap += m->length + gap;
		augment_up(is_below_us ? above : m, is_below_us ? m : above);
	} else {
		augment_up(m, NULL);
	}
	RB_REMOVE(mapping_tree, &map->tree, m);
	map->next = above;
	if (map->made == m)
		map->made = NULL;
	map->bytes -= m->length;
	map->count--;
}

/* Lowest mapping in the subtree with a hole of length below it; there is one. */
static struct mapping *subtree_gap(struct mapping *m, uint64_t length)
{
	for (;;) {
		struct mapping *left = RB_LEFT(m, link);

		if (left && left->max_gap >= length)
			m = left;
		else if (m->gap >= length)
			return m;
		else
			m = RB_RIGHT(m, link);
	}
}

/* Next mapping above m with a hole of length below it, or NULL. */
static struct mapping *next_gap(struct mapping *m, uint64_t length)
{
	for (;;) {
		struct mapping *right = RB_RIGHT(m, link), *parent;

		if (right && right->max_gap >= length)
			return subtree_gap(right, length);
		while ((parent = RB_PARENT(m, link)) && RB_RIGHT(parent, link) == m)
			m = parent;
		if (!parent || parent->gap >= length)
			return parent;
		m = parent;
	}
}

/* Lowest congruent address where length bytes fit into [first, last]. */
static bool fits(const struct interval_gap *want, uint64_t first, uint64_t last, uint64_t *iova)
{
	uint64_t skip = (want->phase - first) & (want->modulus - 1);

	if (first > last || skip > last - first || last - first - skip < want->length - 1)
		return false;
	*iova = first + skip;
	return true;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The hole above the highest mapping belongs to no node. */
static bool fits_on_top(struct interval_map *map, const struct interval_gap *want, uint64_t first,
			uint64_t last, uint64_t *iova)
{
	const struct mapping *top = RB_MAX(mapping_tree, &map->tree);

	if (top && mapping_last(top) >= last)
		return false;
	return fits(want, top ? max_u64(first, mapping_last(top) + 1) : first, last, iova);
}

static bool fits_in_range(struct interval_map *map, const struct interval_gap *want, uint64_t first,
			  uint64_t last, uint64_t *iova)
{
	uint32_t holes = 0;
	struct mapping *m;

	if (first > last || last - first < want->length - 1)
		return false;
	m = ending_from(map, first);
	if (m && m->gap < want->length)
		m = next_gap(m, want->length);
	for (; m && m->iova - m->gap <= last; m = next_gap(m, want->length)) {
		/* m->gap is not 0 here, so that m->iova is not either. */
		if (fits(want, max_u64(first, m->iova - m->gap), min_u64(last, m->iova - 1), iova))
			return true;
		if (++holes == want->max_holes)
			return fits_on_top(map, want, first, last, iova);
	}
	return !m && fits_on_top(map, want, first, last, iova);
}

int interval_map_find_gap(struct interval_map *map, const struct interval_gap *want, uint64_t *iova)
{
	if (want->length == 0 || want->modulus == 0 || (want->modulus & (want->modulus - 1)) != 0)
		return -EINVAL;
	for (size_t i = 0; i < want->allowed_count; i++) {
		const struct iob_range *r = &want->allowed[i];

		if (fits_in_range(map, want, max_u64(want->first, r->first),
				  min_u64(want->last, r->last), iova))
			return 0;
	}
	return -ENOSPC;
}

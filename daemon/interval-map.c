/* SPDX-License-Identifier: MIT */
/*
 * interval-map.c - a red-black tree over IOVA, where each node knows the hole below it and the
 * largest hole of its subtree.
 *
 * What libbsd 0.11's tree.h does with RB_AUGMENT: a rotation recomputes the two nodes it turns and
 * the one above; RB_INSERT recomputes the parent of the new leaf, RB_REMOVE the parent of the
 * place that became empty, and only when a node with two children goes the whole way up. Neither
 * knows that the hole of the neighbour above changed. So rotations are left to the macro, which is
 * enough because a rotation changes no subtree's total, and the way up to the root is walked here.
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

static void augment_up(struct mapping *m)
{
	for (; m; m = RB_PARENT(m, link))
		mapping_augment(m);
}

void interval_map_init(struct interval_map *map)
{
	RB_INIT(&map->tree);
	map->bytes = 0;
	map->count = 0;
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
	struct mapping *m = interval_map_from(map, iova);

	return m && m->iova == iova && m->length == length ? m : NULL;
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

/*
 * Neighbours in the order are always ancestor and descendant in the tree, so that one walk from
 * the lower of the new node and its upper neighbour, whose hole shrank, repairs both.
 */
int interval_map_insert(struct interval_map *map, struct mapping *m)
{
	struct mapping *above;

	if (m->length == 0 || mapping_last(m) < m->iova)
		return -EINVAL; /* the contract of struct mapping is broken */
	above = ending_from(map, m->iova);
	if (above && above->iova <= mapping_last(m))
		return -EEXIST;
	if (above) {
		m->gap = m->iova - (above->iova - above->gap);
		above->gap = above->iova - mapping_last(m) - 1;
	} else {
		const struct mapping *below = RB_MAX(mapping_tree, &map->tree);

		m->gap = below ? m->iova - mapping_last(below) - 1 : m->iova;
	}
	m->max_gap = m->gap;
	RB_INSERT(mapping_tree, &map->tree, m);
	augment_up(RB_RIGHT(m, link) ? above : m);
	map->bytes += m->length;
	map->count++;
	return 0;
}

/*
 * Lowest node whose subtree changes when m is removed and the hole of above, the next mapping,
 * has grown. Where m has two children, above moves into its place. The rebalancing may push this
 * node further down but never takes an ancestor away from it.
 */
static struct mapping *lowest_changed(struct mapping *m, struct mapping *above)
{
	if (RB_RIGHT(m, link) && RB_LEFT(m, link))
		return RB_PARENT(above, link) == m ? above : RB_PARENT(above, link);
	if (RB_RIGHT(m, link))
		return above;
	return RB_PARENT(m, link);
}

void interval_map_remove(struct interval_map *map, struct mapping *m)
{
	struct mapping *above = interval_map_next(m);
	struct mapping *lowest = lowest_changed(m, above);

	if (above)
		above->gap += m->length + m->gap;
	RB_REMOVE(mapping_tree, &map->tree, m);
	augment_up(lowest);
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

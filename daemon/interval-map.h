/* SPDX-License-Identifier: MIT */
/*
 * interval-map.h - the broker's own record of what is mapped where in one domain.
 *
 * The kernel is only ever asked for exact ranges taken from here. Pure: no system call, no
 * allocation; the caller owns the nodes.
 */
#ifndef DAEMON_INTERVAL_MAP_H
#define DAEMON_INTERVAL_MAP_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct memory;

/* One mapping, 88 bytes at most: a domain may hold a million of them. */
struct mapping {
	RB_ENTRY(mapping) link;
	uint64_t iova;
	uint64_t length; /* bytes, never 0; iova + length - 1 does not wrap */
	uint64_t offset; /* into memory */
	struct memory *memory;
	uint64_t gap;	  /* free bytes between the mapping below (or IOVA 0) and iova */
	uint64_t max_gap; /* largest gap in the subtree below this node */
	uint32_t access;  /* IOB_READ | IOB_WRITE */
};

RB_HEAD(mapping_tree, mapping);

struct interval_map {
	struct mapping_tree tree;
	uint64_t bytes; /* sum of lengths */
	uint32_t count;
	/* Batches go upwards: the mapping made last, and the one above that removed last; or NULL. */
	struct mapping *made;
	struct mapping *next;
};

void interval_map_init(struct interval_map *map);

/* The mapping that is exactly [iova, iova + length), or NULL. */
struct mapping *interval_map_find(struct interval_map *map, uint64_t iova, uint64_t length);

/* Lowest mapping with an IOVA at or above iova, or NULL; and the one after a mapping. */
struct mapping *interval_map_from(struct interval_map *map, uint64_t iova);
struct mapping *interval_map_next(struct mapping *m);

/* Does any mapping touch [first, last]? */
bool interval_map_overlaps(struct interval_map *map, uint64_t first, uint64_t last);

/* Insert a node whose iova, length, offset, memory and access are set. The map borrows it until
 * removed. -EEXIST when it would overlap, and nothing is changed. O(log n). */
int interval_map_insert(struct interval_map *map, struct mapping *m);
void interval_map_remove(struct interval_map *map, struct mapping *m);

struct interval_gap {
	const struct iob_range *allowed; /* ascending, disjoint, inclusive ranges */
	size_t allowed_count;
	uint64_t first; /* lowest and highest address that the mapping may touch */
	uint64_t last;
	uint64_t length;  /* bytes, not 0 */
	uint64_t modulus; /* a power of two: iova must equal phase modulo it */
	uint64_t phase;
	uint32_t max_holes; /* look at that many long enough holes in a range, then only above all
			     * mappings; 0: at all of them */
};

/*
 * First fit: the lowest *iova where length bytes are free, inside one allowed range and inside
 * [first, last], congruent as asked. -ENOSPC when there is none. Skips whole subtrees by max_gap:
 * O(log n) where a hole of the length exists near the front.
 */
int interval_map_find_gap(struct interval_map *map, const struct interval_gap *want,
			  uint64_t *iova);

#endif

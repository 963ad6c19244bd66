/* SPDX-License-Identifier: MIT */
/*
 * sim-table.c - the page table that the session writes and the simulator reads.
 *
 * An entry of the upper levels is the number of a node. One of the lowest level:
 *
 *	63        16 15     4  3      2       1       0
 *	page of file   slot  last  first  write  read
 *
 * First and last mark the ends of a mapping, because UNMAP takes exactly what MAP made.
 *
 * Differences from iommufd, both on purpose: the reserved window and the aperture hold from the
 * start, not from the first attach; and everything is aligned to 4096 bytes from the start.
 */
#include "kernel-glue/sim-table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define ROOT	    1u
#define FIRST_NODE  2u
#define BITS	    9u
#define PAGE_SHIFT  12u
#define LEAF_BYTES  (SIM_TABLE_ENTRIES * SIM_PAGE_BYTES)
#define ENTRY_FIRST (UINT64_C(1) << 2)
#define ENTRY_LAST  (UINT64_C(1) << 3)
#define SLOT_SHIFT  4u
#define FILE_SHIFT  16u

_Static_assert((IOB_READ | IOB_WRITE) == 3, "the lowest bits of an entry");
_Static_assert(sizeof(struct sim_table_head) <= SIM_PAGE_BYTES, "the head is a page");

static const struct iob_range usable_ranges[] = {
	{ .first = 0, .last = SIM_MSI_FIRST - 1 },
	{ .first = SIM_MSI_LAST + 1, .last = SIM_APERTURE_END },
};

const struct iob_range *sim_table_ranges(uint32_t *count)
{
	*count = sizeof(usable_ranges) / sizeof(usable_ranges[0]);
	return usable_ranges;
}

void sim_table_init_reader(struct sim_table *t, void *base)
{
	*t = (struct sim_table){ .head = base, .nodes = base };
}

int sim_table_init_writer(struct sim_table *t, void *base, int (*fence)(void *), void *context)
{
	sim_table_init_reader(t, base);
	t->next_node = FIRST_NODE;
	t->fence = fence;
	t->fence_context = context;
	/* Zeros from the kernel: what is not used costs nothing. */
	t->notes = calloc(SIM_TABLE_NODES, sizeof(*t->notes));
	return t->notes ? 0 : -ENOMEM;
}

void sim_table_deinit(struct sim_table *t)
{
	free(t->notes);
	t->notes = NULL;
}

/* ---- nodes ---- */

static uint32_t index_of(uint64_t iova, uint32_t level)
{
	return (uint32_t)(iova >> (PAGE_SHIFT + BITS * level)) & (SIM_TABLE_ENTRIES - 1);
}

/* The node below, or 0. */
static uint32_t child_of(const struct sim_table *t, uint32_t node, uint32_t index)
{
	uint64_t child = atomic_load_explicit(&t->nodes[node].entry[index], memory_order_acquire);

	return child < SIM_TABLE_NODES && child >= FIRST_NODE ? (uint32_t)child : 0;
}

/* The lowest node for an address, or 0. */
static uint32_t leaf_find(const struct sim_table *t, uint64_t iova)
{
	uint32_t middle = child_of(t, ROOT, index_of(iova, 2));

	return middle ? child_of(t, middle, index_of(iova, 1)) : 0;
}

static uint32_t node_take(struct sim_table *t)
{
	uint32_t node = t->first_free;

	if (node)
		t->first_free = t->notes[node].next_free;
	else if (t->next_node < SIM_TABLE_NODES)
		node = t->next_node++;
	return node;
}

static void node_give(struct sim_table *t, uint32_t node)
{
	t->notes[node] = (struct sim_table_note){ .next_free = t->first_free };
	t->first_free = node;
}

static uint32_t child_make(struct sim_table *t, uint32_t node, uint32_t index)
{
	uint32_t child = child_of(t, node, index);

	if (child)
		return child;
	child = node_take(t);
	if (child) {
		atomic_store_explicit(&t->nodes[node].entry[index], child, memory_order_release);
		t->notes[node].used++;
	}
	return child;
}

static uint32_t leaf_make(struct sim_table *t, uint64_t iova)
{
	uint32_t middle = child_make(t, ROOT, index_of(iova, 2));

	return middle ? child_make(t, middle, index_of(iova, 1)) : 0;
}

/* Unlink what has become empty above iova. Given back only after the fence: the reader may be in it. */
static void leaf_unlink(struct sim_table *t, uint64_t iova, uint32_t *empty)
{
	uint32_t middle = child_of(t, ROOT, index_of(iova, 2));
	uint32_t leaf = middle ? child_of(t, middle, index_of(iova, 1)) : 0;

	if (!leaf || t->notes[leaf].used)
		return;
	atomic_store(&t->nodes[middle].entry[index_of(iova, 1)], 0);
	t->notes[leaf].next_free = *empty;
	*empty = leaf;
	if (--t->notes[middle].used)
		return;
	atomic_store(&t->nodes[ROOT].entry[index_of(iova, 2)], 0);
	t->notes[ROOT].used--;
	t->notes[middle].next_free = *empty;
	*empty = middle;
}

/* ---- checks ---- */

static bool is_usable(uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < sizeof(usable_ranges) / sizeof(usable_ranges[0]); i++)
		if (first >= usable_ranges[i].first && last <= usable_ranges[i].last)
			return true;
	return false;
}

static uint64_t entry_at(const struct sim_table *t, uint32_t leaf, uint64_t iova)
{
	return atomic_load_explicit(&t->nodes[leaf].entry[index_of(iova, 0)], memory_order_relaxed);
}

static bool is_free(const struct sim_table *t, uint64_t first, uint64_t last)
{
	uint64_t iova = first;

	while (iova <= last) {
		uint32_t leaf = leaf_find(t, iova);

		if (!leaf) {
			iova = (iova | (LEAF_BYTES - 1)) + 1;
			continue;
		}
		if (entry_at(t, leaf, iova))
			return false;
		iova += SIM_PAGE_BYTES;
	}
	return true;
}

static int check_map(const struct sim_table *t, uint64_t iova, uint64_t length, uint32_t access)
{
	const struct sim_table_head *h = t->head;
	uint64_t last, bytes = atomic_load_explicit(&h->bytes, memory_order_relaxed);

	if (atomic_load_explicit(&h->revoked, memory_order_relaxed))
		return -ENOENT;
	if (!length || ((iova | length) & (SIM_PAGE_BYTES - 1)))
		return -EINVAL;
	if (!access || (access & ~(IOB_READ | IOB_WRITE)))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (!is_usable(iova, last))
		return -EINVAL;
	if (!is_free(t, iova, last))
		return -EEXIST;
	return bytes > h->max_bytes || length > h->max_bytes - bytes ? -ENOMEM : 0;
}

/* Exactly one mapping: nothing ends before the end, and the end is one. */
static bool is_mapping(const struct sim_table *t, uint64_t iova, uint64_t length)
{
	uint64_t last = iova + length - SIM_PAGE_BYTES;

	for (uint64_t at = iova; at <= last; at += SIM_PAGE_BYTES) {
		uint32_t leaf = leaf_find(t, at);
		uint64_t entry = leaf ? entry_at(t, leaf, at) : 0;

		if (!entry || ((entry & ENTRY_FIRST) != 0) != (at == iova) ||
		    ((entry & ENTRY_LAST) != 0) != (at == last))
			return false;
	}
	return true;
}

/* ---- writing ---- */

static void count(struct sim_table *t, uint64_t mappings, uint64_t bytes)
{
	atomic_fetch_add_explicit(&t->head->mappings, mappings, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->head->bytes, bytes, memory_order_relaxed);
}

/* Clears and unlinks; 0, or what the fence says. */
static int erase(struct sim_table *t, uint64_t iova, uint64_t end)
{
	uint32_t empty = 0, node;
	int error = 0;

	for (uint64_t at = iova; at < end; at += SIM_PAGE_BYTES) {
		uint32_t leaf = leaf_find(t, at);

		if (!leaf || !entry_at(t, leaf, at))
			continue;
		atomic_store_explicit(&t->nodes[leaf].entry[index_of(at, 0)], 0,
				      memory_order_relaxed);
		if (--t->notes[leaf].used == 0)
			leaf_unlink(t, at, &empty);
	}
	/* The reader says "busy", then looks; we take away, then look whether it is busy. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&t->head->busy))
		error = t->fence(t->fence_context);
	while (!error && (node = empty)) {
		empty = t->notes[node].next_free;
		node_give(t, node);
	}
	return error;
}

int sim_table_map(struct sim_table *t, uint64_t iova, uint64_t length,
		  const struct sim_target *target)
{
	const uint64_t end = iova + length;
	int error = check_map(t, iova, length, target->access);
	uint64_t entry = target->access | (uint64_t)target->slot << SLOT_SHIFT |
			 target->offset >> PAGE_SHIFT << FILE_SHIFT | ENTRY_FIRST;

	if (error)
		return error;
	for (uint64_t at = iova; at < end; at += SIM_PAGE_BYTES) {
		uint32_t leaf = leaf_make(t, at);

		if (!leaf) {
			erase(t, iova, at);
			return -ENOMEM;
		}
		if (at + SIM_PAGE_BYTES == end)
			entry |= ENTRY_LAST;
		atomic_store_explicit(&t->nodes[leaf].entry[index_of(at, 0)], entry,
				      memory_order_release);
		t->notes[leaf].used++;
		entry = (entry & ~ENTRY_FIRST) + (UINT64_C(1) << FILE_SHIFT);
	}
	count(t, 1, length);
	return 0;
}

int sim_table_unmap(struct sim_table *t, uint64_t iova, uint64_t length)
{
	uint64_t last;

	if (!length)
		return -EINVAL;
	if (((iova | length) & (SIM_PAGE_BYTES - 1)) ||
	    __builtin_add_overflow(iova, length - 1, &last) || last > SIM_APERTURE_END ||
	    !is_mapping(t, iova, length))
		return -ENOENT;
	count(t, (uint64_t)-1, -length);
	return erase(t, iova, iova + length);
}

/* ---- reading ---- */

int sim_table_find(const struct sim_table *t, uint64_t iova, struct sim_target *target)
{
	uint32_t leaf = iova <= SIM_APERTURE_END ? leaf_find(t, iova) : 0;
	uint64_t entry = leaf ? entry_at(t, leaf, iova) : 0;

	if (!entry)
		return -EFAULT;
	*target = (struct sim_target){
		.slot = (uint32_t)(entry >> SLOT_SHIFT) & (SIM_MAX_SLOTS - 1),
		.access = (uint32_t)entry & (IOB_READ | IOB_WRITE),
		.offset = (entry >> FILE_SHIFT << PAGE_SHIFT) | (iova & (SIM_PAGE_BYTES - 1)),
	};
	return 0;
}

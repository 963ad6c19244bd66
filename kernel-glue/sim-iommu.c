/* SPDX-License-Identifier: MIT */
/*
 * sim-iommu.c - mappings of one simulated address space, by IOVA, in a red-black tree.
 *
 * Differences from iommufd, both on purpose: the reserved window and the aperture hold from the
 * start, not from the first attach; and everything is aligned to 4096 bytes from the start.
 */
#include "kernel-glue/sim-iommu.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static int compare(const struct sim_mapping *a, const struct sim_mapping *b)
{
	return a->first < b->first ? -1 : a->first > b->first;
}

/* The _STATIC forms want the BSD name __unused, which glibc has for members of its own. */
#define LOCAL static __attribute__((unused))
RB_PROTOTYPE_INTERNAL(sim_mapping_tree, sim_mapping, link, compare, LOCAL)
RB_GENERATE_INTERNAL(sim_mapping_tree, sim_mapping, link, compare, LOCAL)

static const struct iob_range usable_ranges[] = {
	{ .first = 0, .last = SIM_MSI_FIRST - 1 },
	{ .first = SIM_MSI_LAST + 1, .last = SIM_APERTURE_END },
};

const struct iob_range *sim_iommu_ranges(uint32_t *count)
{
	*count = sizeof(usable_ranges) / sizeof(usable_ranges[0]);
	return usable_ranges;
}

void sim_iommu_init(struct sim_iommu *s, struct sim_pool *pool)
{
	*s = (struct sim_iommu){ .pool = pool };
	RB_INIT(&s->tree);
}

static bool is_usable(uint64_t first, uint64_t last)
{
	uint32_t count;
	const struct iob_range *r = sim_iommu_ranges(&count);

	for (uint32_t i = 0; i < count; i++) {
		if (first >= r[i].first && last <= r[i].last)
			return true;
	}
	return false;
}

/* Any mapping that has a byte of first to last. */
static struct sim_mapping *find_overlap(struct sim_iommu *s, uint64_t first, uint64_t last)
{
	struct sim_mapping *m = RB_ROOT(&s->tree);

	while (m) {
		if (last < m->first)
			m = RB_LEFT(m, link);
		else if (first > m->last)
			m = RB_RIGHT(m, link);
		else
			break;
	}
	return m;
}

int sim_iommu_check(struct sim_iommu *s, uint64_t iova, uint64_t length, uint32_t access)
{
	uint64_t last;

	if (!length || ((iova | length) & (SIM_PAGE_BYTES - 1)))
		return -EINVAL;
	if (!access || (access & ~(IOB_READ | IOB_WRITE)))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	if (!is_usable(iova, last))
		return -EINVAL;
	if (find_overlap(s, iova, last))
		return -EEXIST;
	if (s->pool->mappings >= s->pool->max_mappings || s->bytes > s->pool->max_bytes ||
	    length > s->pool->max_bytes - s->bytes)
		return -ENOMEM;
	return 0;
}

int sim_iommu_map(struct sim_iommu *s, uint64_t iova, uint64_t length, uint32_t access,
		  const struct sim_window *window)
{
	struct sim_mapping *m;
	int error = sim_iommu_check(s, iova, length, access);

	if (error)
		return error;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct sim_mapping){
		.first = iova, .last = iova + length - 1, .access = access, .window = *window
	};
	RB_INSERT(sim_mapping_tree, &s->tree, m);
	s->mappings++;
	s->pool->mappings++;
	s->bytes += length;
	return 0;
}

static void remove_mapping(struct sim_iommu *s, struct sim_mapping *m)
{
	RB_REMOVE(sim_mapping_tree, &s->tree, m);
	s->mappings--;
	s->pool->mappings--;
	s->bytes -= m->last - m->first + 1;
	s->pool->release(&m->window);
	free(m);
}

int sim_iommu_unmap(struct sim_iommu *s, uint64_t iova, uint64_t length)
{
	struct sim_mapping *m = find_overlap(s, iova, iova);

	if (!length)
		return -EINVAL;
	if (!m || m->first != iova || m->last - m->first != length - 1)
		return -ENOENT;
	remove_mapping(s, m);
	return 0;
}

void sim_iommu_clear(struct sim_iommu *s)
{
	struct sim_mapping *m;

	while ((m = RB_ROOT(&s->tree)))
		remove_mapping(s, m);
}

void *sim_iommu_translate(struct sim_iommu *s, uint64_t iova, uint32_t access, uint64_t *room)
{
	struct sim_mapping *m = find_overlap(s, iova, iova);

	if (!m || (m->access & access) != access)
		return NULL;
	*room = m->last - iova + 1;
	return (char *)m->window.base + m->window.offset + (iova - m->first);
}

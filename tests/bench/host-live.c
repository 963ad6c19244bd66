/* SPDX-License-Identifier: MIT */
/*
 * host-live.c - does an operation cost more when much is mapped? Clients with 1,000 to 1,000,000
 * live mappings, all at the same time, are asked in turns to map and unmap in random places.
 *
 * Between every two mappings a page is free, so that nothing can be found at the front or the end.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

#define ROUNDS	     41
#define PAIRS	     200
#define BATCH	     256
#define SPREAD	     (2 * PAGE)
#define FIRST_IOVA   (UINT64_C(1) << 32)
#define MEMORY_MIB   4
#define MAX_PER_FILL IOB_MAX_BATCH

struct level {
	uint32_t mappings;
	struct client client;
	double bytes_each;
	double pair[ROUNDS], batch[ROUNDS];
	double pair_ratio[ROUNDS], batch_ratio[ROUNDS]; /* to the first level, in the same round */
};

static struct level levels[] = {
	{ .mappings = 1000 },
	{ .mappings = 10000 },
	{ .mappings = 100000 },
	{ .mappings = 1000000 },
};

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t random_hole(const struct level *l)
{
	return FIRST_IOVA + random_number() % l->mappings * SPREAD + PAGE;
}

/* Heap of all sessions, once there are no others than these: only the one that is being
 * filled grows. -1 where it cannot be looked at. */
static double sessions_kib(unsigned sessions)
{
	static pid_t monitor;
	struct session_cost cost;

	if (monitor == 0)
		monitor = monitor_pid();
	do {
		if (!sessions_cost(monitor, &cost))
			return -1;
	} while (cost.sessions != sessions);
	return cost.anonymous_kib;
}

static void fill(struct level *l)
{
	static struct iob_map_op ops[MAX_PER_FILL];
	uint32_t done = 0;

	while (done < l->mappings) {
		uint32_t n = l->mappings - done < MAX_PER_FILL ? l->mappings - done : MAX_PER_FILL;

		for (uint32_t i = 0; i < n; i++) {
			ops[i] = client_map_op(&l->client, FIRST_IOVA + (done + i) * SPREAD, PAGE);
			ops[i].offset = (done + i) * PAGE % (MEMORY_MIB * MIB);
		}
		client_map_batch(&l->client, ops, n);
		done += n;
	}
}

static void open_level(struct level *l, int fd)
{
	unsigned sessions = (unsigned)(l - levels) + 1;
	double before, after;

	client_open(&l->client, fd, MEMORY_MIB * MIB, l->mappings + BATCH);
	before = sessions_kib(sessions);
	fill(l);
	after = sessions_kib(sessions);
	l->bytes_each = before < 0 ? -1 : (after - before) * 1024 / l->mappings;
}

static double pairs_turn(struct level *l)
{
	double begin = clock_us();

	for (int i = 0; i < PAIRS; i++) {
		uint64_t iova = random_hole(l);

		client_map(&l->client, iova, PAGE);
		client_unmap(&l->client, iova, PAGE);
	}
	return (clock_us() - begin) / (2 * PAIRS);
}

/* Places of a batch differ: each in a part of its own. */
static double batch_turn(struct level *l)
{
	static struct iob_map_op maps[BATCH];
	static struct iob_unmap_op unmaps[BATCH];
	uint64_t part = l->mappings / BATCH;
	double begin;

	for (uint64_t i = 0; i < BATCH; i++) {
		uint64_t hole = i * part + random_number() % part;

		maps[i] = client_map_op(&l->client, FIRST_IOVA + hole * SPREAD + PAGE, PAGE);
		unmaps[i] = (struct iob_unmap_op){ .iova = maps[i].iova, .length = PAGE };
	}
	begin = clock_us();
	client_map_batch(&l->client, maps, BATCH);
	client_unmap_batch(&l->client, unmaps, BATCH);
	return (clock_us() - begin) / (2 * BATCH);
}

static void tell(struct level *l, size_t rounds)
{
	figure_of("host.live", l->mappings, "pair-operation", median(l->pair, rounds), "us");
	figure_of("host.live", l->mappings, "batch-operation", median(l->batch, rounds), "us");
	figure_of("host.live", l->mappings, "pair-ratio", median(l->pair_ratio, rounds), "x");
	figure_of("host.live", l->mappings, "batch-ratio", median(l->batch_ratio, rounds), "x");
	if (l->bytes_each >= 0)
		figure_of("host.live", l->mappings, "bytes-per-mapping", l->bytes_each, "B");
}

void measure_live(int small)
{
	size_t rounds = small ? 2 : ROUNDS, count = small ? 2 : COUNT(levels);
	int fd = memory_make(MEMORY_MIB * MIB);

	for (size_t i = 0; i < count; i++)
		open_level(&levels[i], fd);
	for (size_t round = 0; round <= rounds; round++) {
		size_t at = round > 0 ? round - 1 : 0; /* the first one is thrown away */

		for (size_t i = 0; i < count; i++) {
			struct level *l = &levels[i];

			l->pair[at] = pairs_turn(l);
			l->batch[at] = batch_turn(l);
			l->pair_ratio[at] = l->pair[at] / levels[0].pair[at];
			l->batch_ratio[at] = l->batch[at] / levels[0].batch[at];
		}
	}
	for (size_t i = 0; i < count; i++) {
		tell(&levels[i], rounds);
		client_close(&levels[i].client);
	}
}

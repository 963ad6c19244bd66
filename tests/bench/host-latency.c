/* SPDX-License-Identifier: MIT */
/*
 * host-latency.c - what one exchange costs: an empty request, a pair (MAP and UNMAP of a page, two
 * requests), batches; each beside the bare ping-pong of messages of the same sizes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

#define ROUNDS	    61
#define FIRST_IOVA  (UINT64_C(1) << 30)
#define INFO_RANGES 2 /* of the simulator */

static struct client client;
static struct pingpong bare;
static struct iob_map_op maps[IOB_MAX_BATCH];
static struct iob_unmap_op unmaps[IOB_MAX_BATCH];

static void empty_brokered(uint32_t count)
{
	struct iob_domain_info_rep info;

	(void)count;
	must(iob_domain_info(client.domain, &info, NULL, 0), "DOMAIN_INFO");
}

static void empty_bare(uint32_t count)
{
	(void)count;
	pingpong_exchange(&bare, sizeof(struct iob_hdr),
			  (uint32_t)(sizeof(struct iob_hdr) + sizeof(struct iob_domain_info_rep) +
				     INFO_RANGES * sizeof(struct iob_range)));
}

static void pair_brokered(uint32_t count)
{
	if (count == 1) {
		client_map(&client, FIRST_IOVA, PAGE);
		client_unmap(&client, FIRST_IOVA, PAGE);
	} else {
		client_map_batch(&client, maps, count);
		client_unmap_batch(&client, unmaps, count);
	}
}

static void pair_bare(uint32_t count)
{
	pingpong_exchange(&bare, map_request_bytes(count), batch_reply_bytes(count));
	pingpong_exchange(&bare, unmap_request_bytes(count), batch_reply_bytes(count));
}

struct subject {
	const char *name;
	uint32_t count;	   /* operations in one message */
	uint32_t per_turn; /* exchanges in a turn */
	void (*brokered)(uint32_t count);
	void (*bare)(uint32_t count);
	double us[2][ROUNDS];
	double ratio[ROUNDS];
};

static struct subject subjects[] = {
	{ "empty", 0, 400, empty_brokered, empty_bare, { { 0 } }, { 0 } },
	{ "pair", 1, 200, pair_brokered, pair_bare, { { 0 } }, { 0 } },
	{ "batch", 16, 60, pair_brokered, pair_bare, { { 0 } }, { 0 } },
	{ "batch", 256, 8, pair_brokered, pair_bare, { { 0 } }, { 0 } },
	{ "batch", 1024, 3, pair_brokered, pair_bare, { { 0 } }, { 0 } },
};

static double turn(const struct subject *s, void (*exchange)(uint32_t count))
{
	double begin = clock_us();

	for (uint32_t i = 0; i < s->per_turn; i++)
		exchange(s->count);
	return (clock_us() - begin) / s->per_turn;
}

static void tell(struct subject *s, size_t rounds)
{
	char prefix[64];
	double brokered = median(s->us[0], rounds);

	snprintf(prefix, sizeof(prefix), "host.%s", s->name);
	figure_of(prefix, s->count, "brokered", brokered, "us");
	figure_of(prefix, s->count, "bare", median(s->us[1], rounds), "us");
	figure_of(prefix, s->count, "ratio", median(s->ratio, rounds), "x");
	/* what the machine does beside this only ever adds */
	figure_of(prefix, s->count, "brokered-best", quantile(s->us[0], rounds, 0.05), "us");
	figure_of(prefix, s->count, "bare-best", quantile(s->us[1], rounds, 0.05), "us");
	if (s->count > 1)
		figure_of(prefix, s->count, "per-operation", brokered / 2 / s->count, "us");
}

void measure_latency(int small)
{
	size_t rounds = small ? 2 : ROUNDS;
	int fd = memory_make(IOB_MAX_BATCH * PAGE);

	client_open(&client, fd, IOB_MAX_BATCH * PAGE, 0);
	pingpong_start(&bare);
	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++) {
		maps[i] = client_map_op(&client, FIRST_IOVA + i * PAGE, PAGE);
		maps[i].offset = i * PAGE;
		unmaps[i] = (struct iob_unmap_op){ .iova = maps[i].iova, .length = PAGE };
	}
	/* Round 0 is thrown away: it is the first time for everything. */
	for (size_t round = 0; round <= rounds; round++)
		for (size_t i = 0; i < COUNT(subjects); i++) {
			struct subject *s = &subjects[i];
			size_t at = round > 0 ? round - 1 : 0;

			s->us[0][at] = turn(s, s->brokered);
			s->us[1][at] = turn(s, s->bare);
			s->ratio[at] = s->us[0][at] / s->us[1][at];
		}
	for (size_t i = 0; i < COUNT(subjects); i++)
		tell(&subjects[i], rounds);
	pingpong_stop(&bare);
	client_close(&client);
}

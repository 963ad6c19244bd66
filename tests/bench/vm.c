/* SPDX-License-Identifier: MIT */
/*
 * vm.c - in a guest whose clock counts instructions: MAP and UNMAP through the broker, and the same
 * by ioctl. One process does both, as a user without capabilities: the broker's session has none
 * either, and the kernel does less for who may lock memory without limit.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/direct.h"

#define USER	     1001
#define FIRST_IOVA   (UINT64_C(1) << 33)
#define MEMORY_BYTES (64 * MIB)
#define MAX_ROUNDS   9

/* The kernel takes 33 million instructions for 64 MiB: what a batch of 256 of them would tell, 16
 * have told already. */
static const struct extent {
	const char *name;
	uint64_t bytes;
	uint32_t most; /* operations in a batch */
} extents[] = {
	{ "4KiB", PAGE, 1024 },
	{ "2MiB", 2 * MIB, 1024 },
	{ "64MiB", 64 * MIB, 16 },
};

static const uint32_t counts[] = { 1, 16, 256, 1024 };

static struct client client;
static iob_device *device;
static struct direct direct;
static char *memory;
static struct iob_map_op maps[IOB_MAX_BATCH];
static struct iob_unmap_op unmaps[IOB_MAX_BATCH];

/* ---- the four things measured: the first count operations ---- */

static void brokered_map(uint32_t count)
{
	if (count == 1)
		must(iob_map(client.domain, &maps[0], NULL), "MAP");
	else
		client_map_batch(&client, maps, count);
}

static void brokered_unmap(uint32_t count)
{
	if (count == 1)
		client_unmap(&client, unmaps[0].iova, unmaps[0].length);
	else
		client_unmap_batch(&client, unmaps, count);
}

static void direct_map(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		direct.kind->map(&direct, memory + maps[i].offset, maps[i].iova, maps[i].length);
}

static void direct_unmap(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		direct.kind->unmap(&direct, unmaps[i].iova, unmaps[i].length);
}

enum { BROKERED_MAP, BROKERED_UNMAP, DIRECT_MAP, DIRECT_UNMAP, WAYS };

static void (*const ways[WAYS])(uint32_t count) = {
	brokered_map,
	brokered_unmap,
	direct_map,
	direct_unmap,
};

static double timed(void (*what)(uint32_t count), uint32_t count)
{
	double begin = clock_us();

	what(count);
	return (clock_us() - begin) * 1e3 / count;
}

static void tell(const char *prefix, double ns[WAYS][MAX_ROUNDS], size_t rounds)
{
	static const char *const names[] = { "map", "unmap" };
	char name[128];

	for (size_t i = 0; i < COUNT(names); i++) {
		double brokered = median(ns[BROKERED_MAP + i], rounds);
		double by_ioctl = median(ns[DIRECT_MAP + i], rounds);

		snprintf(name, sizeof(name), "%s.%s.brokered", prefix, names[i]);
		figure(name, brokered, "instructions");
		snprintf(name, sizeof(name), "%s.%s.direct", prefix, names[i]);
		figure(name, by_ioctl, "instructions");
		snprintf(name, sizeof(name), "%s.%s.ratio", prefix, names[i]);
		figure(name, by_ioctl / brokered, "x");
	}
}

static void measure(const struct extent *e, uint32_t count, size_t rounds)
{
	static double ns[WAYS][MAX_ROUNDS];
	char prefix[64];

	for (uint32_t i = 0; i < count; i++) {
		maps[i] = client_map_op(&client, FIRST_IOVA + i * e->bytes, e->bytes);
		maps[i].offset = i * e->bytes % MEMORY_BYTES;
		unmaps[i] = (struct iob_unmap_op){ .iova = maps[i].iova, .length = e->bytes };
	}
	/* Round 0 makes page tables, on both sides, and is thrown away. */
	for (size_t round = 0; round <= rounds; round++)
		for (size_t way = 0; way < WAYS; way++)
			ns[way][round > 0 ? round - 1 : 0] = timed(ways[way], count);
	snprintf(prefix, sizeof(prefix), "vm.%s.%s.%u", direct.kind->name, e->name, count);
	tell(prefix, ns, rounds);
}

/* ---- around it ---- */

static void become_user(void)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	must_be(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "lifting memlock");
	must_be(setresgid(USER, USER, USER) == 0 && setresuid(USER, USER, USER) == 0,
		"becoming a user");
}

static void open_brokered(int fd, const char *name)
{
	client_open(&client, fd, MEMORY_BYTES, 0);
	must(iob_device_open(client.conn, name, 0, &device, NULL), "opening the device");
	must(iob_device_bind(device, iob_domain_fd(client.domain)), "binding the device");
}

/* The bare exchange of messages, for the report. */
static void measure_bare(size_t rounds)
{
	double us[MAX_ROUNDS];
	struct pingpong p;
	char name[64];

	pingpong_start(&p);
	for (size_t round = 0; round <= rounds; round++) {
		double begin = clock_us();

		pingpong_exchange(&p, map_request_bytes(1), batch_reply_bytes(1));
		us[round > 0 ? round - 1 : 0] = (clock_us() - begin) * 1e3;
	}
	snprintf(name, sizeof(name), "vm.%s.bare-exchange", direct.kind->name);
	figure(name, median(us, rounds), "instructions");
	pingpong_stop(&p);
}

/* devices: BDF for the broker, comma, BDF for ourselves */
void measure_vm(const char *kind, const char *devices, int small)
{
	char brokers[IOB_NAME_BYTES] = "";
	const char *own = strchr(devices, ',');
	int fd = memory_make(MEMORY_BYTES);

	if (!own || (size_t)(own - devices) >= sizeof(brokers))
		errx(2, "%s: not two devices", devices);
	memcpy(brokers, devices, (size_t)(own - devices));
	direct_open(&direct, kind, own + 1);
	become_user();
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	must_be(memory != MAP_FAILED, "mapping the memory");
	open_brokered(fd, brokers);
	measure_bare(small ? 1 : MAX_ROUNDS);
	for (size_t i = 0; i < COUNT(extents); i++)
		for (size_t j = 0; j < COUNT(counts) && counts[j] <= extents[i].most; j++) {
			uint64_t bytes = extents[i].bytes * counts[j];

			if (small && bytes > 4 * MIB)
				continue;
			measure(&extents[i], counts[j],
				small		  ? 1 :
				bytes <= 64 * MIB ? MAX_ROUNDS :
						    1);
		}
	iob_device_close(device);
	client_close(&client);
}

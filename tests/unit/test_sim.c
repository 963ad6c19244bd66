/* SPDX-License-Identifier: MIT */
/*
 * The simulator: its pure parts alone, then the process, through the two tables of the glue and,
 * for what a well-behaved peer never sends, through raw records. Every test with the process ends
 * with the process as it was at the start: same descriptors, no context, no mapping.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel-glue/glue.h"
#include "kernel-glue/sim-call.h"
#include "kernel-glue/sim-edu.h"
#include "kernel-glue/sim-open.h"
#include "kernel-glue/sim-table.h"

#define PAGE	  UINT64_C(4096)
#define DEVICES	  6u
#define BUFFER	  SIM_EDU_BUFFER_START
#define TO_MEMORY 2u
#define IRQ	  4u
#define READ_ONLY IOB_READ
#define BOTH	  (IOB_READ | IOB_WRITE)

Suite *test_sim_suite(void);

static const struct glue_opener *const open_ops = &glue_opener_sim;
static const struct glue_mapper *const map_ops = &glue_mapper_sim;

/* ==== the address space, alone ==== */

static unsigned int fences;

static int count_fence(void *context)
{
	(void)context;
	fences++;
	return 0;
}

static struct sim_table table_make(uint64_t max_bytes)
{
	struct sim_table t;
	void *base = mmap(NULL, SIM_TABLE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(base, MAP_FAILED);
	fences = 0;
	ck_assert_int_eq(sim_table_init_writer(&t, base, count_fence, NULL), 0);
	t.head->max_bytes = max_bytes;
	return t;
}

static void table_drop(struct sim_table *t)
{
	sim_table_deinit(t);
	munmap(t->head, SIM_TABLE_BYTES);
}

static int table_map(struct sim_table *t, uint64_t iova, uint64_t length, uint32_t access)
{
	const struct sim_target target = { .slot = 7, .access = access, .offset = 5 * PAGE };

	return sim_table_map(t, iova, length, &target);
}

START_TEST(table_refuses)
{
	static const struct {
		uint64_t iova, length;
		uint32_t access;
		int error;
	} cases[] = {
		{ 0x1000, 0, BOTH, -EINVAL },
		{ 0x1001, PAGE, BOTH, -EINVAL },
		{ 0x1000, PAGE + 1, BOTH, -EINVAL },
		{ 0x1000, PAGE, 0, -EINVAL },
		{ 0x1000, PAGE, 4, -EINVAL },
		{ 0, PAGE, BOTH, 0 },
		{ 0x100000, 2 * PAGE, BOTH, -EEXIST },
		{ 0xff000, 2 * PAGE, BOTH, -EEXIST },
		{ 0x101000, 2 * PAGE, BOTH, -EEXIST },
		{ 0x80000, 0x100000, BOTH, -EEXIST },
		{ 0xff000, PAGE, BOTH, 0 },
		{ 0x102000, PAGE, BOTH, 0 },
		{ SIM_MSI_FIRST - PAGE, PAGE, BOTH, 0 },
		{ SIM_MSI_FIRST - PAGE, 2 * PAGE, BOTH, -EINVAL },
		{ SIM_MSI_FIRST, PAGE, BOTH, -EINVAL },
		{ SIM_MSI_LAST + 1 - PAGE, PAGE, BOTH, -EINVAL },
		{ SIM_MSI_LAST + 1, PAGE, BOTH, 0 },
		{ SIM_APERTURE_END + 1 - PAGE, PAGE, BOTH, 0 },
		{ SIM_APERTURE_END + 1 - PAGE, 2 * PAGE, BOTH, -EINVAL },
		{ SIM_APERTURE_END + 1, PAGE, BOTH, -EINVAL },
		{ UINT64_MAX - PAGE + 1, PAGE, BOTH, -EINVAL },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, BOTH, -EOVERFLOW },
	};
	struct sim_table t = table_make(UINT64_MAX);

	ck_assert_int_eq(table_map(&t, 0x100000, 2 * PAGE, BOTH), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(table_map(&t, cases[i].iova, cases[i].length, cases[i].access) ==
				      cases[i].error,
			      "case %zu", i);
		if (cases[i].error == 0)
			ck_assert_int_eq(sim_table_unmap(&t, cases[i].iova, cases[i].length), 0);
	}
	ck_assert_uint_eq(t.head->mappings, 1);
	ck_assert_uint_eq(t.head->bytes, 2 * PAGE);
	t.head->revoked = 1;
	ck_assert_int_eq(table_map(&t, 0x200000, PAGE, BOTH), -ENOENT);
	table_drop(&t);
}
END_TEST

START_TEST(table_limits)
{
	struct sim_table t = table_make(4 * PAGE);

	ck_assert_int_eq(table_map(&t, 0, 3 * PAGE, BOTH), 0);
	ck_assert_int_eq(table_map(&t, 0x10000, 2 * PAGE, BOTH), -ENOMEM);
	ck_assert_int_eq(table_map(&t, 0x10000, PAGE, BOTH), 0);
	ck_assert_int_eq(table_map(&t, 0x20000, PAGE, BOTH), -ENOMEM);
	ck_assert_int_eq(sim_table_unmap(&t, 0, 3 * PAGE), 0);
	ck_assert_int_eq(table_map(&t, 0x20000, PAGE, BOTH), 0);
	ck_assert_uint_eq(t.head->mappings, 2);
	table_drop(&t);
}
END_TEST

START_TEST(table_unmap_is_exact)
{
	struct sim_table t = table_make(UINT64_MAX);

	/* neighbours: where one ends is known, not guessed from what is free */
	ck_assert_int_eq(table_map(&t, 0x10000, 4 * PAGE, BOTH), 0);
	ck_assert_int_eq(table_map(&t, 0x14000, PAGE, BOTH), 0);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, 3 * PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, 5 * PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0x11000, 3 * PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0x20000, PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0, UINT64_MAX), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, SIM_APERTURE_END + 1, PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, 0), -EINVAL);
	ck_assert_uint_eq(t.head->mappings, 2);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, 4 * PAGE), 0);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, 4 * PAGE), -ENOENT);
	ck_assert_int_eq(sim_table_unmap(&t, 0x14000, PAGE), 0);
	ck_assert_uint_eq(fences, 0);
	table_drop(&t);
}
END_TEST

/* Who unmaps while the device moves data waits for it, and nobody else does. */
START_TEST(table_waits_for_the_device)
{
	struct sim_table t = table_make(UINT64_MAX);

	ck_assert_int_eq(table_map(&t, 0x10000, PAGE, BOTH), 0);
	t.head->busy = 1;
	ck_assert_int_eq(table_map(&t, 0x20000, PAGE, BOTH), 0);
	ck_assert_uint_eq(fences, 0);
	ck_assert_int_eq(sim_table_unmap(&t, 0x10000, PAGE), 0);
	ck_assert_uint_eq(fences, 1);
	table_drop(&t);
}
END_TEST

START_TEST(table_is_found)
{
	struct sim_target target = { .slot = 4095, .access = IOB_READ, .offset = 9 * PAGE };
	const uint64_t edge = UINT64_C(1) << 30; /* of a node of the middle level */
	struct sim_table t = table_make(UINT64_MAX);

	ck_assert_int_eq(sim_table_map(&t, edge - PAGE, 3 * PAGE, &target), 0);
	ck_assert_int_eq(sim_table_find(&t, edge + PAGE + 0x10, &target), 0);
	ck_assert_uint_eq(target.slot, 4095);
	ck_assert_uint_eq(target.access, IOB_READ);
	ck_assert_uint_eq(target.offset, 11 * PAGE + 0x10);
	ck_assert_int_eq(sim_table_find(&t, edge - PAGE, &target), 0);
	ck_assert_uint_eq(target.offset, 9 * PAGE);
	ck_assert_int_eq(sim_table_find(&t, edge + 2 * PAGE, &target), -EFAULT);
	ck_assert_int_eq(sim_table_find(&t, edge - PAGE - 1, &target), -EFAULT);
	ck_assert_int_eq(sim_table_find(&t, UINT64_MAX, &target), -EFAULT);
	table_drop(&t);
}
END_TEST

/* A table of nonsense leads nowhere outside of it. */
START_TEST(table_of_noise_is_harmless)
{
	struct sim_table t = table_make(UINT64_MAX);
	uint64_t *words = (uint64_t *)t.nodes;
	struct sim_target target;
	unsigned int found = 0;

	srand(2);
	for (size_t i = 512; i < 64 * 512; i++)
		words[i] = rand() & 1 ? (uint64_t)rand() % 64 :
					(uint64_t)rand() << 32 | (uint64_t)rand();
	for (int i = 0; i < 100000; i++) {
		uint64_t iova = ((uint64_t)rand() << 20 ^ (uint64_t)rand()) & SIM_APERTURE_END;

		if (sim_table_find(&t, iova, &target) == 0) {
			found++;
			ck_assert_uint_lt(target.slot, SIM_MAX_SLOTS);
		}
	}
	ck_assert_uint_gt(found, 0);
	table_drop(&t);
}
END_TEST

/* Nodes that have become empty are used again: mapping here and there for ever takes no more. */
START_TEST(table_nodes_come_back)
{
	struct sim_table t = table_make(UINT64_MAX);

	for (uint64_t i = 0; i < 300000; i++) {
		uint64_t iova = (i * 7919 << 21) & SIM_APERTURE_END;

		if (table_map(&t, iova, PAGE, BOTH) == 0)
			ck_assert_int_eq(sim_table_unmap(&t, iova, PAGE), 0);
	}
	ck_assert_uint_lt(t.next_node, 10);
	table_drop(&t);
}
END_TEST

START_TEST(table_can_be_full)
{
	struct sim_table t = table_make(UINT64_MAX);
	uint64_t fitted = 0;

	while (fitted < SIM_TABLE_NODES &&
	       (fitted << 21 == 0xfee00000 || table_map(&t, fitted << 21, PAGE, BOTH) == 0))
		fitted++;
	ck_assert_uint_lt(fitted, SIM_TABLE_NODES);
	ck_assert_int_eq(table_map(&t, fitted << 21, PAGE, BOTH), -ENOMEM);
	/* half of a mapping that finds no room is taken back */
	ck_assert_int_eq(table_map(&t, (fitted << 21) - PAGE, 2 * PAGE, BOTH), -ENOMEM);
	ck_assert_int_eq(table_map(&t, (fitted << 21) - PAGE, PAGE, BOTH), 0);
	table_drop(&t);
}
END_TEST

/* Against a model: owner[page] is the first page of its mapping plus one, or 0. */
START_TEST(table_agrees_with_model)
{
	enum { PAGES = 64 };
	const uint64_t start = (UINT64_C(1) << 21) - 32 * PAGE; /* over the edge of a node */
	unsigned int owner[PAGES] = { 0 }, length[PAGES + 1] = { 0 }, wrong = 0;
	struct sim_table t = table_make(UINT64_MAX);

	srand(1);
	for (int turn = 0; turn < 20000; turn++) {
		unsigned int first = (unsigned int)rand() % PAGES;
		unsigned int count = (unsigned int)rand() % 6 + 1;
		bool is_free = true;
		int got;

		if (first + count > PAGES)
			continue;
		for (unsigned int i = first; i < first + count; i++)
			is_free = is_free && !owner[i];
		if (rand() & 1) {
			got = table_map(&t, start + first * PAGE, count * PAGE, BOTH);
			wrong += got != (is_free ? 0 : -EEXIST);
			for (unsigned int i = first; !got && i < first + count; i++)
				owner[i] = first + 1;
			if (!got)
				length[first] = count;
		} else {
			bool exact = owner[first] == first + 1 && length[first] == count;

			got = sim_table_unmap(&t, start + first * PAGE, count * PAGE);
			wrong += got != (exact ? 0 : -ENOENT);
			for (unsigned int i = first; !got && i < first + count; i++)
				owner[i] = 0;
		}
	}
	ck_assert_uint_eq(wrong, 0);
	table_drop(&t);
}
END_TEST

/* ==== the device, alone ==== */

struct fake_host {
	unsigned int later, raised, lowered, moves;
	bool to_memory;
	uint64_t iova;
	size_t bytes;
	uint8_t memory[4096];
};

static void fake_later(void *context)
{
	((struct fake_host *)context)->later++;
}

static void fake_dma(void *context, bool to_memory, uint64_t iova, uint8_t *data, size_t bytes)
{
	struct fake_host *h = context;

	h->moves++;
	h->to_memory = to_memory;
	h->iova = iova;
	h->bytes = bytes;
	if (to_memory)
		memcpy(h->memory, data, bytes);
	else
		memcpy(data, h->memory, bytes);
}

static void fake_raise(void *context)
{
	((struct fake_host *)context)->raised++;
}

static void fake_lower(void *context)
{
	((struct fake_host *)context)->lowered++;
}

static const struct sim_edu_ops fake_ops = { fake_later, fake_dma, fake_raise, fake_lower };

static struct fake_host host;
static struct sim_edu edu;

static void fresh_edu(void)
{
	const uint8_t command[2] = { 6, 0 };

	memset(&host, 0, sizeof(host));
	sim_edu_init(&edu, SIM_EDU_DEVICE, &fake_ops, &host);
	sim_config_write(&edu.config, 4, command, 2);
}

START_TEST(edu_registers)
{
	fresh_edu();
	ck_assert_uint_eq(sim_edu_read(&edu, 0, 4), 0x010000ed);
	sim_edu_write(&edu, 4, 0x12345678, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 4, 4), 0xedcba987);
	sim_edu_write(&edu, 4, 0, 8); /* below 0x80: 4 bytes or nothing */
	sim_edu_write(&edu, 4, 0, 2);
	ck_assert_uint_eq(sim_edu_read(&edu, 4, 4), 0xedcba987);
	ck_assert_uint_eq(sim_edu_read(&edu, 0, 8), UINT64_MAX);
	ck_assert_uint_eq(sim_edu_read(&edu, 0, 2), 0);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x40000, 4), UINT32_MAX);
	sim_edu_write(&edu, 0x80, UINT64_C(0x1122334455667788), 8);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x80, 8), UINT64_C(0x1122334455667788));
	ck_assert_uint_eq(sim_edu_read(&edu, 0x80, 4), 0x55667788);
	sim_edu_write(&edu, 0x80, 7, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x80, 8), 7);
	sim_edu_write(&edu, 0x98, 2, 8); /* a command without "go" is none */
	ck_assert_uint_eq(sim_edu_read(&edu, 0x98, 8), 0);
	ck_assert_uint_eq(host.later, 0);
}
END_TEST

START_TEST(edu_factorial_and_irq)
{
	fresh_edu();
	sim_edu_write(&edu, 8, 5, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 8, 4), 120);
	ck_assert_uint_eq(host.raised, 0);
	sim_edu_write(&edu, 0x20, 0xff, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x20, 4), 0x80);
	sim_edu_write(&edu, 8, 13, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 8, 4), 1932053504); /* 13! modulo 2^32 */
	sim_edu_write(&edu, 8, UINT32_MAX, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 8, 4), 0);
	ck_assert_uint_eq(host.raised, 2);
	sim_edu_write(&edu, 0x60, 0x30, 4);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x24, 4), 0x31);
	sim_edu_write(&edu, 0x64, 0x11, 4);
	ck_assert_uint_eq(host.lowered, 0);
	sim_edu_write(&edu, 0x64, 0x20, 4);
	ck_assert_uint_eq(host.lowered, 1);
	ck_assert_uint_eq(host.raised, 3);
}
END_TEST

static void fake_transfer(uint64_t from, uint64_t to, uint64_t bytes, uint64_t command)
{
	sim_edu_write(&edu, 0x80, from, 8);
	sim_edu_write(&edu, 0x88, to, 8);
	sim_edu_write(&edu, 0x90, bytes, 8);
	sim_edu_write(&edu, 0x98, command | 1, 8);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x98, 4) & 1, 1);
	sim_edu_write(&edu, 0x80, 0xbad, 8); /* it runs: not taken */
	sim_edu_dma_run(&edu);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x98, 4) & 1, 0);
}

START_TEST(edu_dma)
{
	const uint8_t no_master[2] = { 2, 0 };

	fresh_edu();
	memset(host.memory, 0x5a, sizeof(host.memory));
	fake_transfer(UINT64_C(0xf12345000), BUFFER + 96, 4000, 0);
	ck_assert_uint_eq(host.iova, 0x2345000); /* 28 bits */
	ck_assert(!host.to_memory && host.bytes == 4000 && host.later == 1);
	ck_assert(!edu.buffer[95] && edu.buffer[96] == 0x5a && edu.buffer[4095] == 0x5a);
	fake_transfer(BUFFER + 1, 0x1000, 4095, TO_MEMORY | IRQ);
	ck_assert(host.to_memory && host.memory[94] == 0 && host.memory[95] == 0x5a);
	ck_assert_uint_eq(host.moves, 2);
	ck_assert_uint_eq(sim_edu_read(&edu, 0x24, 4), 0x100);
	ck_assert_uint_eq(host.raised, 1);
	/* outside the buffer in every way */
	fake_transfer(0, BUFFER + 97, 4000, 0);
	fake_transfer(0, BUFFER - 1, 1, 0);
	fake_transfer(0, BUFFER, 4097, 0);
	fake_transfer(0, BUFFER + 4096, 1, 0);
	fake_transfer(0, BUFFER, UINT64_MAX, 0);
	fake_transfer(UINT64_MAX, 0, 8, TO_MEMORY);
	ck_assert_uint_eq(host.moves, 2);
	sim_config_write(&edu.config, 4, no_master, 2);
	fake_transfer(0x1000, BUFFER, 64, 0);
	ck_assert_uint_eq(host.moves, 2);
}
END_TEST

START_TEST(edu_reset)
{
	fresh_edu();
	memset(edu.buffer, 1, sizeof(edu.buffer));
	sim_edu_write(&edu, 4, 1, 4);
	sim_edu_write(&edu, 0x60, 1, 4);
	sim_edu_write(&edu, 0x98, 1, 4);
	sim_edu_reset(&edu);
	sim_edu_dma_run(&edu);
	ck_assert_uint_eq(host.moves, 0);
	ck_assert_uint_eq(host.lowered, 1);
	ck_assert_uint_eq(edu.buffer[0] | edu.buffer[4095], 0);
	ck_assert_uint_eq(sim_edu_read(&edu, 4, 4) | sim_edu_read(&edu, 0x24, 4), 0);
	ck_assert_uint_eq(sim_config_command(&edu.config), SIM_COMMAND_MEMORY);
}
END_TEST

START_TEST(config_masks_writes)
{
	uint8_t ones[64], got[64];

	fresh_edu();
	memset(ones, 0xff, sizeof(ones));
	sim_config_write(&edu.config, 0, ones, sizeof(ones));
	sim_config_read(&edu.config, 0, got, sizeof(got));
	ck_assert_mem_eq(got, "\x34\x12\xe8\x11\x47\x05\x10\x00\x10\x00\xff\x00\xff\xff\x00\x00",
			 16);
	ck_assert_mem_eq(got + 0x10, "\x00\x00\xf0\xff\x00\x00\x00\x00", 8); /* 1 MiB, no BAR 1 */
	ck_assert_mem_eq(got + 0x3c, "\xff\x01\x00\x00", 4);
}
END_TEST

/* ==== the process ==== */

static char log_path[64];
static struct sim_stats_rep baseline;

static struct sim_stats_rep stats(void)
{
	struct sim_stats_rep s = { 0 };
	int ends[2], fd;
	struct sim_call c = { .fd = sim_open_control_fd(),
			      .op = SIM_OP_STATS,
			      .reply = &s,
			      .reply_bytes = sizeof(s) };

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	fd = ends[1];
	c.fds = &fd;
	c.fd_count = 1;
	ck_assert_int_eq(sim_call_send(&c, SIM_REQ_REPLY_FD), 0);
	close(ends[1]);
	ck_assert_int_eq(sim_call_receive(ends[0], &c), 0);
	close(ends[0]);
	return s;
}

static void nap(long us)
{
	const struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static bool is_baseline(const struct sim_stats_rep *s)
{
	return s->fds == baseline.fds && s->handles == 1 && !s->contexts && !s->bound &&
	       !s->attached && !s->mappings && !s->mapped_bytes;
}

/* Releases happen when the process sees an end of file, a moment after our close(). */
static void expect_baseline(void)
{
	struct sim_stats_rep s = stats();

	for (int i = 0; i < 2000 && !is_baseline(&s); i++) {
		nap(1000);
		s = stats();
	}
	ck_assert_msg(is_baseline(&s),
		      "left: fds %u (was %u) handles %u contexts %u bound %u maps %u", s.fds,
		      baseline.fds, s.handles, s.contexts, s.bound, (unsigned int)s.mappings);
}

/* Its new parent may take its time to reap it: a zombie has ended too. */
static bool is_running(pid_t pid)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	state = strrchr(line, ')');
	return state && state[1] && state[2] != 'Z' && state[2] != 'X';
}

/* Under an instrument it takes its time. */
static void expect_exit(pid_t pid)
{
	for (int i = 0; i < 10000 && is_running(pid); i++)
		nap(1000);
	ck_assert_msg(!is_running(pid), "the process did not end");
}

static struct glue_options options(void)
{
	return (struct glue_options){ .sim_devices = DEVICES, .sim_path = getenv("IOB_SIM_PATH") };
}

static void start_sim(void)
{
	const struct glue_options o = options();
	struct fault why = { 0 };
	int fd;

	ck_assert_msg(o.sim_path != NULL, "IOB_SIM_PATH is not set");
	strcpy(log_path, "/tmp/test-sim-log-XXXXXX");
	fd = mkstemp(log_path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	setenv("IOB_SIM_LOG", log_path, 1);
	ck_assert_msg(open_ops->start(&o, &why) == 0, "%s", why.text);
	unsetenv("IOB_SIM_LOG");
	baseline = stats();
}

static void stop_sim(void)
{
	if (sim_open_control_fd() >= 0) {
		expect_baseline();
		open_ops->stop();
	}
	unlink(log_path);
	expect_exit((pid_t)baseline.pid);
}

static unsigned int count_log(const char *what)
{
	char line[256];
	unsigned int count = 0;
	FILE *f = fopen(log_path, "re");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, what) != NULL;
	fclose(f);
	return count;
}

/* ---- a small world of one device, one context, one file ---- */

struct rig {
	struct glue_device device;
	int context;
	uint32_t token;
	struct glue_bound bound;
	struct iob_region_info_rep bar, config;
};

static struct glue_device inventory_get(size_t index)
{
	struct glue_device *list, d;
	struct fault why;
	size_t count;

	ck_assert_int_eq(open_ops->inventory(&list, &count, &why), 0);
	ck_assert_uint_lt(index, count);
	d = list[index];
	free(list);
	return d;
}

static void command_set(struct rig *r, uint16_t command)
{
	ck_assert_int_eq(map_ops->region_write(r->bound.device_fd, &r->config, 4, &command, 2), 0);
}

static uint16_t command_get(struct rig *r)
{
	uint16_t command = 0;

	ck_assert_int_eq(map_ops->region_read(r->bound.device_fd, &r->config, 4, &command, 2), 0);
	return command;
}

static void rig_bind(struct rig *r, size_t index)
{
	struct fault why = { 0 };

	r->device = inventory_get(index);
	ck_assert_msg(open_ops->device_bind(r->context, &r->device, -1, &r->bound, &why) == 0, "%s",
		      why.text);
	ck_assert_int_eq(map_ops->region_info(r->bound.device_fd, IOB_REGION_BAR0, &r->bar), 0);
	ck_assert_int_eq(map_ops->region_info(r->bound.device_fd, IOB_REGION_CONFIG, &r->config),
			 0);
	command_set(r, SIM_COMMAND_MEMORY | SIM_COMMAND_MASTER);
}

static void rig_attach(struct rig *r)
{
	struct fault why = { 0 };

	ck_assert_msg(map_ops->attach(r->context, r->token, r->bound.device_fd, &why) == 0, "%s",
		      why.text);
}

static struct rig rig_open(size_t index)
{
	struct fault why = { 0 };
	struct rig r = { 0 };

	ck_assert_int_eq(open_ops->context_open(&r.context, &r.token, &why), 0);
	rig_bind(&r, index);
	rig_attach(&r);
	return r;
}

static void rig_close(struct rig *r)
{
	ck_assert_int_eq(open_ops->device_close(r->context, &r->bound, true), 0);
	close(r->context);
}

static uint8_t *file_make(int *fd, size_t pages)
{
	uint8_t *bytes;

	*fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_ge(*fd, 0);
	ck_assert_int_eq(ftruncate(*fd, (off_t)(pages * PAGE)), 0);
	bytes = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	for (size_t i = 0; i < pages * PAGE; i++)
		bytes[i] = (uint8_t)(i * 7 + i / PAGE);
	return bytes;
}

static void file_drop(uint8_t *bytes, int fd, size_t pages)
{
	munmap(bytes, pages * PAGE);
	close(fd);
}

static int map(const struct rig *r, int fd, uint64_t offset, uint64_t length, uint64_t iova,
	       uint32_t access)
{
	struct glue_memory m = { .fd = fd };

	return map_ops->map(r->context, r->token, &m, offset, length, iova, access);
}

static int unmap(const struct rig *r, uint64_t iova, uint64_t length)
{
	return map_ops->unmap(r->context, r->token, iova, length);
}

static uint64_t reg_get(const struct rig *r, uint64_t offset, uint32_t bytes)
{
	uint64_t value = 0;

	ck_assert_int_eq(map_ops->region_read(r->bound.device_fd, &r->bar, offset, &value, bytes),
			 0);
	return value;
}

static void reg_set(const struct rig *r, uint64_t offset, uint64_t value, uint32_t bytes)
{
	ck_assert_int_eq(map_ops->region_write(r->bound.device_fd, &r->bar, offset, &value, bytes),
			 0);
}

static void dma_start(const struct rig *r, uint64_t from, uint64_t to, uint64_t bytes,
		      uint64_t command)
{
	reg_set(r, 0x80, from, 8);
	reg_set(r, 0x88, to, 8);
	reg_set(r, 0x90, bytes, 8);
	reg_set(r, 0x98, command | 1, 8);
}

static void dma_wait(const struct rig *r)
{
	for (int i = 0; i < 20000 && (reg_get(r, 0x98, 8) & 1); i++)
		nap(200);
	ck_assert_uint_eq(reg_get(r, 0x98, 8) & 1, 0);
}

/* The device's buffer is not visible: all data goes through memory. */
static void device_reads(const struct rig *r, uint64_t iova, uint64_t bytes)
{
	dma_start(r, iova, BUFFER, bytes, 0);
	dma_wait(r);
}

static void device_writes(const struct rig *r, uint64_t iova, uint64_t bytes)
{
	dma_start(r, BUFFER, iova, bytes, TO_MEMORY);
	dma_wait(r);
}

/* ---- opening ---- */

START_TEST(sim_lists_devices)
{
	struct glue_device *list;
	struct fault why;
	size_t count;

	ck_assert_int_eq(open_ops->inventory(&list, &count, &why), 0);
	ck_assert_uint_eq(count, DEVICES);
	for (size_t i = 0; i < count; i++) {
		ck_assert(list[i].usable && list[i].vendor == 0x1234);
		ck_assert_uint_eq(list[i].class_code, 0x00ff00);
		ck_assert_uint_eq(list[i].device, i == 1 ? 0x11e9 : 0x11e8);
		ck_assert(i == 0 || strcmp(list[i - 1].name, list[i].name) < 0);
		ck_assert_uint_eq(list[i].group, i == DEVICES - 1 ? i - 1 : i);
	}
	ck_assert_str_eq(list[0].name, "51b0:00:01.0");
	free(list);
}
END_TEST

START_TEST(sim_lists_a_group)
{
	struct glue_device *list, d = inventory_get(DEVICES - 1);
	struct fault why;
	size_t count;

	ck_assert_int_eq(open_ops->group(d.name, &list, &count, &why), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(list[1].name, d.name);
	ck_assert_uint_eq(list[0].group, d.group);
	free(list);
	ck_assert_int_eq(open_ops->group("51b0:00:1f.7", &list, &count, &why), 0);
	ck_assert_uint_eq(count, 0);
	free(list);
}
END_TEST

START_TEST(sim_probe_says_why)
{
	struct glue_options o = options();
	struct fault why = { 0 };

	ck_assert_int_eq(open_ops->probe(&o, &why), 0);
	o.sim_devices = 65;
	ck_assert_int_lt(open_ops->probe(&o, &why), 0);
	o.sim_devices = 0;
	ck_assert_int_lt(open_ops->probe(&o, &why), 0);
	o.sim_devices = 1;
	o.sim_path = "/nonexistent/sim";
	ck_assert_int_eq(open_ops->probe(&o, &why), -ENOENT);
	ck_assert_uint_eq(why.code, IOB_E_UNSUPPORTED);
}
END_TEST

/* What is started but is no simulator. */
START_TEST(sim_start_fails_cleanly)
{
	struct glue_options o = options();
	struct fault why = { 0 };
	int before = dup(0), after;

	close(before);
	o.sim_path = "/bin/false";
	ck_assert_int_lt(open_ops->start(&o, &why), 0);
	o.sim_path = "/bin/true";
	ck_assert_int_lt(open_ops->start(&o, &why), 0);
	o.sim_path = "/etc";
	ck_assert_int_lt(open_ops->start(&o, &why), 0);
	o = options();
	setenv("IOB_SIM_LOG", "/nonexistent/log", 1);
	ck_assert_int_lt(open_ops->start(&o, &why), 0);
	unsetenv("IOB_SIM_LOG");
	ck_assert_int_eq(sim_open_control_fd(), -1);
	after = dup(0);
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

START_TEST(sim_is_confined)
{
	char path[64], line[256];
	unsigned int seen = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", baseline.pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		seen += strcmp(line, "NoNewPrivs:\t1\n") == 0;
		if (geteuid() == 0)
			seen += 2u * (strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") == 0) +
				4u * (strcmp(line, "Gid:\t65534\t65534\t65534\t65534\n") == 0) +
				8u * (strcmp(line, "CapEff:\t0000000000000000\n") == 0);
	}
	fclose(f);
	ck_assert_uint_eq(seen, geteuid() == 0 ? 15 : 1);
}
END_TEST

/* Who waits for the end of the starter's output does not wait for the simulator. */
START_TEST(sim_holds_no_output)
{
	const struct glue_options o = options();
	struct fault why = { 0 };
	struct pollfd p = { .events = POLLIN };
	int ends[2], saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), error;

	open_ops->stop();
	expect_exit((pid_t)baseline.pid);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDOUT_FILENO);
	error = open_ops->start(&o, &why);
	dup2(saved, STDOUT_FILENO);
	ck_assert_int_eq(error, 0);
	close(saved);
	close(ends[1]);
	p.fd = ends[0];
	ck_assert_int_eq(poll(&p, 1, 2000), 1);
	ck_assert_int_ne(p.revents & POLLHUP, 0);
	close(ends[0]);
	baseline = stats();
}
END_TEST

START_TEST(sim_bind_refuses)
{
	struct rig a = rig_open(0), b = rig_open(DEVICES - 2);
	struct glue_device d = inventory_get(DEVICES - 1);
	struct glue_bound out;
	struct fault why = { 0 };
	int not_a_context = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(open_ops->device_bind(b.context, &a.device, -1, &out, &why), -EBUSY);
	ck_assert_uint_eq(why.code, IOB_E_BUSY);
	ck_assert_int_eq(open_ops->device_bind(a.context, &a.device, -1, &out, &why), -EBUSY);
	/* the sibling: not to another context, but to the same */
	ck_assert_int_eq(open_ops->device_bind(a.context, &d, -1, &out, &why), -EBUSY);
	ck_assert_uint_eq(why.code, IOB_E_GROUP);
	ck_assert_int_eq(out.device_fd, -1);
	ck_assert_int_eq(open_ops->device_bind(b.context, &d, -1, &out, &why), 0);
	close(out.device_fd);
	d = inventory_get(2);
	ck_assert_int_eq(open_ops->device_bind(not_a_context, &d, -1, &out, &why), -EBADFD);
	ck_assert_int_eq(open_ops->device_bind(a.bound.device_fd, &d, -1, &out, &why), -EBADFD);
	memset(d.name, 'x', sizeof(d.name));
	ck_assert_int_eq(open_ops->device_bind(a.context, &d, -1, &out, &why), -ENODEV);
	ck_assert_uint_eq(why.code, IOB_E_NO_DEVICE);
	close(not_a_context);
	rig_close(&a);
	rig_close(&b);
}
END_TEST

START_TEST(sim_attach_refuses)
{
	struct rig a = rig_open(0), b = rig_open(2);
	struct fault why = { 0 };

	ck_assert_int_eq(map_ops->attach(b.context, b.token, a.bound.device_fd, &why), -EINVAL);
	ck_assert_uint_eq(why.code, IOB_E_NOT_BOUND);
	ck_assert_int_eq(map_ops->attach(a.context, a.token, a.bound.device_fd, &why), 0);
	rig_close(&a);
	rig_close(&b);
}
END_TEST

/* ---- DMA ---- */

START_TEST(sim_dma_both_ways)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 4);

	ck_assert_int_eq(map(&r, fd, 0, 4 * PAGE, 0x100000, BOTH), 0);
	ck_assert(memcmp(bytes, bytes + 2 * PAGE, PAGE) != 0);
	device_reads(&r, 0x100000, PAGE);
	device_writes(&r, 0x102000, PAGE);
	ck_assert_mem_eq(bytes, bytes + 2 * PAGE, PAGE);
	/* across a page boundary, neither end aligned */
	device_reads(&r, 0x100ff1, 100);
	device_writes(&r, 0x102ffd, 100);
	ck_assert_mem_eq(bytes + 0xff1, bytes + 0x2ffd, 100);
	ck_assert_uint_eq(count_log("DMAR"), 0);
	file_drop(bytes, fd, 4);
	rig_close(&r);
}
END_TEST

START_TEST(sim_dma_reaches_the_offset)
{
	struct rig r = rig_open(0);
	uint8_t before[8 * 4096];
	int fd;
	uint8_t *bytes = file_make(&fd, 8);

	memcpy(before, bytes, sizeof(before));
	ck_assert_int_eq(map(&r, fd, 5 * PAGE, PAGE, 0x200000, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, 2 * PAGE, PAGE, 0x201000, BOTH), 0);
	device_reads(&r, 0x200000, PAGE);
	device_writes(&r, 0x201000, PAGE);
	memcpy(before + 2 * PAGE, before + 5 * PAGE, PAGE);
	ck_assert_mem_eq(bytes, before, sizeof(before));
	file_drop(bytes, fd, 8);
	rig_close(&r);
}
END_TEST

START_TEST(sim_contexts_are_apart)
{
	struct rig a = rig_open(0), b = rig_open(2);
	int fd, other_fd;
	uint8_t *bytes = file_make(&fd, 1), *other = file_make(&other_fd, 1), before[4096];

	memset(other, 0x33, PAGE);
	memcpy(before, bytes, PAGE);
	ck_assert_int_eq(map(&a, fd, 0, PAGE, 0x1000, BOTH), 0);
	ck_assert_int_eq(map(&b, other_fd, 0, PAGE, 0x1000, BOTH), 0);
	device_reads(&b, 0x1000, PAGE);
	device_writes(&a, 0x1000, 16); /* a's own, empty buffer */
	memset(before, 0, 16);
	ck_assert_mem_eq(bytes, before, PAGE);
	device_writes(&b, 0x1000, PAGE);
	ck_assert(other[0] == 0x33 && other[4095] == 0x33);
	ck_assert_int_eq(unmap(&b, 0x1000, PAGE), 0);
	device_reads(&a, 0x1000, PAGE);
	ck_assert_uint_eq(count_log("DMAR"), 0);
	device_reads(&b, 0x1000, PAGE);
	ck_assert_uint_eq(count_log("DMAR"), 1);
	file_drop(bytes, fd, 1);
	file_drop(other, other_fd, 1);
	rig_close(&a);
	rig_close(&b);
}
END_TEST

/* One process maps through a descriptor of its own, this one drives the device. */
START_TEST(sim_serves_two_processes)
{
	struct rig r = rig_open(0);
	struct rig theirs = r;
	int fd, status;
	uint8_t *bytes = file_make(&fd, 2);
	pid_t child;

	theirs.context = open_ops->descriptor_dup(r.context);
	ck_assert_int_ge(theirs.context, 0);
	ck_assert_int_ne(fcntl(theirs.context, F_GETFD) & FD_CLOEXEC, 0);
	child = fork();
	if (child == 0) {
		int wrong = map(&theirs, fd, 0, 2 * PAGE, 0x5000, BOTH) != 0;

		for (uint64_t i = 0; i < 2000; i++) {
			wrong += map(&theirs, fd, 0, PAGE, 0x100000 + i * PAGE, BOTH) != 0;
			wrong += unmap(&theirs, 0x100000 + i * PAGE, PAGE) != 0;
		}
		_exit(wrong != 0);
	}
	close(theirs.context);
	for (int i = 0; i < 500; i++)
		ck_assert_uint_eq(reg_get(&r, 0, 4), 0x010000ed);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	device_reads(&r, 0x5000, PAGE);
	device_writes(&r, 0x6000, PAGE);
	ck_assert_mem_eq(bytes, bytes + PAGE, PAGE);
	file_drop(bytes, fd, 2);
	rig_close(&r);
}
END_TEST

/* What the monitor asks, two processes may ask on the same socket: no answer goes astray. */
START_TEST(sim_opener_shares_descriptors)
{
	struct rig r = rig_open(0);
	int status, wrong = 0;
	pid_t child = fork();

	for (int i = 0; i < 1000; i++) {
		int fd;

		if (child == 0) {
			wrong += open_ops->device_quiesce(&r.bound) != 0;
			continue;
		}
		fd = open_ops->descriptor_dup(r.bound.device_fd);
		wrong += fd < 0;
		close(fd);
	}
	if (child == 0)
		_exit(wrong != 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status + wrong, 0);
	rig_close(&r);
}
END_TEST

START_TEST(sim_read_only_is_not_written)
{
	struct rig r = rig_open(0);
	uint8_t before[4096];
	int fd;
	uint8_t *bytes = file_make(&fd, 2);

	memcpy(before, bytes + PAGE, PAGE);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000000, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, PAGE, PAGE, 0x1001000, READ_ONLY), 0);
	device_reads(&r, 0x1000000, PAGE);
	device_writes(&r, 0x1001010, 64);
	ck_assert_mem_eq(bytes + PAGE, before, PAGE);
	ck_assert_uint_eq(count_log("DMAR: [DMA Write NO_PASID] Request device [51b0:00:01.0] "
				    "fault addr 0x1001000 [fault reason 0x05] PTE Write access is "
				    "not set\n"),
			  1);
	/* but it is read */
	device_reads(&r, 0x1001000, PAGE);
	device_writes(&r, 0x1000000, PAGE);
	ck_assert_mem_eq(bytes, before, PAGE);
	ck_assert_uint_eq(count_log("DMAR"), 1);
	file_drop(bytes, fd, 2);
	rig_close(&r);
}
END_TEST

START_TEST(sim_unmapped_faults)
{
	struct rig r = rig_open(0);
	struct sim_stats_rep s;
	int fd;
	uint8_t *bytes = file_make(&fd, 2);

	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x10000, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, PAGE, PAGE, 0x20000, IOB_WRITE), 0);
	/* half of the transfer has a page: that half arrives, the other reads as ones */
	device_reads(&r, 0x10800, 4096);
	device_writes(&r, 0x20000, 4096);
	ck_assert_mem_eq(bytes + PAGE, bytes + 0x800, 0x800);
	for (size_t i = 0x800; i < PAGE; i++)
		ck_assert_msg(bytes[PAGE + i] == 0xff, "byte %zu", i);
	ck_assert_uint_eq(count_log("[DMA Read NO_PASID] Request device [51b0:00:01.0] fault addr "
				    "0x11000 [fault reason 0x06] PTE Read access is not set\n"),
			  1);
	device_writes(&r, 0x7777000, 1);
	device_reads(&r, 0x20000, 8); /* write-only */
	s = stats();
	ck_assert_uint_eq(s.dma_faults, 3);
	ck_assert_uint_eq(s.dma_transfers, 4);
	ck_assert_uint_eq(count_log("DMAR"), 3);
	file_drop(bytes, fd, 2);
	rig_close(&r);
}
END_TEST

/* The transfer is on its way when UNMAP is answered: it must not arrive. */
START_TEST(sim_unmap_stops_dma)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1), before[4096];

	memcpy(before, bytes, PAGE);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x3000, BOTH), 0);
		dma_start(&r, BUFFER, 0x3000, PAGE, TO_MEMORY);
		ck_assert_int_eq(unmap(&r, 0x3000, PAGE), 0);
		memcpy(bytes, before, PAGE); /* the client has its page back */
		dma_wait(&r);
		ck_assert_mem_eq(bytes, before, PAGE);
	}
	ck_assert_int_eq(unmap(&r, 0x3000, PAGE), -ENOENT);
	ck_assert_uint_ge(count_log("fault addr 0x3000"), 1);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_detach_stops_dma)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1), before[4096];

	memcpy(before, bytes, PAGE);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x3000, BOTH), 0);
	ck_assert_int_eq(open_ops->device_detach(r.context, &r.bound), 0);
	ck_assert_int_eq(open_ops->device_detach(r.context, &r.bound), 0);
	ck_assert_uint_eq(stats().attached, 0);
	device_writes(&r, 0x3000, PAGE);
	ck_assert_mem_eq(bytes, before, PAGE);
	ck_assert_uint_eq(count_log("fault addr 0x3000"), 1);
	rig_attach(&r);
	device_writes(&r, 0x3000, PAGE);
	ck_assert(bytes[1] == 0 && bytes[4095] == 0);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_maps_before_attach)
{
	struct fault why = { 0 };
	struct rig r = { 0 };
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	ck_assert_int_eq(open_ops->context_open(&r.context, &r.token, &why), 0);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x3000, BOTH), 0);
	rig_bind(&r, 3);
	device_writes(&r, 0x3000, 4);
	ck_assert_uint_ne(bytes[1], 0);
	rig_attach(&r);
	device_writes(&r, 0x3000, 4);
	ck_assert_uint_eq(bytes[1], 0);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_needs_bus_master)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x3000, BOTH), 0);
	command_set(&r, SIM_COMMAND_MEMORY);
	device_writes(&r, 0x3000, 64);
	ck_assert_uint_ne(bytes[1], 0);
	ck_assert_uint_eq(stats().dma_transfers + stats().dma_faults, 0);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

/* ---- mapping ---- */

START_TEST(sim_map_refuses)
{
	struct rig r = rig_open(0);
	struct glue_memory m = { 0 };
	char name[64];
	int fd, ro, pipe_fds[2], disk = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t *bytes = file_make(&fd, 4);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ro = open(name, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(map(&r, fd, 0, 4 * PAGE, 0x10000, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x13000, BOTH), -EEXIST);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x20001, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, fd, 1, PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, fd, 0, 5 * PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, fd, 4 * PAGE, PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, fd, UINT64_MAX - PAGE + 1, PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0xfee00000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, pipe_fds[0], 0, PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, r.context, 0, PAGE, 0x20000, BOTH), -EINVAL);
	ck_assert_int_eq(map(&r, disk, 0, PAGE, 0x20000, READ_ONLY), -EINVAL);
	ck_assert_int_eq(map(&r, ro, 0, PAGE, 0x20000, BOTH), -EACCES);
	ck_assert_int_eq(map(&r, ro, 0, PAGE, 0x20000, READ_ONLY), 0);
	m.fd = fd;
	ck_assert_int_eq(map_ops->map(r.context, r.token + 1, &m, 0, PAGE, 0x30000, BOTH), -ENOENT);
	ck_assert_int_eq(map_ops->unmap(r.context, r.token + 1, 0x20000, PAGE), -ENOENT);
	ck_assert_uint_eq(stats().mappings, 2);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(ro);
	close(disk);
	file_drop(bytes, fd, 4);
	rig_close(&r);
}
END_TEST

START_TEST(sim_write_sealed_is_not_mapped_writable)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	munmap(bytes, PAGE);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), -EPERM);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, READ_ONLY), 0);
	close(fd);
	rig_close(&r);
}
END_TEST

START_TEST(sim_guard_keeps_seals_off)
{
	struct glue_memory m = { .bytes = PAGE, .page_bytes = PAGE, .writable = true };
	struct fault why = { 0 };
	uint8_t *bytes = file_make(&m.fd, 1);

	munmap(bytes, PAGE);
	ck_assert_int_eq(map_ops->memory_open(&m, &why), 0);
	ck_assert_uint_eq(m.address_bytes, PAGE);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(errno, EBUSY);
	map_ops->memory_close(&m);
	ck_assert_ptr_null(m.address);
	ck_assert_int_eq(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ck_assert_int_lt(map_ops->memory_open(&m, &why), 0);
	ck_assert_uint_eq(why.code, IOB_E_MEMORY_ACCESS);
	map_ops->memory_close(&m);
	m.writable = false;
	ck_assert_int_eq(map_ops->memory_open(&m, &why), 0);
	map_ops->memory_close(&m);
	close(m.fd);
}
END_TEST

/* The page goes away under the mapping: SIGBUS in the process, a fault of the device. */
START_TEST(sim_survives_truncation)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 2);

	ck_assert_int_eq(map(&r, fd, 0, 2 * PAGE, 0x1000, BOTH), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)PAGE), 0);
	for (int i = 0; i < 3; i++) {
		device_writes(&r, 0x2000, PAGE);
		device_reads(&r, 0x2000, PAGE);
	}
	ck_assert_uint_eq(
		count_log("Write NO_PASID] Request device [51b0:00:01.0] fault addr 0x2000"), 3);
	ck_assert_uint_eq(count_log(
				  "Read NO_PASID] Request device [51b0:00:01.0] fault addr 0x2000"),
			  3);
	device_writes(&r, 0x1000, 4); /* what the last faulting read gave */
	ck_assert_mem_eq(bytes, "\xff\xff\xff\xff", 4);
	file_drop(bytes, fd, 2);
	rig_close(&r);
}
END_TEST

/* The writer of a table may put anything into it: what leads nowhere faults, and the process lives. */
static void *table_taken(const struct rig *r)
{
	const struct sim_token_req q = { .token = r->token };
	int fd = -1;
	const struct sim_call c = { .fd = r->context,
				    .op = SIM_OP_TABLE,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .reply_fd = &fd };
	void *base;

	ck_assert_int_eq(sim_call(&c), 0);
	ck_assert_int_eq(ftruncate(fd, 0), -1); /* sealed */
	base = mmap(NULL, SIM_TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		    0);
	ck_assert_ptr_ne(base, MAP_FAILED);
	close(fd);
	ck_assert_int_eq(sim_call(&c), -EBUSY); /* one writer */
	return base;
}

START_TEST(sim_believes_no_table)
{
	static const struct {
		uint32_t slot;
		uint64_t offset;
	} wrong[] = { { 1, PAGE }, { 1, PAGE << 20 }, { 1, (UINT64_MAX >> 4) & ~(PAGE - 1) },
		      { 0, 0 },	   { 2, 0 },	      { 4095, 0 } };
	struct rig r = rig_open(0);
	const struct sim_token_req q = { .token = r.token };
	struct sim_memory_rep known;
	struct sim_table t;
	void *base = table_taken(&r);
	int fd;
	uint8_t *bytes = file_make(&fd, 1);
	const struct sim_call add = { .fd = r.context,
				      .op = SIM_OP_MEMORY_ADD,
				      .body = &q,
				      .body_bytes = sizeof(q),
				      .fds = &fd,
				      .fd_count = 1,
				      .reply = &known,
				      .reply_bytes = sizeof(known) };

	ck_assert_int_eq(sim_call(&add), 0);
	ck_assert_uint_eq(known.slot, 1);
	ck_assert_int_eq(sim_table_init_writer(&t, base, count_fence, NULL), 0);
	t.head->max_bytes = UINT64_MAX;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const struct sim_target target = { .slot = wrong[i].slot,
						   .access = BOTH,
						   .offset = wrong[i].offset };

		ck_assert_int_eq(sim_table_map(&t, (i + 1) * PAGE, PAGE, &target), 0);
		device_writes(&r, (i + 1) * PAGE, 8);
		ck_assert_uint_eq(stats().dma_faults, i + 1);
	}
	for (size_t i = 512; i < 64 * 512; i++)
		((uint64_t *)base)[i] = i * UINT64_C(0x9e3779b97f4a7c15);
	device_writes(&r, 0x123000, 8);
	ck_assert_uint_eq(stats().bound, 1);
	sim_table_deinit(&t);
	munmap(base, SIM_TABLE_BYTES);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_maps_huge_pages)
{
	const uint64_t huge = UINT64_C(1) << 21;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | (21u << 26));
	struct rig r;
	uint8_t *bytes;

	if (fd < 0 || ftruncate(fd, (off_t)(2 * huge)))
		return;
	bytes = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED) { /* no huge pages on this machine */
		close(fd);
		return;
	}
	r = rig_open(0);
	memset(bytes + huge - PAGE, 0x77, 2 * PAGE);
	ck_assert_int_eq(map(&r, fd, 0, 2 * huge, 0x400000, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, huge - PAGE, 2 * PAGE, 0x1000, BOTH), 0);
	device_reads(&r, 0x1800, PAGE);
	device_writes(&r, 0x400000, PAGE);
	ck_assert(bytes[0] == 0x77 && bytes[4095] == 0x77 && bytes[4096] == 0);
	ck_assert_int_eq(unmap(&r, 0x1000, 2 * PAGE), 0);
	munmap(bytes, 2 * huge);
	close(fd);
	rig_close(&r);
}
END_TEST

START_TEST(sim_ranges_are_told)
{
	struct rig r = rig_open(0);
	struct iob_range ranges[4];
	uint32_t count = 4;
	uint64_t sizes;

	ck_assert_int_eq(map_ops->ranges(r.context, r.token, ranges, &count, &sizes), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(ranges[0].first, 0);
	ck_assert_uint_eq(ranges[0].last, 0xfedfffff);
	ck_assert_uint_eq(ranges[1].first, 0xfef00000);
	ck_assert_uint_eq(ranges[1].last, UINT64_C(0x7fffffffff));
	ck_assert_uint_eq(sizes & (2 * PAGE - 1), PAGE);
	count = 1;
	ck_assert_int_eq(map_ops->ranges(r.context, r.token, ranges, &count, &sizes), 0);
	ck_assert_uint_eq(count, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_takes_many_mappings)
{
	struct rig r = rig_open(0);
	struct glue_memory m = { 0 };
	uint32_t wrong = 0;
	uint8_t *bytes = file_make(&m.fd, 64);

	for (uint64_t i = 0; i < 200000; i++)
		wrong += map_ops->map(r.context, r.token, &m, i % 64 * PAGE, PAGE, i * PAGE,
				      BOTH) != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(stats().mapped_bytes, 200000 * PAGE);
	for (uint64_t i = 0; i < 200000; i += 2)
		wrong += unmap(&r, i * PAGE, PAGE) != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(stats().mappings, 100000);
	file_drop(bytes, m.fd, 64);
	rig_close(&r);
}
END_TEST

/* ---- lifetimes ---- */

START_TEST(sim_last_close_resets)
{
	struct rig r = rig_open(0), again;
	int copy = open_ops->descriptor_dup(r.bound.device_fd), fd;
	uint8_t *bytes = file_make(&fd, 1);

	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), 0);
	device_reads(&r, 0x1000, PAGE);
	reg_set(&r, 4, 0x1111, 4);
	close(r.bound.device_fd);
	nap(20000);
	r.bound.device_fd = copy; /* not the last: nothing has happened */
	ck_assert_uint_eq(reg_get(&r, 4, 4), 0xffffeeee);
	ck_assert_uint_eq(command_get(&r), SIM_COMMAND_MEMORY | SIM_COMMAND_MASTER);
	ck_assert_uint_eq(stats().attached, 1);
	close(copy);
	for (int i = 0; i < 2000 && stats().bound; i++)
		nap(1000);
	ck_assert_uint_eq(stats().attached, 0);
	rig_bind(&r, 0);
	ck_assert_uint_eq(reg_get(&r, 4, 4), 0);
	ck_assert_uint_eq(reg_get(&r, 0x80, 8) | reg_get(&r, 0x88, 8), 0);
	rig_attach(&r);
	device_writes(&r, 0x1000, PAGE); /* the buffer is empty again */
	ck_assert_uint_eq(bytes[1] | bytes[4095], 0);
	again = r;
	command_set(&again, 0);
	close(r.bound.device_fd);
	for (int i = 0; i < 2000 && stats().bound; i++)
		nap(1000);
	ck_assert_int_eq(open_ops->device_bind(r.context, &r.device, -1, &r.bound,
					       &(struct fault){ 0 }),
			 0);
	ck_assert_uint_eq(command_get(&r), SIM_COMMAND_MEMORY);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

/* Like fact 4 of the kernel notes: the context's close stops nothing while a device is bound. */
START_TEST(sim_device_holds_context)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), 0);
	close(r.context);
	nap(20000);
	ck_assert_uint_eq(stats().mappings, 1);
	device_writes(&r, 0x1000, PAGE);
	ck_assert_uint_eq(bytes[1], 0);
	close(r.bound.device_fd);
	expect_baseline();
	file_drop(bytes, fd, 1);
}
END_TEST

START_TEST(sim_killed_client_leaves_nothing)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct rig r = rig_open(0);
		int fd, event = eventfd(0, EFD_CLOEXEC);
		struct iob_set_irq_req q = { IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1 };
		uint8_t *bytes = file_make(&fd, 64);

		for (uint64_t i = 0; i < 64; i++)
			map(&r, fd, i * PAGE, PAGE, i * 2 * PAGE, BOTH);
		map_ops->set_irq(r.bound.device_fd, &q, &event);
		open_ops->descriptor_dup(r.context);
		open_ops->descriptor_dup(r.bound.device_fd);
		dma_start(&r, BUFFER, 0, PAGE, TO_MEMORY | IRQ);
		bytes[0] = 1;
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	expect_baseline();
}
END_TEST

START_TEST(sim_outlives_monitor)
{
	struct rig r = rig_open(0);
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	open_ops->stop();
	nap(20000);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), 0);
	device_writes(&r, 0x1000, PAGE);
	ck_assert_uint_eq(bytes[1], 0);
	ck_assert(is_running((pid_t)baseline.pid));
	file_drop(bytes, fd, 1);
	rig_close(&r);
	expect_exit((pid_t)baseline.pid);
}
END_TEST

START_TEST(sim_is_adopted)
{
	struct fault why = { 0 };
	int kept = dup(sim_open_control_fd()), other[2];

	ck_assert_int_eq(sim_open_adopt(kept, &why), -EALREADY);
	open_ops->stop();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, other), 0);
	close(other[1]);
	ck_assert_int_lt(sim_open_adopt(other[0], &why), 0);
	close(other[0]);
	ck_assert_int_eq(sim_open_adopt(kept, &why), 0);
	ck_assert_uint_eq(stats().pid, baseline.pid);
}
END_TEST

START_TEST(sim_revoke_is_final)
{
	struct rig r = rig_open(0);
	struct fault why = { 0 };
	int fd;
	uint8_t *bytes = file_make(&fd, 1);

	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), 0);
	ck_assert_int_eq(open_ops->context_revoke(r.context, r.token), -EBUSY);
	ck_assert_uint_eq(stats().mappings, 0); /* that much it does at once */
	ck_assert_int_eq(open_ops->device_detach(r.context, &r.bound), 0);
	ck_assert_int_eq(open_ops->context_revoke(r.context, r.token), 0);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), -ENOENT);
	ck_assert_int_eq(map_ops->attach(r.context, r.token, r.bound.device_fd, &why), -ENOENT);
	ck_assert_uint_eq(why.code, IOB_E_GONE);
	file_drop(bytes, fd, 1);
	rig_close(&r);
}
END_TEST

START_TEST(sim_gone_is_an_error)
{
	struct rig r = rig_open(0);
	struct fault why = { 0 };
	uint32_t value;

	kill((pid_t)baseline.pid, SIGKILL);
	ck_assert_int_eq(map_ops->region_read(r.bound.device_fd, &r.bar, 0, &value, 4), -EIO);
	ck_assert_int_eq(unmap(&r, 0, PAGE), -EIO);
	ck_assert_int_eq(open_ops->descriptor_dup(r.context), -EIO);
	ck_assert_int_lt(open_ops->context_open(&r.context, &r.token, &why), 0);
	close(r.bound.device_fd);
	open_ops->stop();
}
END_TEST

/* ---- the device, through the process ---- */

START_TEST(sim_describes_device)
{
	struct rig r = rig_open(0), s = rig_open(1);
	struct iob_device_info_rep info = { 0 };
	struct iob_region_info_rep region;
	struct iob_irq_info_rep irq;

	ck_assert_int_eq(map_ops->device_info(r.bound.device_fd, &info), 0);
	ck_assert(info.flags == 0 && info.regions == 9 && info.irqs == 5);
	ck_assert_int_eq(map_ops->device_info(s.bound.device_fd, &info), 0);
	ck_assert_uint_eq(info.flags, IOB_DEVICE_CAN_RESET);
	ck_assert(r.bar.bytes == 1 << 20 && r.bar.flags == (IOB_REGION_READ | IOB_REGION_WRITE));
	ck_assert(r.config.bytes == 256 && r.config.index == IOB_REGION_CONFIG);
	ck_assert_int_eq(map_ops->region_info(r.bound.device_fd, 3, &region), 0);
	ck_assert_uint_eq(region.bytes | region.flags, 0);
	ck_assert_int_eq(map_ops->region_info(r.bound.device_fd, 8, &region), -EINVAL);
	ck_assert_int_eq(map_ops->irq_info(r.bound.device_fd, IOB_IRQ_INTX, &irq), 0);
	ck_assert(irq.count == 1 && irq.flags == 7);
	ck_assert_int_eq(map_ops->irq_info(r.bound.device_fd, IOB_IRQ_MSI, &irq), 0);
	ck_assert(irq.count == 1 && irq.flags == (IOB_IRQ_EVENTFD | IOB_IRQ_NORESIZE));
	ck_assert_int_eq(map_ops->irq_info(r.bound.device_fd, IOB_IRQ_MSIX, &irq), 0);
	ck_assert_uint_eq(irq.count, 0);
	ck_assert_int_eq(map_ops->irq_info(r.bound.device_fd, IOB_IRQ_ERR, &irq), -EINVAL);
	ck_assert_int_eq(map_ops->irq_info(r.bound.device_fd, 5, &irq), -EINVAL);
	rig_close(&r);
	rig_close(&s);
}
END_TEST

START_TEST(sim_region_access)
{
	struct rig r = rig_open(0);
	static uint8_t data[IOB_MAX_REGION_BYTES + 1];
	const int fd = r.bound.device_fd;
	struct iob_region_info_rep none = { .index = 2 };

	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0, data, 4), 0);
	ck_assert_mem_eq(data, "\xed\x00\x00\x01", 4);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0xff000, data, 4096), 0);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0xff001, data, 4096), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 1 << 20, data, 1), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, UINT64_MAX, data, 1), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0, data, 0), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0, data, 4097), -EINVAL);
	ck_assert_int_eq(map_ops->region_write(fd, &r.bar, 0, data, 4097), -EINVAL);
	ck_assert_int_eq(map_ops->region_write(fd, &r.bar, 0xffffd, data, 4), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &none, 0, data, 1), -EINVAL);
	ck_assert_int_eq(map_ops->region_read(fd, &r.config, 0, data, 256), 0);
	ck_assert_mem_eq(data, "\x34\x12\xe8\x11\x06\x00\x10\x00\x10\x00\xff\x00", 12);
	ck_assert_int_eq(map_ops->region_read(fd, &r.config, 253, data, 4), -EINVAL);
	/* one write of many registers is one access each */
	reg_set(&r, 0x80, 5, 8);
	memset(data, 0, 24);
	data[0] = 1;
	data[8] = 2;
	data[16] = 3;
	ck_assert_int_eq(map_ops->region_write(fd, &r.bar, 0x80, data, 24), 0);
	ck_assert_uint_eq(reg_get(&r, 0x80, 8) * 100 + reg_get(&r, 0x88, 8) * 10 +
				  reg_get(&r, 0x90, 8),
			  123);
	command_set(&r, SIM_COMMAND_MASTER);
	ck_assert_int_eq(map_ops->region_read(fd, &r.bar, 0, data, 4), -EIO);
	ck_assert_int_eq(map_ops->region_write(fd, &r.bar, 4, data, 4), -EIO);
	rig_close(&r);
}
END_TEST

START_TEST(sim_resets_what_can)
{
	struct rig r = rig_open(0), s = rig_open(1);

	reg_set(&r, 4, 1, 4);
	reg_set(&s, 4, 1, 4);
	ck_assert_int_eq(map_ops->device_reset(r.bound.device_fd), -EINVAL);
	ck_assert_uint_eq(reg_get(&r, 4, 4), 0xfffffffe);
	ck_assert_int_eq(map_ops->device_reset(s.bound.device_fd), 0);
	ck_assert_uint_eq(reg_get(&s, 4, 4), 0);
	ck_assert_uint_eq(command_get(&s), SIM_COMMAND_MEMORY);
	rig_close(&r);
	rig_close(&s);
}
END_TEST

START_TEST(sim_quiesce_silences)
{
	for (size_t index = 0; index < 2; index++) {
		struct rig r = rig_open(index);
		struct iob_set_irq_req q = { IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 0, 1 };
		int fd, event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		uint8_t *bytes = file_make(&fd, 1);
		uint64_t count;

		ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x1000, BOTH), 0);
		ck_assert_int_eq(map_ops->set_irq(r.bound.device_fd, &q, &event), 0);
		dma_start(&r, BUFFER, 0x1000, PAGE, TO_MEMORY | IRQ);
		ck_assert_int_eq(open_ops->device_quiesce(&r.bound), 0);
		bytes[1] = 99;
		ck_assert_uint_eq(command_get(&r), 0);
		nap(20000);
		ck_assert_uint_eq(bytes[1], 99);
		eventfd_read(event, &count);
		ck_assert_int_eq(eventfd_read(event, &count), -1);
		close(event);
		file_drop(bytes, fd, 1);
		rig_close(&r);
	}
}
END_TEST

/* ---- interrupts ---- */

static int set_irq(const struct rig *r, uint32_t index, uint32_t action, uint32_t count,
		   const int *fds)
{
	const struct iob_set_irq_req q = { .index = index, .action = action, .count = count };

	return map_ops->set_irq(r->bound.device_fd, &q, fds);
}

/* How often it was signalled, waiting a moment for the first. */
static uint64_t signals(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count = 0;

	if (poll(&p, 1, 30) == 1)
		ck_assert_int_eq(eventfd_read(fd, &count), 0);
	return count;
}

START_TEST(sim_msi)
{
	struct rig r = rig_open(0);
	int fd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, NULL), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, &fd), 0);
	reg_set(&r, 0x60, 2, 4);
	ck_assert_uint_eq(signals(fd), 1);
	reg_set(&r, 0x60, 2, 4); /* an edge each time */
	reg_set(&r, 0x60, 4, 4);
	ck_assert_uint_eq(signals(fd), 2);
	ck_assert_uint_eq(reg_get(&r, 0x24, 4), 6);
	dma_start(&r, 0, 0, 0, IRQ);
	ck_assert_uint_eq(signals(fd), 1);
	ck_assert_uint_eq(reg_get(&r, 0x24, 4), 0x106);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, NULL), 0);
	ck_assert_uint_eq(signals(fd), 1);
	command_set(&r, SIM_COMMAND_MEMORY); /* an MSI is a write */
	reg_set(&r, 0x60, 2, 4);
	ck_assert_uint_eq(signals(fd), 0);
	command_set(&r, SIM_COMMAND_MEMORY | SIM_COMMAND_MASTER);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, &other), 0);
	reg_set(&r, 0x60, 2, 4);
	ck_assert_uint_eq(signals(other) * 10 + signals(fd), 10);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_TRIGGER, 1, &fd), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 0, NULL), 0);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 0, NULL), -EINVAL);
	reg_set(&r, 0x60, 2, 4);
	ck_assert_uint_eq(signals(other) + signals(fd), 0);
	close(fd);
	close(other);
	rig_close(&r);
}
END_TEST

START_TEST(sim_intx_masks_itself)
{
	struct rig r = rig_open(0);
	int fd = eventfd(0, EFD_CLOEXEC), go = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 1, NULL), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_TRIGGER, 1, &fd), 0);
	reg_set(&r, 0x60, 1, 4);
	reg_set(&r, 0x60, 2, 4);
	ck_assert_uint_eq(signals(fd), 1); /* and then masked */
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 1, NULL), 0);
	ck_assert_uint_eq(signals(fd), 1); /* the line is still up */
	reg_set(&r, 0x64, 3, 4);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 1, NULL), 0);
	ck_assert_uint_eq(signals(fd), 0);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_MASK, 1, NULL), 0);
	reg_set(&r, 0x60, 1, 4);
	ck_assert_uint_eq(signals(fd), 0);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 1, &go), 0);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_UNMASK, 1, &go), -EBUSY);
	ck_assert_uint_eq(signals(fd), 0);
	ck_assert_int_eq(eventfd_write(go, 1), 0);
	ck_assert_uint_eq(signals(fd), 1);
	command_set(&r, SIM_COMMAND_MEMORY | SIM_COMMAND_INTX_DISABLE);
	ck_assert_int_eq(eventfd_write(go, 1), 0);
	ck_assert_uint_eq(signals(fd), 0);
	command_set(&r, SIM_COMMAND_MEMORY); /* no bus mastering: INTx does not need it */
	ck_assert_uint_eq(signals(fd), 1);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_INTX, IOB_IRQ_DISABLE, 0, NULL), 0);
	close(fd);
	close(go);
	rig_close(&r);
}
END_TEST

START_TEST(sim_irq_refuses)
{
	struct rig r = rig_open(0);
	int event = eventfd(0, EFD_CLOEXEC), file, pipe_fds[2], fds[2];
	uint8_t *bytes = file_make(&file, 1);

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	fds[0] = fds[1] = event;
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, &pipe_fds[1]), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, &file), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 2, fds), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSIX, IOB_IRQ_TRIGGER, 1, &event), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_ERR, IOB_IRQ_TRIGGER, 1, &event), -EINVAL);
	ck_assert_int_eq(set_irq(&r, 99, IOB_IRQ_TRIGGER, 1, &event), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, 99, 1, &event), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_MASK, 1, NULL), -ENOTTY);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 1, NULL), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_REQ, IOB_IRQ_DISABLE, 0, NULL), -EINVAL);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_REQ, IOB_IRQ_TRIGGER, 1, &event), 0);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_REQ, IOB_IRQ_TRIGGER, 1, NULL), 0);
	ck_assert_uint_eq(signals(event), 1);
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_REQ, IOB_IRQ_DISABLE, 0, NULL), 0);
	/* and this one stays until the last close */
	ck_assert_int_eq(set_irq(&r, IOB_IRQ_REQ, IOB_IRQ_TRIGGER, 1, &event), 0);
	close(event);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	file_drop(bytes, file, 1);
	rig_close(&r);
}
END_TEST

/* Drains the counter, fills it again, and does no more until the other side has got on. */
static void fill_for_ever(int fd, const volatile unsigned int *progress)
{
	for (unsigned int turn = 0;; turn++) {
		unsigned int seen;
		eventfd_t count;

		eventfd_read(fd, &count);
		for (volatile unsigned int i = 0; i < turn % 64 * 32; i++)
			;
		eventfd_write(fd, UINT64_MAX - 1);
		seen = *progress;
		while (*progress - seen < 2)
			;
	}
}

/* A full counter must not make the simulator wait, whoever fills it and when: between its look at
 * the counter and its write, too. */
START_TEST(sim_full_eventfd_does_not_block)
{
	struct rig r = rig_open(0);
	int fd = eventfd(0, EFD_CLOEXEC);
	volatile unsigned int *progress =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	ck_assert_int_eq(set_irq(&r, IOB_IRQ_MSI, IOB_IRQ_TRIGGER, 1, &fd), 0);
	ck_assert_int_eq(eventfd_write(fd, UINT64_MAX - 1), 0);
	for (int i = 0; i < 10; i++)
		reg_set(&r, 0x60, 1, 4);
	child = fork();
	if (child == 0)
		fill_for_ever(fd, progress);
	for (int i = 0; i < 5000; i++) {
		const uint32_t one = 1;

		if (map_ops->region_write(r.bound.device_fd, &r.bar, 0x60, &one, 4))
			break;
		++*progress;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert_uint_eq(*progress, 5000);
	munmap((void *)(uintptr_t)progress, PAGE);
	close(fd);
	rig_close(&r);
}
END_TEST

/* ---- hostile peers ---- */

static int raw_send(int fd, const void *data, size_t bytes, const int *fds, size_t count)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (count) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void expect_hang_up(int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	ck_assert_msg(poll(&p, 1, 5000) == 1, "%s: no answer", what);
	ck_assert_msg(recv(fd, &byte, 1, 0) <= 0, "%s: was answered", what);
}

struct hostile {
	const char *what;
	bool on_device; /* otherwise on a context */
	uint32_t op, flags;
	size_t bytes; /* after the header */
	size_t fds;
};

static const struct hostile hostile[] = {
	{ "unknown operation", false, 99, 0, 0, 0 },
	{ "operation 0", false, 0, 0, 0, 0 },
	{ "huge operation", false, UINT32_MAX, 0, 0, 0 },
	{ "unknown flag", false, SIM_OP_RANGES, 2, 8, 0 },
	{ "memory too short", false, SIM_OP_MEMORY_ADD, 0, 7, 1 },
	{ "memory too long", false, SIM_OP_MEMORY_ADD, 0, 9, 1 },
	{ "memory without fd", false, SIM_OP_MEMORY_ADD, 0, 8, 0 },
	{ "memory with two fds", false, SIM_OP_MEMORY_ADD, 0, 8, 2 },
	{ "drop with an fd", false, SIM_OP_MEMORY_DROP, 0, 8, 1 },
	{ "drop with 17 fds", false, SIM_OP_MEMORY_DROP, 0, 8, 17 },
	{ "drop with 18 fds", false, SIM_OP_MEMORY_DROP, 0, 8, 18 },
	{ "drop with more fds than fit", false, SIM_OP_MEMORY_DROP, 0, 8, 40 },
	{ "reply socket is no socket", false, SIM_OP_RANGES, 1, 8, 1 },
	{ "reply socket is missing", false, SIM_OP_RANGES, 1, 8, 0 },
	{ "control's operation", false, SIM_OP_STATS, 0, 0, 0 },
	{ "opening by a session", false, SIM_OP_BIND, 0, 32, 1 },
	{ "device's operation", false, SIM_OP_RESET, 0, 0, 0 },
	{ "context's operation", true, SIM_OP_MEMORY_DROP, 0, 8, 0 },
	{ "new context", true, SIM_OP_CONTEXT_OPEN, 0, 0, 0 },
	{ "nothing but a header", true, SIM_OP_REGION_READ, 0, 0, 0 },
	{ "write of too much", true, SIM_OP_REGION_WRITE, 0, 16 + 4097, 0 },
	{ "write beyond any buffer", true, SIM_OP_REGION_WRITE, 0, 60000, 0 },
	{ "irq with 17 fds", true, SIM_OP_SET_IRQ, 0, 16, 17 },
};

START_TEST(sim_hangs_up_on_hostile)
{
	const struct hostile *h = &hostile[_i];
	struct rig r = rig_open(0);
	const int victim = h->on_device ? r.bound.device_fd : r.context;
	const struct sim_req_hdr header = { .op = h->op, .flags = h->flags };
	static uint8_t record[65536];
	int fds[64];

	for (size_t i = 0; i < 64; i++)
		fds[i] = STDIN_FILENO;
	memcpy(record, &header, sizeof(header));
	ck_assert_int_eq(raw_send(victim, record, sizeof(header) + h->bytes, fds, h->fds), 0);
	expect_hang_up(victim, h->what);
	ck_assert_uint_eq(stats().pid, baseline.pid);
	rig_close(&r);
}
END_TEST

START_TEST(sim_hangs_up_on_short_header)
{
	for (size_t bytes = 1; bytes < sizeof(struct sim_req_hdr); bytes++) {
		struct rig r = rig_open(0);
		int fds[3] = { 0, 0, 0 };

		ck_assert_int_eq(raw_send(r.context, "\x05\0\0\0\0\0\0", bytes, fds, 3), 0);
		expect_hang_up(r.context, "short header");
		rig_close(&r);
	}
}
END_TEST

/* Well-formed, but the length in it is not that of the record: an error, nothing written. */
START_TEST(sim_checks_inner_length)
{
	struct rig r = rig_open(0);
	const struct iob_region_req q = { .bytes = 4096, .offset = 4 };
	const struct sim_call c = { .fd = r.bound.device_fd,
				    .op = SIM_OP_REGION_WRITE,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .tail = "\1\2\3\4",
				    .tail_bytes = 4 };

	ck_assert_int_eq(sim_call(&c), -EINVAL);
	ck_assert_uint_eq(reg_get(&r, 4, 4), 0);
	rig_close(&r);
}
END_TEST

/* It asks and asks and never reads: hung up on, while others are served. */
START_TEST(sim_hangs_up_on_deaf)
{
	const struct sim_req_hdr header = { .op = SIM_OP_DUP };
	struct rig deaf = rig_open(0), r = rig_open(2);
	int error = 0;

	for (int i = 0; i < 100000 && !error; i++)
		error = raw_send(deaf.bound.device_fd, &header, sizeof(header), NULL, 0);
	ck_assert(error == -EPIPE || error == -ECONNRESET);
	ck_assert_uint_eq(reg_get(&r, 0, 4), 0x010000ed);
	rig_close(&deaf);
	rig_close(&r);
}
END_TEST

/* The reply socket takes nothing: the answer is lost, the handle goes on. */
START_TEST(sim_loses_reply_to_deaf_socket)
{
	struct rig r = rig_open(0);
	const struct sim_req_hdr header = { .op = SIM_OP_DUP, .flags = SIM_REQ_REPLY_FD };
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	for (int i = 0; i < 2000; i++)
		ck_assert_int_eq(raw_send(r.context, &header, sizeof(header), &ends[1], 1), 0);
	close(ends[0]);
	ck_assert_int_eq(raw_send(r.context, &header, sizeof(header), &ends[1], 1), 0);
	close(ends[1]);
	ck_assert_int_eq(unmap(&r, 0, PAGE), -ENOENT);
	rig_close(&r);
}
END_TEST

START_TEST(sim_survives_noise)
{
	static uint8_t record[5000];

	srand(2);
	for (int turn = 0; turn < 400; turn++) {
		struct rig r = rig_open(turn % 3 == 0 ? 1 : 0);
		int fds[20], error = 0;

		for (int i = 0; i < 20; i++)
			fds[i] = i & 1 ? r.context : STDIN_FILENO;
		for (int i = 0; i < 20 && !error; i++) {
			uint32_t op = (uint32_t)rand() % 44;
			size_t bytes = (size_t)rand() % (rand() & 1 ? 60 : sizeof(record));

			for (size_t k = 0; k < bytes; k++)
				record[k] = (uint8_t)(rand() & 3 ? 0 : rand());
			memcpy(record, &op, sizeof(op));
			record[4] = (uint8_t)(rand() % 8 == 0);
			error = raw_send(i & 1 ? r.context : r.bound.device_fd, record, bytes, fds,
					 (size_t)rand() % 3);
		}
		close(r.bound.device_fd);
		close(r.context);
		for (int i = 0; i < 2000 && stats().bound; i++)
			nap(500);
	}
}
END_TEST

START_TEST(sim_limits_contexts_and_handles)
{
	struct glue_device d = inventory_get(0);
	struct glue_bound bound;
	struct fault why = { 0 };
	uint32_t token, count = 0;
	struct rlimit limit;
	int fds[4201];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max < 5000 ? limit.rlim_max : 5000;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (count < 1300 && open_ops->context_open(&fds[count], &token, &why) == 0)
		count++;
	ck_assert_uint_eq(count, 1200);
	ck_assert_uint_eq(why.code, IOB_E_NO_MEMORY);
	while (count < 4200 && (fds[count] = open_ops->descriptor_dup(fds[0])) >= 0)
		count++;
	ck_assert_uint_eq(count, 1200 + 63); /* 64 of one object */
	ck_assert_int_eq(fds[count], -EMFILE);
	while (count < 4200 && (fds[count] = open_ops->descriptor_dup(fds[count % 1199 + 1])) >= 0)
		count++;
	ck_assert_uint_eq(count, 4095); /* and control */
	ck_assert_int_eq(fds[count], -ENFILE);
	/* a device for which no handle is left is not left bound */
	ck_assert_int_eq(open_ops->device_bind(fds[0], &d, -1, &bound, &why), -ENFILE);
	ck_assert_uint_eq(stats().bound, 0);
	close(fds[--count]);
	for (int i = 0; i < 2000 && stats().handles > count + 1; i++)
		nap(500);
	fds[count] = open_ops->descriptor_dup(fds[1]);
	ck_assert_int_ge(fds[count++], 0);
	while (count)
		close(fds[--count]);
}
END_TEST

/* The process's own word against /proc, where that can be read. */
START_TEST(sim_counts_its_fds)
{
	struct rig r = rig_open(0);
	char path[64];
	uint32_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", baseline.pid);
	dir = opendir(path);
	while (dir) {
		const struct dirent *e = readdir(dir);

		if (!e)
			break;
		count += e->d_name[0] != '.';
	}
	if (dir) {
		closedir(dir);
		if (!getenv("IOB_SIM_WRAPPED")) /* valgrind has descriptors of its own */
			ck_assert_uint_eq(count + 1, stats().fds);
	}
	rig_close(&r);
}
END_TEST

START_TEST(sim_memlock_limit)
{
	const struct glue_options o = options();
	struct fault why = { 0 };
	struct rig r;
	int fd;
	uint8_t *bytes = file_make(&fd, 4);

	open_ops->stop();
	expect_exit((pid_t)baseline.pid);
	setenv("IOB_SIM_MEMLOCK", "12288", 1);
	ck_assert_int_eq(open_ops->start(&o, &why), 0);
	unsetenv("IOB_SIM_MEMLOCK");
	baseline = stats();
	r = rig_open(0);
	ck_assert_int_eq(map(&r, fd, 0, 2 * PAGE, 0, BOTH), 0);
	ck_assert_int_eq(map(&r, fd, 0, 2 * PAGE, 0x10000, BOTH), -ENOMEM);
	ck_assert_int_eq(map(&r, fd, 0, PAGE, 0x10000, BOTH), 0);
	file_drop(bytes, fd, 4);
	rig_close(&r);
}
END_TEST

static TCase *pure_case(void)
{
	TCase *t = tcase_create("pure");

	tcase_add_test(t, table_refuses);
	tcase_add_test(t, table_limits);
	tcase_add_test(t, table_unmap_is_exact);
	tcase_add_test(t, table_waits_for_the_device);
	tcase_add_test(t, table_is_found);
	tcase_add_test(t, table_of_noise_is_harmless);
	tcase_add_test(t, table_nodes_come_back);
	tcase_add_test(t, table_can_be_full);
	tcase_add_test(t, table_agrees_with_model);
	tcase_add_test(t, edu_registers);
	tcase_add_test(t, edu_factorial_and_irq);
	tcase_add_test(t, edu_dma);
	tcase_add_test(t, edu_reset);
	tcase_add_test(t, config_masks_writes);
	tcase_add_test(t, sim_start_fails_cleanly);
	return t;
}

static TCase *process_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, start_sim, stop_sim);
	tcase_set_timeout(t, 40);
	return t;
}

static TCase *opening_case(void)
{
	TCase *t = process_case("opening");

	tcase_add_test(t, sim_lists_devices);
	tcase_add_test(t, sim_lists_a_group);
	tcase_add_test(t, sim_probe_says_why);
	tcase_add_test(t, sim_is_confined);
	tcase_add_test(t, sim_holds_no_output);
	tcase_add_test(t, sim_bind_refuses);
	tcase_add_test(t, sim_attach_refuses);
	tcase_add_test(t, sim_last_close_resets);
	tcase_add_test(t, sim_device_holds_context);
	tcase_add_test(t, sim_killed_client_leaves_nothing);
	tcase_add_test(t, sim_outlives_monitor);
	tcase_add_test(t, sim_is_adopted);
	tcase_add_test(t, sim_revoke_is_final);
	tcase_add_test(t, sim_gone_is_an_error);
	tcase_add_test(t, sim_counts_its_fds);
	return t;
}

static TCase *dma_case(void)
{
	TCase *t = process_case("dma");

	tcase_add_test(t, sim_dma_both_ways);
	tcase_add_test(t, sim_dma_reaches_the_offset);
	tcase_add_test(t, sim_contexts_are_apart);
	tcase_add_test(t, sim_serves_two_processes);
	tcase_add_test(t, sim_opener_shares_descriptors);
	tcase_add_test(t, sim_read_only_is_not_written);
	tcase_add_test(t, sim_unmapped_faults);
	tcase_add_test(t, sim_unmap_stops_dma);
	tcase_add_test(t, sim_detach_stops_dma);
	tcase_add_test(t, sim_maps_before_attach);
	tcase_add_test(t, sim_needs_bus_master);
	tcase_add_test(t, sim_map_refuses);
	tcase_add_test(t, sim_write_sealed_is_not_mapped_writable);
	tcase_add_test(t, sim_guard_keeps_seals_off);
	tcase_add_test(t, sim_survives_truncation);
	tcase_add_test(t, sim_maps_huge_pages);
	tcase_add_test(t, sim_believes_no_table);
	tcase_add_test(t, sim_ranges_are_told);
	tcase_add_test(t, sim_takes_many_mappings);
	tcase_add_test(t, sim_memlock_limit);
	return t;
}

static TCase *device_case(void)
{
	TCase *t = process_case("device");

	tcase_add_test(t, sim_describes_device);
	tcase_add_test(t, sim_region_access);
	tcase_add_test(t, sim_resets_what_can);
	tcase_add_test(t, sim_quiesce_silences);
	tcase_add_test(t, sim_msi);
	tcase_add_test(t, sim_intx_masks_itself);
	tcase_add_test(t, sim_irq_refuses);
	tcase_add_test(t, sim_full_eventfd_does_not_block);
	return t;
}

static TCase *hostile_case(void)
{
	TCase *t = process_case("hostile");

	tcase_add_loop_test(t, sim_hangs_up_on_hostile, 0,
			    (int)(sizeof(hostile) / sizeof(hostile[0])));
	tcase_add_test(t, sim_hangs_up_on_short_header);
	tcase_add_test(t, sim_checks_inner_length);
	tcase_add_test(t, sim_hangs_up_on_deaf);
	tcase_add_test(t, sim_loses_reply_to_deaf_socket);
	tcase_add_test(t, sim_survives_noise);
#ifndef IOB_VALGRIND /* which keeps the simulator from having that many descriptors */
	tcase_add_test(t, sim_limits_contexts_and_handles);
#endif
	return t;
}

Suite *test_sim_suite(void)
{
	Suite *s = suite_create("sim");

	suite_add_tcase(s, pure_case());
	suite_add_tcase(s, opening_case());
	suite_add_tcase(s, dma_case());
	suite_add_tcase(s, device_case());
	suite_add_tcase(s, hostile_case());
	return s;
}

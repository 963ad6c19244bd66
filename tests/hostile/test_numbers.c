/* SPDX-License-Identifier: MIT */
/* Numbers at their edges: counts, strides, offsets, lengths, addresses, windows. */
#include <string.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

#define TOP UINT64_MAX

static uint8_t message[IOB_MAX_MSG_BYTES];

static uint32_t used_mappings(int domain)
{
	struct iob_domain_info_rep info;

	raw_ok(raw_ask(domain, IOB_OP_DOMAIN_INFO, NULL, 0));
	memcpy(&info, raw.body, sizeof(info));
	return info.used_mappings;
}

/* ---- batches ---- */

static uint32_t batch(uint16_t op, uint32_t count, uint32_t stride, size_t bytes)
{
	const struct iob_batch_req req = { count, stride };

	memcpy(message, &req, sizeof(req));
	return raw_ask(raw_handles.domain, op, message, sizeof(req) + bytes);
}

static void counts_and_strides(void)
{
	static const struct {
		uint16_t op;
		uint32_t size;
	} ops[] = { { IOB_OP_MAP, sizeof(struct iob_map_op) },
		    { IOB_OP_UNMAP, sizeof(struct iob_unmap_op) } };

	raw_open_all();
	for (size_t i = 0; i < COUNT(ops); i++) {
		uint16_t op = ops[i].op;
		uint32_t size = ops[i].size;
		const uint32_t strides[] = {
			0,     1,     7,     8,		size - 8,   size - 1,	size + 1,  size + 4,
			65528, 65536, 65544, INT32_MAX, 0x80000000, 0xfffffff8, UINT32_MAX
		};

		raw_refused(batch(op, 0, size, 0), IOB_E_LIMIT);
		raw_refused(batch(op, 0, size, size), IOB_E_LIMIT);
		raw_refused(batch(op, IOB_MAX_BATCH + 1, size, 1000), IOB_E_LIMIT);
		raw_refused(batch(op, UINT32_MAX, size, size), IOB_E_LIMIT);
		raw_refused(batch(op, 0x10000000, 16, 16), IOB_E_LIMIT);
		for (size_t s = 0; s < COUNT(strides); s++) {
			if (strides[s] == size)
				continue;
			raw_refused(batch(op, 1, strides[s], size), IOB_E_PROTOCOL);
			raw_refused(batch(op, 2, strides[s], 2 * (size_t)size), IOB_E_PROTOCOL);
			raw_refused(batch(op, 1024, strides[s], 1000), IOB_E_PROTOCOL);
		}
		raw_refused(batch(op, 2, size, size), IOB_E_PROTOCOL);
		raw_refused(batch(op, 1, size, 2 * (size_t)size), IOB_E_PROTOCOL);
		raw_refused(batch(op, 2, size, 2 * (size_t)size - 1), IOB_E_PROTOCOL);
	}
	ck_assert_uint_eq(used_mappings(raw_handles.domain), 1);
}

START_TEST(batches_that_do_not_add_up)
{
	attack(counts_and_strides);
}
END_TEST

/* From a newer client: operations are longer, which is fine as long as there is nothing in it. */
static void longer_operations(void)
{
	struct {
		struct iob_batch_req req;
		struct {
			struct iob_map_op op;
			uint64_t news;
		} ops[2];
	} m = { .req = { 2, sizeof(m.ops[0]) } };
	struct iob_result results[2];

	raw_open_all();
	for (uint32_t i = 0; i < 2; i++)
		m.ops[i].op = (struct iob_map_op){ .memory = 1,
						   .flags = IOB_READ | IOB_FIXED,
						   .length = PAGE,
						   .iova = RAW_IOVA + (i + 1) * PAGE };
	m.ops[1].news = 1;
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_MAP, &m, sizeof(m)));
	memcpy(results, raw.body + sizeof(struct iob_batch_rep), sizeof(results));
	ck_assert_uint_eq(results[0].code, IOB_OK);
	ck_assert_uint_eq(results[1].code, IOB_E_UNSUPPORTED);
	ck_assert_uint_eq(used_mappings(raw_handles.domain), 2);
}

START_TEST(operations_may_be_longer_by_zeros_only)
{
	attack(longer_operations);
}
END_TEST

/* ---- MAP ---- */

static uint32_t map_one(int domain, struct iob_map_op op)
{
	struct {
		struct iob_batch_req req;
		struct iob_map_op op;
	} m = { { 1, sizeof(m.op) }, op };
	struct iob_result result;

	raw_ok(raw_ask(domain, IOB_OP_MAP, &m, sizeof(m)));
	memcpy(&result, raw.body + sizeof(struct iob_batch_rep), sizeof(result));
	return result.code;
}

static void map_edges(void)
{
	static const uint64_t edges[] = {
		0,	    1,		PAGE - 1,  PAGE,	   PAGE + 1,   0x7fffffff,
		0xfffff000, UINT32_MAX, TOP >> 1,  (TOP >> 1) + 1, TOP - PAGE, TOP - PAGE + 1,
		TOP - 1,    TOP,	TOP << 12, 1ull << 52
	};

	raw_open_all();
	for (size_t o = 0; o < COUNT(edges); o++)
		for (size_t l = 0; l < COUNT(edges); l++) {
			struct iob_map_op op = { .memory = 1,
						 .flags = IOB_READ | IOB_FIXED,
						 .offset = edges[o],
						 .length = edges[l],
						 .iova = RAW_IOVA };

			/* the one page is mapped there already: nothing of this can be right */
			ck_assert_uint_ne(map_one(raw_handles.domain, op), IOB_OK);
			op.offset = 0;
			op.iova = edges[o];
			if (edges[l] != PAGE)
				ck_assert_uint_ne(map_one(raw_handles.domain, op), IOB_OK);
			op.flags = IOB_READ;
			op.iova = 0;
			op.iova_limit = edges[o];
			if (edges[l] != PAGE)
				ck_assert_uint_ne(map_one(raw_handles.domain, op), IOB_OK);
		}
	ck_assert_uint_eq(used_mappings(raw_handles.domain), 1);
}

START_TEST(map_at_every_edge)
{
	attack(map_edges);
}
END_TEST

static void map_flags(void)
{
	raw_open_all();
	for (unsigned bit = 0; bit < 32; bit++) {
		struct iob_map_op op = { .memory = 1,
					 .flags = (1u << bit) | IOB_FIXED,
					 .length = PAGE,
					 .iova = RAW_IOVA + (bit + 1) * PAGE };
		uint32_t code = map_one(raw_handles.domain, op);

		if (bit < 2)
			ck_assert_uint_eq(code, IOB_OK);
		else
			ck_assert_uint_eq(code, IOB_E_UNSUPPORTED);
	}
	for (uint32_t id = 2; id < 100; id++)
		ck_assert_uint_eq(map_one(raw_handles.domain,
					  (struct iob_map_op){ .memory = id * 0x01010101,
							       .flags = IOB_READ,
							       .length = PAGE }),
				  IOB_E_MEMORY_ID);
}

START_TEST(map_with_every_flag)
{
	attack(map_flags);
}
END_TEST

/* ---- UNMAP, LIST ---- */

static void unmap_edges(void)
{
	static const uint64_t edges[] = { 0,	    1,	     PAGE, RAW_IOVA - 1,      RAW_IOVA + 1,
					  TOP >> 1, TOP - 1, TOP,  TOP - RAW_IOVA + 1 };
	struct {
		struct iob_batch_req req;
		struct iob_unmap_op op;
	} m = { .req = { 1, sizeof(m.op) } };
	struct iob_result result;

	raw_open_all();
	for (size_t i = 0; i < COUNT(edges); i++)
		for (size_t l = 0; l < COUNT(edges); l++)
			for (int exact = 0; exact < 2; exact++) {
				if (exact && edges[l] == PAGE)
					continue;
				m.op.iova = exact ? RAW_IOVA : edges[i];
				m.op.length = edges[l];
				raw_ok(raw_ask(raw_handles.domain, IOB_OP_UNMAP, &m, sizeof(m)));
				memcpy(&result, raw.body + sizeof(struct iob_batch_rep),
				       sizeof(result));
				ck_assert_uint_ne(result.code, IOB_OK);
			}
	ck_assert_uint_eq(used_mappings(raw_handles.domain), 1);
}

START_TEST(unmap_at_every_edge)
{
	attack(unmap_edges);
}
END_TEST

static void list_edges(void)
{
	static const uint64_t starts[] = { 0, RAW_IOVA, RAW_IOVA + 1, TOP };
	static const uint32_t maxima[] = { 0, 1, IOB_MAX_LIST, IOB_MAX_LIST + 1, UINT32_MAX };
	struct iob_map_list_rep rep;

	raw_open_all();
	for (size_t s = 0; s < COUNT(starts); s++)
		for (size_t m = 0; m < COUNT(maxima); m++) {
			struct iob_map_list_req req = { .start = starts[s], .max = maxima[m] };

			raw_ok(raw_ask(raw_handles.domain, IOB_OP_MAP_LIST, &req, sizeof(req)));
			memcpy(&rep, raw.body, sizeof(rep));
			ck_assert_uint_eq(rep.stride, sizeof(struct iob_map_rec));
			ck_assert_uint_eq(raw.bytes, sizeof(rep) + rep.count * rep.stride);
			ck_assert_uint_eq(rep.count, maxima[m] > 0 && s < 2);
		}
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_DEVICE_LIST,
		       &(struct iob_list_req){ .cursor = UINT32_MAX }, 8));
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_DOMAIN_LIST,
		       &(struct iob_list_req){ .cursor = UINT32_MAX }, 8));
}

START_TEST(lists_from_every_edge)
{
	attack(list_edges);
}
END_TEST

/* ---- grants ---- */

static int grant(uint64_t first, uint64_t last)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_MAP | IOB_RIGHT_UNMAP,
					   .window_first = first,
					   .window_last = last };

	raw_ok(raw_ask(raw_handles.domain, IOB_OP_GRANT, &req, sizeof(req)));
	return raw.fd;
}

/* A window at either end of the address space, and one that is smaller than a page. */
static void window_edges(void)
{
	const struct iob_memory_add_req add = { .access = IOB_READ };
	struct memory m = memory_make(4 * PAGE, SEALED);
	struct iob_map_op op = { .memory = 1, .flags = IOB_READ | IOB_FIXED, .length = PAGE };
	int low, tiny, high;

	raw_open_all();
	low = grant(0, PAGE - 1);
	tiny = grant(16 * PAGE + 1, 17 * PAGE - 1);
	high = grant(TOP - PAGE + 1, TOP);
	raw_ok(raw_ask_fds(low, IOB_OP_MEMORY_ADD, &add, sizeof(add), &m.fd, 1));
	raw_ok(raw_ask_fds(tiny, IOB_OP_MEMORY_ADD, &add, sizeof(add), &m.fd, 1));
	raw_ok(raw_ask_fds(high, IOB_OP_MEMORY_ADD, &add, sizeof(add), &m.fd, 1));
	op.iova = PAGE;
	ck_assert_uint_eq(map_one(low, op), IOB_E_IOVA_WINDOW);
	op.length = 2 * PAGE;
	op.iova = 0;
	ck_assert_uint_eq(map_one(low, op), IOB_E_IOVA_WINDOW);
	op.length = PAGE;
	op.iova = 16 * PAGE;
	ck_assert_uint_eq(map_one(tiny, op), IOB_E_IOVA_WINDOW);
	op.iova = TOP - 2 * PAGE + 1;
	ck_assert_uint_eq(map_one(high, op), IOB_E_IOVA_WINDOW);
	op.iova = TOP - PAGE + 1;
	op.length = 2 * PAGE;
	ck_assert_uint_eq(map_one(high, op), IOB_E_RANGE);
	op.flags = IOB_READ;
	op.length = PAGE;
	op.iova = 0;
	ck_assert_uint_eq(map_one(tiny, op), IOB_E_IOVA_EXHAUSTED);
}

START_TEST(windows_at_every_edge)
{
	attack(window_edges);
}
END_TEST

/* ---- regions ---- */

static void region_numbers(void)
{
	static const struct iob_region_req reqs[] = {
		{ 0, 0, 0 },
		{ 0, IOB_MAX_REGION_BYTES + 1, 0 },
		{ 0, UINT32_MAX, 0 },
		{ 0, 4, MIB },
		{ 0, 4, MIB - 3 },
		{ 0, 4, TOP },
		{ 0, 4, TOP - 3 },
		{ 0, 4, 1ull << 40 },
		{ 7, 4, 1ull << 40 },
		{ 9, 4, 0 },
		{ UINT32_MAX, 4, 0 },
		{ 7, 4, 4096 },
		{ 0, 4096, MIB - 4095 },
		{ 2, 1, 0 },
	};
	struct iob_region_req write = { .bytes = 8 };

	raw_open_all();
	raw_ok(raw_ask_fds(raw_handles.device, IOB_OP_DEVICE_BIND, NULL, 0, &raw_handles.domain,
			   1));
	for (size_t i = 0; i < COUNT(reqs); i++) {
		raw_ask(raw_handles.device, IOB_OP_REGION_READ, &reqs[i], sizeof(reqs[i]));
		ck_assert_msg(raw.hdr.code == IOB_E_RANGE || raw.hdr.code == IOB_E_UNSUPPORTED,
			      "read %zu: %s", i, iob_code_name((int)raw.hdr.code));
		memcpy(message, &reqs[i], sizeof(reqs[i]));
		raw_ask(raw_handles.device, IOB_OP_REGION_WRITE, message,
			sizeof(reqs[i]) + (reqs[i].bytes & 0x1fff));
		ck_assert_uint_ne(raw.hdr.code, IOB_OK);
	}
	/* announced and sent differ */
	for (size_t n = 0; n < 16; n++) {
		memcpy(message, &write, sizeof(write));
		if (n != write.bytes)
			raw_refused(raw_ask(raw_handles.device, IOB_OP_REGION_WRITE, message,
					    sizeof(write) + n),
				    IOB_E_PROTOCOL);
	}
}

START_TEST(regions_at_every_edge)
{
	attack(region_numbers);
}
END_TEST

Suite *numbers_suite(void)
{
	Suite *s = suite_create("numbers");
	TCase *tc = case_shared(s, "numbers");

	tcase_add_test(tc, batches_that_do_not_add_up);
	tcase_add_test(tc, operations_may_be_longer_by_zeros_only);
	tcase_add_test(tc, map_at_every_edge);
	tcase_add_test(tc, map_with_every_flag);
	tcase_add_test(tc, unmap_at_every_edge);
	tcase_add_test(tc, lists_from_every_edge);
	tcase_add_test(tc, windows_at_every_edge);
	tcase_add_test(tc, regions_at_every_edge);
	case_shared_end(tc);
	return s;
}

/* SPDX-License-Identifier: MIT */
/*
 * mapping.c - MAP, UNMAP and what is mapped.
 *
 * The path that drivers run millions of times: the caller's array of operations goes out as it
 * is, the results come back into the caller's array, nothing is allocated or copied.
 */
#include <string.h>

#include "internal.h"

struct batch {
	uint16_t op;
	const void *ops;
	uint32_t count;
	uint32_t stride;
	struct iob_result *results;
};

/* The message failed as a whole: say so for each operation. */
static int batch_failed(const struct batch *b, int code)
{
	const struct iob_error *error = iob_error();

	for (uint32_t i = 0; i < b->count; i++)
		b->results[i] = (struct iob_result){
			.code = (uint32_t)code,
			.step = (uint16_t)error->step,
			.sys_errno = (uint16_t)error->sys_errno,
		};
	return code;
}

static int batch_check(struct handle *h, const struct batch *b, const struct iob_batch_rep *rep,
		       size_t rep_bytes)
{
	size_t fixed = sizeof(*rep) + (size_t)b->count * sizeof(b->results[0]);

	if (rep->count != b->count || rep_bytes < fixed)
		return client_break(h, "the broker sent a wrong number of results");
	if (rep->text_bytes > IOB_MAX_TEXT || rep->text_bytes > rep_bytes - fixed)
		return client_break(h, "the broker sent results with a text of the wrong length");
	if (rep->first_failed == UINT32_MAX ? rep->done != b->count : rep->done >= b->count)
		return client_break(h, "the broker sent results that contradict each other");
	if (rep->first_failed == UINT32_MAX)
		return IOB_OK;
	if (rep->first_failed >= b->count || b->results[rep->first_failed].code == IOB_OK ||
	    b->results[rep->first_failed].code >= IOB_E_CONNECT)
		return client_break(h, "the broker sent results that contradict each other");
	return IOB_OK;
}

static int batch_run(struct handle *h, const struct batch *b, uint32_t *done)
{
	struct iob_batch_req req = { .count = b->count, .stride = b->stride };
	struct iob_batch_rep rep;
	char text[IOB_MAX_TEXT];
	struct call c = {
		.op = b->op,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) },
			 { .iov_base = (void *)(uintptr_t)b->ops,
			   .iov_len = (size_t)b->count * b->stride } },
		.rep = { { .iov_base = &rep, .iov_len = sizeof(rep) },
			 { .iov_base = b->results, .iov_len = b->count * sizeof(b->results[0]) },
			 { .iov_base = text, .iov_len = sizeof(text) } },
		.rep_min = sizeof(rep),
	};
	const struct iob_result *failed;
	int code;

	if (done)
		*done = 0;
	code = client_call(h, &c);
	if (code == IOB_OK)
		code = batch_check(h, b, &rep, c.rep_bytes);
	if (code != IOB_OK)
		return batch_failed(b, code);
	if (done)
		*done = rep.done;
	if (rep.first_failed == UINT32_MAX)
		return IOB_OK;
	failed = &b->results[rep.first_failed];
	return client_error_from_broker(failed->code, failed->step, failed->sys_errno, text,
					rep.text_bytes);
}

static int batch_argument(const iob_domain *domain, const void *ops, uint32_t count,
			  const struct iob_result *results)
{
	if (!domain || !ops || !results)
		return client_error_argument(
			"no domain, no operations, or no place for the results");
	if (count == 0 || count > IOB_MAX_BATCH)
		return client_error_argument("a batch has 1 to 1024 operations");
	return IOB_OK;
}

int iob_map_batch(iob_domain *domain, const struct iob_map_op *ops, uint32_t count,
		  struct iob_result *results, uint32_t *done)
{
	struct batch b = {
		.op = IOB_OP_MAP,
		.ops = ops,
		.count = count,
		.stride = sizeof(*ops),
		.results = results,
	};
	int code = batch_argument(domain, ops, count, results);

	if (code != IOB_OK)
		return code;
	return batch_run(&domain->handle, &b, done);
}

int iob_unmap_batch(iob_domain *domain, const struct iob_unmap_op *ops, uint32_t count,
		    struct iob_result *results, uint32_t *done)
{
	struct batch b = {
		.op = IOB_OP_UNMAP,
		.ops = ops,
		.count = count,
		.stride = sizeof(*ops),
		.results = results,
	};
	int code = batch_argument(domain, ops, count, results);

	if (code != IOB_OK)
		return code;
	return batch_run(&domain->handle, &b, done);
}

int iob_map(iob_domain *domain, const struct iob_map_op *op, uint64_t *iova)
{
	struct iob_result result;
	int code = iob_map_batch(domain, op, 1, &result, NULL);

	if (code == IOB_OK && iova)
		*iova = result.iova;
	return code;
}

int iob_unmap(iob_domain *domain, uint64_t iova, uint64_t length)
{
	struct iob_unmap_op op = { .iova = iova, .length = length };
	struct iob_result result;

	return iob_unmap_batch(domain, &op, 1, &result, NULL);
}

int iob_unmap_all(iob_domain *domain, struct iob_unmap_all_rep *out)
{
	struct iob_unmap_all_rep rep;
	int code;

	if (!domain)
		return client_error_argument("no domain");
	code = client_call_fixed(&domain->handle, IOB_OP_UNMAP_ALL, NULL, 0, &rep, sizeof(rep));
	if (code == IOB_OK && out)
		*out = rep;
	return code;
}

int iob_map_list(iob_domain *domain, uint64_t start, struct iob_map_rec *list, uint32_t capacity,
		 uint32_t *count, int *more)
{
	struct iob_map_list_req req = { .start = start };
	struct list_page page;
	int code;

	if (!domain || !list || capacity == 0 || !count || !more)
		return client_error_argument("no domain, or no place for the list");
	req.max = capacity < IOB_MAX_LIST ? capacity : IOB_MAX_LIST;
	code = client_list_page(&domain->handle, IOB_OP_MAP_LIST, &req, sizeof(req), list,
				sizeof(*list), req.max, &page);
	if (code != IOB_OK)
		return code;
	/* Callers continue behind the last one: a list that turns back would never end. */
	for (uint32_t i = 0; i < page.count; i++) {
		if (i == 0 ? list[i].iova < start : list[i].iova <= list[i - 1].iova)
			return client_break(&domain->handle,
					    "the broker sent mappings out of order");
	}
	*count = page.count;
	*more = page.next != 0;
	return IOB_OK;
}

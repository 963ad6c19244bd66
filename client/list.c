/* SPDX-License-Identifier: MIT */
/*
 * list.c - replies that are a count of records.
 *
 * Records may grow in later versions: the stride says how far apart they are. So they are received
 * into a buffer of a whole message and copied, as far as they are known.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define LIST_MAX_RECORDS 65536u /* a broker whose list does not end is broken */

_Static_assert(sizeof(struct iob_list_rep) == sizeof(struct iob_map_list_rep), "one parser");

static int page_take(struct handle *h, const char *body, size_t body_bytes, char *out,
		     size_t record_bytes, uint32_t capacity, struct list_page *page)
{
	struct iob_list_rep rep;

	memcpy(&rep, body, sizeof(rep));
	if (rep.count > capacity)
		return client_break(h, "the broker sent more records than it may");
	if (rep.count > 0 && rep.stride < record_bytes)
		return client_break(h, "the broker sent records that are too short");
	if (rep.count > 0 && rep.stride > (body_bytes - sizeof(rep)) / rep.count)
		return client_break(h, "the broker announced more records than it sent");
	if (rep.count == 0 && rep.next != 0)
		return client_break(h, "the broker sent an empty page that is not the last");
	for (uint32_t i = 0; i < rep.count; i++)
		memcpy(out + i * record_bytes, body + sizeof(rep) + (size_t)i * rep.stride,
		       record_bytes);
	page->count = rep.count;
	page->next = rep.next;
	return IOB_OK;
}

int client_list_page(struct handle *h, uint16_t op, const void *req, size_t req_bytes, void *out,
		     size_t record_bytes, uint32_t capacity, struct list_page *page)
{
	size_t room = IOB_MAX_MSG_BYTES - sizeof(struct iob_hdr);
	cleanup_free char *body = client_alloc(room);
	struct call c = {
		.op = op,
		.req = { { .iov_base = (void *)(uintptr_t)req, .iov_len = req_bytes } },
		.rep = { { .iov_base = body, .iov_len = room } },
		.rep_min = sizeof(struct iob_list_rep),
	};
	int code;

	if (!body)
		return IOB_E_SYSTEM;
	code = client_call(h, &c);
	if (code != IOB_OK)
		return code;
	return page_take(h, body, c.rep_bytes, out, record_bytes, capacity, page);
}

/* Read on at the end of *all, which grows by a page; the caller frees it, whatever happens. */
static int list_more(struct handle *h, uint16_t op, size_t record_bytes, char **all, size_t total,
		     struct list_page *page)
{
	const struct iob_list_req req = { .cursor = page->next };
	char *larger = realloc(*all, (total + IOB_MAX_DEVICE_LIST) * record_bytes);

	if (!larger)
		return client_error_system(IOB_STEP_NONE, "out of memory");
	*all = larger;
	if (total >= LIST_MAX_RECORDS)
		return client_break(h, "the broker's list does not end");
	return client_list_page(h, op, &req, sizeof(req), larger + total * record_bytes,
				record_bytes, IOB_MAX_DEVICE_LIST, page);
}

int client_list_all(struct handle *h, uint16_t op, size_t record_bytes, void **list, size_t *count)
{
	struct list_page page = { 0 };
	char *all = NULL;
	size_t total = 0;
	int code;

	do {
		code = list_more(h, op, record_bytes, &all, total, &page);
		total += code == IOB_OK ? page.count : 0;
	} while (code == IOB_OK && page.next != 0);
	if (code != IOB_OK || total == 0) {
		free(all);
		all = NULL;
	}
	if (code == IOB_OK) {
		*count = total;
		*list = all;
	}
	return code;
}

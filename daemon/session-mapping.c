/* SPDX-License-Identifier: MIT */
/*
 * session-mapping.c - MAP, UNMAP, UNMAP_ALL, MAP_LIST.
 *
 * The interval map decides; the kernel is asked for exact ranges only. An operation takes effect
 * in both or in neither.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/session.h"
#include "proto/names.h"

#define UNMAP_TRIES 100

/* Holes looked at for one that is congruent: who fragments his space pays with small pages, not
 * with the time of others. */
#define CONGRUENT_HOLES 64

#define AUTO_IOVA_FIRST (UINT64_C(1) << 20) /* keep clear of IOVA 0 and what firmware likes */

/* ---- checks ---- */

static uint64_t page_bytes(const struct domain *d)
{
	return d->page_sizes & -d->page_sizes;
}

static int check_flags(const struct handle *h, const struct iob_map_op *op, struct memory *m,
		       struct fault *why)
{
	uint32_t access = op->flags & (IOB_READ | IOB_WRITE);
	char asked[NAMES_BYTES], registered[NAMES_BYTES];

	if ((op->flags & ~(IOB_READ | IOB_WRITE | IOB_FIXED)) != 0 || access == 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "MAP: flags must be READ, WRITE or both, and may be FIXED, not %s",
				 names_memory(op->flags, asked));
	if (!m)
		return fault_set(why, IOB_E_MEMORY_ID, IOB_STEP_MEMORY, 0,
				 "memory %u is not registered on this handle", op->memory);
	if ((access & ~m->access) != 0)
		return fault_set(why, IOB_E_MEMORY_ACCESS, IOB_STEP_MEMORY, EACCES,
				 "%s asked, memory %u is registered for %s",
				 names_memory(access, asked), op->memory,
				 names_memory(m->access, registered));
	if ((access & IOB_WRITE) && (h->flags & IOB_GRANT_READ_ONLY))
		return fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
				 "this grant lets devices only read");
	return memory_check_seals(m, h->session->batch, access, why);
}

static int check_extent(const struct domain *d, const struct iob_map_op *op, const struct memory *m,
			struct fault *why)
{
	if (op->length == 0 || op->offset > m->glue.bytes ||
	    op->length > m->glue.bytes - op->offset)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_RANGE, EINVAL,
				 "offset 0x%llx, length 0x%llx: memory %u has 0x%llx bytes",
				 (unsigned long long)op->offset, (unsigned long long)op->length,
				 op->memory, (unsigned long long)m->glue.bytes);
	if (((op->offset | op->length | op->iova) & (page_bytes(d) - 1)) != 0)
		return fault_set(why, IOB_E_ALIGNMENT, IOB_STEP_RANGE, EINVAL,
				 "iova 0x%llx, offset 0x%llx, length 0x%llx: pages have 0x%llx "
				 "bytes",
				 (unsigned long long)op->iova, (unsigned long long)op->offset,
				 (unsigned long long)op->length, (unsigned long long)page_bytes(d));
	return 0;
}

static int check_budget(const struct domain *d, uint64_t length, struct fault *why)
{
	char asked[NAMES_BYTES], left[NAMES_BYTES], all[NAMES_BYTES];

	if (d->map.count >= d->max_mappings)
		return fault_set(why, IOB_E_QUOTA, IOB_STEP_LIMIT, 0,
				 "max-mappings: the domain has all its %u", d->max_mappings);
	if (length > d->max_bytes - d->map.bytes)
		return fault_set(why, IOB_E_QUOTA, IOB_STEP_LIMIT, 0,
				 "max-bytes: %s asked, %s of %s left in the domain",
				 names_bytes(length, asked),
				 names_bytes(d->max_bytes - d->map.bytes, left),
				 names_bytes(d->max_bytes, all));
	return 0;
}

static bool in_ranges(const struct domain *d, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < d->range_count; i++)
		if (first >= d->ranges[i].first && last <= d->ranges[i].last)
			return true;
	return false;
}

static int check_fixed(const struct handle *h, uint64_t iova, uint64_t length, struct fault *why)
{
	struct domain *d = h->domain;
	uint64_t last = iova + length - 1;

	if (last < iova)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_RANGE, EOVERFLOW,
				 "iova 0x%llx, length 0x%llx wraps around",
				 (unsigned long long)iova, (unsigned long long)length);
	if (iova < h->window_first || last > h->window_last)
		return fault_set(why, IOB_E_IOVA_WINDOW, IOB_STEP_RANGE, EPERM,
				 "iova 0x%llx-0x%llx is not inside the window 0x%llx-0x%llx of "
				 "this handle",
				 (unsigned long long)iova, (unsigned long long)last,
				 (unsigned long long)h->window_first,
				 (unsigned long long)h->window_last);
	if (!in_ranges(d, iova, last))
		return fault_set(why, IOB_E_IOVA_RESERVED, IOB_STEP_RANGE, EINVAL,
				 "iova 0x%llx-0x%llx is reserved or cannot be addressed; "
				 "DOMAIN_INFO tells the ranges",
				 (unsigned long long)iova, (unsigned long long)last);
	return 0;
}

/* Congruent modulo huge pages, so that the IOMMU can use them where the memory has them. */
static uint64_t auto_modulus(const struct domain *d, uint64_t length)
{
	if (length >= (UINT64_C(1) << 30))
		return UINT64_C(1) << 30;
	if (length >= (UINT64_C(1) << 21))
		return UINT64_C(1) << 21;
	return page_bytes(d);
}

static int none_free(const struct handle *h, uint64_t length, uint64_t first, uint64_t last,
		     struct fault *why)
{
	const char *what = last == h->window_last ? "the window of this handle" : "iova_limit";

	if (last < AUTO_IOVA_FIRST)
		return fault_set(why, IOB_E_IOVA_EXHAUSTED, IOB_STEP_RANGE, ENOSPC,
				 "%s ends at 0x%llx: below 1 MiB only IOB_FIXED maps", what,
				 (unsigned long long)last);
	if (last < first)
		return fault_set(why, IOB_E_IOVA_EXHAUSTED, IOB_STEP_RANGE, ENOSPC,
				 "iova_limit 0x%llx is below the window of this handle, which "
				 "begins at 0x%llx",
				 (unsigned long long)last, (unsigned long long)first);
	return fault_set(why, IOB_E_IOVA_EXHAUSTED, IOB_STEP_RANGE, ENOSPC,
			 "no free 0x%llx bytes between iova 0x%llx and 0x%llx",
			 (unsigned long long)length, (unsigned long long)first,
			 (unsigned long long)last);
}

static int choose_iova(const struct handle *h, const struct iob_map_op *op, uint64_t *iova,
		       struct fault *why)
{
	struct domain *d = h->domain;
	uint64_t last = h->window_last;
	uint64_t modulus = auto_modulus(d, op->length);
	struct interval_gap want = {
		.allowed = d->ranges,
		.allowed_count = d->range_count,
		.first = h->window_first > AUTO_IOVA_FIRST ? h->window_first : AUTO_IOVA_FIRST,
		.length = op->length,
		.modulus = modulus,
		.phase = op->offset & (modulus - 1),
		.max_holes = CONGRUENT_HOLES,
	};

	if (op->iova_limit != 0 && op->iova_limit < last)
		last = op->iova_limit;
	want.last = last;
	if (interval_map_find_gap(&d->map, &want, iova) == 0)
		return 0;
	/* Rather a mapping in small pages than none. */
	want.modulus = page_bytes(d);
	want.phase = 0;
	want.max_holes = 0;
	if (interval_map_find_gap(&d->map, &want, iova) == 0)
		return 0;
	return none_free(h, op->length, want.first, last, why);
}

static int check_map(const struct handle *h, const struct iob_map_op *op, struct memory *m,
		     uint64_t *iova, struct fault *why)
{
	struct domain *d = h->domain;

	if (check_flags(h, op, m, why) < 0 || check_extent(d, op, m, why) < 0 ||
	    check_budget(d, op->length, why) < 0)
		return -1;
	if (op->flags & IOB_FIXED) {
		*iova = op->iova;
		return check_fixed(h, op->iova, op->length, why);
	}
	if (op->iova != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "MAP: an iova without IOB_FIXED must be 0");
	return choose_iova(h, op, iova, why);
}

/* ---- MAP ---- */

/*
 * Mappings come from blocks, because malloc() would take 8 bytes more for each, and time. What is let go
 * of is used again; blocks go back when the session has no mapping left. What a client can make us hold
 * is what its quota of mappings allows.
 */
static struct mapping *mapping_new(struct session *s)
{
	struct mapping_block *block = s->blocks;
	struct mapping *m = s->spare;

	if (m) {
		s->spare = RB_LEFT(m, link);
	} else {
		if (!block || block->used == SESSION_BLOCK_MAPPINGS) {
			block = malloc(sizeof(*block));
			if (!block)
				return NULL;
			block->used = 0;
			block->next = s->blocks;
			s->blocks = block;
		}
		m = &block->mappings[block->used++];
	}
	s->mapping_count++;
	return m;
}

/* One block stays: who maps and unmaps one page all the time has it at hand. */
static void mapping_free(struct session *s, struct mapping *m)
{
	struct mapping_block *block;

	RB_LEFT(m, link) = s->spare;
	s->spare = m;
	if (--s->mapping_count > 0)
		return;
	while ((block = s->blocks->next)) {
		s->blocks->next = block->next;
		free(block);
	}
	s->blocks->used = 0;
	s->spare = NULL;
}

static int kernel_map(struct domain *d, const struct mapping *m, struct fault *why)
{
	const struct glue_mapper *glue = d->session->glue;
	int r = glue->map(d->context_fd, d->token, &m->memory->glue, m->offset, m->length, m->iova,
			  m->access);

	if (r < 0)
		glue_map_fault((enum iob_backend)glue->backend, IOB_STEP_MAP, -r, m->iova,
			       m->length, why);
	return r;
}

static int mapping_insert(struct domain *d, struct mapping *m, struct fault *why)
{
	if (interval_map_insert(&d->map, m) == 0)
		return 0;
	return fault_set(why, IOB_E_IOVA_OVERLAP, IOB_STEP_RANGE, EEXIST,
			 "iova 0x%llx-0x%llx overlaps a mapping", (unsigned long long)m->iova,
			 (unsigned long long)(m->iova + m->length - 1));
}

/* In the map first: one search there finds both the place and what overlaps. */
static int map_one(struct handle *h, const struct iob_map_op *op, uint64_t *iova, struct fault *why)
{
	struct domain *d = h->domain;
	struct memory *memory = memory_by_id(h, op->memory);
	struct mapping *m;

	if (check_map(h, op, memory, iova, why) < 0)
		return -1;
	m = mapping_new(d->session);
	if (!m)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_LIMIT, ENOMEM, "out of memory");
	m->iova = *iova;
	m->length = op->length;
	m->offset = op->offset;
	m->memory = memory;
	m->access = op->flags & (IOB_READ | IOB_WRITE);
	if (mapping_insert(d, m, why) < 0) {
		mapping_free(d->session, m);
		return -1;
	}
	int r = d->online ? kernel_map(d, m, why) : 0;

	/* Without a monitor the last device can leave unannounced: recorded, for the next one. */
	if (r == -ENXIO && d->session->glue->maps_need_device) {
		d->online = false;
		d->devices = 0;
		r = 0;
	}
	if (r < 0) {
		interval_map_remove(&d->map, m);
		mapping_free(d->session, m);
		return -1;
	}
	memory->mappings++;
	return 0;
}

/* ---- UNMAP ---- */

static void mapping_remove(struct domain *d, struct mapping *m)
{
	interval_map_remove(&d->map, m);
	m->memory->mappings--;
	mapping_free(d->session, m);
}

static int kernel_unmap(struct domain *d, const struct mapping *m, struct fault *why)
{
	const struct glue_mapper *glue = d->session->glue;
	int r, tries = UNMAP_TRIES;

	/* EBUSY: iommufd is just pinning for a device that joins. ENOENT: it is not there, because the
	 * last device left while no monitor could tell; that is what was asked for. */
	do {
		r = glue->unmap(d->context_fd, d->token, m->iova, m->length);
	} while (r == -EBUSY && --tries > 0);
	if (r == -ENOENT)
		r = 0;
	if (r < 0)
		glue_map_fault((enum iob_backend)glue->backend, IOB_STEP_UNMAP, -r, m->iova,
			       m->length, why);
	return r;
}

static int unmap_one(struct handle *h, const struct iob_unmap_op *op, struct fault *why)
{
	struct domain *d = h->domain;
	uint64_t last = op->iova + op->length - 1;
	bool in_window = op->length != 0 && last >= op->iova && op->iova >= h->window_first &&
			 last <= h->window_last;
	struct mapping *m = in_window ? interval_map_find(&d->map, op->iova, op->length) : NULL;

	if (!m)
		return fault_set(why, in_window ? IOB_E_NOT_MAPPED : IOB_E_IOVA_WINDOW,
				 IOB_STEP_RANGE, ENOENT,
				 in_window ?
					 "iova 0x%llx, length 0x%llx is not exactly one mapping" :
					 "iova 0x%llx, length 0x%llx is not inside the window "
					 "of this handle",
				 (unsigned long long)op->iova, (unsigned long long)op->length);
	if (d->online && kernel_unmap(d, m, why) < 0)
		return -1;
	mapping_remove(d, m);
	return 0;
}

/* ---- batches ---- */

struct batch {
	struct iob_batch_req req;
	struct iob_batch_rep rep;
	struct iob_result *results; /* in the reply under construction */
	char text[IOB_MAX_TEXT + 1];
};

static int batch_begin(struct handle *h, const struct request *q, size_t op_bytes, struct batch *b,
		       struct fault *why)
{
	memcpy(&b->req, q->body, sizeof(b->req));
	if (b->req.count == 0 || b->req.count > IOB_MAX_BATCH)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_PARSE, 0,
				 "%s: a batch has 1 to %u operations, not %u", q->operation->name,
				 IOB_MAX_BATCH, b->req.count);
	if (b->req.stride < op_bytes || b->req.stride % 8 != 0 ||
	    b->req.stride > IOB_MAX_MSG_BYTES ||
	    q->bytes != sizeof(b->req) + (size_t)b->req.count * b->req.stride)
		return fault_set(why, IOB_E_PROTOCOL, IOB_STEP_PARSE, 0,
				 "%s: %u operations of %u bytes do not make a body of %zu",
				 q->operation->name, b->req.count, b->req.stride, q->bytes);
	rate_spend(h, b->req.count - 1); /* the request itself was counted */
	b->rep = (struct iob_batch_rep){ .count = b->req.count, .first_failed = UINT32_MAX };
	b->results = (struct iob_result *)(void *)(h->session->out + sizeof(b->rep));
	return 0;
}

static void batch_result(struct batch *b, uint32_t i, uint64_t iova, const struct fault *f)
{
	b->results[i] = (struct iob_result){
		.iova = iova,
		.code = f ? f->code : IOB_OK,
		.step = f ? (uint16_t)f->step : 0,
		.sys_errno = f ? (uint16_t)f->sys_errno : 0,
	};
	if (!f) {
		b->rep.done++;
	} else if (b->rep.first_failed == UINT32_MAX) {
		b->rep.first_failed = i;
		b->rep.text_bytes = (uint32_t)strlen(f->text);
		memcpy(b->text, f->text, sizeof(b->text));
	}
}

static void batch_end(struct handle *h, const struct request *q, struct batch *b)
{
	uint8_t *out = h->session->out;
	size_t bytes = sizeof(b->rep) + b->rep.count * sizeof(*b->results);

	memcpy(out, &b->rep, sizeof(b->rep));
	memcpy(out + bytes, b->text, b->rep.text_bytes);
	reply(h, q->op, q->tag, out, bytes + b->rep.text_bytes, -1);
}

/* Operation i, as it lies in the request; or NULL. One from a newer client may be longer; what we do
 * not know of it must be 0. */
static const void *batch_operation(const struct request *q, const struct batch *b, uint32_t i,
				   size_t op_bytes, struct fault *why)
{
	const uint8_t *op = q->body + sizeof(b->req) + (size_t)i * b->req.stride;

	for (size_t at = op_bytes; at < b->req.stride; at++)
		if (op[at] != 0) {
			fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				  "%s: bytes of the operation beyond %zu are not known here and "
				  "not 0",
				  q->operation->name, op_bytes);
			return NULL;
		}
	return op;
}

void mapping_map(struct handle *h, const struct request *q)
{
	struct batch b;
	struct fault why;

	if (batch_begin(h, q, sizeof(struct iob_map_op), &b, &why) < 0) {
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	h->session->batch++;
	for (uint32_t i = 0; i < b.req.count; i++) {
		const struct iob_map_op *op = batch_operation(q, &b, i, sizeof(*op), &why);
		uint64_t iova = 0;
		bool ok = op && map_one(h, op, &iova, &why) == 0;

		batch_result(&b, i, iova, ok ? NULL : &why);
	}
	batch_end(h, q, &b);
}

void mapping_unmap(struct handle *h, const struct request *q)
{
	struct batch b;
	struct fault why;

	if (batch_begin(h, q, sizeof(struct iob_unmap_op), &b, &why) < 0) {
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	for (uint32_t i = 0; i < b.req.count; i++) {
		const struct iob_unmap_op *op = batch_operation(q, &b, i, sizeof(*op), &why);
		bool ok = op && unmap_one(h, op, &why) == 0;

		batch_result(&b, i, op ? op->iova : 0, ok ? NULL : &why);
	}
	batch_end(h, q, &b);
}

/* ---- all of them ---- */

void mapping_unmap_all(struct handle *h, const struct request *q)
{
	struct domain *d = h->domain;
	struct iob_unmap_all_rep rep = { 0 };
	struct mapping *m, *next;
	struct fault why;

	for (m = interval_map_from(&d->map, h->window_first); m; m = next) {
		next = interval_map_next(m);
		if (m->iova + m->length - 1 > h->window_last)
			break;
		if (d->online && kernel_unmap(d, m, &why) < 0) {
			reply_fault(h, q->op, q->tag, &why);
			return;
		}
		rep.count++;
		rep.bytes += m->length;
		mapping_remove(d, m);
	}
	reply(h, q->op, q->tag, &rep, sizeof(rep), -1);
}

void mapping_list(struct handle *h, const struct request *q)
{
	struct iob_map_list_req req;
	struct iob_map_list_rep rep = { .stride = sizeof(struct iob_map_rec) };
	struct iob_map_rec *rec = (void *)(h->session->out + sizeof(rep));
	struct mapping *m;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (req.start < h->window_first)
		req.start = h->window_first;
	for (m = interval_map_from(&h->domain->map, req.start); m; m = interval_map_next(m)) {
		if (m->iova + m->length - 1 > h->window_last)
			break;
		if (rep.count == req.max || rep.count == IOB_MAX_LIST) {
			rep.more = 1;
			break;
		}
		rec[rep.count++] = (struct iob_map_rec){
			.iova = m->iova,
			.length = m->length,
			.offset = m->offset,
			.memory = m->memory->id,
			.flags = m->access,
		};
	}
	memcpy(h->session->out, &rep, sizeof(rep));
	reply(h, q->op, q->tag, h->session->out, sizeof(rep) + rep.count * sizeof(*rec), -1);
}

/* A mapping that must go and does not: only the end of this process makes the monitor take the
 * domain apart, and nobody may be told that it is gone. */
static void kernel_unmap_or_die(struct domain *d, const struct mapping *m)
{
	struct fault why;

	if (kernel_unmap(d, m, &why) == 0)
		return;
	log_error("session %u: ends, a mapping cannot be removed: %s", d->session->id, why.text);
	_exit(1);
}

static void drop_where(struct domain *d, const struct handle *only)
{
	struct mapping *m, *next;

	for (m = interval_map_from(&d->map, 0); m; m = next) {
		next = interval_map_next(m);
		if (only && m->memory->handle != only)
			continue;
		if (d->online)
			kernel_unmap_or_die(d, m);
		mapping_remove(d, m);
	}
}

void mapping_withdraw(struct domain *d)
{
	struct mapping *m;

	for (m = interval_map_from(&d->map, 0); m; m = interval_map_next(m))
		kernel_unmap_or_die(d, m);
}

void mapping_drop_handle(struct handle *h)
{
	if (!LIST_EMPTY(&h->memories))
		drop_where(h->domain, h);
}

void mapping_drop_domain(struct domain *d)
{
	drop_where(d, NULL);
}

/* ---- replay ---- */

static int replay_one(struct domain *d, const struct mapping *m, struct fault *why)
{
	struct fault cause;

	if (!in_ranges(d, m->iova, m->iova + m->length - 1))
		return fault_set(why, IOB_E_IOVA_RESERVED, IOB_STEP_REPLAY, EINVAL,
				 "the mapping at iova 0x%llx, length 0x%llx, made before, is "
				 "outside what the device can address",
				 (unsigned long long)m->iova, (unsigned long long)m->length);
	int r = kernel_map(d, m, &cause);

	if (r < 0)
		return fault_set(why, (enum iob_code)cause.code, IOB_STEP_REPLAY, -r,
				 "the mapping at iova 0x%llx, length 0x%llx, made before: %.100s",
				 (unsigned long long)m->iova, (unsigned long long)m->length,
				 cause.text);
	return 0;
}

int mapping_replay(struct domain *d, struct fault *why)
{
	struct mapping *m, *undo;

	for (m = interval_map_from(&d->map, 0); m; m = interval_map_next(m)) {
		if (replay_one(d, m, why) == 0)
			continue;
		for (undo = interval_map_from(&d->map, 0); undo != m;
		     undo = interval_map_next(undo))
			kernel_unmap_or_die(d, undo);
		return -1;
	}
	return 0;
}

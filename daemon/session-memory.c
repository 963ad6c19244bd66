/* SPDX-License-Identifier: MIT */
/*
 * session-memory.c - which memory a client may let a device touch.
 *
 * The kernel's MAP_FILE looks neither at the access mode of the descriptor nor at write seals: a
 * device would write where the client may not. So everything is checked here, before the kernel
 * sees it, on every backend:
 *
 * - a memfd (only those have seals), sealed against shrinking, so that nobody can pull pages away;
 * - open for what the device may do;
 * - for a device that writes: no write seal now, and none later. While memory is registered as
 *   writeable the backend keeps a shared writeable page of it mapped, and the kernel then refuses
 *   F_SEAL_WRITE with EBUSY. F_SEAL_FUTURE_WRITE is not refused by that, so seals are looked at
 *   again in each batch that maps it for writing;
 * - populated: a page allocated by pinning would be charged to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/session-closer.h"
#include "daemon/session.h"
#include "proto/names.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define TMPFS_MAGIC_	 0x01021994 /* linux/magic.h */
#define HUGETLBFS_MAGIC_ 0x958458f6

static int check_access(int fd, uint32_t access, struct fault *why)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH))
		return fault_set(why, IOB_E_MEMORY_KIND, IOB_STEP_MEMORY, EBADF,
				 "the descriptor is not open for anything");
	if ((access & IOB_WRITE) && (flags & O_ACCMODE) != O_RDWR)
		return fault_set(why, IOB_E_MEMORY_ACCESS, IOB_STEP_MEMORY, EACCES,
				 "the device is to write, but the descriptor is not open O_RDWR");
	if ((flags & O_ACCMODE) == O_WRONLY)
		return fault_set(why, IOB_E_MEMORY_ACCESS, IOB_STEP_MEMORY, EACCES,
				 "the descriptor is open write-only");
	return 0;
}

static int check_seals(int fd, uint32_t access, struct fault *why)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return fault_set(why, IOB_E_MEMORY_KIND, IOB_STEP_MEMORY, errno,
				 "not a memfd: it has no seals");
	if (!(seals & F_SEAL_SHRINK))
		return fault_set(why, IOB_E_MEMORY_SEALS, IOB_STEP_MEMORY, EPERM,
				 "not sealed against shrinking: fcntl(fd, F_ADD_SEALS, "
				 "F_SEAL_SHRINK) on a memfd made with MFD_ALLOW_SEALING");
	if ((access & IOB_WRITE) && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return fault_set(why, IOB_E_MEMORY_SEALS, IOB_STEP_MEMORY, EPERM,
				 "sealed against writing, but the device is to write");
	return 0;
}

static int check_file(int fd, struct glue_memory *g, struct fault *why)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    ((uint64_t)fs.f_type != TMPFS_MAGIC_ && (uint64_t)fs.f_type != HUGETLBFS_MAGIC_))
		return fault_set(why, IOB_E_MEMORY_KIND, IOB_STEP_MEMORY, EINVAL, "not a memfd");
	g->page_bytes = (uint64_t)fs.f_type == HUGETLBFS_MAGIC_ ? (uint64_t)fs.f_bsize : 4096;
	g->bytes = (uint64_t)st.st_size;
	if (g->bytes == 0)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_MEMORY, EINVAL,
				 "the memory has a size of 0");
	if ((uint64_t)st.st_blocks * 512 < g->bytes)
		return fault_set(why, IOB_E_MEMORY_SPARSE, IOB_STEP_MEMORY, EINVAL,
				 "%llu of %llu bytes are allocated: fallocate() it, or touch every "
				 "page",
				 (unsigned long long)st.st_blocks * 512,
				 (unsigned long long)g->bytes);
	return 0;
}

/* Order matters: the guard that memory_open() sets up comes first, then the seals are looked at,
 * so that none can slip in between. */
static int memory_prepare(struct memory *m, const struct glue_mapper *glue, struct fault *why)
{
	int r;

	m->glue.writable = (m->access & IOB_WRITE) != 0;
	if (check_access(m->glue.fd, m->access, why) < 0 ||
	    check_seals(m->glue.fd, m->access, why) < 0 ||
	    check_file(m->glue.fd, &m->glue, why) < 0)
		return -1;
	r = glue->memory_open(&m->glue, why);
	if (r < 0)
		return r;
	r = check_seals(m->glue.fd, m->access, why);
	if (r < 0)
		glue->memory_close(&m->glue);
	return r;
}

/* Takes fd in every case. */
static struct memory *memory_new(struct handle *h, int fd, uint32_t access, struct fault *why)
{
	struct session *s = h->session;
	struct memory *m = calloc(1, sizeof(*m));

	if (!m) {
		closer_close(fd);
		fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_LIMIT, ENOMEM, "out of memory");
		return NULL;
	}
	m->glue.fd = fd;
	m->access = access;
	if (memory_prepare(m, s->glue, why) < 0) {
		closer_close(fd);
		free(m);
		return NULL;
	}
	do {
		m->id = ++h->last_memory;
	} while (m->id == 0 || memory_by_id(h, m->id));
	m->handle = h;
	LIST_INSERT_HEAD(&h->memories, m, link);
	LIST_INSERT_HEAD(&s->memories[m->id % SESSION_MEMORY_BUCKETS], m, in_bucket);
	s->memory_count++;
	return m;
}

void memory_free(struct memory *m)
{
	struct session *s = m->handle->session;

	s->glue->memory_close(&m->glue);
	closer_close(m->glue.fd);
	LIST_REMOVE(m, link);
	LIST_REMOVE(m, in_bucket);
	s->memory_count--;
	free(m);
}

struct memory *memory_by_id(struct handle *h, uint32_t id)
{
	struct memory *m;

	LIST_FOREACH(m, &h->session->memories[id % SESSION_MEMORY_BUCKETS], in_bucket)
		if (m->id == id && m->handle == h)
			return m;
	return NULL;
}

int memory_check_seals(struct memory *m, uint64_t batch, uint32_t access, struct fault *why)
{
	if (!(access & IOB_WRITE) || m->checked == batch)
		return 0;
	int r = check_seals(m->glue.fd, access, why);

	if (r == 0)
		m->checked = batch;
	return r;
}

static int memory_admit(const struct handle *h, const struct iob_memory_add_req *req,
			struct fault *why)
{
	char asked[NAMES_BYTES];

	if (req->flags != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "MEMORY_ADD: there are no flags, but 0x%x was given", req->flags);
	if (req->access == 0 || (req->access & ~(IOB_READ | IOB_WRITE)) != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "MEMORY_ADD: access must be READ, WRITE or both, not %s",
				 names_memory(req->access, asked));
	if ((req->access & IOB_WRITE) && (h->flags & IOB_GRANT_READ_ONLY))
		return fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
				 "this grant lets devices only read");
	if (h->session->memory_count >= SESSION_MAX_MEMORIES)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "memories: a connection registers at most %u",
				 SESSION_MAX_MEMORIES);
	return 0;
}

void memory_add(struct handle *h, const struct request *q)
{
	struct iob_memory_add_req req;
	struct memory *m = NULL;
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	if (memory_admit(h, &req, &why) == 0)
		m = memory_new(h, fd_list_steal(q->fds, 0), req.access, &why);
	if (!m) {
		reply_fault(h, q->op, q->tag, &why);
		return;
	}
	struct iob_memory_add_rep rep = {
		.memory = m->id,
		.page_shift = (uint32_t)__builtin_ctzll(m->glue.page_bytes),
		.bytes = m->glue.bytes,
	};

	reply(h, q->op, q->tag, &rep, sizeof(rep), -1);
}

void memory_drop(struct handle *h, const struct request *q)
{
	struct iob_memory_drop_req req;
	struct fault why;

	operation_take(q->body, q->bytes, &req, sizeof(req), 0);
	struct memory *m = memory_by_id(h, req.memory);

	if (m && m->mappings == 0) {
		memory_free(m);
		reply(h, q->op, q->tag, NULL, 0, -1);
		return;
	}
	if (!m)
		fault_set(&why, IOB_E_MEMORY_ID, IOB_STEP_MEMORY, 0,
			  "memory %u is not registered on this handle", req.memory);
	else
		fault_set(&why, IOB_E_BUSY, IOB_STEP_MEMORY, EBUSY,
			  "memory %u: %u mappings still refer to it", req.memory, m->mappings);
	reply_fault(h, q->op, q->tag, &why);
}

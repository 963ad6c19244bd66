/* SPDX-License-Identifier: MIT */
/*
 * sim-object.c - handles and contexts: who holds what, and what goes when nobody does.
 */
#include "kernel-glue/sim-object.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-glue/sim-serve.h"

/* ---- contexts ---- */

/* Sealed, so that the writer cannot cut it short. The size is an address space: pages come when they
 * are used. */
static int table_open(struct sim_context *c)
{
	void *base = MAP_FAILED;

	c->table_fd = memfd_create("iommu-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->table_fd >= 0 && ftruncate(c->table_fd, SIM_TABLE_BYTES) == 0 &&
	    fcntl(c->table_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		base = mmap(NULL, SIM_TABLE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, c->table_fd, 0);
	if (base == MAP_FAILED) {
		if (c->table_fd >= 0)
			close(c->table_fd);
		return -ENOMEM;
	}
	sim_table_init_reader(&c->table, base);
	c->table.head->max_bytes = c->world->max_bytes;
	return 0;
}

struct sim_context *sim_context_new(struct sim_world *w)
{
	struct sim_context *c;

	if (w->context_count >= SIM_MAX_CONTEXTS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->world = w;
	if (table_open(c)) {
		free(c);
		return NULL;
	}
	if (++w->next_token == 0)
		w->next_token = 1;
	c->token = w->next_token;
	LIST_INSERT_HEAD(&w->contexts, c, link);
	w->context_count++;
	return c;
}

void sim_context_put(struct sim_context *c)
{
	if (c->handles || c->bound)
		return;
	for (uint32_t i = 0; i < c->file_count; i++)
		sim_file_unmap(&c->files[i]);
	free(c->files);
	munmap(c->table.head, SIM_TABLE_BYTES);
	close(c->table_fd);
	LIST_REMOVE(c, link);
	c->world->context_count--;
	free(c);
}

static bool is_attached_to(const struct sim_context *c)
{
	for (uint32_t i = 0; i < c->world->device_count; i++) {
		const struct sim_device *d = &c->world->devices[i];

		if (d->context == c && d->attached)
			return true;
	}
	return false;
}

/* All nodes become zeros again, whatever the writer thinks of them; the head stays. */
int sim_context_revoke(struct sim_context *c)
{
	if (fallocate(c->table_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)SIM_PAGE_BYTES, (off_t)(SIM_TABLE_BYTES - SIM_PAGE_BYTES)))
		return -errno;
	atomic_store(&c->table.head->mappings, 0);
	atomic_store(&c->table.head->bytes, 0);
	if (is_attached_to(c))
		return -EBUSY;
	c->revoked = true;
	atomic_store(&c->table.head->revoked, 1);
	return 0;
}

/* ---- what devices may reach ---- */

static uint32_t free_slot(struct sim_context *c)
{
	uint32_t slot = 1, room = c->file_count ? 2 * c->file_count : 8;
	struct sim_file *files;

	while (slot < c->file_count && c->files[slot].base)
		slot++;
	if (slot < c->file_count)
		return slot;
	if (room > SIM_MAX_SLOTS)
		return 0;
	files = realloc(c->files, room * sizeof(*files));
	if (!files)
		return 0;
	memset(&files[c->file_count], 0, (room - c->file_count) * sizeof(*files));
	c->files = files;
	c->file_count = room;
	return slot;
}

int sim_context_add_file(struct sim_context *c, int fd, uint32_t *slot)
{
	*slot = free_slot(c);
	return *slot ? sim_file_map(fd, &c->files[*slot]) : -ENFILE;
}

struct sim_file *sim_context_file(struct sim_context *c, uint32_t slot)
{
	return slot < c->file_count && c->files[slot].base ? &c->files[slot] : NULL;
}

/* The table is the writer's: nothing in it is believed. */
void *sim_context_translate(struct sim_context *c, uint64_t iova, uint32_t access)
{
	struct sim_target target;
	const struct sim_file *file;

	if (c->revoked || sim_table_find(&c->table, iova, &target) ||
	    (target.access & access) != access)
		return NULL;
	file = sim_context_file(c, target.slot);
	if (!file || target.offset >= file->bytes || ((access & IOB_WRITE) && file->write_error))
		return NULL;
	return (char *)file->base + target.offset;
}

/* ---- handles ---- */

static uint64_t get_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t bytes = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &bytes) ? 0 : cookie;
}

struct sim_context *sim_handle_find_context(struct sim_world *w, int fd)
{
	const uint64_t cookie = get_cookie(fd);
	struct sim_handle *h;

	LIST_FOREACH(h, &w->handles, link) {
		if (cookie && h->peer_cookie == cookie)
			return h->context;
	}
	return NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct sim_handle *h = arg;

	(void)fd;
	(void)what;
	if (sim_serve_one(h))
		sim_handle_free(h);
}

static struct sim_handle *add_handle(struct sim_world *w, enum sim_kind kind, int fd)
{
	struct sim_handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct sim_handle){ .world = w, .kind = kind, .fd = fd };
	h->event = event_new(w->base, fd, EV_READ | EV_PERSIST, on_readable, h);
	if (!h->event || event_add(h->event, NULL)) {
		if (h->event)
			event_free(h->event);
		free(h);
		return NULL;
	}
	LIST_INSERT_HEAD(&w->handles, h, link);
	w->handle_count++;
	return h;
}

int sim_handle_adopt(struct sim_world *w, enum sim_kind kind, int fd)
{
	return add_handle(w, kind, fd) ? 0 : -ENOMEM;
}

int sim_handle_new(struct sim_world *w, struct sim_context *c, struct sim_device *d, int *peer_fd)
{
	struct sim_handle *h;
	int ends[2];

	if ((c ? c->handles : d->handles) >= SIM_MAX_OBJECT_HANDLES)
		return -EMFILE;
	if (w->handle_count >= SIM_MAX_HANDLES)
		return -ENFILE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	h = add_handle(w, c ? SIM_KIND_CONTEXT : SIM_KIND_DEVICE, ends[0]);
	if (!h) {
		close(ends[0]);
		close(ends[1]);
		return -ENOMEM;
	}
	h->peer_cookie = get_cookie(ends[1]);
	h->context = c;
	h->device = d;
	if (c)
		c->handles++;
	else
		d->handles++;
	*peer_fd = ends[1];
	return 0;
}

/* What a handle held goes with it, when it was the last. */
static void put_object(struct sim_handle *h)
{
	if (h->context) {
		h->context->handles--;
		sim_context_put(h->context);
	}
	if (h->device && --h->device->handles == 0)
		sim_device_release(h->device);
}

void sim_handle_free(struct sim_handle *h)
{
	LIST_REMOVE(h, link);
	h->world->handle_count--;
	event_free(h->event);
	close(h->fd);
	put_object(h);
	free(h);
}

/* ---- the whole ---- */

int sim_world_init(struct sim_world *w, uint32_t devices, uint64_t max_bytes)
{
	*w = (struct sim_world){ .max_bytes = max_bytes };
	LIST_INIT(&w->handles);
	LIST_INIT(&w->contexts);
	w->base = event_base_new();
	w->devices = calloc(devices, sizeof(*w->devices));
	if (!w->base || !w->devices)
		return -ENOMEM;
	for (; w->device_count < devices; w->device_count++) {
		int error =
			sim_device_init(&w->devices[w->device_count], w, w->device_count, devices);

		if (error)
			return error;
	}
	return 0;
}

void sim_world_deinit(struct sim_world *w)
{
	while (!LIST_EMPTY(&w->handles))
		sim_handle_free(LIST_FIRST(&w->handles));
	for (uint32_t i = 0; i < w->device_count; i++)
		sim_device_deinit(&w->devices[i]);
	free(w->devices);
	if (w->base)
		event_base_free(w->base);
}

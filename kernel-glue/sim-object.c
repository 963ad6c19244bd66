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
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-glue/sim-memory.h"
#include "kernel-glue/sim-serve.h"

/* ---- contexts ---- */

struct sim_context *sim_context_new(struct sim_world *w)
{
	struct sim_context *c;

	if (w->context_count >= SIM_MAX_CONTEXTS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->world = w;
	if (++w->next_token == 0)
		w->next_token = 1;
	c->token = w->next_token;
	sim_iommu_init(&c->iommu, &w->pool);
	LIST_INSERT_HEAD(&w->contexts, c, link);
	w->context_count++;
	return c;
}

void sim_context_put(struct sim_context *c)
{
	if (c->handles || c->bound)
		return;
	sim_iommu_clear(&c->iommu);
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

int sim_context_revoke(struct sim_context *c)
{
	sim_iommu_clear(&c->iommu);
	if (is_attached_to(c))
		return -EBUSY;
	c->revoked = true;
	return 0;
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

int sim_world_init(struct sim_world *w, uint32_t devices, size_t max_mappings, uint64_t max_bytes)
{
	*w = (struct sim_world){ .pool = { .max_mappings = max_mappings,
					   .max_bytes = max_bytes,
					   .release = sim_memory_unmap } };
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

/* SPDX-License-Identifier: MIT */
/*
 * sim-object.h - what the simulator process consists of, and how long each thing lives.
 *
 *   handle   one socket; an object has any number of them, and lives while it has one
 *   context  an address space; lives while it has a handle or a bound device
 *   device   always there; bound to a context while it has a handle
 */
#ifndef KERNEL_GLUE_SIM_OBJECT_H
#define KERNEL_GLUE_SIM_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "kernel-glue/sim-edu.h"
#include "kernel-glue/sim-irq.h"
#include "kernel-glue/sim-memory.h"
#include "kernel-glue/sim-table.h"
#include "kernel-glue/sim-wire.h"

#define SIM_MAX_HANDLES	       4096u
#define SIM_MAX_OBJECT_HANDLES 64u /* of one context or device */
#define SIM_MAX_CONTEXTS       1200u

struct event;
struct event_base;
struct sim_world;

struct sim_context {
	LIST_ENTRY(sim_context) link;
	struct sim_world *world;
	struct sim_table table;
	int table_fd;
	bool table_given;	/* there is one writer */
	struct sim_file *files; /* by slot */
	uint32_t file_count;
	uint32_t token;
	uint32_t handles;
	uint32_t bound; /* devices */
	bool revoked;	/* the address space is destroyed for good */
};

struct sim_device {
	struct sim_world *world;
	char name[IOB_NAME_BYTES];
	uint32_t group;
	bool can_reset;
	bool on_host; /* taken from VFIO: cannot be bound to a context */
	struct sim_edu edu;
	struct sim_irq irq;
	struct event *dma_timer;
	struct sim_context *context; /* bound to, or NULL */
	bool attached;		     /* its DMA goes to the mappings of context */
	uint32_t handles;
};

enum sim_kind {
	SIM_KIND_CONTROL = 1 << 0,
	SIM_KIND_CONTEXT = 1 << 1,
	SIM_KIND_DEVICE = 1 << 2,
};

struct sim_handle {
	LIST_ENTRY(sim_handle) link;
	struct sim_world *world;
	enum sim_kind kind;
	int fd;		      /* owned: our end */
	uint64_t peer_cookie; /* SO_COOKIE of the other end: recognises it when it is passed in */
	struct event *event;
	struct sim_context *context; /* of a context handle */
	struct sim_device *device;   /* of a device handle */
};

LIST_HEAD(sim_handle_list, sim_handle);
LIST_HEAD(sim_context_list, sim_context);

struct sim_world {
	struct event_base *base;
	struct sim_handle_list handles;
	struct sim_context_list contexts;
	uint64_t max_bytes; /* of one address space: the memlock limit */
	struct sim_device *devices;
	uint32_t device_count;
	uint32_t handle_count;
	uint32_t context_count;
	uint32_t next_token;
	uint64_t dma_transfers;
	uint64_t dma_faults;
};

/* Makes the devices. 0 or -errno; max_bytes may be mapped in a context. */
int sim_world_init(struct sim_world *w, uint32_t devices, uint64_t max_bytes);
/* Closes every handle, and so releases everything. */
void sim_world_deinit(struct sim_world *w);

/* Takes over fd, a socket that is open already: the control socket. */
int sim_handle_adopt(struct sim_world *w, enum sim_kind kind, int fd);
/* A new handle of a context or a device (the other is NULL); *peer_fd is the caller's. */
int sim_handle_new(struct sim_world *w, struct sim_context *c, struct sim_device *d, int *peer_fd);
/* Closes our end; the object goes with its last handle. */
void sim_handle_free(struct sim_handle *h);
/* The context that the peer's end fd is a handle of, or NULL. */
struct sim_context *sim_handle_find_context(struct sim_world *w, int fd);

/* A context without handles: give it one, or sim_context_put() it. */
struct sim_context *sim_context_new(struct sim_world *w);
/* Releases it if nothing holds it any more. */
void sim_context_put(struct sim_context *c);
/* Remove every mapping; then, unless a device is attached (-EBUSY), no new ones ever. */
int sim_context_revoke(struct sim_context *c);

/* A file that the context's mappings may name by *slot. -ENFILE: there are SIM_MAX_SLOTS. */
int sim_context_add_file(struct sim_context *c, int fd, uint32_t *slot);
/* NULL: no such file. */
struct sim_file *sim_context_file(struct sim_context *c, uint32_t slot);
/* The host address that a device reaches at iova, for one of IOB_READ, IOB_WRITE; good for the rest
 * of the page. NULL: not mapped, or not for this. */
void *sim_context_translate(struct sim_context *c, uint64_t iova, uint32_t access);

struct sim_device *sim_device_find(struct sim_world *w, const char *name);
/* -EBUSY, and in *detail why: enum sim_detail. */
int sim_device_bind(struct sim_device *d, struct sim_context *c, uint32_t *detail);
/* Who has it: "vfio-pci", the host's driver, or "" for none. */
const char *sim_device_driver(const struct sim_device *d);
/* Hand it to the host, or back. -EBUSY while it is bound to a context. */
int sim_device_set_driver(struct sim_device *d, uint32_t driver);
/* The end of the last handle: off, reset, detached, unbound. */
void sim_device_release(struct sim_device *d);
/* Interrupts off, bus mastering and decoding off, reset if it can. */
void sim_device_quiesce(struct sim_device *d);
void sim_device_reset(struct sim_device *d);
int sim_device_init(struct sim_device *d, struct sim_world *w, uint32_t index, uint32_t count);
void sim_device_deinit(struct sim_device *d);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * glue.h - what the broker asks of a kernel: two tables for each backend.
 *
 * struct glue_opener is used by the monitor: it opens nodes, binds devices, and takes things apart
 * in a throwaway process. struct glue_mapper is used by the session: it has descriptors only, and
 * maps, unmaps and drives the device. They live in separate object files so that the session does
 * not even contain the code that opens a node.
 *
 * All functions return 0 or -errno. Where a struct fault is passed it is filled on failure with
 * code, step, errno and words. No function keeps a pointer it was given, none blocks on a client.
 */
#ifndef KERNEL_GLUE_GLUE_H
#define KERNEL_GLUE_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/fault.h"
#include "proto/wire.h"

/* One device of the inventory, as the monitor knows it. Plain data, copied freely. */
struct glue_device {
	char name[IOB_NAME_BYTES]; /* BDF */
	char driver[24];	   /* host driver, "" when none */
	char node[64];		   /* iommufd: "/dev/vfio/devices/vfio3"; otherwise "" */
	uint32_t class_code;
	uint32_t group;
	uint16_t vendor;
	uint16_t device;
	bool on_vfio;  /* its driver is vfio-pci, or a variant of it */
	bool usable;   /* on a VFIO driver and safe to give out */
	char why[128]; /* when not usable: the reason in words */
};

/*
 * A bridge to another bus, PCI or CardBus: its header is of another type than a device's, which
 * vfio-pci refuses (vfio_pci_core_register_device()). What else is of class 06, as a bridge to ISA or
 * an NVSwitch, has a device's header, and to VFIO is a device.
 */
static inline bool glue_is_bridge(const struct glue_device *d)
{
	return d->class_code >> 8 == 0x0604 || d->class_code >> 8 == 0x0607;
}

/* What the monitor holds for a device while it is bound. -1 where a backend has no such fd. */
struct glue_bound {
	int device_fd;
	int group_fd; /* type1: the group, one dup per bound device of it */
};

struct glue_options {
	bool allow_unsafe_interrupts; /* configuration overrides the check */
	bool allow_test_kernel;	      /* iommufd: accept a kernel with CONFIG_IOMMUFD_TEST */
	uint32_t sim_devices;	      /* sim: how many devices to make, 1 to 64 */
	const char *sim_path;	      /* sim: the executable to start */
};

/* How far a change of a driver has come: what it waits for while it waits. */
enum glue_driver_step {
	GLUE_DRIVER_WAITS = 0,	  /* for its turn */
	GLUE_DRIVER_OVERRIDE = 1, /* for the kernel's lock of the device */
	GLUE_DRIVER_UNBIND = 2,	  /* for the old driver to let go */
	GLUE_DRIVER_PROBE = 3,	  /* for the new driver to take it */
};

struct glue_driver_change {
	const char *name;   /* of the device */
	enum iob_driver to; /* IOB_DRIVER_VFIO or IOB_DRIVER_HOST */
	const char *former; /* HOST: the driver it had before VFIO, or "" */
	/* Called before each step. */
	void (*at)(void *context, enum glue_driver_step step);
	void *context;
};

struct glue_opener {
	enum iob_backend backend;
	const char *name; /* "sim", "type1", "iommufd" */

	/* Can this backend work on this machine? 0, or a fault that says why not. Opens and closes
	 * nodes, leaves nothing behind. */
	int (*probe)(const struct glue_options *o, struct fault *why);
	/* Once, before any other call. sim: starts its process. */
	int (*start)(const struct glue_options *o, struct fault *why);
	/* Once, at the end, for an orderly exit. */
	void (*stop)(void);

	/* A malloc'ed array of all PCI devices with an IOMMU group (sim: its devices), sorted by name;
	 * the caller frees. Checks that may change at run time (driver, viability) are made again by
	 * device_bind. */
	int (*inventory)(struct glue_device **list, size_t *count, struct fault *why);
	/* The same, but only what is in the IOMMU group of this device, which is in the list, too; count
	 * 0 when it is no longer there. Looks at nothing else: the bus may be long. */
	int (*group)(const char *name, struct glue_device **list, size_t *count, struct fault *why);
	/* A number that has changed whenever the inventory may have. 0 or -errno: it may have. Costs little. */
	int (*changes)(uint64_t *number);

	/* A new, empty IOMMU context: an iommufd with one IOAS, a container, a sim context.
	 * *token: id the backend's mapper needs (IOAS id), 0 otherwise. */
	int (*context_open)(int *context_fd, uint32_t *token, struct fault *why);

	/* Open the device and tie it to the context, not yet reaching any memory (iommufd, sim), or
	 * reaching what is mapped (type1). sibling_group_fd: the group fd of a device of the same
	 * group that is bound to the same context, or -1. On failure nothing stays open. */
	int (*device_bind)(int context_fd, const struct glue_device *d, int sibling_group_fd,
			   struct glue_bound *out, struct fault *why);

	/* A further descriptor of the same object, CLOEXEC, to be sent to a session: dup() where the
	 * kernel is real. Returns the fd or -errno. */
	int (*descriptor_dup)(int fd);

	/* ---- drivers ---- */
	/* Is there any hope of moving the device there? Never waits. */
	int (*driver_check)(const struct glue_device *d, enum iob_driver to, struct fault *why);
	/* Move it; called in a throwaway process, for it may wait for ever. On failure the words say
	 * which driver the device has now. */
	int (*driver_change)(const struct glue_driver_change *c, struct fault *why);
	/* The descriptor that driver_change needs, or -1. Borrowed. */
	int (*driver_fd)(void);

	/* ---- taking apart; called in a throwaway process, each goes on after an error and returns
	 * the first one ---- */
	/* Stop the device: interrupts off, bus mastering and memory decoding off, reset when it can. */
	int (*device_quiesce)(const struct glue_bound *b);
	/* Take it out of the context. last_of_group: no other device of the group is bound. Closes
	 * nothing. */
	int (*device_detach)(int context_fd, const struct glue_bound *b);
	/* Close the device's descriptors, then, if last_of_group, release the group. type1: -EBUSY
	 * after a second while another descriptor of the device lives anywhere, the calling
	 * process's parent included: it closes its own right after fork(). The group then follows
	 * with the last of them. */
	int (*device_close)(int context_fd, struct glue_bound *b, bool last_of_group);
	/* Remove every mapping and destroy the address space, retrying while the kernel says EBUSY,
	 * at most about a second. */
	int (*context_revoke)(int context_fd, uint32_t token);
};

/* Memory a client registered, as the backend wants it. */
struct glue_memory {
	int fd; /* borrowed from the caller, who keeps it open while registered */
	uint64_t bytes;
	uint64_t page_bytes; /* of the file: 4096, or the huge page size */
	bool writable;
	void *address; /* type1, iommufd: whole file, never touched; sim: one page. Held so that
			 * no write seal can be added while the memory is registered */
	size_t address_bytes;

	/* sim only: what its process calls it; known there from the first map() on */
	int sim_context; /* borrowed */
	uint32_t sim_token;
	uint32_t sim_slot; /* 0: not known there */
	int sim_write_error;
	uint64_t sim_bytes;
};

struct glue_mapper {
	enum iob_backend backend;
	/* Mappings exist in the kernel only while a device is attached (type1): the session replays
	 * them at the first attach and forgets them, in the kernel, at the last detach. */
	bool maps_need_device;
	/* The device fd must be handed to attach() (iommufd, sim), or the monitor did it (type1). */
	bool attach_needs_device;

	/* ---- context ---- */
	/* The context's descriptor is about to be closed, its memories are. NULL: nothing to do. */
	void (*context_close)(int context_fd);
	int (*attach)(int context_fd, uint32_t token, int device_fd, struct fault *why);
	/* Addressable IOVA ranges, ascending, at most *count; *count is set. *page_sizes: bit n for
	 * pages of 2^n. Before the first attach what is known so far. */
	int (*ranges)(int context_fd, uint32_t token, struct iob_range *ranges, uint32_t *count,
		      uint64_t *page_sizes);
	/* Fills address/address_bytes of *m from its other members. */
	int (*memory_open)(struct glue_memory *m, struct fault *why);
	void (*memory_close)(struct glue_memory *m);
	/* -ENXIO: the context has lost its last device and takes no mappings (type1). The caller has
	 * checked everything the kernel would not. access: IOB_READ | IOB_WRITE. No
	 * fault: the hot path; glue_map_fault() explains the errno afterwards. */
	int (*map)(int context_fd, uint32_t token, struct glue_memory *m, uint64_t offset,
		   uint64_t length, uint64_t iova, uint32_t access);
	/* Exactly one earlier mapping. -ENOENT: it was not there. */
	int (*unmap)(int context_fd, uint32_t token, uint64_t iova, uint64_t length);

	/* ---- device ---- */
	/* Fills flags, regions, irqs. */
	int (*device_info)(int device_fd, struct iob_device_info_rep *info);
	int (*region_info)(int device_fd, uint32_t index, struct iob_region_info_rep *info);
	int (*irq_info)(int device_fd, uint32_t index, struct iob_irq_info_rep *info);
	/* r comes from region_info. Exactly bytes, or an error: -EINVAL beyond the region. */
	int (*region_read)(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
			   void *data, uint32_t bytes);
	int (*region_write)(int device_fd, const struct iob_region_info_rep *r, uint64_t offset,
			    const void *data, uint32_t bytes);
	/* fds: count eventfds, borrowed, or NULL. */
	int (*set_irq)(int device_fd, const struct iob_set_irq_req *q, const int *fds);
	int (*device_reset)(int device_fd);
};

/* Explain an errno of map/unmap/attach: the same errno means different things at different steps. */
int glue_map_fault(enum iob_backend backend, enum iob_step step, int sys_errno, uint64_t iova,
		   uint64_t length, struct fault *why);

extern const struct glue_opener glue_opener_sim, glue_opener_type1, glue_opener_iommufd;
extern const struct glue_mapper glue_mapper_sim, glue_mapper_type1, glue_mapper_iommufd;

/* What mappers must know of the kernel and cannot ask from inside the sandbox. Once, before it. */
void glue_mapper_prepare(void);

/* The mapper for a backend number, or NULL. */
const struct glue_mapper *glue_mapper_for(uint32_t backend);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * sim-wire.h - what is said on the sockets of the simulator process.
 *
 * A "descriptor" of the sim backend is a SOCK_SEQPACKET socket to iommu-broker-sim: control (the
 * right to open things, held by the monitor), context (like an iommufd with one IOAS) or device
 * (like a bound VFIO cdev). A request is one record, struct sim_req_hdr and the fixed body of its
 * operation; the answer is one record, struct sim_rep_hdr and, when error is 0, the fixed body of
 * the answer. This is the stand-in of an ioctl, not an ABI: both ends are of one build.
 *
 * Two processes must not wait for answers on one socket. So a request may carry a reply socket of
 * its own (SIM_REQ_REPLY_FD), as everything the monitor asks does; a session has sockets of its
 * own, from SIM_OP_DUP, and saves that cost.
 */
#ifndef KERNEL_GLUE_SIM_WIRE_H
#define KERNEL_GLUE_SIM_WIRE_H

#include <stdint.h>

#include "proto/wire.h"

#define SIM_CONTROL_FD	3 /* in the simulator process, at its start */
#define SIM_MAX_DEVICES 64u
#define SIM_MAX_FDS	(IOB_MAX_IRQ_FDS + 1u) /* in one request, the reply socket included */
#define SIM_MAX_RANGES	4u

/* The last fd of the request is a SOCK_SEQPACKET socket that takes the answer. */
#define SIM_REQ_REPLY_FD (1u << 0)

enum sim_op {
	SIM_OP_STATS = 1,	 /* control; answer: struct sim_stats_rep */
	SIM_OP_INVENTORY = 2,	 /* control; struct sim_inventory_req, struct sim_inventory_rep */
	SIM_OP_CONTEXT_OPEN = 3, /* control; answer: struct sim_context_rep, 1 fd */
	SIM_OP_BIND = 4,	 /* control; struct sim_bind_req, 1 fd: the context; answer: 1 fd */
	SIM_OP_DUP = 5,		 /* context, device; answer: 1 fd, the same object */
	SIM_OP_DRIVER = 6,	 /* control; struct sim_driver_req */
	SIM_OP_TABLE = 16, /* context, once; struct sim_token_req; answer: 1 fd, see sim-table.h */
	SIM_OP_MEMORY_ADD = 17,	  /* context; struct sim_token_req, 1 fd; struct sim_memory_rep */
	SIM_OP_RANGES = 18,	  /* context; struct sim_token_req, struct sim_ranges_rep */
	SIM_OP_REVOKE = 19,	  /* context; struct sim_token_req */
	SIM_OP_MEMORY_DROP = 20,  /* context; struct sim_memory_req */
	SIM_OP_FENCE = 21,	  /* context; answered when no DMA is under way */
	SIM_OP_ATTACH = 32,	  /* device; struct sim_token_req */
	SIM_OP_DETACH = 33,	  /* device */
	SIM_OP_QUIESCE = 34,	  /* device */
	SIM_OP_DEVICE_INFO = 35,  /* device; answer: struct sim_device_info_rep */
	SIM_OP_REGION_INFO = 36,  /* device; struct iob_index_req, struct iob_region_info_rep */
	SIM_OP_IRQ_INFO = 37,	  /* device; struct iob_index_req, struct iob_irq_info_rep */
	SIM_OP_REGION_READ = 38,  /* device; struct iob_region_req; answer: the data */
	SIM_OP_REGION_WRITE = 39, /* device; struct iob_region_req, then the data */
	SIM_OP_SET_IRQ = 40,	  /* device; struct iob_set_irq_req, 0 or count fds */
	SIM_OP_RESET = 41,	  /* device */
};

struct sim_req_hdr {
	uint32_t op;	/* enum sim_op */
	uint32_t flags; /* SIM_REQ_* */
};
IOB_ASSERT_SIZE(struct sim_req_hdr, 8);

/* Which of the causes of one errno it was; the real kernels leave that to guessing. */
enum sim_detail {
	SIM_DETAIL_NONE = 0,
	SIM_DETAIL_BOUND = 1, /* BIND, EBUSY: the device itself is bound */
	SIM_DETAIL_GROUP = 2, /* BIND, EBUSY: a device of its group is bound to another context */
};

struct sim_rep_hdr {
	int32_t error;	 /* 0 or a positive errno; then no body follows */
	uint32_t detail; /* enum sim_detail */
};
IOB_ASSERT_SIZE(struct sim_rep_hdr, 8);

struct sim_inventory_req {
	uint32_t index;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct sim_inventory_req, 8);

struct sim_inventory_rep {
	char name[IOB_NAME_BYTES];
	uint32_t count; /* devices in all */
	uint32_t class_code;
	uint32_t group;
	uint16_t vendor;
	uint16_t device;
	char driver[24]; /* "vfio-pci", or the host's, or "" */
};
IOB_ASSERT_SIZE(struct sim_inventory_rep, 72);

struct sim_driver_req {
	char name[IOB_NAME_BYTES];
	uint32_t driver; /* enum iob_driver */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct sim_driver_req, 40);

struct sim_context_rep {
	uint32_t token; /* of the address space, never 0 */
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct sim_context_rep, 8);

struct sim_bind_req {
	char name[IOB_NAME_BYTES];
};
IOB_ASSERT_SIZE(struct sim_bind_req, 32);

struct sim_token_req {
	uint32_t token;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct sim_token_req, 8);

struct sim_memory_rep {
	uint32_t slot;	     /* never 0 */
	int32_t write_error; /* 0, or the errno why devices cannot write to it */
	uint64_t bytes;
};
IOB_ASSERT_SIZE(struct sim_memory_rep, 16);

struct sim_memory_req {
	uint32_t token;
	uint32_t slot;
};
IOB_ASSERT_SIZE(struct sim_memory_req, 8);

struct sim_ranges_rep {
	uint64_t page_sizes;
	uint32_t count;
	uint32_t reserved;
	struct iob_range ranges[SIM_MAX_RANGES];
};
IOB_ASSERT_SIZE(struct sim_ranges_rep, 80);

struct sim_device_info_rep {
	uint32_t flags; /* IOB_DEVICE_CAN_RESET */
	uint32_t regions;
	uint32_t irqs;
	uint32_t reserved;
};
IOB_ASSERT_SIZE(struct sim_device_info_rep, 16);

/* For tests: what the process holds. All back at the start values when everything is closed. */
struct sim_stats_rep {
	uint32_t pid;
	uint32_t fds;	  /* open in the process, the reply socket of this request included */
	uint32_t handles; /* sockets, control included */
	uint32_t contexts;
	uint32_t bound;	   /* devices */
	uint32_t attached; /* devices */
	uint64_t mappings;
	uint64_t mapped_bytes;
	uint64_t dma_transfers;
	uint64_t dma_faults;
};
IOB_ASSERT_SIZE(struct sim_stats_rep, 56);

#endif

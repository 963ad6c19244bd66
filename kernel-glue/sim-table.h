/* SPDX-License-Identifier: MIT */
/*
 * sim-table.h - the page table of one simulated address space, in memory that two processes share.
 *
 * As with a real IOMMU: whoever maps writes the table, the hardware only reads it. The writer is the
 * session, which has the place of a kernel here; the reader is the simulator, when a device does
 * DMA. So MAP and UNMAP need no message. The reader trusts nothing that it finds; the worst that a
 * writer can do is to let its own devices reach its own memory.
 *
 * Three levels of 512 entries for 39 bits, like VT-d. What an unmap removed, the reader may have
 * found just before: it says in the head while it moves data, and the writer who sees that asks the
 * simulator (SIM_OP_FENCE), which answers when it is done.
 */
#ifndef KERNEL_GLUE_SIM_TABLE_H
#define KERNEL_GLUE_SIM_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define SIM_PAGE_BYTES	 UINT64_C(4096)
#define SIM_APERTURE_END ((UINT64_C(1) << 39) - 1) /* VT-d with three levels of page table */
#define SIM_MSI_FIRST	 UINT64_C(0xfee00000)
#define SIM_MSI_LAST	 UINT64_C(0xfeefffff)
#define SIM_PAGE_SIZES	 ((UINT64_C(1) << 12) | (UINT64_C(1) << 21) | (UINT64_C(1) << 30))

#define SIM_TABLE_NODES	  65536u /* pages of the file: head, root, others; enough for 32M pages */
#define SIM_TABLE_BYTES	  (SIM_TABLE_NODES * SIM_PAGE_BYTES)
#define SIM_TABLE_ENTRIES 512u
#define SIM_MAX_SLOTS	  4096u /* memories of one context; slot 0 is none */

/* The first page. */
struct sim_table_head {
	_Atomic uint32_t busy;	   /* reader: data is being moved */
	_Atomic uint32_t revoked;  /* reader: the address space is destroyed */
	uint64_t max_bytes;	   /* reader, at the start: may be mapped */
	_Atomic uint64_t mappings; /* writer: for the statistics */
	_Atomic uint64_t bytes;
};

struct sim_table_node {
	_Atomic uint64_t entry[SIM_TABLE_ENTRIES];
};

/* The writer's own notes of a node. */
struct sim_table_note {
	uint32_t next_free;
	uint32_t used; /* entries */
};

struct sim_table {
	struct sim_table_head *head;
	struct sim_table_node *nodes; /* the whole file; 0 is the head, 1 the root */
	/* writer only */
	struct sim_table_note *notes;
	uint32_t first_free; /* of those given back, or 0 */
	uint32_t next_node;  /* never used yet */
	/* The hardware may still be moving data by an old entry: wait. */
	int (*fence)(void *context);
	void *fence_context;
};

/* What an IOVA means. */
struct sim_target {
	uint32_t slot;
	uint32_t access;
	uint64_t offset; /* into the memory of the slot */
};

/* The ranges a mapping may lie in, ascending. */
const struct iob_range *sim_table_ranges(uint32_t *count);

/* base: SIM_TABLE_BYTES of zeros, the caller's, outlives the table. As reader nothing can fail; as
 * writer -ENOMEM. */
void sim_table_init_reader(struct sim_table *t, void *base);
int sim_table_init_writer(struct sim_table *t, void *base, int (*fence)(void *), void *context);
void sim_table_deinit(struct sim_table *t);

/* EINVAL zero, misaligned, no access, reserved or outside the aperture; EOVERFLOW wraps; EEXIST
 * overlaps a mapping; ENOMEM a limit is reached; ENOENT revoked. The errors are those of iommufd. */
int sim_table_map(struct sim_table *t, uint64_t iova, uint64_t length,
		  const struct sim_target *target);
/* ENOENT unless it is exactly one mapping. What fence() says when it fails: then it is unmapped, but
 * data may still be on its way. */
int sim_table_unmap(struct sim_table *t, uint64_t iova, uint64_t length);

/* Reader: 0, or -EFAULT when nothing is mapped there. */
int sim_table_find(const struct sim_table *t, uint64_t iova, struct sim_target *target);

#endif

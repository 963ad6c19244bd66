/* SPDX-License-Identifier: MIT */
/*
 * abi-vfio.h - the part of the kernel's VFIO interface that the broker uses, in our own words.
 *
 * Why not <linux/vfio.h>: the headers of a build machine are often older than the kernel the
 * broker runs on (bookworm's know no cdev), and a declaration here is also the list of what the
 * broker asks for at all. tests/unit/test_abi.c compares every number with the system's header.
 *
 * Every request is _IO(';', n): no direction, no size. Structures carry their own size in argsz,
 * so ours end at the last field that we use and that every supported kernel (6.1 on) demands.
 */
#ifndef KERNEL_GLUE_ABI_VFIO_H
#define KERNEL_GLUE_ABI_VFIO_H

#include <assert.h>
#include <stdint.h>

/* ---- container: /dev/vfio/vfio ---- */
#define ABI_VFIO_GET_API_VERSION 0x3b64u /* returns ABI_VFIO_API_VERSION */
#define ABI_VFIO_CHECK_EXTENSION 0x3b65u /* argument: ABI_VFIO_EXT_*; returns > 0 when there */
#define ABI_VFIO_SET_IOMMU	 0x3b66u /* argument: ABI_VFIO_EXT_TYPE1V2 */

#define ABI_VFIO_API_VERSION   0
#define ABI_VFIO_EXT_TYPE1V2   3
#define ABI_VFIO_EXT_UNMAP_ALL 9

/* The next three only once an IOMMU is set. Two of the numbers mean a hot reset on a device fd. */
#define ABI_TYPE1_GET_INFO  0x3b70u
#define ABI_TYPE1_MAP_DMA   0x3b71u
#define ABI_TYPE1_UNMAP_DMA 0x3b72u

#define ABI_TYPE1_INFO_PGSIZES (1u << 0)
#define ABI_TYPE1_INFO_CAPS    (1u << 1)

struct abi_type1_info {
	uint32_t argsz; /* in: bytes of the buffer; out: bytes that all capabilities need */
	uint32_t flags;
	uint64_t iova_pgsizes;
	uint32_t cap_offset; /* from the start of this structure; 0: none, or the buffer is small */
	uint32_t pad;
};
static_assert(sizeof(struct abi_type1_info) == 24, "abi_type1_info");

struct abi_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* offset from the start of the information structure, 0 at the end */
};
static_assert(sizeof(struct abi_cap_header) == 8, "abi_cap_header");

#define ABI_TYPE1_CAP_IOVA_RANGE 1

struct abi_type1_cap_iova_range { /* followed by count struct abi_vfio_iova_range */
	struct abi_cap_header header;
	uint32_t count;
	uint32_t reserved;
};
static_assert(sizeof(struct abi_type1_cap_iova_range) == 16, "abi_type1_cap_iova_range");

struct abi_vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive */
};
static_assert(sizeof(struct abi_vfio_iova_range) == 16, "abi_vfio_iova_range");

#define ABI_TYPE1_MAP_READ  (1u << 0) /* the device may read */
#define ABI_TYPE1_MAP_WRITE (1u << 1)

struct abi_type1_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};
static_assert(sizeof(struct abi_type1_map) == 32, "abi_type1_map");

#define ABI_TYPE1_UNMAP_ALL (1u << 1) /* with iova and size 0 */

struct abi_type1_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size; /* out: bytes that were unmapped; 0 when nothing was there */
};
static_assert(sizeof(struct abi_type1_unmap) == 24, "abi_type1_unmap");

/* ---- group: /dev/vfio/N ---- */
#define ABI_VFIO_GROUP_GET_STATUS      0x3b67u
#define ABI_VFIO_GROUP_SET_CONTAINER   0x3b68u /* argument: pointer to the container's int fd */
#define ABI_VFIO_GROUP_UNSET_CONTAINER 0x3b69u
#define ABI_VFIO_GROUP_GET_DEVICE_FD   0x3b6au /* argument: device name; returns the fd */

#define ABI_VFIO_GROUP_VIABLE	     (1u << 0)
#define ABI_VFIO_GROUP_CONTAINER_SET (1u << 1)

struct abi_vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
};
static_assert(sizeof(struct abi_vfio_group_status) == 8, "abi_vfio_group_status");

/* ---- device ---- */
#define ABI_VFIO_DEVICE_GET_INFO	0x3b6bu
#define ABI_VFIO_DEVICE_GET_REGION_INFO 0x3b6cu
#define ABI_VFIO_DEVICE_GET_IRQ_INFO	0x3b6du
#define ABI_VFIO_DEVICE_SET_IRQS	0x3b6eu
#define ABI_VFIO_DEVICE_RESET		0x3b6fu
#define ABI_VFIO_DEVICE_BIND_IOMMUFD	0x3b76u
#define ABI_VFIO_DEVICE_ATTACH_PT	0x3b77u
#define ABI_VFIO_DEVICE_DETACH_PT	0x3b78u

#define ABI_VFIO_DEVICE_FLAG_RESET (1u << 0)
#define ABI_VFIO_DEVICE_FLAG_PCI   (1u << 1)

struct abi_vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(struct abi_vfio_device_info) == 16, "abi_vfio_device_info");

#define ABI_VFIO_REGION_READ  (1u << 0)
#define ABI_VFIO_REGION_WRITE (1u << 1)
#define ABI_VFIO_REGION_MMAP  (1u << 2)

struct abi_vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset; /* in the device fd */
};
static_assert(sizeof(struct abi_vfio_region_info) == 32, "abi_vfio_region_info");

#define ABI_VFIO_PCI_REGION_CONFIG 7
#define ABI_VFIO_PCI_IRQS	   5 /* INTX, MSI, MSIX, ERR, REQ */

#define ABI_VFIO_IRQ_EVENTFD	(1u << 0)
#define ABI_VFIO_IRQ_MASKABLE	(1u << 1)
#define ABI_VFIO_IRQ_AUTOMASKED (1u << 2)
#define ABI_VFIO_IRQ_NORESIZE	(1u << 3)

struct abi_vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(struct abi_vfio_irq_info) == 16, "abi_vfio_irq_info");

#define ABI_VFIO_IRQ_SET_DATA_NONE	(1u << 0)
#define ABI_VFIO_IRQ_SET_DATA_EVENTFD	(1u << 2)
#define ABI_VFIO_IRQ_SET_ACTION_MASK	(1u << 3)
#define ABI_VFIO_IRQ_SET_ACTION_UNMASK	(1u << 4)
#define ABI_VFIO_IRQ_SET_ACTION_TRIGGER (1u << 5)

struct abi_vfio_irq_set { /* with DATA_EVENTFD followed by count int32_t descriptors */
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(struct abi_vfio_irq_set) == 20, "abi_vfio_irq_set");

/* ---- character devices, kernel 6.6 and later ---- */
struct abi_vfio_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
};
static_assert(sizeof(struct abi_vfio_bind_iommufd) == 16, "abi_vfio_bind_iommufd");

struct abi_vfio_attach_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id; /* in: IOAS; out: the HWPT that the kernel chose */
};
static_assert(sizeof(struct abi_vfio_attach_pt) == 12, "abi_vfio_attach_pt");

struct abi_vfio_detach_pt {
	uint32_t argsz;
	uint32_t flags;
};
static_assert(sizeof(struct abi_vfio_detach_pt) == 8, "abi_vfio_detach_pt");

#endif

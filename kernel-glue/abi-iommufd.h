/* SPDX-License-Identifier: MIT */
/*
 * abi-iommufd.h - the part of the kernel's iommufd interface that the broker uses, in our own
 * words; see abi-vfio.h for why.
 *
 * Structures begin with their own size. A kernel accepts a longer one whose further bytes are
 * zero, and refuses one shorter than its first version with EINVAL before it does anything else:
 * a request with size 0 therefore asks, without any effect, whether the kernel knows the number
 * (EINVAL: yes, ENOTTY: no).
 */
#ifndef KERNEL_GLUE_ABI_IOMMUFD_H
#define KERNEL_GLUE_ABI_IOMMUFD_H

#include <assert.h>
#include <stdint.h>

#define ABI_IOMMU_DESTROY	   0x3b80u
#define ABI_IOMMU_IOAS_ALLOC	   0x3b81u
#define ABI_IOMMU_IOAS_IOVA_RANGES 0x3b84u
#define ABI_IOMMU_IOAS_MAP	   0x3b85u
#define ABI_IOMMU_IOAS_UNMAP	   0x3b86u
#define ABI_IOMMU_GET_HW_INFO	   0x3b8au
#define ABI_IOMMU_IOAS_MAP_FILE	   0x3b8fu /* kernel 6.14 and later */
/* CONFIG_IOMMUFD_TEST only, not in the uapi headers: drivers/iommu/iommufd/iommufd_test.h */
#define ABI_IOMMU_TEST 0x3ba0u

struct abi_iommu_destroy {
	uint32_t size;
	uint32_t id;
};
static_assert(sizeof(struct abi_iommu_destroy) == 8, "abi_iommu_destroy");

struct abi_iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};
static_assert(sizeof(struct abi_iommu_ioas_alloc) == 12, "abi_iommu_ioas_alloc");

struct abi_iommu_iova_range {
	uint64_t start;
	uint64_t last; /* inclusive */
};
static_assert(sizeof(struct abi_iommu_iova_range) == 16, "abi_iommu_iova_range");

struct abi_iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas; /* in: room; out: how many there are, also with EMSGSIZE */
	uint32_t reserved;
	uint64_t allowed_iovas;	     /* pointer to struct abi_iommu_iova_range */
	uint64_t out_iova_alignment; /* from 1 to the page size */
};
static_assert(sizeof(struct abi_iommu_ioas_iova_ranges) == 32, "abi_iommu_ioas_iova_ranges");

#define ABI_IOMMU_MAP_FIXED_IOVA (1u << 0)
#define ABI_IOMMU_MAP_WRITEABLE	 (1u << 1) /* the device may write */
#define ABI_IOMMU_MAP_READABLE	 (1u << 2)

struct abi_iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};
static_assert(sizeof(struct abi_iommu_ioas_map) == 40, "abi_iommu_ioas_map");

struct abi_iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start;
	uint64_t length;
	uint64_t iova;
};
static_assert(sizeof(struct abi_iommu_ioas_map_file) == 40, "abi_iommu_ioas_map_file");

struct abi_iommu_ioas_unmap { /* iova 0 and length UINT64_MAX: everything */
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length; /* out: bytes that were unmapped */
};
static_assert(sizeof(struct abi_iommu_ioas_unmap) == 24, "abi_iommu_ioas_unmap");

struct abi_iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t out_data_type;
	uint32_t reserved; /* later kernels: PASID width, then reserved bytes */
	uint64_t out_capabilities;
};
static_assert(sizeof(struct abi_iommu_hw_info) == 40, "abi_iommu_hw_info");

#endif

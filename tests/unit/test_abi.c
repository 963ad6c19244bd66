/* SPDX-License-Identifier: MIT */
/*
 * Our declarations of the kernel interface against the system's headers, at compile time; and
 * that the mapper's tables agree with them.
 *
 * System headers differ in age: what an old one does not know is not compared, and a structure
 * that has grown since is compared field by field. For newer ones than the system's:
 * make CPPFLAGS="-isystem $HOME/.cache/iommu-broker-vm/iommufd/uapi/include"
 */
#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "kernel-glue/glue.h"
#include "kernel-glue/mapper-ioctls.h"

#include <check.h>
#include <errno.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <string.h>
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#define HAVE_IOMMUFD 1
#endif

Suite *test_abi_suite(void);

#define SAME(ours, theirs) _Static_assert((ours) == (theirs), #ours " is " #theirs)
#define SIZE(ours, theirs) _Static_assert(sizeof(ours) == sizeof(theirs), #ours)
/* Ours ends earlier: the rest is optional, by argsz or size. */
#define PART(ours, theirs) _Static_assert(sizeof(ours) <= sizeof(theirs), #ours)
#define FIELD(ours, a, theirs, b)                                                  \
	_Static_assert(offsetof(ours, a) == offsetof(theirs, b) &&                 \
			       sizeof(((ours *)0)->a) == sizeof(((theirs *)0)->b), \
		       #ours "." #a)

/* ---- container ---- */
SAME(ABI_VFIO_GET_API_VERSION, VFIO_GET_API_VERSION);
SAME(ABI_VFIO_CHECK_EXTENSION, VFIO_CHECK_EXTENSION);
SAME(ABI_VFIO_SET_IOMMU, VFIO_SET_IOMMU);
SAME(ABI_VFIO_API_VERSION, VFIO_API_VERSION);
SAME(ABI_VFIO_EXT_TYPE1V2, VFIO_TYPE1v2_IOMMU);
SAME(ABI_VFIO_EXT_UNMAP_ALL, VFIO_UNMAP_ALL);
SAME(ABI_TYPE1_GET_INFO, VFIO_IOMMU_GET_INFO);
SAME(ABI_TYPE1_MAP_DMA, VFIO_IOMMU_MAP_DMA);
SAME(ABI_TYPE1_UNMAP_DMA, VFIO_IOMMU_UNMAP_DMA);
SAME(ABI_TYPE1_INFO_PGSIZES, VFIO_IOMMU_INFO_PGSIZES);
SAME(ABI_TYPE1_INFO_CAPS, VFIO_IOMMU_INFO_CAPS);
SAME(ABI_TYPE1_CAP_IOVA_RANGE, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
SAME(ABI_TYPE1_MAP_READ, VFIO_DMA_MAP_FLAG_READ);
SAME(ABI_TYPE1_MAP_WRITE, VFIO_DMA_MAP_FLAG_WRITE);
SAME(ABI_TYPE1_UNMAP_ALL, VFIO_DMA_UNMAP_FLAG_ALL);

SIZE(struct abi_type1_info, struct vfio_iommu_type1_info);
FIELD(struct abi_type1_info, argsz, struct vfio_iommu_type1_info, argsz);
FIELD(struct abi_type1_info, flags, struct vfio_iommu_type1_info, flags);
FIELD(struct abi_type1_info, iova_pgsizes, struct vfio_iommu_type1_info, iova_pgsizes);
FIELD(struct abi_type1_info, cap_offset, struct vfio_iommu_type1_info, cap_offset);

SIZE(struct abi_cap_header, struct vfio_info_cap_header);
FIELD(struct abi_cap_header, id, struct vfio_info_cap_header, id);
FIELD(struct abi_cap_header, version, struct vfio_info_cap_header, version);
FIELD(struct abi_cap_header, next, struct vfio_info_cap_header, next);

SIZE(struct abi_type1_cap_iova_range, struct vfio_iommu_type1_info_cap_iova_range);
FIELD(struct abi_type1_cap_iova_range, header, struct vfio_iommu_type1_info_cap_iova_range, header);
FIELD(struct abi_type1_cap_iova_range, count, struct vfio_iommu_type1_info_cap_iova_range,
      nr_iovas);
_Static_assert(sizeof(struct abi_type1_cap_iova_range) ==
		       offsetof(struct vfio_iommu_type1_info_cap_iova_range, iova_ranges),
	       "ranges follow the capability");

SIZE(struct abi_vfio_iova_range, struct vfio_iova_range);
FIELD(struct abi_vfio_iova_range, start, struct vfio_iova_range, start);
FIELD(struct abi_vfio_iova_range, end, struct vfio_iova_range, end);

SIZE(struct abi_type1_map, struct vfio_iommu_type1_dma_map);
FIELD(struct abi_type1_map, argsz, struct vfio_iommu_type1_dma_map, argsz);
FIELD(struct abi_type1_map, flags, struct vfio_iommu_type1_dma_map, flags);
FIELD(struct abi_type1_map, vaddr, struct vfio_iommu_type1_dma_map, vaddr);
FIELD(struct abi_type1_map, iova, struct vfio_iommu_type1_dma_map, iova);
FIELD(struct abi_type1_map, size, struct vfio_iommu_type1_dma_map, size);

SIZE(struct abi_type1_unmap, struct vfio_iommu_type1_dma_unmap);
FIELD(struct abi_type1_unmap, argsz, struct vfio_iommu_type1_dma_unmap, argsz);
FIELD(struct abi_type1_unmap, flags, struct vfio_iommu_type1_dma_unmap, flags);
FIELD(struct abi_type1_unmap, iova, struct vfio_iommu_type1_dma_unmap, iova);
FIELD(struct abi_type1_unmap, size, struct vfio_iommu_type1_dma_unmap, size);

/* ---- group ---- */
SAME(ABI_VFIO_GROUP_GET_STATUS, VFIO_GROUP_GET_STATUS);
SAME(ABI_VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_SET_CONTAINER);
SAME(ABI_VFIO_GROUP_UNSET_CONTAINER, VFIO_GROUP_UNSET_CONTAINER);
SAME(ABI_VFIO_GROUP_GET_DEVICE_FD, VFIO_GROUP_GET_DEVICE_FD);
SAME(ABI_VFIO_GROUP_VIABLE, VFIO_GROUP_FLAGS_VIABLE);
SAME(ABI_VFIO_GROUP_CONTAINER_SET, VFIO_GROUP_FLAGS_CONTAINER_SET);
SIZE(struct abi_vfio_group_status, struct vfio_group_status);
FIELD(struct abi_vfio_group_status, argsz, struct vfio_group_status, argsz);
FIELD(struct abi_vfio_group_status, flags, struct vfio_group_status, flags);

/* ---- device ---- */
SAME(ABI_VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_INFO);
SAME(ABI_VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_REGION_INFO);
SAME(ABI_VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_GET_IRQ_INFO);
SAME(ABI_VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_SET_IRQS);
SAME(ABI_VFIO_DEVICE_RESET, VFIO_DEVICE_RESET);
SAME(ABI_VFIO_DEVICE_FLAG_RESET, VFIO_DEVICE_FLAGS_RESET);
SAME(ABI_VFIO_DEVICE_FLAG_PCI, VFIO_DEVICE_FLAGS_PCI);
SAME(ABI_VFIO_REGION_READ, VFIO_REGION_INFO_FLAG_READ);
SAME(ABI_VFIO_REGION_WRITE, VFIO_REGION_INFO_FLAG_WRITE);
SAME(ABI_VFIO_REGION_MMAP, VFIO_REGION_INFO_FLAG_MMAP);
SAME(ABI_VFIO_PCI_REGION_CONFIG, VFIO_PCI_CONFIG_REGION_INDEX);
SAME(ABI_VFIO_PCI_IRQS, VFIO_PCI_NUM_IRQS);
SAME(ABI_VFIO_IRQ_EVENTFD, VFIO_IRQ_INFO_EVENTFD);
SAME(ABI_VFIO_IRQ_MASKABLE, VFIO_IRQ_INFO_MASKABLE);
SAME(ABI_VFIO_IRQ_AUTOMASKED, VFIO_IRQ_INFO_AUTOMASKED);
SAME(ABI_VFIO_IRQ_NORESIZE, VFIO_IRQ_INFO_NORESIZE);
SAME(ABI_VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_NONE);
SAME(ABI_VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_EVENTFD);
SAME(ABI_VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_MASK);
SAME(ABI_VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_ACTION_UNMASK);
SAME(ABI_VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TRIGGER);

PART(struct abi_vfio_device_info, struct vfio_device_info);
FIELD(struct abi_vfio_device_info, argsz, struct vfio_device_info, argsz);
FIELD(struct abi_vfio_device_info, flags, struct vfio_device_info, flags);
FIELD(struct abi_vfio_device_info, num_regions, struct vfio_device_info, num_regions);
FIELD(struct abi_vfio_device_info, num_irqs, struct vfio_device_info, num_irqs);

SIZE(struct abi_vfio_region_info, struct vfio_region_info);
FIELD(struct abi_vfio_region_info, argsz, struct vfio_region_info, argsz);
FIELD(struct abi_vfio_region_info, flags, struct vfio_region_info, flags);
FIELD(struct abi_vfio_region_info, index, struct vfio_region_info, index);
FIELD(struct abi_vfio_region_info, cap_offset, struct vfio_region_info, cap_offset);
FIELD(struct abi_vfio_region_info, size, struct vfio_region_info, size);
FIELD(struct abi_vfio_region_info, offset, struct vfio_region_info, offset);

SIZE(struct abi_vfio_irq_info, struct vfio_irq_info);
FIELD(struct abi_vfio_irq_info, argsz, struct vfio_irq_info, argsz);
FIELD(struct abi_vfio_irq_info, flags, struct vfio_irq_info, flags);
FIELD(struct abi_vfio_irq_info, index, struct vfio_irq_info, index);
FIELD(struct abi_vfio_irq_info, count, struct vfio_irq_info, count);

SIZE(struct abi_vfio_irq_set, struct vfio_irq_set);
FIELD(struct abi_vfio_irq_set, argsz, struct vfio_irq_set, argsz);
FIELD(struct abi_vfio_irq_set, flags, struct vfio_irq_set, flags);
FIELD(struct abi_vfio_irq_set, index, struct vfio_irq_set, index);
FIELD(struct abi_vfio_irq_set, start, struct vfio_irq_set, start);
FIELD(struct abi_vfio_irq_set, count, struct vfio_irq_set, count);
_Static_assert(sizeof(struct abi_vfio_irq_set) == offsetof(struct vfio_irq_set, data),
	       "descriptors follow the request");

/* ---- character devices ---- */
#ifdef VFIO_DEVICE_BIND_IOMMUFD
SAME(ABI_VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_BIND_IOMMUFD);
SAME(ABI_VFIO_DEVICE_ATTACH_PT, VFIO_DEVICE_ATTACH_IOMMUFD_PT);
SAME(ABI_VFIO_DEVICE_DETACH_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT);

PART(struct abi_vfio_bind_iommufd, struct vfio_device_bind_iommufd);
FIELD(struct abi_vfio_bind_iommufd, argsz, struct vfio_device_bind_iommufd, argsz);
FIELD(struct abi_vfio_bind_iommufd, flags, struct vfio_device_bind_iommufd, flags);
FIELD(struct abi_vfio_bind_iommufd, iommufd, struct vfio_device_bind_iommufd, iommufd);
FIELD(struct abi_vfio_bind_iommufd, out_devid, struct vfio_device_bind_iommufd, out_devid);

PART(struct abi_vfio_attach_pt, struct vfio_device_attach_iommufd_pt);
FIELD(struct abi_vfio_attach_pt, argsz, struct vfio_device_attach_iommufd_pt, argsz);
FIELD(struct abi_vfio_attach_pt, flags, struct vfio_device_attach_iommufd_pt, flags);
FIELD(struct abi_vfio_attach_pt, pt_id, struct vfio_device_attach_iommufd_pt, pt_id);

PART(struct abi_vfio_detach_pt, struct vfio_device_detach_iommufd_pt);
FIELD(struct abi_vfio_detach_pt, argsz, struct vfio_device_detach_iommufd_pt, argsz);
FIELD(struct abi_vfio_detach_pt, flags, struct vfio_device_detach_iommufd_pt, flags);
#endif

/* ---- iommufd ---- */
#ifdef HAVE_IOMMUFD
SAME(ABI_IOMMU_DESTROY, IOMMU_DESTROY);
SAME(ABI_IOMMU_IOAS_ALLOC, IOMMU_IOAS_ALLOC);
SAME(ABI_IOMMU_IOAS_IOVA_RANGES, IOMMU_IOAS_IOVA_RANGES);
SAME(ABI_IOMMU_IOAS_MAP, IOMMU_IOAS_MAP);
SAME(ABI_IOMMU_IOAS_UNMAP, IOMMU_IOAS_UNMAP);
SAME(ABI_IOMMU_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_FIXED_IOVA);
SAME(ABI_IOMMU_MAP_WRITEABLE, IOMMU_IOAS_MAP_WRITEABLE);
SAME(ABI_IOMMU_MAP_READABLE, IOMMU_IOAS_MAP_READABLE);

SIZE(struct abi_iommu_destroy, struct iommu_destroy);
FIELD(struct abi_iommu_destroy, size, struct iommu_destroy, size);
FIELD(struct abi_iommu_destroy, id, struct iommu_destroy, id);

SIZE(struct abi_iommu_ioas_alloc, struct iommu_ioas_alloc);
FIELD(struct abi_iommu_ioas_alloc, size, struct iommu_ioas_alloc, size);
FIELD(struct abi_iommu_ioas_alloc, flags, struct iommu_ioas_alloc, flags);
FIELD(struct abi_iommu_ioas_alloc, out_ioas_id, struct iommu_ioas_alloc, out_ioas_id);

SIZE(struct abi_iommu_iova_range, struct iommu_iova_range);
FIELD(struct abi_iommu_iova_range, start, struct iommu_iova_range, start);
FIELD(struct abi_iommu_iova_range, last, struct iommu_iova_range, last);

SIZE(struct abi_iommu_ioas_iova_ranges, struct iommu_ioas_iova_ranges);
FIELD(struct abi_iommu_ioas_iova_ranges, size, struct iommu_ioas_iova_ranges, size);
FIELD(struct abi_iommu_ioas_iova_ranges, ioas_id, struct iommu_ioas_iova_ranges, ioas_id);
FIELD(struct abi_iommu_ioas_iova_ranges, num_iovas, struct iommu_ioas_iova_ranges, num_iovas);
FIELD(struct abi_iommu_ioas_iova_ranges, allowed_iovas, struct iommu_ioas_iova_ranges,
      allowed_iovas);
FIELD(struct abi_iommu_ioas_iova_ranges, out_iova_alignment, struct iommu_ioas_iova_ranges,
      out_iova_alignment);

SIZE(struct abi_iommu_ioas_map, struct iommu_ioas_map);
FIELD(struct abi_iommu_ioas_map, size, struct iommu_ioas_map, size);
FIELD(struct abi_iommu_ioas_map, flags, struct iommu_ioas_map, flags);
FIELD(struct abi_iommu_ioas_map, ioas_id, struct iommu_ioas_map, ioas_id);
FIELD(struct abi_iommu_ioas_map, user_va, struct iommu_ioas_map, user_va);
FIELD(struct abi_iommu_ioas_map, length, struct iommu_ioas_map, length);
FIELD(struct abi_iommu_ioas_map, iova, struct iommu_ioas_map, iova);

SIZE(struct abi_iommu_ioas_unmap, struct iommu_ioas_unmap);
FIELD(struct abi_iommu_ioas_unmap, size, struct iommu_ioas_unmap, size);
FIELD(struct abi_iommu_ioas_unmap, ioas_id, struct iommu_ioas_unmap, ioas_id);
FIELD(struct abi_iommu_ioas_unmap, iova, struct iommu_ioas_unmap, iova);
FIELD(struct abi_iommu_ioas_unmap, length, struct iommu_ioas_unmap, length);

#ifdef IOMMU_GET_HW_INFO
SAME(ABI_IOMMU_GET_HW_INFO, IOMMU_GET_HW_INFO);
FIELD(struct abi_iommu_hw_info, size, struct iommu_hw_info, size);
FIELD(struct abi_iommu_hw_info, flags, struct iommu_hw_info, flags);
FIELD(struct abi_iommu_hw_info, dev_id, struct iommu_hw_info, dev_id);
FIELD(struct abi_iommu_hw_info, data_len, struct iommu_hw_info, data_len);
FIELD(struct abi_iommu_hw_info, data_uptr, struct iommu_hw_info, data_uptr);
FIELD(struct abi_iommu_hw_info, out_data_type, struct iommu_hw_info, out_data_type);
#endif

#ifdef IOMMU_IOAS_MAP_FILE
SAME(ABI_IOMMU_IOAS_MAP_FILE, IOMMU_IOAS_MAP_FILE);
SIZE(struct abi_iommu_ioas_map_file, struct iommu_ioas_map_file);
FIELD(struct abi_iommu_ioas_map_file, size, struct iommu_ioas_map_file, size);
FIELD(struct abi_iommu_ioas_map_file, flags, struct iommu_ioas_map_file, flags);
FIELD(struct abi_iommu_ioas_map_file, ioas_id, struct iommu_ioas_map_file, ioas_id);
FIELD(struct abi_iommu_ioas_map_file, fd, struct iommu_ioas_map_file, fd);
FIELD(struct abi_iommu_ioas_map_file, start, struct iommu_ioas_map_file, start);
FIELD(struct abi_iommu_ioas_map_file, length, struct iommu_ioas_map_file, length);
FIELD(struct abi_iommu_ioas_map_file, iova, struct iommu_ioas_map_file, iova);
#endif
#endif

/* What would let a session open, bind or give away must never be in its filter. */
START_TEST(mapper_ioctls_are_few)
{
	static const uint32_t never[] = {
		ABI_VFIO_SET_IOMMU,
		ABI_VFIO_GROUP_SET_CONTAINER,
		ABI_VFIO_GROUP_GET_DEVICE_FD,
		ABI_VFIO_DEVICE_BIND_IOMMUFD,
		ABI_IOMMU_DESTROY,
		ABI_IOMMU_IOAS_ALLOC,
		ABI_IOMMU_TEST,
	};

	for (size_t i = 0; i < glue_mapper_ioctl_count; i++) {
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(glue_mapper_ioctls[i].number,
					  glue_mapper_ioctls[j].number);
		for (size_t j = 0; j < sizeof(never) / sizeof(never[0]); j++)
			ck_assert_uint_ne(glue_mapper_ioctls[i].number, never[j]);
	}
}
END_TEST

START_TEST(map_fault_names_the_range)
{
	struct fault f;

	ck_assert_int_eq(glue_map_fault(IOB_BACKEND_TYPE1, IOB_STEP_MAP, -EEXIST, 0x1000, 0x2000,
					&f),
			 -EEXIST);
	ck_assert_uint_eq(f.code, IOB_E_IOVA_OVERLAP);
	ck_assert_uint_eq(f.step, IOB_STEP_MAP);
	ck_assert_int_eq(f.sys_errno, EEXIST);
	ck_assert_ptr_nonnull(strstr(f.text, "0x1000-0x2fff"));
	/* the last page of the address space, and a range that wraps */
	glue_map_fault(IOB_BACKEND_TYPE1, IOB_STEP_MAP, EINVAL, UINT64_MAX - 4095, 4096, &f);
	ck_assert_ptr_nonnull(strstr(f.text, "0xfffffffffffff000-0xffffffffffffffff"));
	glue_map_fault(IOB_BACKEND_TYPE1, IOB_STEP_MAP, EOVERFLOW, UINT64_MAX - 4095, 8192, &f);
	ck_assert_ptr_nonnull(strstr(f.text, "length 0x2000"));
}
END_TEST

START_TEST(map_fault_depends_on_the_step)
{
	static const struct {
		enum iob_backend backend;
		enum iob_step step;
		int sys_errno;
		uint32_t code;
	} rows[] = {
		{ IOB_BACKEND_TYPE1, IOB_STEP_MAP, ENOSPC, IOB_E_LIMIT },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_MAP, ENOSPC, IOB_E_IOVA_EXHAUSTED },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_ATTACH, ENOSPC, IOB_E_LIMIT },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_MAP, ENOENT, IOB_E_GONE },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_UNMAP, ENOENT, IOB_E_NOT_MAPPED },
		{ IOB_BACKEND_TYPE1, IOB_STEP_UNMAP, EINVAL, IOB_E_NOT_MAPPED },
		{ IOB_BACKEND_TYPE1, IOB_STEP_REPLAY, ENOMEM, IOB_E_NO_MEMORY },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_ATTACH, EADDRINUSE, IOB_E_IOVA_RESERVED },
		{ IOB_BACKEND_SIM, IOB_STEP_MAP, EEXIST, IOB_E_IOVA_OVERLAP },
		{ IOB_BACKEND_IOMMUFD, IOB_STEP_MAP, EXDEV, IOB_E_KERNEL },
	};
	struct fault f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		glue_map_fault(rows[i].backend, rows[i].step, rows[i].sys_errno, 0, 4096, &f);
		ck_assert_uint_eq(f.code, rows[i].code);
	}
}
END_TEST

START_TEST(mapper_for_knows_its_backends)
{
	ck_assert_ptr_null(glue_mapper_for(0));
	ck_assert_ptr_null(glue_mapper_for(UINT32_MAX));
	for (uint32_t b = IOB_BACKEND_SIM; b <= IOB_BACKEND_IOMMUFD; b++)
		ck_assert_uint_eq(glue_mapper_for(b)->backend, b);
}
END_TEST

Suite *test_abi_suite(void)
{
	Suite *s = suite_create("abi");
	TCase *t = tcase_create("abi");

	tcase_add_test(t, mapper_ioctls_are_few);
	tcase_add_test(t, map_fault_names_the_range);
	tcase_add_test(t, map_fault_depends_on_the_step);
	tcase_add_test(t, mapper_for_knows_its_backends);
	suite_add_tcase(s, t);
	return s;
}

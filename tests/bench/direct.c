/* SPDX-License-Identifier: MIT */
/* direct.c - mapping by ioctl, as a program does that needs no broker. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel-glue/abi-iommufd.h"
#include "kernel-glue/abi-vfio.h"
#include "tests/bench/bench.h"
#include "tests/bench/direct.h"

/* Everything stays open for the life of the program: that is what keeps the mappings. */
static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* ---- type1 ---- */

static int open_group(const char *device)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", device);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		err(1, "%s", path);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%.32s", strrchr(target, '/') + 1);
	return open_node(path);
}

static void type1_open(struct direct *d, const char *device)
{
	int group = open_group(device);

	d->fd = open_node("/dev/vfio/vfio");
	must_be(ioctl(group, ABI_VFIO_GROUP_SET_CONTAINER, &d->fd) == 0, "SET_CONTAINER");
	must_be(ioctl(d->fd, ABI_VFIO_SET_IOMMU, ABI_VFIO_EXT_TYPE1V2) == 0, "SET_IOMMU");
	must_be(ioctl(group, ABI_VFIO_GROUP_GET_DEVICE_FD, device) >= 0, "GET_DEVICE_FD");
}

static void type1_map(const struct direct *d, void *at, uint64_t iova, uint64_t length)
{
	struct abi_type1_map a = {
		.argsz = sizeof(a),
		.flags = ABI_TYPE1_MAP_READ | ABI_TYPE1_MAP_WRITE,
		.vaddr = (uintptr_t)at,
		.iova = iova,
		.size = length,
	};

	must_be(ioctl(d->fd, ABI_TYPE1_MAP_DMA, &a) == 0, "MAP_DMA");
}

static void type1_unmap(const struct direct *d, uint64_t iova, uint64_t length)
{
	struct abi_type1_unmap a = { .argsz = sizeof(a), .iova = iova, .size = length };

	must_be(ioctl(d->fd, ABI_TYPE1_UNMAP_DMA, &a) == 0 && a.size == length, "UNMAP_DMA");
}

/* ---- iommufd ---- */

static int open_cdev(const char *device)
{
	char path[PATH_MAX];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", device);
	if (glob(path, 0, NULL, &found) != 0)
		errx(1, "%s: nothing there", path);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%.32s",
		 strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open_node(path);
	return fd;
}

static void iommufd_open(struct direct *d, const char *device)
{
	struct abi_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct abi_vfio_attach_pt attach = { .argsz = sizeof(attach) };
	struct abi_iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int cdev = open_cdev(device);

	d->fd = open_node("/dev/iommu");
	bind.iommufd = d->fd;
	must_be(ioctl(d->fd, ABI_IOMMU_IOAS_ALLOC, &alloc) == 0, "IOAS_ALLOC");
	must_be(ioctl(cdev, ABI_VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0, "BIND_IOMMUFD");
	attach.pt_id = d->ioas = alloc.out_ioas_id;
	must_be(ioctl(cdev, ABI_VFIO_DEVICE_ATTACH_PT, &attach) == 0, "ATTACH");
}

static void iommufd_map(const struct direct *d, void *at, uint64_t iova, uint64_t length)
{
	struct abi_iommu_ioas_map a = {
		.size = sizeof(a),
		.flags =
			ABI_IOMMU_MAP_FIXED_IOVA | ABI_IOMMU_MAP_READABLE | ABI_IOMMU_MAP_WRITEABLE,
		.ioas_id = d->ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	must_be(ioctl(d->fd, ABI_IOMMU_IOAS_MAP, &a) == 0, "IOAS_MAP");
}

static void iommufd_unmap(const struct direct *d, uint64_t iova, uint64_t length)
{
	struct abi_iommu_ioas_unmap a = {
		.size = sizeof(a),
		.ioas_id = d->ioas,
		.iova = iova,
		.length = length,
	};

	must_be(ioctl(d->fd, ABI_IOMMU_IOAS_UNMAP, &a) == 0 && a.length == length, "IOAS_UNMAP");
}

/* ---- both ---- */

static const struct direct_kind kinds[] = {
	{ "type1", type1_open, type1_map, type1_unmap },
	{ "iommufd", iommufd_open, iommufd_map, iommufd_unmap },
};

void direct_open(struct direct *d, const char *kind, const char *device)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (strcmp(kinds[i].name, kind) != 0)
			continue;
		d->kind = &kinds[i];
		d->kind->open(d, device);
		return;
	}
	errx(2, "%s is neither type1 nor iommufd", kind);
}

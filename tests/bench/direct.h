/* SPDX-License-Identifier: MIT */
/*
 * direct.h - what the broker is compared with: a program that has the nodes itself and maps by
 * ioctl, on a VFIO container (type1) or an I/O address space (iommufd).
 */
#ifndef TESTS_BENCH_DIRECT_H
#define TESTS_BENCH_DIRECT_H

#include <stdint.h>

struct direct {
	int fd; /* container or iommufd */
	uint32_t ioas;
	const struct direct_kind *kind;
};

struct direct_kind {
	const char *name;
	/* Opens the nodes, as root, and puts the device in; ends the program when it cannot. */
	void (*open)(struct direct *d, const char *device);
	void (*map)(const struct direct *d, void *at, uint64_t iova, uint64_t length);
	void (*unmap)(const struct direct *d, uint64_t iova, uint64_t length);
};

/* type1 or iommufd; ends the program for other names. */
void direct_open(struct direct *d, const char *kind, const char *device);

#endif

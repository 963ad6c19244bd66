/* SPDX-License-Identifier: MIT */
/*
 * dma.c - memory for DMA in one call, made of the public calls.
 *
 * The memfd is allocated in full before the broker sees it: the broker maps only pages that exist,
 * so that they are charged to the process that asked and not to the broker.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define HUGE_BYTES ((size_t)1 << 21)
/* A signal makes fallocate() give up and undo: small steps get there under a ticking timer. */
#define STEP_BYTES ((off_t)16 << 20)

/* Kernels before 6.3 know no NOEXEC_SEAL. */
static int memfd_new(unsigned int flags)
{
	int fd = memfd_create("iommu-broker-dma",
			      flags | MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd >= 0 || errno != EINVAL)
		return fd;
	return memfd_create("iommu-broker-dma", flags | MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int populate(int fd, off_t bytes)
{
	for (off_t at = 0; at < bytes; at += STEP_BYTES) {
		off_t step = bytes - at < STEP_BYTES ? bytes - at : STEP_BYTES;

		while (fallocate(fd, 0, at, step) < 0) {
			if (errno != EINTR)
				return -1;
		}
	}
	return 0;
}

/* Sized, allocated, sealed and mapped, or -1 with errno and nothing left. */
static int memory_make(struct iob_dma *dma, size_t bytes, unsigned int flags)
{
	int fd = memfd_new(flags);
	void *address;
	int saved;

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)bytes) < 0 || populate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		goto fail;
	address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		goto fail;
	dma->fd = fd;
	dma->address = address;
	dma->bytes = bytes;
	return 0;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static void memory_release(struct iob_dma *dma)
{
	munmap(dma->address, dma->bytes);
	close(dma->fd);
	memset(dma, 0, sizeof(*dma));
}

/* Huge pages when it is worth one and the system has them, else plain ones. */
static int memory_get(struct iob_dma *dma, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (bytes > (size_t)INT64_MAX - HUGE_BYTES)
		return client_error_argument("that many bytes cannot be");
	if (bytes >= HUGE_BYTES && memory_make(dma, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1),
					       MFD_HUGETLB | MFD_HUGE_2MB) == 0)
		return IOB_OK;
	if (memory_make(dma, (bytes + page - 1) & ~(page - 1), 0) < 0)
		return client_error_system(IOB_STEP_MEMORY, "allocating memory for DMA");
	return IOB_OK;
}

static int domain_put(iob_domain *domain, struct iob_dma *dma, uint64_t iova_limit)
{
	struct iob_memory_add_rep memory;
	struct iob_map_op op = {
		.flags = dma->flags,
		.length = dma->bytes,
		.iova_limit = iova_limit,
	};
	int code = iob_memory_add(domain, dma->fd, dma->flags, &memory);

	if (code != IOB_OK)
		return code;
	dma->memory = memory.memory;
	dma->page_shift = memory.page_shift;
	op.memory = memory.memory;
	return iob_map(domain, &op, &dma->iova);
}

/* Forget the memory without losing the reason why. */
static void domain_drop_quietly(iob_domain *domain, uint32_t memory)
{
	struct iob_error why = *iob_error();
	char text[IOB_MAX_TEXT + 1];

	strncpy(text, why.text, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	iob_memory_drop(domain, memory);
	client_error_set(why.code, why.step, why.sys_errno, "%s", text);
}

int iob_dma_alloc(iob_domain *domain, size_t bytes, uint32_t flags, uint64_t iova_limit,
		  struct iob_dma *out)
{
	struct iob_dma dma = { .flags = flags };
	int code;

	if (!domain || !out || bytes == 0)
		return client_error_argument("no domain, no bytes, or no place for the memory");
	if (flags == 0 || (flags & ~(IOB_READ | IOB_WRITE)) != 0)
		return client_error_argument("memory for DMA is IOB_READ, IOB_WRITE or both");
	code = memory_get(&dma, bytes);
	if (code != IOB_OK)
		return code;
	code = domain_put(domain, &dma, iova_limit);
	if (code != IOB_OK) {
		if (dma.memory != 0)
			domain_drop_quietly(domain, dma.memory);
		memory_release(&dma);
		return code;
	}
	*out = dma;
	return IOB_OK;
}

int iob_dma_free(iob_domain *domain, struct iob_dma *dma)
{
	int code;

	if (!domain || !dma)
		return client_error_argument("no domain, or no memory");
	if (!dma->address)
		return IOB_OK;
	code = iob_unmap(domain, dma->iova, dma->bytes);
	if (code == IOB_OK)
		code = iob_memory_drop(domain, dma->memory);
	memory_release(dma);
	return code;
}
